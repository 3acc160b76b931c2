"""A VM that was saved as a whole is imported and put right: name, marks, MACs, VF; and taken away where that is given up."""

import dataclasses
import hashlib
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any, BinaryIO

import pytest

from orchestrator.jobs import Jobs
from orchestrator.restores import Reach, Restores
from orchestrator.xapi.transfers import PoolTransfers
from plugins.values import Disk, Progress, RestorePoint
from state.run import Run, Status
from tests.engine import crashes
from tests.engine.waiting import until
from tests.workflows import restores
from tests.workflows import stage as stages_
from tests.workflows.restores import Stages, ended, left, request
from tests.workflows.stage import Stage, giving_up
from workflows import backup_snapshots
from workflows.restore import RESTORE


class Shelf:
    """A product that has one XVA."""

    def __init__(self, xva: bytes) -> None:
        self.xva = xva

    def open_disk(self, product: str, point: RestorePoint, number: int) -> BinaryIO:
        raise NotImplementedError

    def open_vm(self, product: str, point: RestorePoint) -> BinaryIO:
        return io.BytesIO(self.xva)


class Patient(Restores):
    """A look waits for the job's end: the stage's clock does not wait for a thread."""

    def look(self, job: str) -> Progress:
        until(lambda: super(Patient, self).look(job).state != "running")
        return super().look(job)


@contextmanager
def whole(stages: Stages, sha256: str = "") -> Iterator[Stage]:
    """A stage whose VM was saved as XVA of a snapshot of ours, and deleted."""
    stage: Stage = stages(hosts=2, vms=2)
    vm = stage.with_vf()
    settings = stages_._settings(stage.simulated)
    xva, point = _exported(stage, PoolTransfers(settings), vm.uuid)
    stage.plugins.product.saved.append(dataclasses.replace(point, sha256={0: sha256 or hashlib.sha256(xva).hexdigest()}))
    restores.delete(stage, vm)
    stage.began = stage.look()
    reach, jobs = Reach({"lab": settings}), Jobs(stage.store, lambda: stage.now)
    stage.services = dataclasses.replace(stage.services, transfers=Patient(reach, "lab", Shelf(xva), jobs))
    try:
        yield stage
    finally:
        jobs.stop(timedelta(seconds=5))
        reach.close()


def _exported(stage: Stage, transfers: PoolTransfers, vm: str) -> tuple[bytes, RestorePoint]:
    call = stage.client.call
    for disk in stage.port.disks(vm):  # small ones: they are sent as they are
        stage.client.call("VBD.unplug", _place(stage, disk.uuid))
        call("VDI.destroy", call("VDI.get_by_uuid", disk.uuid))
    restores.give_disk(stage, vm)
    uuid = str(call("VM.get_uuid", call("VM.snapshot", call("VM.get_by_uuid", vm), "vfo backup of it", [])))
    stage.pool.tag(uuid, "vfo")
    note = '{"snapshot": "%s", "vm": "%s", "run": "%s", "until": "2027-01-01T00:00:00+00:00"}'
    stage.pool.note(uuid, backup_snapshots.NOTE, note % (uuid, vm, uuid))
    blueprint: dict[str, Any] = stage.port.blueprint(uuid)
    with closing(transfers), transfers.read_vm(uuid) as stream:
        xva = stream.read()
    stage.pool.destroy_snapshot(uuid)
    disks = tuple(Disk(n, one["device"], one["uuid"], one["of"], one["name"], one["size"]) for n, one in enumerate(blueprint["disks"]))
    name = stage.port.condition(vm).name
    return xva, RestorePoint("point-1", "r", "lab", vm, name, "nightly", stage.now, disks, blueprint, whole_vm=True)


def _place(stage: Stage, vdi: str) -> str:
    call = stage.client.call
    return str(call("VDI.get_record", call("VDI.get_by_uuid", vdi))["VBDs"][0])


def came_back(stage: Stage, run: Run) -> None:
    """As the blueprint says, and nothing of ours is left on it."""
    assert run.status is Status.DONE, stage.story(run.id)
    point, vm = stage.plugins.product.saved[0], stage.port.vm(run.data["vm"])
    assert (vm.name, vm.is_template) == (point.vm_name, False)
    assert {vif.MAC.lower() for vif in vm.vifs} == {vif["MAC"].lower() for vif in point.blueprint["vifs"]}
    assert len(vm.sriov_vifs) == 1
    assert [disk.size for disk in stage.port.disks(vm.uuid)] == [disk.size for disk in point.disks]
    assert left(stage, new={vm.uuid}) == []


def test_a_whole_vm_comes_back_with_its_macs_and_its_vf(stages: Stages) -> None:
    """An import makes a template with the snapshot's name and other MACs: all that is put right."""
    with whole(stages) as stage:
        came_back(stage, ended(stage, request(stage)))


@pytest.mark.parametrize("crash", [place for place in crashes.of(RESTORE) if place.step in ("fill", "make_vifs", "hand_over")], ids=str)
def test_a_death_at_the_steps_that_differ_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """One VM comes back."""
    with whole(stages) as stage:
        deadly = crashes.Crash(crash.step, crash.when)
        stage.workflows[RESTORE.name] = deadly.into(RESTORE)
        came_back(stage, ended(stage, request(stage)))
        assert deadly.deaths == 1


@pytest.mark.parametrize("step", ["fill", "make_vifs"])
def test_given_up_nothing_of_it_stays(stages: Stages, step: str) -> None:
    """Neither the VM nor its disks."""
    with whole(stages) as stage:
        stage.workflows[RESTORE.name] = giving_up(RESTORE, step)
        assert ended(stage, request(stage)).status is Status.UNDONE
        assert left(stage) == []


def test_an_import_that_is_not_what_was_saved_is_taken_away(stages: Stages) -> None:
    """The checksum differs: what was made of it goes, with its disks."""
    with whole(stages, "0" * 64) as stage:
        run = ended(stage, request(stage))
        assert run.status is Status.UNDONE
        assert "has SHA-256" in run.reason
        assert left(stage) == []
