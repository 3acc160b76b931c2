"""How long a unit of work is tried again while the database is away: the only module of the rows that knows tenacity."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import tenacity

T = TypeVar("T")

FIRST_WAIT = 0.05
LONGEST_WAIT = 2.0


def again(
    act: Callable[[], T], *, on: type[Exception], patience: timedelta, stop: threading.Event, besides: tuple[type[Exception], ...] = ()
) -> T:
    """Call *act* until it no longer raises *on* (but for *besides*, which are told at once); then its result.

    The last error itself is raised once waiting again would exceed *patience*, or *stop* is set, which ends a wait at once too. The waits
    are drawn between 0 and a limit that doubles from 50 ms to 2 s: those who were in each other's way do not meet again in step.
    """
    began = time.monotonic()
    try:
        return act()  # nearly every call: what it takes to try again is made for those that fail
    except besides:
        raise
    except on as error:
        failed = [error]
    left = patience.total_seconds() - (time.monotonic() - began)
    if left <= 0 or stop.is_set():
        raise failed.pop()

    def once_more() -> T:
        if failed:
            raise failed.pop()
        return act()

    trying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, on) and not isinstance(error, besides)),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        stop=tenacity.stop_any(tenacity.stop_after_delay(left), tenacity.stop_before_delay(left), tenacity.stop_when_event_set(stop)),
        sleep=tenacity.sleep_using_event(stop),
        reraise=True,
    )
    return trying(once_more)
