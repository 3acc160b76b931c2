"""Words that people choose from, by name alone: the command line reads them before it loads anything."""

from enum import StrEnum

NEXT_HALT = "next-halt"
"""When a VM that runs may be shut down, if nothing else is said: when somebody halts it."""


class Verb(StrEnum):
    """What may be done to a run: *approve*: let it do what it waits for; *retry*: take it up again; *cancel*: give it up and undo it."""

    APPROVE = "approve"
    RETRY = "retry"
    CANCEL = "cancel"
