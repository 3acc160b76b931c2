"""Why what a person asked for is not done."""

from collections.abc import Sequence

from orchestrator.config.errors import Mistake


class WrongInput(Exception):
    """What was given cannot be used: the text names the thing, its value and what to do.

    *option*: what it was given as, as the command line calls it ("network-map"); "" where the text names it.
    """

    def __init__(self, text: str, *, option: str = "", value: object = None) -> None:
        super().__init__(text)
        self.text = text
        self.option = option
        self.value = value

    def __str__(self) -> str:
        if not self.option:
            return self.text
        shown = "" if self.value is None else f" {self.value!r}"
        return f"--{self.option}{shown}: {self.text}"


class WrongTable(WrongInput):
    """A table of a policy or a window cannot be used: *mistakes* has all that is wrong; the first is told as `WrongInput` is."""

    def __init__(self, where: str, mistakes: Sequence[Mistake]) -> None:
        first = mistakes[0]
        super().__init__(first.text, option=first.key, value=first.value)
        self.where = where
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        return "\n".join(f"{self.where}{_at(one)}: {one.text}" for one in self.mistakes)


class NotSo(Exception):
    """What was asked was understood, and what it was to see or do is not so."""


class Outdated(NotSo):
    """Somebody else was there meanwhile: *revision* is the one there is now, None when there is none."""

    def __init__(self, text: str, revision: str | None) -> None:
        super().__init__(text)
        self.revision = revision


def _at(one: Mistake) -> str:
    shown = "" if one.value is None or isinstance(one.value, dict) else f" = {one.value!r}"
    return f".{one.key}{shown}" if one.key else ""
