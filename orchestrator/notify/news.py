"""One thing to tell, and how it is put: what happened, what it means, what to do about it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.notify.kinds import Kind

Level = Literal["info", "warning", "failure"]
WHOLE, NAMED = 10, 30
"""Of several things in one message so many are told whole, and so many more by their titles."""


@dataclass(frozen=True, slots=True)
class News:
    """*key*: what it is about; the same is not told again while it is so. *happened*: the title. *means*: sentences.

    *commands*: what to type, each a line. *path*: of its page in the console. *pool*: "" for none. *is_over*: it tells that something is
    over, and is over with that. *is_known*: people were told the same before; it is noted, for what stands, and not told again.
    """

    kind: Kind
    key: str
    happened: str
    means: str
    commands: tuple[str, ...] = ()
    level: Level = "warning"
    pool: str = ""
    path: str = ""
    is_over: bool = False
    is_known: bool = False

    def text(self, console: str) -> str:
        """All but the title. *console*: the console's address, "" where there is none."""
        link = [f"{console.rstrip('/')}{self.path}"] if console and self.path else []
        return "\n".join([self.means, *(f"    {command}" for command in self.commands), *link])


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel is given to send. *page*: HTML that says more, for services that show it; "" for none."""

    title: str
    text: str
    level: Level = "info"
    page: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A notice as it is read from its row."""

    title: str
    text: str
    level: Level


LEVELS: tuple[Level, ...] = ("info", "warning", "failure")


def together(said: Sequence[Said]) -> Message:
    """One message for all that waits for a channel: nobody reads forty."""
    level = max((one.level for one in said), key=LEVELS.index)
    if len(said) == 1:
        return Message(f"vfo: {said[0].title}", said[0].text, level)
    worst_first = sorted(said, key=lambda one: -LEVELS.index(one.level))
    whole, rest = worst_first[:WHOLE], worst_first[WHOLE:]
    parts = [f"{one.title}\n{one.text}" for one in whole]
    if rest:
        named = [f"- {one.title}" for one in rest[:NAMED]]
        more = [f"- and {len(rest) - NAMED} more: vfo runs"] if len(rest) > NAMED else []
        parts.append("\n".join([*named, *more]))
    return Message(f"vfo: {worst_first[0].title}, and {len(said) - 1} more", "\n\n".join(parts), level)
