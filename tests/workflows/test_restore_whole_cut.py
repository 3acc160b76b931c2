"""An import whose process died at any moment of it: what it made, or makes yet, is taken away, and one whole VM comes back."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from orchestrator.simulator import vbds
from orchestrator.xapi.tls import Trust
from orchestrator.xapi.transfers_http import Ask, Exchange
from state.run import Run, Status
from tests.engine.waiting import until
from tests.workflows import stage as stages_
from tests.workflows.restores import Stages, left, request
from tests.workflows.stage import Stage, giving_up
from tests.workflows.test_restore_whole import Shelf, came_back, whole
from workflows import restore_imports, restoring
from workflows.ports import Transient
from workflows.restore import RESTORE

SLOW = 1 << 18
"""Bytes a second: the import is at work for a moment when all of it was sent."""
SETTLED = 40
"""Turns within which a run has looked at what an earlier life did."""


@dataclass
class Dead:
    """What a process did of an import before it was killed: it sent *sent* of the archive's bytes (of 1), and the pool is *at_work* on."""

    sent: float
    at_work: bool

    def __str__(self) -> str:
        return f"{self.sent:.0%}{', at work' if self.at_work else ''}"


@contextlib.contextmanager
def begun(stage: Stage, run: UUID, dead: Dead) -> Iterator[str]:
    """The import of a life before this one; its task."""
    xva = _xva(stage)
    call, simulated = stage.client.call, stage.simulated
    if dead.at_work:
        simulated.control.slow_stream("import", SLOW, times=1)
    task = str(call("task.create", "vfo: import", f"VM for SR x, run {run}"))
    query = {"sr_uuid": _sr(stage), "task_id": task, "session_id": str(stage.client.session.handle)}
    with Exchange(urlsplit(simulated.url), Trust(stages_._settings(simulated)), Ask("PUT", "/import", query, len(xva)), 10.0) as put:
        put.send(memoryview(xva)[: int(len(xva) * dead.sent)])
    if dead.at_work:
        until(lambda: bool(_imported(stage, task)))
    else:
        until(lambda: call("task.get_status", task) != "pending")
    yield task


def _xva(stage: Stage) -> bytes:
    shelf = stage.services.transfers._products  # type: ignore[attr-defined]
    assert isinstance(shelf, Shelf)
    return shelf.xva


def _sr(stage: Stage) -> str:
    records = stage.client.call("SR.get_all_records").values()
    return str(next(row["uuid"] for row in records if row["content_type"] == "user" or row["shared"]))


def _imported(stage: Stage, task: str) -> list[str]:
    rows = stage.client.call("VM.get_all_records")
    return [ref for ref, row in rows.items() if row["other_config"].get("import_task") == task]


PLACES = [Dead(0.0, at_work=False), Dead(0.5, at_work=False), Dead(1.0, at_work=False), Dead(1.0, at_work=True)]


@pytest.mark.parametrize("dead", PLACES, ids=str)
def test_an_import_of_a_dead_process_leaves_nothing(stages: Stages, dead: Dead) -> None:
    """One VM comes back, and of the other import there is neither VM, disk nor task."""
    with whole(stages) as stage:
        run = stage.submit(request(stage))
        with begun(stage, run, dead):
            stage.finish_all()
        came_back(stage, stage.at(run))
        assert stage.client.call("task.get_all_records") == {}


@pytest.mark.parametrize("dead", PLACES, ids=str)
def test_an_import_of_a_dead_process_leaves_nothing_of_a_run_that_is_given_up(stages: Stages, dead: Dead) -> None:
    """As with the restore that goes on."""
    with whole(stages) as stage:
        stage.workflows[RESTORE.name] = giving_up(RESTORE, "make_disks")
        run = stage.submit(request(stage))
        with begun(stage, run, dead):
            stage.finish_all()
        assert stage.at(run).status is Status.UNDONE
        assert left(stage) == []
        assert stage.client.call("task.get_all_records") == {}


def test_an_import_that_was_never_asked_for_is_not_waited_for_long(stages: Stages) -> None:
    """The process died between making the task and asking: the task stays pending for ever, and goes."""
    with whole(stages) as stage:
        run = stage.submit(request(stage))
        stage.client.call("task.create", "vfo: import", f"VM for SR x, run {run}")
        before = stage.now
        stage.finish_all()
        came_back(stage, stage.at(run))
        assert restore_imports.NEVER_BEGUN <= stage.now - before < 10 * restore_imports.NEVER_BEGUN
        assert stage.client.call("task.get_all_records") == {}


