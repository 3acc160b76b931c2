"""Passwords of our own users: argon2, a few at a time, and as slow for a name that nobody has as for one that somebody has."""

import threading
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE = 2  # each takes 64 MiB and a tenth of a second of a core: many that sign in at once wait for one another
LONGEST = 1024
SHORTEST = 10


class Passwords:
    """Hashes and checks; the library's own costs, which it raises over the years."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher

        return PasswordHasher()

    @cached_property
    def _nobodys(self) -> str:
        """A hash that no password fits, with the same costs."""
        return self._hasher.hash("nobody")

    def hash(self, password: str) -> str:
        """What is kept of it."""
        with self._turns:
            return self._hasher.hash(password)

    def fits(self, hashed: str | None, password: str) -> bool:
        """Whether this is the password; None: of nobody, which takes as long to find out."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._turns:
            try:
                fits = len(password) <= LONGEST and self._hasher.verify(hashed or self._nobodys, password)
            except (VerificationError, InvalidHashError):
                return False
        return fits and hashed is not None

    def better(self, hashed: str, password: str) -> str | None:
        """The hash by today's costs, where it was made by lower ones."""
        return self.hash(password) if self._hasher.check_needs_rehash(hashed) else None
