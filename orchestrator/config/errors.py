"""What a configuration that cannot be used is told with."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class ConfigError(Exception):
    """The configuration cannot be used; *lines* says why, one line for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Mistake:
    """*key*: where in the table ("vms.tags"; "" for all of it). *value*: what stands there. *text*: what to do."""

    key: str
    value: Any
    text: str


class Mistaken(Exception):
    """The table cannot be used; *mistakes* says why."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(f"{one.key}: {one.text}" if one.key else one.text for one in self.mistakes))
