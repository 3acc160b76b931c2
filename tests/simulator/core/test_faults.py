import http.client
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server

from .conftest import Client, until


@pytest.fixture
def vm(server: Server) -> str:
    """The VM of the small world."""
    return server.db.refs("VM")[0]


def test_a_call_fails_as_often_as_ordered(client: Client, server: Server, vm: str) -> None:
    """And without effect."""
    server.faults.fail("VM.set_name_label", ["HOST_OFFLINE", "h"], times=2)
    for _ in range(2):
        with pytest.raises(Failure) as failed:
            client("VM.set_name_label", vm, "x")
        assert failed.value.details == ["HOST_OFFLINE", "h"]
    assert client("VM.get_name_label", vm) == "vm"
    client("VM.set_name_label", vm, "x")
    assert client("VM.get_name_label", vm) == "x"


def test_a_fault_may_concern_one_object(client: Client, server: Server, vm: str) -> None:
    """Named by its ref, uuid or name."""
    other = server.db.create("VM", name_label="other")
    for match in (vm, "vm", server.db.get("VM", vm)["uuid"]):
        server.faults.fail("*", ["HOST_OFFLINE", "h"], match=match)
        assert client("VM.get_name_label", other) == "other"
        with pytest.raises(Failure, match="HOST_OFFLINE"):
            client("VM.get_name_label", vm)


def test_an_async_call_that_is_to_fail_has_a_failing_task(make_server: Callable[..., Server]) -> None:
    """The method may be named with Async or without."""
    server = make_server({"VM.provision": lambda call, vm: None})
    client = Client(server.url).login()
    server.faults.fail("Async.VM.provision", ["VM_NO_SUSPEND_SR", "v"])
    task = client("Async.VM.provision", "OpaqueRef:v")
    until(lambda: client("task.get_status", task) == "failure")
    assert client("task.get_error_info", task) == ["VM_NO_SUSPEND_SR", "v"]


def test_a_delayed_call_takes_longer(client: Client, server: Server, vm: str) -> None:
    """On the wall, whatever the speed."""
    server.faults.delay("VM.get_name_label", 0.2, times=1)
    began = time.monotonic()
    client("VM.get_name_label", vm)
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(("when", "label"), [("before", "vm"), ("after", "x")])
def test_a_connection_is_cut_before_or_after_the_effect(client: Client, server: Server, vm: str, when: Any, label: str) -> None:
    """Who called cannot tell which."""
    server.faults.cut("VM.set_name_label", when, times=2)  # xmlrpc.client sends a call again when its connection was cut
    with pytest.raises(http.client.RemoteDisconnected):
        client("VM.set_name_label", vm, "x")
    assert client("VM.get_name_label", vm) == label


def test_a_cut_async_call_after_its_effect_has_a_task(make_server: Callable[..., Server]) -> None:
    """The work is done, its ref was never told."""
    done = threading.Event()
    server = make_server({"VM.provision": lambda call, vm: done.set()})
    client = Client(server.url).login()
    server.faults.cut("VM.provision", "after", times=2)
    with pytest.raises(http.client.RemoteDisconnected):
        client("Async.VM.provision", "OpaqueRef:v")
    assert done.wait(10)


def test_a_deaf_server_tells_no_events(client: Client, server: Server, vm: str) -> None:
    """The rest works; afterwards what happened is told."""
    token = client("event.from", ["vm"], "", 5.0)["token"]
    server.faults.deaf(0.5)
    client("VM.set_name_label", vm, "x")
    began = time.monotonic()
    batch = client("event.from", ["vm"], token, 0.01)
    assert time.monotonic() - began >= 0.3
    assert [one["ref"] for one in batch["events"]] == [vm]


def test_cleared_faults_are_gone(client: Client, server: Server, vm: str) -> None:
    """All of them."""
    server.faults.fail("*", ["HOST_OFFLINE", "h"], times=None)
    server.faults.deaf(60)
    server.faults.clear()
    assert client("event.from", ["vm"], "", 1.0)["events"]


