"""What every kind of broker does; a new kind is a new parameter."""

import threading
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest

from orchestrator import broker, embedded
from orchestrator.broker import Acknowledge, Broker
from tests.engine.waiting import until
from tests.services.rabbit import Rabbit

KINDS = ("embedded", "amqp")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty broker of each kind."""
    return "embedded://" if request.param == "embedded" else str(request.getfixturevalue("rabbit_url"))


@pytest.fixture
def messages(url: str) -> Iterator[Broker]:
    """A broker of that kind, empty."""
    made = Broker(url)
    until(lambda: not made.problem())
    yield made
    made.close()


class Consumers:
    """Threads that consume, and what each got."""

    def __init__(self, source: Broker, count: int, then: Callable[[UUID], None] = lambda _: None) -> None:
        self.got: list[UUID] = []
        self.by: set[str] = set()
        self.stop = threading.Event()
        self._source = source
        self._then = then
        self._threads = [threading.Thread(target=source.consume, args=(self._take, self.stop)) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _take(self, run_id: UUID, acknowledge: Acknowledge) -> None:
        acknowledge()
        self.got.append(run_id)
        self.by.add(threading.current_thread().name)
        self._then(run_id)

    def end(self) -> None:
        """Stop them; an AssertionError when they do not."""
        self.stop.set()
        self._source.nudge()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)


def test_what_is_published_is_consumed_once(messages: Broker) -> None:
    """By whichever consumer, before they began or after, from several publishers at the same time."""
    ids = [uuid4() for _ in range(300)]
    messages.publish(ids[:100])
    consumers = Consumers(messages, 4)
    publishers = [threading.Thread(target=messages.publish, args=(ids[start : start + 50],)) for start in range(100, 300, 50)]
    for publisher in publishers:
        publisher.start()
    until(lambda: len(consumers.got) >= 300)
    consumers.end()
    assert sorted(consumers.got) == sorted(ids)
    until(lambda: messages.pending() == 0)


def test_messages_come_in_their_order(messages: Broker) -> None:
    """For one consumer the oldest comes first."""
    ids = [uuid4() for _ in range(20)]
    messages.publish(ids)
    consumers = Consumers(messages, 1)
    until(lambda: len(consumers.got) == 20)
    consumers.end()
    assert consumers.got == ids


def test_a_consumer_that_is_busy_holds_no_second_message(messages: Broker) -> None:
    """While one works long, the other gets everything."""
    go = threading.Event()
    first = uuid4()
    messages.publish([first])

    def take_long_over_the_first(run_id: UUID) -> None:
        if run_id == first:
            go.wait(10)

    consumers = Consumers(messages, 2, take_long_over_the_first)
    until(lambda: consumers.got == [first])
    messages.publish([uuid4() for _ in range(10)])
    until(lambda: len(consumers.got) == 11)
    go.set()
    consumers.end()


def test_what_was_not_acknowledged_comes_to_somebody_else(messages: Broker) -> None:
    """A consumer that dies between the message and its claim takes nothing with it."""
    run_id, seen = uuid4(), []

    def die(got: UUID, _: Acknowledge) -> None:
        seen.append(got)
        raise ConnectionError("died")

    messages.publish([run_id])
    with pytest.raises(ConnectionError):
        messages.consume(die, threading.Event())
    consumers = Consumers(messages, 1)
    until(lambda: consumers.got == [run_id])
    consumers.end()
    assert seen == [run_id]


def test_an_idle_consumer_is_woken_by_a_message(messages: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sleeps until there is one, and does not find it by looking from time to time."""
    monkeypatch.setattr(embedded, "LOOK_UP", 3600.0)
    consumers = Consumers(messages, 2)
    for number in range(20):
        messages.publish([uuid4()])
        until(lambda number=number: len(consumers.got) == number + 1)  # type: ignore[misc]
    consumers.end()


def test_an_idle_consumer_stops_at_once(messages: Broker) -> None:
    """It does not wait for a message that does not come."""
    consumers = Consumers(messages, 3)
    consumers.end()
    assert consumers.got == []


def test_a_message_that_holds_no_run_is_thrown_away(messages: Broker) -> None:
    """It does not come back for ever, and the next one is consumed."""
    run_id = uuid4()
    messages.publish(["nonsense", run_id])  # type: ignore[list-item]
    consumers = Consumers(messages, 1)
    until(lambda: consumers.got == [run_id])
    consumers.end()
    until(lambda: messages.pending() == 0)


def test_a_broker_says_whether_it_answers(messages: Broker) -> None:
    """Its state is an error with a reason once it is closed."""
    messages.check()
    messages.close()
    with pytest.raises(broker.Unusable, match="closed"):
        messages.check()


def test_brokers_do_not_share_messages() -> None:
    """Two engines in one process are two worlds, unless their URL says otherwise."""
    one, other = Broker(), Broker()
    other.publish([uuid4()])
    assert (one.pending(), other.pending()) == (0, 1)
    one.close()
    other.close()


def test_who_has_the_same_url_shares_messages(rabbit_node: Rabbit, rabbit_url: str) -> None:
    """Brokers of several processes are one; another virtual host is another world."""
    urls = [rabbit_url, rabbit_url, *rabbit_node.urls[1:]]
    one, same, *others = [Broker(one) for one in urls]
    run_id = uuid4()
    one.publish([run_id])
    until(lambda: same.pending() == 1)
    assert [other.pending() for other in others] == [0] * len(others)
    consumers = Consumers(same, 1)
    until(lambda: consumers.got == [run_id])
    consumers.end()
    for made in (one, same, *others):
        made.close()


@pytest.mark.parametrize("url", ["redis://guest:secret@localhost/", "nonsense", ""])
def test_a_kind_that_is_not_there_is_named(url: str) -> None:
    """Without the password of the URL."""
    with pytest.raises(broker.Unusable, match="no broker of kind") as raised:
        Broker(url)
    assert "secret" not in str(raised.value)
