from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from orchestrator import amqp_link, queues
from orchestrator.config.load import Loaded, load
from orchestrator.queues import Away, Depths
from orchestrator.views.cluster import Seen, cluster
from state.run import Status
from state.standing import Due, Held
from tests.engine.waiting import until

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SOON = NOON + timedelta(seconds=20)
ROLES = ("listener", "scheduler", "worker")


def process(number: int, *, roles: tuple[str, ...] = ROLES, version: str = "0.1.0", **more: Any) -> Held:
    said = {"process": f"host{number}:7", "roles": roles, "version": version, "since": NOON.isoformat(), **more}
    return Held(f"process:{number}", orjson.dumps(said).decode(), 5, SOON, is_held=True)


def lease(name: str, host: int, *, is_held: bool = True) -> Held:
    return Held(name, f"host{host}:7:ab12", 3, SOON, is_held=is_held, since=NOON)


def shown(*held: Held, **more: Any) -> dict[str, Any]:
    return cluster(Seen(NOON, held, more.pop("due", Due(0, None)), **more))


def test_a_cluster_that_is_well() -> None:
    """Each process with what it holds, each lease with who has it, since when and until when; nothing is amiss."""
    found = shown(
        process(1, lag={"lab": 0.02}), process(2, roles=("worker",)), lease("listener:lab", 1),
        pools=["lab"], counts={Status.RUNNING: 3, Status.DONE: 1000}, due=Due(2, NOON - timedelta(seconds=4)),
    )  # fmt: skip
    assert found["amiss"] == []
    assert [one["process"] for one in found["processes"]] == ["host1:7", "host2:7"]
    assert found["processes"][0]["lag"] == {"lab": 0.02}
    assert found["leases"] == [{"lease": "listener:lab", "held": True, "process": "host1:7", "since": NOON, "until": SOON, "taken": 3}]
    assert found["runs"] == {"ready": 0, "running": 3, "waiting": 0, "stuck": 0}
    assert (found["due"], found["lag"]) == (2, 4.0)


def test_what_a_process_has_the_leases_say() -> None:
    """At once, and no longer: the row of a process that died is there for half a minute yet."""
    found = shown(process(1), process(2), lease("scheduler", 2), lease("listener:lab", 1, is_held=False))
    assert [one["leases"] for one in found["processes"]] == [{}, {"scheduler": NOON}]
    assert [(one["process"], one["since"]) for one in found["leases"]] == [("host2:7", NOON), ("host1:7", None)]


def test_a_lease_that_was_taken_before_it_said_since_when() -> None:
    """By a version of before: nobody guesses."""
    (found,) = shown(process(1), Held("scheduler", "host1:7:ab12", 3, SOON, is_held=True))["leases"]
    assert (found["held"], found["since"]) == (True, None)


def test_the_shares_of_calls_are_summed_up() -> None:
    """By pool and process, those that are held; no lease of one call, nor of who shares them, is shown by itself."""
    slots = [lease(f"calls:a:b:{number}", host) for number, host in ((1, 1), (2, 2), (3, 1))]
    rest = [lease("calls:a:b:4", 3, is_held=False), lease("calls:other:1", 1), lease("calls#1", 1), lease("calls#2", 2)]
    found = shown(process(1), *slots, *rest, at_once={"a:b": 4, "quiet": 2})
    assert found["calls"] == [
        {"pool": "a:b", "at_once": 4, "processes": {"host1:7": 2, "host2:7": 1}},
        {"pool": "quiet", "at_once": 2, "processes": {}},
    ]
    assert found["leases"] == []


def test_without_a_process_nothing_is_done() -> None:
    """That is said, and no more: the rest follows from it."""
    (only,) = shown(lease("listener:lab", 1, is_held=False), pools=["lab"])["amiss"]
    assert "no process serves" in only


@pytest.mark.parametrize(
    ("held", "more", "says"),
    [
        ((process(1, roles=("listener", "scheduler")), lease("listener:lab", 1)), {}, "no process has the role worker"),
        ((process(1), lease("listener:lab", 2, is_held=False)), {}, "nobody listens to pool lab"),
        ((process(1), process(2, version="0.2.0"), lease("listener:lab", 1)), {}, "several versions are at work: 0.1.0, 0.2.0"),
        ((process(1, broker={"problem": "RabbitMQ is away", "pending": 0}), lease("listener:lab", 1)), {}, "host1:7: RabbitMQ is away"),
        ((process(1), lease("listener:lab", 1)), {"queue": Depths("rabbitmq", 3, 2)}, "2 messages were given up"),
        ((process(1), lease("listener:lab", 1)), {"queue": Depths("rabbitmq", problem="RabbitMQ does not answer")}, "does not answer"),
    ],
)
def test_what_is_amiss_is_said(held: tuple[Held, ...], more: dict[str, Any], says: str) -> None:
    """One sentence for each thing that somebody should look after."""
    (only,) = shown(*held, pools=["lab"], **more)["amiss"]
    assert says in only


def test_a_row_of_another_version_is_shown_as_far_as_it_can_be_read() -> None:
    """It may say less, or nothing that is understood."""
    strange = Held("process:1", "?", 1, SOON, is_held=True)
    (found,) = shown(strange)["processes"]
    assert (found["process"], found["roles"], found["since"]) == ("?", [], None)


def loaded(folder: Path, broker: str) -> Loaded:
    path = folder / "vfo.toml"
    path.write_text(f'[pools.lab]\nurl = "http://lab.invalid"\npassword = "x"\n[broker]\nurl = "{broker}"\n')
    return load(path)


def test_the_embedded_broker_has_no_queue_to_ask_for(tmp_path: Path) -> None:
    """Its messages are inside of the daemon, and none is given up."""
    assert queues.depths(loaded(tmp_path, "embedded://")) == Depths("embedded", None, 0)
    assert queues.requeue(loaded(tmp_path, "embedded://")) == 0


def test_a_broker_that_does_not_answer_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    """The password does not stand in what is said."""
    away = loaded(tmp_path, "amqp://vfo:geheim@127.0.0.1:1/vfo")
    found = queues.depths(away)
    assert (found.waiting, found.dead) == (None, None)
    assert found.problem.startswith("RabbitMQ does not answer")
    assert "geheim" not in found.problem
    with pytest.raises(Away, match="RabbitMQ does not answer"):
        queues.requeue(away)


def test_messages_that_were_given_up_are_seen_and_sent_again(tmp_path: Path, rabbit_url: str) -> None:
    """They are counted, and after the command they wait for a worker."""
    given = loaded(tmp_path, rabbit_url)
    assert queues.depths(given) == Depths("rabbitmq", 0, 0)
    with closing(amqp_link.Server(rabbit_url).link()) as link:
        link.publish([uuid4(), uuid4()], 5)
        for _ in range(2):
            assert link.receive(5)
            message, link._at_hand = link._at_hand, None
            link._channel.basic_reject(message.delivery_tag, requeue=False)
    until(lambda: queues.depths(given) == Depths("rabbitmq", 0, 2))
    assert queues.requeue(given) == 2
    until(lambda: queues.depths(given) == Depths("rabbitmq", 2, 0))
