"""The two errors by which a step or a plugin steers its run (every other exception is a fault: the engine decides), and a plugin's own."""

from datetime import timedelta


class RetryLater(Exception):
    """Not now: the same step is to be tried again, after *after* if that is given, else when the engine's back-off says."""

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class GiveUp(Exception):
    """It will never work: nothing is tried again, what was done is undone."""


class PluginError(Exception):
    """A plugin cannot be used: it names a hook that does not exist, or two bear the same name."""
