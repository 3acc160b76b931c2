import queue
import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from orchestrator.listener.holdings import Holding
from orchestrator.listener.keeper import Keeper
from orchestrator.listener.meters import Meters
from orchestrator.listener.objects import ObjectFeed
from orchestrator.listener.settlement import Settlement
from orchestrator.listener.stream import Feed, Turn
from orchestrator.listener.tasks import TaskFeed
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from tests.listener import pools, watched
from tests.listener.watched import QUICK, until
from workflows.ports import PoolError, Transient


class Nothing:
    """A notebook that keeps nothing, or cannot be written."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def read(self) -> dict[str, Holding]:
        return {}

    def write(self, found: Settlement, *, now: datetime) -> None:
        if self._error:
            raise self._error


def objects(client: Client, woken: set[str] | None = None, notebook: Nothing | None = None) -> ObjectFeed:
    keeper = Keeper(notebook or Nothing(), lambda: pools.NOON, Meters())
    return ObjectFeed(client, keeper, (set() if woken is None else woken).update, QUICK, Meters())


def tasks(client: Client) -> TaskFeed:
    return TaskFeed(client, lambda _keys: None, QUICK, Meters())


@pytest.mark.parametrize("make", [objects, tasks])
def test_a_token_of_another_login_is_not_asked_with(pool: SimulatedPool, other: Client, make: Callable[[Client], Feed]) -> None:
    """The session or the coordinator changed: the token may be of its future, so everything is loaded anew."""
    feed = make(other)
    feed.load(Turn())
    other._login.leave(other._login.session())
    other.call("pool.get_all")
    assert not feed.advance(Turn())


@pytest.mark.parametrize("make", [objects, tasks])
def test_an_answer_that_came_after_another_login_is_not_taken(pool: SimulatedPool, other: Client, make: Callable[[Client], Feed]) -> None:
    """The session changed while the answer was waited for: it may be another coordinator's."""
    feed, answers = make(other), queue.Queue[bool]()
    feed.load(Turn())
    waiting = threading.Thread(target=lambda: answers.put(feed.advance(Turn())))
    waiting.start()
    login = other._login
    until(lambda: any(connection.sock for connection in login._transports[login.address]._connections._busy))
    login.epoch += 1
    other.call("task.create", "makes one feed answer", "")
    pool.add_vm("makes the other feed answer")
    assert not answers.get(timeout=watched.PATIENCE)
    waiting.join()


def test_a_task_that_is_gone_is_told_like_one_that_ended(pool: SimulatedPool, other: Client) -> None:
    """Somebody destroyed it: who waits for it judges by the object."""
    woken: set[str] = set()
    feed = TaskFeed(other, woken.update, QUICK, Meters())
    feed.load(Turn())
    task = other.call("task.create", "of another client", "")
    assert feed.advance(Turn())
    assert f"task:lab:{task}" not in woken
    other.call("task.destroy", task)
    assert feed.advance(Turn())
    assert f"task:lab:{task}" in woken


def test_tasks_that_a_restart_forgot_are_told_by_the_next_load(pool: SimulatedPool, other: Client) -> None:
    """A task that is gone is as good as ended: who waits for it judges by the object."""
    woken: set[str] = set()
    feed = TaskFeed(other, woken.update, QUICK, Meters())
    feed.load(Turn())
    task = other.call("task.create", "of another client", "")
    assert feed.advance(Turn())
    assert f"task:lab:{task}" not in woken
    pool.control.toolstack_restart(0.0)
    with pytest.raises(PoolError):
        other.call("task.get_status", task)
    feed.load(Turn())
    assert f"task:lab:{task}" in woken


def test_a_change_whose_settlement_failed_wakes_all_the_same(pool: SimulatedPool, other: Client) -> None:
    """The store may be out of order: the mirror has moved on, and will not tell the change again."""
    woken: set[str] = set()
    feed = objects(other, woken, Nothing(Transient("of the store")))
    with pytest.raises(Transient):
        feed.load(Turn())
    assert {f"vm:lab:{uuid}" for uuid in watched.vms(pool)} <= woken


def test_a_load_whose_turn_was_over_touches_nothing(pool: SimulatedPool, other: Client) -> None:
    """Its thread hung in a call; another one has the feed now."""
    feed = objects(other)
    over = Turn()
    over.end()
    feed.load(over)
    assert sum(feed.mirror.counts().values()) == 0


def test_a_pool_that_speaks_xml_rpc_only_is_mirrored_just_so(pool: SimulatedPool) -> None:
    """Its numbers and booleans are written otherwise; the records are the same."""
    mirrors = []
    for as_json in (None, False):
        client = watched.client_of(pool)
        client._login._transport(client.address)._json = as_json
        feed = objects(client)
        feed.load(Turn())
        pool.add_vm(f"speaks {as_json}")
        assert feed.advance(Turn())
        mirrors.append(feed.mirror)
        client.close()
    first, second = (dict(mirror.vms) for mirror in mirrors)
    assert {ref: second[ref] for ref in first} == first
    assert len(second) == len(first) + 1
