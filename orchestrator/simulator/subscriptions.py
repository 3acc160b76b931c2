"""What a client of event.from asked for, and the token that says up to where it knows."""

import dataclasses
from collections.abc import Iterable

from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.tables import Changes, Table


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """Two generations, of the database and of messages, written with 20 digits each."""

    database: int = 0
    messages: int = 0

    @classmethod
    def parse(cls, text: str) -> "Token":
        """EVENT_FROM_TOKEN_PARSE_FAILURE [text] when it is none; "" is the beginning of time."""
        if not text:
            return cls()
        try:
            database, messages = text.split(",")
            return cls(int(database), int(messages))
        except ValueError:
            raise Failure("EVENT_FROM_TOKEN_PARSE_FAILURE", text) from None

    def __str__(self) -> str:
        return f"{self.database:020d},{self.messages:020d}"


class Subscription:
    """Classes ("vm", "*") and single objects ("vm/OpaqueRef:..."), class names in any case; what is unknown matches nothing."""

    def __init__(self, wanted: Iterable[str]) -> None:
        parts = [one.split("/") for one in wanted]
        self.everything = ["*"] in parts
        self.classes = {part[0].lower() for part in parts if len(part) == 1}
        self.objects = {(part[0].lower(), part[1]) for part in parts if len(part) == 2}

    @property
    def tasks_alone(self) -> bool:
        """Such a call is answered without the time for collecting (xapi_event.ml)."""
        return not self.everything and self.classes | {cls for cls, _ in self.objects} == {"task"}

    def wants(self, cls: str) -> bool:
        """Whether all objects of the class (lower case) are followed."""
        return self.everything or cls in self.classes

    def tables(self, db: Database) -> list[Table]:
        """The tables to look into; classes without events are not among them."""
        single = {cls for cls, _ in self.objects}
        return [table for name, table in db.tables.items() if table.cls.events and (self.wants(name.lower()) or name.lower() in single)]

    def filter(self, cls: str, changes: Changes) -> Changes:
        """Only what was asked for; the token moves on by what was asked for too."""
        if self.wants(cls):
            return changes
        adds, mods = ([one for one in some if (cls, one[0]) in self.objects] for some in (changes.adds, changes.mods))
        dels = [one for one in changes.dels if (cls, one[0]) in self.objects]
        last = max([entry.modified for _, entry in (*adds, *mods)] + [generation for _, generation in dels], default=0)
        return Changes(adds, mods, dels, last)
