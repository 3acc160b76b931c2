import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.simulator import tasks
from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server

from .conftest import Client, Clock, until


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What `clone` waits for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def working(make_server: Callable[..., Server], gate: threading.Event) -> Server:
    """A server whose VM.clone waits for the gate, VM.provision fails and VM.clean_shutdown takes a real host's 100 s."""

    def clone(call: Call, vm: str, name: str) -> str:
        call.progress(0.5)
        gate.wait(20)
        return "OpaqueRef:clone"

    def provision(call: Call, vm: str) -> None:
        raise Failure("VM_BAD_POWER_STATE", vm, "halted", "running")

    def clean_shutdown(call: Call, vm: str) -> None:
        call.work(100)

    messages = {"VM.clone": clone, "VM.provision": provision, "VM.clean_shutdown": clean_shutdown}
    return make_server(messages, speed=1.0)


def status(client: Client, task: str, *wanted: str) -> Any:
    """The task's record once it has a wanted status."""
    return until(lambda: (record := client("task.get_record", task))["status"] in wanted and record)


def test_an_async_call_answers_with_a_pending_task(working: Server, gate: threading.Event) -> None:
    """The result comes on the task, as the XML of the value."""
    client = Client(working.url).login()
    task = client("Async.VM.clone", "OpaqueRef:vm", "copy")
    record = client("task.get_record", task)
    assert (record["name_label"], record["status"], record["type"], record["allowed_operations"]) == (
        "Async.VM.clone",
        "pending",
        "<none/>",
        ["cancel"],
    )
    until(lambda: client("task.get_progress", task) == 0.5)
    gate.set()
    record = status(client, task, "success")
    assert (record["result"], record["progress"], record["error_info"]) == ("<value>OpaqueRef:clone</value>", 1.0, [])


def test_a_failing_task_carries_the_failure(working: Server) -> None:
    """error_info is what the call would have answered."""
    client = Client(working.url).login()
    record = status(client, client("Async.VM.provision", "OpaqueRef:vm"), "failure")
    assert (record["error_info"], record["result"]) == (["VM_BAD_POWER_STATE", "OpaqueRef:vm", "halted", "running"], "")


def test_parameters_are_checked_before_there_is_a_task(working: Server) -> None:
    """The Async call itself fails."""
    client = Client(working.url).login()
    with pytest.raises(Failure, match="MESSAGE_PARAMETER_COUNT_MISMATCH"):
        client("Async.VM.clone", "OpaqueRef:vm")
    assert client("task.get_all") == []


def test_a_cancelled_task_ends_as_cancelled(working: Server) -> None:
    """First the wish is noted in current_operations, then the work notices."""
    client = Client(working.url).login()
    task = client("Async.VM.clean_shutdown", "OpaqueRef:vm")
    client("task.cancel", task)
    record = status(client, task, "cancelled")
    assert record["error_info"] == ["TASK_CANCELLED", task]


def test_a_task_that_is_over_cannot_be_cancelled(working: Server) -> None:
    """OPERATION_NOT_ALLOWED."""
    client = Client(working.url).login()
    task = client("Async.VM.provision", "OpaqueRef:vm")
    status(client, task, "failure")
    with pytest.raises(Failure, match="OPERATION_NOT_ALLOWED"):
        client("task.cancel", task)


def test_a_synchronous_call_has_a_task_while_it_runs(working: Server, gate: threading.Event) -> None:
    """Xapi forwards it under a task of its own, which goes with its end."""
    client, other = Client(working.url).login(), Client(working.url).login()
    thread = threading.Thread(target=lambda: client("VM.clone", "OpaqueRef:vm", "copy"))
    thread.start()
    task = until(lambda: other("task.get_all"))[0]
    assert other("task.get_name_label", task) == "VM.clone"
    gate.set()
    thread.join(60)
    assert other("task.get_all") == []


def test_completed_tasks_vanish_after_65_minutes(working: Server, clock: Clock) -> None:
    """Pending ones after a day."""
    client = Client(working.url).login()
    task = client("Async.VM.provision", "OpaqueRef:vm")
    status(client, task, "failure")
    own = client("task.create", "mine", "")
    clock.now += tasks.COMPLETED + 1
    client("VM.get_all")
    assert client("task.get_all") == [own]
    for _ in range(2):  # not idle for a whole day
        clock.now += tasks.PENDING / 2 + 1
        client("VM.get_all")
    assert client("task.get_all") == []


def test_a_client_moves_its_own_task_along(client: Client) -> None:
    """As upload scripts do."""
    task = client("task.create", "upload", "of a disk")
    client("task.set_progress", task, 0.25)
    client("task.add_to_other_config", task, "k", "v")
    client("task.set_status", task, "success")
    record = client("task.get_record", task)
    assert (record["progress"], record["status"], record["other_config"]) == (0.25, "success", {"k": "v"})
    client("task.destroy", task)
    assert client("task.get_all") == []
