"""Tasks: every Async call has one that stays until it is destroyed, every forwarded synchronous call one that goes with its end."""

from typing import TYPE_CHECKING, Any

from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.registry import Messages
from orchestrator.simulator.sessions import wire_date
from orchestrator.simulator.wire import xmlrpc

if TYPE_CHECKING:
    from orchestrator.simulator.server import Server

# Completed tasks vanish after 65 minutes, pending ones after a day (xapi_globs.ml: completed_task_timeout, pending_task_timeout).
COMPLETED = 65 * 60.0
PENDING = 24 * 3600.0
SWEEP = 60.0
OVER = frozenset({"success", "failure", "cancelled"})


def begin(call: Call, label: str) -> None:
    """Give the call a task that is pending."""
    server = call.server
    call.task = server.db.create(
        "task",
        name_label=label,
        allowed_operations=["cancel"],
        created=wire_date(server.clock()),
        status="pending",
        resident_on=call.host,
        type="<none/>",
        _since=server.clock(),
        _session=call.session,
    )


def finish(call: Call, status: str, **fields: Any) -> None:
    """The task is over; one that somebody destroyed meanwhile stays gone."""
    server = call.server
    with server.db.lock:
        if server.db.exists("task", call.task):
            now = server.clock()
            common = {"finished": wire_date(now), "allowed_operations": [], "current_operations": {}, "_since": now}
            server.db.set("task", call.task, status=status, progress=1.0, **common, **fields)


def succeed(call: Call, value: Any) -> None:
    """The result is the XML of the value; nothing is `<value></value>`."""
    finish(call, "success", result=xmlrpc.encode(value))


def fail(call: Call, failure: Failure) -> None:
    """error_info is the failure; a cancelled task says so in its status."""
    status = "cancelled" if failure.details[0] == "TASK_CANCELLED" else "failure"
    finish(call, status, error_info=failure.details)


def forget(call: Call) -> None:
    """The task of a synchronous call goes with its end."""
    with call.db.lock:
        if call.db.exists("task", call.task):
            call.db.destroy("task", call.task)


def sweep(server: "Server") -> None:
    """Let go of tasks that are too old (db_gc_util.ml: timeout_tasks)."""
    now = server.clock()
    for ref, row in server.db.rows("task"):
        age = now - row.get("_since", now)
        if age > (COMPLETED if row["status"] in OVER else PENDING):
            with server.db.lock:
                if server.db.exists("task", ref):
                    server.db.destroy("task", ref)


def create(call: Call, label: str, description: str) -> str:
    """task.create: a task of the client's own, which it moves along by set_status and set_progress."""
    now = call.server.clock()
    return call.db.create(
        "task",
        name_label=label,
        name_description=description,
        created=wire_date(now),
        status="pending",
        resident_on=call.host,
        type="<none/>",
        _since=now,
        _session=call.session,
    )


def destroy(call: Call, task: str) -> None:
    """task.destroy: of a pending one too; what it stands for goes on."""
    call.db.destroy("task", task)


def cancel(call: Call, task: str) -> None:
    """task.cancel: the status stays pending until the work notices (recorded on a running xapi); a task that is over refuses."""
    with call.db.lock:
        row = call.handle("task", task)
        if row["status"] != "pending":
            raise Failure("OPERATION_NOT_ALLOWED", "task is not pending")
        operation = {f"DummyRef:|{call.db.new_uuid()}|task.cancel": "cancel"}
        call.db.set("task", task, current_operations={**row["current_operations"], **operation})
    running = call.server.calls.of_task(task)
    if running is not None:
        running.cancel()


def set_status(call: Call, task: str, status: str) -> None:
    """task.set_status: success and failure end the client's own task."""
    now = call.server.clock()
    ended = {"finished": wire_date(now), "_since": now} if status in OVER else {}
    call.db.set("task", task, status=status, **ended)


MESSAGES: Messages = {"task.create": create, "task.destroy": destroy, "task.cancel": cancel, "task.set_status": set_status}
