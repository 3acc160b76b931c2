"""What became of an Async call."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.xapi.client import Client
from tests.xapi.scripted import Failure, Server
from workflows.ports import Refused, Unknown
from workflows.tasks import Failed, Pending, Succeeded, TaskOutcome, Vanished


def seen(status: str, result: str = "", error_info: tuple[str, ...] = ()) -> Callable[[str, list[Any]], Any]:
    """A pool with one task that stands so."""
    record = {"status": status, "progress": 0.25, "result": result, "error_info": list(error_info), "uuid": "x"}

    def script(method: str, params: list[Any]) -> Any:
        if method == "Async.VM.clone":
            return "OpaqueRef:task"
        if method.startswith("task.") and params != ["OpaqueRef:task"]:
            raise Failure("HANDLE_INVALID", "task", *params)
        return record if method == "task.get_record" else ""

    return script


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (seen("pending"), Pending(0.25)),
        (seen("cancelling"), Pending(0.25)),
        (seen("success", "<value>OpaqueRef:new</value>"), Succeeded("OpaqueRef:new")),
        (seen("success", "<value></value>"), Succeeded("")),
        (seen("success", ""), Succeeded("")),
        (seen("success", "<value><array><data><value>OpaqueRef:new</value></data></array></value>"), Succeeded(["OpaqueRef:new"])),
    ],
)
def test_a_task_says_how_it_stands(serve: Callable[..., Server], connect: Callable[..., Client], script: Any, outcome: TaskOutcome) -> None:
    """Its status and, when it is done, the value of the call; a task that ended is destroyed in the pool, one that works is not."""
    server = serve(script)
    client = connect(server)
    assert client.task_outcome(client.start("VM.clone", "OpaqueRef:vm", "x")) == outcome
    assert server.heard("task.destroy") == (0 if isinstance(outcome, Pending) else 1)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (seen("failure", error_info=("VM_BAD_POWER_STATE", "OpaqueRef:vm", "halted", "running")), Refused),
        (seen("cancelled"), Unknown),
    ],
)
def test_a_task_that_failed_has_the_named_error(
    serve: Callable[..., Server], connect: Callable[..., Client], script: Any, kind: type[Exception]
) -> None:
    """As the call itself would have raised it; a cancelled one may have taken effect."""
    outcome = connect(serve(script)).task_outcome("OpaqueRef:task")
    assert isinstance(outcome, Failed)
    assert type(outcome.error) is kind


def test_a_task_that_is_gone_says_nothing(serve: Callable[..., Server], connect: Callable[..., Client]) -> None:
    """A restart of the toolstack forgets tasks: the object must be judged."""
    assert connect(serve(seen("success"))).task_outcome("OpaqueRef:forgotten") == Vanished()
