"""RabbitMQ that is away, comes back, is silent, is full, or has forgotten everything."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from kombu.connection import Connection

from orchestrator import amqp, amqp_link
from orchestrator.broker import Broker
from tests.engine.test_broker_contract import Consumers
from tests.engine.waiting import until
from tests.services import programs
from tests.services.proxy import Cut, Proxy
from tests.services.rabbit import OwnRabbit


@pytest.fixture
def messages(own_rabbit: OwnRabbit) -> Iterator[Broker]:
    """A broker whose node the test may kill."""
    made = Broker(own_rabbit.url)
    until(lambda: not made.problem())
    made_at = time.monotonic()  # that there is a queue RabbitMQ writes to its disk a moment later than what is in it
    until(lambda: time.monotonic() - made_at > 2)
    yield made
    own_rabbit.resume_and_start()
    made.close()


def _channel(url: str) -> Any:
    return Connection(url, connect_timeout=5).default_channel


def _quickly(act: Any) -> None:
    began = time.monotonic()
    act()
    assert time.monotonic() - began < 3


def test_a_broker_that_is_away_at_the_start_stops_nobody() -> None:
    """Publishing returns at once, what is published is worked on here, and the reason is told without the password."""
    made = Broker(f"amqp://vfo:s3cret@127.0.0.1:{programs.free_port()}/one")
    run_id = uuid4()
    _quickly(lambda: made.publish([run_id]))
    consumers = Consumers(made, 2)
    until(lambda: consumers.got == [run_id])
    until(lambda: "refused" in made.problem())
    consumers.end()
    assert "is away since" in made.problem()
    assert "s3cret" not in made.problem()
    made.close()
    assert "closed" in made.problem()


def test_a_wrong_password_is_told(own_rabbit: OwnRabbit) -> None:
    """It is not waited for in silence."""
    made = Broker(own_rabbit.url.replace("s3cret%2Fword", "wr0ng"))
    until(lambda: "ACCESS_REFUSED" in made.problem())
    assert "wr0ng" not in made.problem()
    made.close()


def test_what_is_confirmed_outlives_the_death_of_rabbitmq(messages: Broker, own_rabbit: OwnRabbit) -> None:
    """A message that it confirmed is on its disk."""
    ids = [uuid4() for _ in range(50)]
    messages.publish(ids)
    until(lambda: messages._messages._waiting == 50)  # type: ignore[attr-defined]
    own_rabbit.restart()
    consumers = Consumers(messages, 2)
    until(lambda: set(consumers.got) >= set(ids))
    consumers.end()


def test_work_goes_on_while_rabbitmq_is_dead_and_after(messages: Broker, own_rabbit: OwnRabbit) -> None:
    """Consumers connect anew by themselves; what is published meanwhile is worked on here, at once."""
    consumers = Consumers(messages, 3)
    own_rabbit.stop()
    during = [uuid4() for _ in range(20)]
    _quickly(lambda: messages.publish(during))
    until(lambda: set(consumers.got) == set(during))
    assert "is away since" in messages.problem()
    own_rabbit.start()
    until(lambda: not messages.problem())
    after = [uuid4() for _ in range(20)]
    messages.publish(after)
    until(lambda: set(consumers.got) == {*during, *after})
    consumers.end()


def test_nothing_is_lost_over_several_deaths(messages: Broker, own_rabbit: OwnRabbit) -> None:
    """Some messages may come twice."""
    consumers = Consumers(messages, 3)
    ids = [uuid4() for _ in range(400)]
    for start in range(0, 400, 100):
        messages.publish(ids[start : start + 100])
        if start % 200 == 0:
            own_rabbit.restart()
    until(lambda: set(consumers.got) == set(ids), seconds=60)
    consumers.end()


def test_a_silent_rabbitmq_is_found_out(messages: Broker, own_rabbit: OwnRabbit) -> None:
    """It takes connections and answers nothing: publishing returns, and the work goes on here within seconds."""
    consumers = Consumers(messages, 2)
    own_rabbit.pause()
    run_id = uuid4()
    _quickly(lambda: messages.publish([run_id]))
    until(lambda: consumers.got == [run_id], seconds=20)
    own_rabbit.resume()
    until(lambda: not messages.problem(), seconds=30)
    another = uuid4()
    messages.publish([another])
    until(lambda: another in consumers.got)
    consumers.end()


def test_a_queue_that_was_deleted_is_made_anew(messages: Broker, own_rabbit: OwnRabbit) -> None:
    """Who consumes notices, and a message that finds no queue comes back to who published it."""
    consumers = Consumers(messages, 2)
    channel = _channel(own_rabbit.url)
    for _ in range(3):
        channel.queue_delete(amqp_link.QUEUE)
        run_id = uuid4()
        messages.publish([run_id])
        until(lambda run_id=run_id: run_id in consumers.got)  # type: ignore[misc]
    channel.connection.client.release()
    consumers.end()


def test_a_message_for_which_there_is_no_queue_is_sent_again(own_rabbit: OwnRabbit) -> None:
    """RabbitMQ returns it, as it would otherwise be dropped in silence."""
    link = amqp_link.Server(own_rabbit.url).link()
    link._channel.queue_delete(amqp_link.QUEUE)
    ids = [uuid4(), uuid4()]
    link.publish(ids, 5)
    assert [link.receive(5), link.acknowledge(), link.receive(5)] == [ids[0], None, ids[1]]
    link.close()


def test_a_rabbitmq_that_has_forgotten_everything_is_furnished_again(messages: Broker, own_rabbit: OwnRabbit) -> None:
    """Its queues are made anew; the rows know the rest."""
    consumers = Consumers(messages, 2)
    own_rabbit.forget()
    until(lambda: not messages.problem(), seconds=30)
    run_id = uuid4()
    messages.publish([run_id])
    until(lambda: consumers.got == [run_id], seconds=30)
    consumers.end()


def test_a_full_queue_is_told_and_worked_around(own_rabbit: OwnRabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    """RabbitMQ refuses what does not fit, and does not drop it in silence."""
    small = {name: {**arguments, "x-max-length": 5} for name, arguments in amqp_link.ARGUMENTS.items()}
    monkeypatch.setattr(amqp_link, "ARGUMENTS", small)
    made = Broker(own_rabbit.url)
    ids = [uuid4() for _ in range(200)]
    made.publish(ids)
    until(lambda: "its queue is full" in made.problem())
    consumers = Consumers(made, 2)
    until(lambda: set(consumers.got) == set(ids), seconds=30)
    consumers.end()
    made.close()


def test_a_message_that_kills_its_workers_is_put_aside_and_can_be_revived(own_rabbit: OwnRabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many deliveries without an acknowledgement it is a dead letter: seen, and sent again by command."""
    limited = {**amqp_link.ARGUMENTS, amqp_link.QUEUE: {**amqp_link.ARGUMENTS[amqp_link.QUEUE], "x-delivery-limit": 2}}
    monkeypatch.setattr(amqp_link, "ARGUMENTS", limited)
    messages = amqp.Messages(own_rabbit.url)
    until(lambda: not messages.problem())
    run_id, deaths = uuid4(), []

    def die(got: UUID, _: object) -> None:
        deaths.append(got)
        raise ConnectionError

    messages.publish([run_id])
    for _ in range(3):
        with pytest.raises(ConnectionError):
            messages.consume(die, threading.Event())
    until(lambda: messages.dead() == 1)
    assert messages.revive() == 1
    got: list[UUID] = []
    stop = threading.Event()

    def take(run_id: UUID, acknowledge: Any) -> None:
        acknowledge()
        got.append(run_id)
        stop.set()

    messages.consume(take, stop)
    until(lambda: messages.dead() == 0)
    messages.close()
    assert (deaths, got) == ([run_id] * 3, [run_id])


