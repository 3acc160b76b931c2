"""How long the engine holds, waits and tries."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Timing:
    """The engine's times and numbers.

    *lease*: how long a run stays taken without a sign of life; a run whose worker died goes on after that. *heartbeat*: how often the
    leases of runs at work are extended (a third of the lease or less, so that one missed beat loses nothing).
    *poll*: how often due runs are looked for; what this process knows to be due sooner is not kept waiting.
    *republish*: after how long a message that nobody followed counts as lost.
    *at_once*: how many due runs one look publishes. *first_retry*, *longest_retry*: the back-off doubles from one to the other.
    *tries*: how often a step that fails for no known reason is tried before a person is told.
    *unknown*: how long a run may wait for a process that knows its workflow and its step before a person is told.
    *takes*: how often a run is taken without anything being recorded (its worker dies each time) before it is put aside.
    """

    lease: timedelta = timedelta(seconds=15)
    heartbeat: timedelta = timedelta(seconds=4)
    poll: timedelta = timedelta(seconds=1)
    republish: timedelta = timedelta(seconds=30)
    at_once: int = 200
    first_retry: timedelta = timedelta(seconds=1)
    longest_retry: timedelta = timedelta(minutes=1)
    unknown: timedelta = timedelta(minutes=15)
    tries: int = 4
    takes: int = 5

    def back_off(self, run_id: UUID, attempt: int) -> timedelta:
        """How long to wait after the failure number *attempt* (1 is the first): doubling, capped, and up to a quarter more.

        The extra part depends on the run, so that a thousand runs that failed at once do not come back at once.
        """
        doubled: int = 2 ** min(attempt - 1, 30)
        plain = min(self.longest_retry, self.first_retry * doubled)
        return plain * (1 + (run_id.int >> attempt % 64) % 256 / 1024)