def test_an_import_of_another_run_is_left_alone(stages: Stages) -> None:
    """Neither its task nor its VM is this run's."""
    with whole(stages) as stage:
        run = stage.submit(request(stage))
        with begun(stage, uuid4(), Dead(1.0, at_work=False)) as task:
            stage.finish_all()
        assert stage.at(run).status is Status.DONE
        assert stage.client.call("task.get_status", task) == "success"
        assert len(_imported(stage, task)) == 1


def test_what_an_import_made_that_died_with_its_toolstack_is_found(stages: Stages) -> None:
    """Xapi takes nothing back then, and knows the task no more: the run has kept its ref, and all that this import made goes."""
    with whole(stages) as stage:
        stage.services.transfers.look = stage.services.transfers._jobs.look  # type: ignore[attr-defined, method-assign]  # not patient
        stage.simulated.control.slow_stream("import", SLOW, times=1)
        run = stage.submit(request(stage))
        until(lambda: bool(_later(stage, run).data.get("imports")))
        (task,) = stage.at(run).data["imports"]
        until(lambda: len(_imported(stage, task)) == 1)
        stage.simulated.control.toolstack_restart(seconds=0.1)
        until(lambda: _knows_no_task(stage))
        assert len(_imported(stage, task)) == 1
        stage.finish_all()
        if stage.at(run).status is Status.DONE:  # the job counted as lost before it said that it had failed, and was begun anew
            came_back(stage, stage.at(run))
        else:
            assert (stage.at(run).status, left(stage)) == (Status.UNDONE, []), stage.story(run)
        assert _imported(stage, task) == []


def _later(stage: Stage, run: UUID) -> Run:
    stage._move_to(stage.at(run))
    return stage.turn(run)


def _knows_no_task(stage: Stage) -> bool:
    try:
        return stage.client.call("task.get_all_records") == {}
    except Transient:  # the toolstack is not back yet
        return False


def test_a_vm_that_somebody_copied_is_not_destroyed(stages: Stages) -> None:
    """The copy says what the imported VM says: nobody knows which is which, so both stay, and a person is told both."""
    with whole(stages) as stage:
        run = stage.submit(request(stage))
        with begun(stage, run, Dead(1.0, at_work=False)) as task:
            (made,) = _imported(stage, task)
            stage.client.call("VM.clone", made, "mine")
            both = [str(stage.client.call("VM.get_uuid", ref)) for ref in _imported(stage, task)]
            stage.finish_all()
        ended = stage.at(run)
        assert (ended.status, [uuid in ended.reason for uuid in both]) == (Status.STUCK, [True, True])
        assert len(_imported(stage, task)) == 2
        assert all(stage.port.disks(uuid) for uuid in both)


def test_a_restore_that_was_undone_is_tried_again(stages: Stages) -> None:
    """The import that was done for the first try is not taken for the second one's: its VM was destroyed."""
    with whole(stages) as stage:
        stage.workflows[RESTORE.name] = giving_up(RESTORE, "make_vifs")
        run = stage.submit(request(stage))
        stage.finish_all()
        assert stage.at(run).status is Status.UNDONE
        stage.workflows[RESTORE.name] = RESTORE
        stage.engine.retry(run, by="a person")
        stage.finish_all()
        came_back(stage, stage.at(run))


def test_a_disk_that_a_host_writes_is_waited_for(stages: Stages) -> None:
    """What is plugged into a control domain is no other VM's: it goes when it is free, and is never left without its mark."""
    with whole(stages) as stage:
        run = stage.submit(request(stage))
        database = stage.simulated.database
        with begun(stage, run, Dead(1.0, at_work=False)) as task:
            (vm,) = _imported(stage, task)
            place = next(vbd for vbd in database.get("VM", vm)["VBDs"] if database.get("VBD", vbd)["type"] == "Disk")
            disk = database.get("VBD", place)["VDI"]
            writing = vbds.attach_to_control_domain(database, database.refs("host")[0], disk, "RW")
            for _ in range(SETTLED):
                stage.turn(run)
            assert restoring.read(database.get("VDI", disk)["other_config"]) is not None
            with database.lock:
                vbds.remove(database, writing)
            stage.finish_all()
        came_back(stage, stage.at(run))
        assert not database.exists("VDI", disk)
