"""How a pool is followed: every number with its unit and the reason for its default."""

from dataclasses import dataclass
from datetime import timedelta

from workflows.tagged import Rule


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """*reconcile*: how often everything is loaded anew and compared, whatever the events say.

    *watchdog*: how often the event stream must prove that it is not deaf, by a touch of the pool that has to come back *within* that
    time; it makes one event a time for every client of the pool, so not every second. *ask*: how long one event.from waits for news.
    *answer*: how much longer than asked an answer may take before the connection is given up. *lease*: how long a listener that died
    keeps another from taking over; it is renewed three times as often. *first_pause*, *longest_pause*: between attempts to follow.
    *rules*: which VMs get a VF by their tags.
    """

    reconcile: timedelta = timedelta(minutes=15)
    watchdog: timedelta = timedelta(minutes=1)
    within: timedelta = timedelta(seconds=10)
    ask: timedelta = timedelta(seconds=30)
    answer: timedelta = timedelta(seconds=15)
    lease: timedelta = timedelta(seconds=15)
    first_pause: timedelta = timedelta(milliseconds=200)
    longest_pause: timedelta = timedelta(seconds=10)
    rules: tuple[Rule, ...] = ()
