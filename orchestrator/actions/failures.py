"""Why what a person asked for is not done."""


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


class NotSo(Exception):
    """What was asked was understood, and what it was to see or do is not so."""