def test_a_long_step_holds_no_message_and_keeps_its_connection(
    own_rabbit: OwnRabbit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """RabbitMQ hears of whoever works for longer than it waits for a sign of life: nothing is lost, done twice or said."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(amqp_link, "HEARTBEAT", 1)
    made = Broker(own_rabbit.url)
    until(lambda: not made.problem())
    first, second = uuid4(), uuid4()
    go = threading.Event()

    def take_long_over_the_first(run_id: UUID) -> None:
        if run_id == first:
            go.wait(20)

    consumers = Consumers(made, 1, take_long_over_the_first)
    made.publish([first])
    until(lambda: consumers.got == [first])
    (link,) = _links(made)
    made.publish([second])
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 6)
    assert made.pending() == 1
    go.set()
    until(lambda: consumers.got == [first, second])
    assert _links(made) == {link}
    assert [line for line in caplog.messages if "could not be" in line or "away" in line] == []
    consumers.end()
    assert _links(made) == set()
    made.close()


def test_a_connection_that_is_lost_in_a_long_step_is_made_anew(own_rabbit: OwnRabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life into a connection that is dead hurt nobody; the work counts, and the consumer goes on."""
    monkeypatch.setattr(amqp_link, "HEARTBEAT", 1)
    made = Broker(own_rabbit.url)
    until(lambda: not made.problem())
    first, go = uuid4(), threading.Event()
    consumers = Consumers(made, 1, lambda run_id: None if run_id != first else _wait_for(go))
    made.publish([first])
    until(lambda: consumers.got == [first])
    lost = _links(made)
    own_rabbit.restart()
    until(lambda: not made.problem(), seconds=30)
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 2)
    go.set()
    second = uuid4()
    made.publish([second])
    until(lambda: second in consumers.got)
    assert not lost & _links(made)
    consumers.end()
    made.close()


