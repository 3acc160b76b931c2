import queue
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from orchestrator.listener.errors import Interrupted
from orchestrator.listener.hearing import Hearing
from orchestrator.listener.meters import Meters
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.stream import Stream, Turn
from workflows.ports import Transient

QUICK = ListenerSettings(first_pause=timedelta(milliseconds=1), longest_pause=timedelta(milliseconds=2))
PATIENCE = 60.0


class Script:
    """A feed that does what it is told, one thing a call, and says what was asked of it; at the end it waits for its turn to be over."""

    def __init__(self, *acts: Callable[[], bool]) -> None:
        self.asked: queue.Queue[str] = queue.Queue()
        self._acts = list(acts)
        self.hanging = threading.Event()

    def load(self, turn: Turn) -> None:
        self.asked.put("load")

    def advance(self, turn: Turn) -> bool:
        self.asked.put("advance")
        if self._acts:
            return self._acts.pop(0)()
        self.hanging.set()
        turn.pause(PATIENCE)
        return True

    def heard(self, count: int) -> list[str]:
        return [self.asked.get(timeout=PATIENCE) for _ in range(count)]


def fail(error: Exception) -> Callable[[], bool]:
    def act() -> bool:
        raise error

    return act


@pytest.mark.parametrize("error", [Transient("CONNECTION_CUT"), Interrupted("a doubt"), ValueError("a fault of ours")])
def test_whatever_fails_leads_to_a_full_load(error: Exception) -> None:
    """After a cut connection, a doubt or a fault nothing is taken for current."""
    feed, meters = Script(fail(error)), Meters()
    stream = Stream("a feed", feed, QUICK, meters)
    stream.start()
    assert feed.heard(4) == ["load", "advance", "load", "advance"]
    assert stream.stop(PATIENCE)
    assert meters.failures == 1


def test_a_feed_that_wants_a_load_gets_it_at_once_and_it_is_no_failure() -> None:
    """A new session, or the slow reconcile."""
    feed, meters = Script(lambda: True, lambda: False), Meters()
    stream = Stream("a feed", feed, QUICK, meters)
    stream.start()
    assert feed.heard(5) == ["load", "advance", "advance", "load", "advance"]
    assert stream.stop(PATIENCE)
    assert meters.failures == 0


def test_a_stream_is_stopped_while_it_waits() -> None:
    """Stopping does not wait for an answer."""
    feed = Script()
    stream = Stream("a feed", feed, QUICK, Meters())
    stream.start()
    assert feed.hanging.wait(PATIENCE)
    assert stream.stop(PATIENCE)


def test_a_stream_that_is_started_anew_takes_the_turn_from_its_old_thread() -> None:
    """The old thread ends; the new one loads everything."""
    feed = Script()
    stream = Stream("a feed", feed, QUICK, Meters())
    stream.start()
    assert feed.hanging.wait(PATIENCE)
    stream.start()
    assert feed.heard(4) == ["load", "advance", "load", "advance"]
    assert stream.stop(PATIENCE)
    assert feed.asked.empty()


def test_a_stream_that_was_stopped_stays_so() -> None:
    """The watchdog may find it deaf while it is being stopped."""
    feed = Script()
    stream = Stream("a feed", feed, QUICK, Meters())
    assert stream.stop(PATIENCE)
    stream.start()
    assert stream.stop(PATIENCE)
    assert feed.asked.empty()


def test_a_pool_that_stays_away_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of attempts in a night are not thousands of warnings."""
    feed = Script(*(fail(Transient("NOT_REACHED")) for _ in range(5)))
    stream = Stream("a feed", feed, QUICK, Meters())
    stream.start()
    assert feed.hanging.wait(PATIENCE)
    assert stream.stop(PATIENCE)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "a feed: interrupted, everything is loaded anew: NOT_REACHED"
    ]


def test_a_stream_that_waits_for_an_answer_and_gets_none_is_deaf() -> None:
    """It waited when the pool was touched, and the touch did not come back."""
    hearing = Hearing()
    with hearing.asking("1"):
        assert hearing.is_deaf("1", touched_at=float("inf"), seconds=0.0)


def test_a_stream_that_is_past_the_touch_hears() -> None:
    """The token of a later answer is the proof."""
    hearing = Hearing()
    with hearing.asking("1"):
        hearing.heard("2")
        assert not hearing.is_deaf("1", touched_at=float("inf"), seconds=0.0)


def test_a_stream_that_loads_or_is_at_work_is_not_called_deaf() -> None:
    """Only a wait for an answer that lasted all the time counts."""
    hearing = Hearing()
    assert not hearing.is_deaf("1", touched_at=float("inf"), seconds=0.0)
    hearing.heard("1")
    assert not hearing.is_deaf("1", touched_at=float("inf"), seconds=0.0)
    with hearing.asking("1"):
        assert not hearing.is_deaf("1", touched_at=0.0, seconds=0.0)


def test_a_call_that_failed_is_not_waited_for_any_more() -> None:
    """The stream is about to load everything."""
    hearing = Hearing()
    with pytest.raises(Transient), hearing.asking("1"):
        raise Transient("CONNECTION_CUT")
    assert not hearing.is_deaf("1", touched_at=float("inf"), seconds=0.0)