def test_a_toolstack_restart_forgets_sessions_tasks_and_deletions(make_server: Callable[..., Server]) -> None:
    """Guests and everything else stay; whoever starts the toolstack is told."""
    started: list[str] = []
    server = make_server({"VM.clean_shutdown": lambda call, vm: call.work(100)}, speed=1.0)
    server.on_toolstack_start.append(started.append)
    client = Client(server.url).login()
    token = client("event.from", ["*"], "", 1.0)["token"]
    gone = server.db.create("network")
    server.db.destroy("network", gone)
    client("Async.VM.clean_shutdown", "OpaqueRef:v")
    server.restart_toolstack(seconds=0.05)
    until(lambda: started == [server.coordinator])
    again = until(lambda: try_login(server.url))
    with pytest.raises(Failure, match="SESSION_INVALID"):
        client("VM.get_all")
    assert again("task.get_all") == []
    assert len(again("VM.get_all")) == 1
    assert [one["operation"] for one in again("event.from", ["network"], token, 0)["events"]] == []
    until(lambda: not server.calls._calls)


def try_login(url: str) -> Client | None:
    try:
        return Client(url).login()
    except OSError:
        return None


def test_a_restart_cuts_waiting_calls(client: Client, server: Server) -> None:
    """Their connection dies unanswered."""
    token = client("event.from", ["vm"], "", 1.0)["token"]
    outcome: list[Exception] = []

    def wait() -> None:
        try:
            client("event.from", ["vm"], token, 60.0)
        except (OSError, http.client.HTTPException) as error:
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: server.calls._calls)
    server.restart_toolstack(seconds=60)
    thread.join(60)
    assert len(outcome) == 1


def test_a_new_coordinator_answers_and_the_old_one_says_where(client: Client, server: Server) -> None:
    """Sessions are gone; hosts keep their addresses."""
    old, new = server.db.refs("host")
    old_url = server.url
    server.failover(new)
    assert server.url == old_url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(Failure) as failed:
        Client(old_url).login()
    assert failed.value.details == ["HOST_IS_SLAVE", "127.0.0.2"]
    again = Client(server.url).login()
    assert again("pool.get_master", again("pool.get_all")[0]) == new
    assert old != new


def test_a_dead_coordinator_does_not_answer(server: Server) -> None:
    """Nobody listens at its address."""
    old_url = server.url
    server.failover(server.db.refs("host")[1], old_answers=False)
    with pytest.raises(ConnectionRefusedError):
        Client(old_url).login()
    server.power(server.db.refs("host")[0], on=True)
    with pytest.raises(Failure, match="HOST_IS_SLAVE"):
        Client(old_url).login()


def test_tokens_may_be_of_the_future_after_a_failover(client: Client, server: Server) -> None:
    """A database that is behind says nothing until it has caught up; injecting does not come back."""
    token = client("event.from", ["*"], "", 1.0)["token"]
    server.failover(server.db.refs("host")[1], behind=10)
    again = Client(server.url).login()
    vm = again("VM.get_all")[0]
    again("event.inject", "VM", vm)
    assert again("event.from", ["*"], token, 0)["events"] == []
    for number in range(12):
        again("VM.set_name_label", vm, str(number))
    assert [one["ref"] for one in again("event.from", ["*"], token, 1.0)["events"]] == [vm]


def test_stopping_ends_waiting_calls_at_once_and_leaves_no_thread(make_server: Callable[..., Server]) -> None:
    """Listeners, connections, Async work and what was spawned."""
    before = set(threading.enumerate())

    def shutdown(call: Call, vm: str) -> None:
        call.work(100)

    server = make_server({"VM.clean_shutdown": shutdown}, speed=1.0)
    client = Client(server.url).login()
    client("Async.VM.clean_shutdown", "OpaqueRef:v")
    waiting = []
    for _ in range(5):
        thread = threading.Thread(target=ignore_disconnect, args=(client,))
        thread.start()
        waiting.append(thread)
    server.spawn(server.pause, 100)
    until(lambda: len(server.calls._calls) == 6)
    server.stop()
    for thread in waiting:
        thread.join(60)
    assert set(threading.enumerate()) <= before


def ignore_disconnect(client: Client) -> None:
    try:
        client("event.from", ["vm"], "00000000000009999999,00000000000000000000", 60.0)
    except (OSError, http.client.HTTPException):
        return
