"""What workflows of backups reach besides the pool, over real rows: other runs, and the catalogue."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from orchestrator.services import Lines, RunRows
from state import backups
from state.store import Store
from tests.engine.machine import Machine
from tests.state.moments import START as NOW
from workflows.outcome import Request, Wait
from workflows.services import Known, Saved
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

MINUTE = timedelta(minutes=1)
SAVED = Saved(
    uuid4(), "lab", "vm-1", "web", "nightly", "nas", "night", NOW, "saved", "", NOW, NOW + timedelta(hours=1), downtime=2 * MINUTE,
    size=9, read=5, stored=3, point="p", mode="offline", details={"changed": 4},
)  # fmt: skip


def stay(_: World, __: Data) -> Wait:
    """Wait for ever."""
    return Wait("for ever", at_most=timedelta(days=99))


def test_a_run_is_seen_as_it_stands_and_given_up(store: Store) -> None:
    """Until it is over; to approve or cancel it then is no error, and one of another pool is not seen."""
    machine = Machine(store)
    machine.workflows["stay"] = Workflow("stay", "", (Step(stay, undo=stay),))
    run = machine.engine.submit(Request("stay", "lab", "vm:1", "VM web", {"x": 1}))[0]
    rows = RunRows(store, machine.engine, "lab")
    seen, active = rows.look(run.id), rows.active_on("stay", "vm:1")
    assert seen is not None
    assert (seen.status, seen.over, seen.data, active == seen) == ("ready", False, {"x": 1}, True)
    assert RunRows(store, machine.engine, "other").look(run.id) is None
    assert RunRows(store, machine.engine, "other").active_on("stay", "vm:1") is None
    assert (rows.active_of("stay"), rows.active_of("go")) == ([seen], [])
    assert RunRows(store, machine.engine, "other").active_of("stay") == []
    rows.cancel(run.id, by="me")
    machine.turn(run.id)
    seen = rows.look(run.id)
    assert seen is not None
    assert (seen.status, seen.over) == ("refused", True)
    rows.cancel(run.id, by="me")
    rows.approve(run.id, by="me")
    assert rows.active_on("stay", "vm:1") is None
    assert rows.active_of("stay") == []
    assert rows.look(uuid4()) is None


def test_a_line_of_the_catalogue_is_as_it_was_recorded(store: Store) -> None:
    """Recorded again it is written over; what it teaches is known of its own pool."""
    lines = Lines(store, "lab")
    lines.record(SAVED)
    lines.record(replace(SAVED, stored=7))
    with store.read() as session:
        line, = backups.since(session, NOW)  # fmt: skip
    assert (line.id, line.stored, line.downtime, line.details, line.opened_at) == (SAVED.id, 7, 120.0, {"changed": 4}, NOW)
    assert lines.known("nightly") == {"vm-1": Known(NOW, (timedelta(hours=1),))}
    assert Lines(store, "other").known("nightly") == {}


def test_a_policy_that_is_paused_is_said_to_be_by_whom(store: Store) -> None:
    """In words."""
    with store.write() as session:
        backups.pause(session, "nightly", by="ann", now=NOW)
    assert Lines(store, "lab").paused() == {"nightly": f"paused by ann at {NOW:%Y-%m-%d %H:%M} UTC"}
