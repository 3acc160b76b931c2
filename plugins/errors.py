"""The errors by which a step or a plugin steers its run (every other exception is a fault: the engine decides), and a plugin's own."""

from datetime import timedelta


class RetryLater(Exception):
    """Not now: the same step is to be tried again, after *after* if that is given, else when the engine's back-off says."""

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Queued(RetryLater):
    """Not now, since others of ours come first: asked again for as long as that takes, and no patience runs out over it."""


class GiveUp(Exception):
    """It will never work: nothing is tried again, what was done is undone."""


class Refuse(Exception):
    """An acting hook says no before anything was done: this VM (or window) is not backed up, and the report says that it was refused."""


class Skip(Exception):
    """An acting hook says that there is nothing to do this time: not backed up, and nothing is amiss."""


class Cancelled(Exception):
    """A job was asked to end: raised in the job's own thread, at its next word of progress."""


class SourceError(Exception):
    """What is read from (or written to) the pool is not whole: the stream broke, the task failed, the length is wrong."""


class PluginError(Exception):
    """A plugin cannot be used: it names a hook that does not exist, two bear the same name, or its settings are wrong."""
