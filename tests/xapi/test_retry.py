"""How long we wait and how often we try again."""

import threading

import pytest

from orchestrator import retry


def test_patience_without_end_of_trouble_raises_the_last_error_itself() -> None:
    """Not tenacity's RetryError; and the waits together stay within the patience."""
    tries: list[int] = []

    def act() -> None:
        tries.append(1)
        raise KeyError(len(tries))

    with pytest.raises(KeyError) as caught:
        retry.patiently(act, patience=0.3, on=KeyError, stop=threading.Event(), longest_wait=0.05)
    assert caught.value.args == (len(tries),)
    assert len(tries) > 3


def test_other_errors_are_raised_at_once() -> None:
    """Only what was named is tried again."""
    tries: list[int] = []

    def act() -> None:
        tries.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        retry.patiently(act, patience=10, on=IndexError, stop=threading.Event())
    assert tries == [1]


def test_stopping_ends_the_wait() -> None:
    """A process that stops does not sleep on: the error is raised when *stop* is set in the middle of a wait."""
    stop = threading.Event()
    tries: list[int] = []

    def act() -> None:
        tries.append(1)
        if len(tries) == 3:
            stop.set()
        raise KeyError

    with pytest.raises(KeyError):
        retry.patiently(act, patience=3600, on=KeyError, stop=stop)
    assert len(tries) == 3


@pytest.mark.parametrize(("failures", "limit"), [(1, 2.0), (2, 4.0), (3, 8.0), (10, 60.0), (10_000, 60.0)])
def test_pauses_double_up_to_the_longest_with_half_of_it_jitter(failures: int, limit: float) -> None:
    """Between half the limit and the limit, however many failures there were."""
    pauses = [retry.pause_after(failures, first=2.0, longest=60.0) for _ in range(200)]
    assert limit / 2 <= min(pauses) < max(pauses) <= limit
