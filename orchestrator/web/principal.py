"""Who asks, and how far their word goes."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """*read*: look at everything. *operate*: begin, approve, cancel. *admin*: also what is about users, tokens and the past of others."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def covers(self, needed: "Scope") -> bool:
        """Whether who has this scope may do what *needed* is asked for."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Principal:
    """*name*: of the user or the token. *how* it came in: "console" or "api", as the audit says."""

    name: str
    scope: Scope
    how: str
