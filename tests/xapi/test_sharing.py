"""One reading for all who asked before it began."""

import threading
from collections.abc import Callable

import pytest

from orchestrator.xapi.sharing import Shared
from workflows.ports import Refused

Until = Callable[[Callable[[], bool]], None]


class Source:
    """Numbers its readings; each waits until the test lets it go on."""

    def __init__(self) -> None:
        self.begun = 0
        self.going_on = threading.Semaphore(0)
        self.fault: Exception | None = None

    def read(self) -> int:
        self.begun += 1
        number = self.begun
        self.going_on.acquire()
        if self.fault:
            raise self.fault
        return number


def asking(shared: Shared[int], got: list[object]) -> threading.Thread:
    def ask() -> None:
        try:
            got.append(shared.get())
        except (Refused, KeyError) as error:
            got.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_a_hundred_callers_at_once_cost_two_readings(until: Until) -> None:
    """The first has a reading of its own; all who asked while it was under way share the next, which began after they asked."""
    source = Source()
    shared = Shared(source.read)
    first: list[object] = []
    others: list[object] = []
    threads = [asking(shared, first)]
    until(lambda: source.begun == 1)
    threads += [asking(shared, others) for _ in range(99)]
    until(lambda: len(shared._turn._waiters) == 99)  # type: ignore[attr-defined]
    source.going_on.release(2)
    for thread in threads:
        thread.join(60)
    assert (first, others, source.begun) == ([1], [2] * 99, 2)


def test_a_later_caller_gets_a_later_reading() -> None:
    """What was read before somebody asked is never given to them."""
    source = Source()
    source.going_on.release(2)
    shared = Shared(source.read)
    assert (shared.get(), shared.get()) == (1, 2)


def test_a_pools_error_is_shared(until: Until) -> None:
    """Those who would have shared the reading share its error, each with an exception of their own."""
    source = Source()
    source.fault = Refused("X")
    shared = Shared(source.read)
    got: list[object] = []
    threads = [asking(shared, got)]
    until(lambda: source.begun == 1)
    threads += [asking(shared, got) for _ in range(3)]
    until(lambda: len(shared._turn._waiters) == 3)  # type: ignore[attr-defined]
    source.going_on.release(2)
    for thread in threads:
        thread.join(60)
    assert (got, source.begun) == ([Refused] * 4, 2)


def test_another_error_is_the_readers_own_and_the_next_reads(until: Until) -> None:
    """A fault of ours in one thread does not leave the others waiting."""
    source = Source()
    source.fault = KeyError()
    shared = Shared(source.read)
    got: list[object] = []
    threads = [asking(shared, got)]
    until(lambda: source.begun == 1)
    threads += [asking(shared, got)]
    until(lambda: len(shared._turn._waiters) == 1)  # type: ignore[attr-defined]
    source.going_on.release(2)
    for thread in threads:
        thread.join(60)
    assert (got, source.begun) == ([KeyError] * 2, 2)


@pytest.mark.parametrize("times", [1, 5])
def test_after_an_error_the_next_reading_is_a_new_one(times: int) -> None:
    """An error is nobody's answer who asks after it."""
    source = Source()
    source.going_on.release(times + 1)
    shared = Shared(source.read)
    source.fault = Refused("X")
    for _ in range(times):
        with pytest.raises(Refused):
            shared.get()
    source.fault = None
    assert shared.get() == times + 1
