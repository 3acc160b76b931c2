"""Where a repository is: beside the configuration file or elsewhere, and whether it may be made."""

import fcntl
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, SecretStr, ValidationInfo

from plugins.errors import GiveUp
from plugins.repositories import Kept
from plugins.settings import PASSWORD_IN_URL

T = TypeVar("T")

REMOTE = re.compile(r"[^/]+:")


class Absent(GiveUp):
    """There is no such repository."""


def _placed(value: str, info: ValidationInfo) -> str:
    if not value or "::" in value:
        raise ValueError("write where the repository is, and nothing in it (::)")
    return value if REMOTE.match(value) else str(Path((info.context or {}).get("folder", "."), Path(value).expanduser()).absolute())


RepositoryPath = Annotated[str, AfterValidator(_placed)]
"""A path, relative to the configuration file, unless it names another machine (ssh://..., host:..., s3:...)."""


def assert_passphrase(passphrase: SecretStr | None) -> str:
    """What the passphrase is; ValueError when there is none."""
    text = passphrase.get_secret_value() if passphrase is not None else ""
    if not text:
        raise ValueError("a passphrase is needed: give one of passphrase, passphrase_file, passphrase_env")
    return text


class Place:
    """A repository; *folder* is where we remember that it was there: one that was is never made anew, its disk may not be mounted."""

    def __init__(self, path: str, folder: Path, *, init: bool) -> None:
        self.path = path
        self.shown = PASSWORD_IN_URL.sub(r"\1:***@", path)
        self._known = folder / "repository"
        self._making = folder / "making"
        self._init = init

    @property
    def real(self) -> str:
        """The same for all that name it, by whatever links."""
        return self.path if REMOTE.match(self.path) else str(Path(self.path).resolve())

    def ready(self, look: Callable[[], T], make: Callable[[], T]) -> T:
        """What *look* gives, which raises Absent where there is none; then what *make* gives. GiveUp where it is not to be made.

        Until it is known to be there one looks at a time, whichever thread or process it is: of jobs that begin at once in the first window
        one makes it, and nobody sees it half made (two `restic init` at once leave a repository that nobody can open).
        """
        if self.known:
            return self.look(look)
        with self._making.open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            try:
                found = self.look(look)
            except Absent:
                found = make()
            self._known.write_text(self.path)
        return found

    @property
    def known(self) -> bool:
        """Whether it was there before."""
        return self._known.exists() and self._known.read_text() == self.path

    def look(self, look: Callable[[], T]) -> T:
        """What *look* gives. Absent where it is to be made, GiveUp where it is not."""
        try:
            return look()
        except Absent as error:
            if self.known:
                why = "was there before and is not now: is it mounted?"
                raise GiveUp(f"the repository {self.shown} {why} (To begin anew on purpose, remove {self._known}.)") from None
            if not self._init:
                raise GiveUp(f"there is no repository {self.shown}, and init = false: make it by hand") from None
            raise Absent(f"{error} (The first backup makes it. If it should be there: is it mounted?)") from None


class Placed:
    """A repository in its place: the part of `plugins.repositories.Repository` that asks whether it is there."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def path(self) -> str:
        """The path, without links."""
        return self._place.real

    @property
    def known(self) -> bool:
        """Whether it was there before."""
        return self._place.known

    def look(self) -> list[Kept]:
        """What there is; nothing where it may yet be made."""
        try:
            return self._place.look(self.listed)
        except Absent:
            return []

    def ready(self) -> list[Kept]:
        """What there is, which says as well that the repository is there, idle and ours to read."""
        return self._place.ready(self.listed, self._made)

    def listed(self, *, patient: bool = False, beside: bool = False) -> list[Kept]:
        """The streams of ours; Absent where there is no repository."""
        raise NotImplementedError

    def _make(self) -> None:
        raise NotImplementedError

    def _made(self) -> list[Kept]:
        self._make()
        return []
