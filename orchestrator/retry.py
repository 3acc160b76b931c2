"""How long we wait and how often we try again: the only module that knows tenacity.

Seconds are decided here, within one call. Minutes and hours are a run's `due_at` in its row, and the engine's.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

T = TypeVar("T")

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0


def patiently(
    act: Callable[[], T],
    *,
    patience: float,
    on: type[Exception] | tuple[type[Exception], ...],
    stop: threading.Event,
    longest_wait: float = LONGEST_WAIT,
) -> T:
    """Call *act* until it no longer raises one of *on*; then its result.

    The last error itself is raised once waiting again would exceed *patience* seconds, or *stop* is set. The waits are drawn between 0
    and a limit that doubles from 100 ms to *longest_wait* seconds (full jitter: a hundred waiting threads do not come back in step),
    and end at once when *stop* is set. *patience* 0 tries once.
    """
    began = time.monotonic()
    try:
        return act()  # nearly every call: what it takes to try again is made for those that fail
    except on as error:
        failed = [error]
    left = max(0.0, patience - (time.monotonic() - began))

    def again() -> T:
        if failed:
            raise failed.pop()
        return act()

    trying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(on),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=longest_wait),
        stop=tenacity.stop_any(tenacity.stop_after_delay(left), tenacity.stop_before_delay(left), tenacity.stop_when_event_set(stop)),
        sleep=tenacity.sleep_using_event(stop),
        reraise=True,
    )
    return trying(again)


def pause_after(failures: int, *, first: float, longest: float) -> float:
    """How many seconds to pause after so many failures in a row (at least 1): a limit doubles from *first* to *longest*.

    Half of it is jitter.
    """
    limit = min(longest, first * 2.0 ** min(failures - 1, 62))
    return random.uniform(limit / 2, limit)  # noqa: S311 - spreads load, guards nothing
