"""What a configuration that cannot be used is told with."""


class ConfigError(Exception):
    """The configuration cannot be used; *lines* says why, one line for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