def _links(made: Broker) -> set[amqp_link.Link]:
    """The connections of consumers."""
    return set(made._messages._links)  # type: ignore[attr-defined]


def _wait_for(go: threading.Event) -> None:
    assert go.wait(60)


def test_a_wire_that_is_cut_over_a_publication_loses_nothing(own_rabbit: OwnRabbit) -> None:
    """What was not confirmed is sent again."""
    proxy = Proxy(int(own_rabbit.url.rpartition(":")[2].partition("/")[0]))
    made = Broker(own_rabbit.url.replace(own_rabbit.url.rpartition(":")[2], f"{proxy.port}/one"))
    until(lambda: not made.problem())
    for number, cut in enumerate((Cut.BEFORE, Cut.AFTER), 1):
        run_id = uuid4()
        proxy.arm(str(run_id).encode(), cut)
        made.publish([run_id])
        until(lambda number=number: proxy.cuts == number)  # type: ignore[misc]
        consumers = Consumers(made, 1)
        until(lambda consumers=consumers, run_id=run_id: run_id in consumers.got)  # type: ignore[misc]
        consumers.end()
    made.close()
    proxy.close()


def test_many_that_wait_for_a_rabbitmq_that_stays_away_are_bounded(tmp_path: Path) -> None:
    """The memory of the process is; the rows know them all."""
    made = Broker(f"amqp://x@127.0.0.1:{programs.free_port()}/", ca_file=tmp_path)
    made.publish([uuid4() for _ in range(amqp.KEPT + 500)])
    assert made.pending() == amqp.KEPT
    made.close()


def test_with_tls_the_server_must_show_who_it_is(own_rabbit: OwnRabbit) -> None:
    """A certificate of an authority that is not known, or for another name, is no RabbitMQ of ours, and is told nothing."""
    by_name = own_rabbit.url.replace("amqp:", "amqps:").replace(own_rabbit.url.rpartition("@")[2], f"localhost:{own_rabbit.tls_port}/one")
    trusted = Broker(by_name, ca_file=own_rabbit.certificate)
    unknown, misnamed = Broker(by_name), Broker(by_name.replace("localhost", "127.0.0.1"), ca_file=own_rabbit.certificate)
    until(lambda: not trusted.problem())
    run_id = uuid4()
    trusted.publish([run_id])
    consumers = Consumers(trusted, 1)
    until(lambda: consumers.got == [run_id])
    consumers.end()
    for denied in (unknown, misnamed):
        until(lambda denied=denied: "CERTIFICATE_VERIFY_FAILED" in denied.problem())  # type: ignore[misc]
    for made in (trusted, unknown, misnamed):
        made.close()
