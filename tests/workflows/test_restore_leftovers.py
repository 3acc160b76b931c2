"""What a restore left half made is found by its mark, and nothing else is touched."""

from uuid import UUID

from state.run import Status
from tests.workflows.restores import Stages, give_disk, left, request, staged
from tests.workflows.stage import Stage
from workflows import clean_up, leftovers, restoring
from workflows.outcome import Request

OVER, AT_WORK, UNKNOWN = UUID(int=1), UUID(int=2), UUID(int=3)


def wanted(stage: Stage, *, unknown_too: bool = False) -> list[Request]:
    known = {OVER: True, AT_WORK: False}
    return clean_up.everything(leftovers.see(stage.pool), known.get, stage.now, unknown_too=unknown_too)


def half_made(stage: Stage, run: UUID) -> tuple[str, str]:
    """A VM with a disk, and a disk more, as a restore leaves them that was lost; the VM, and the disk that nobody has."""
    point = stage.plugins.product.saved[0]
    record, drawing = point.blueprint["vm"]["record"], point.blueprint["disks"][0]
    SR = stage.pool.storages()[0].uuid
    vm = stage.pool.create_vm({**record, "name_label": "half"}, str(run), {"start": f"vfo: it is not whole yet, run {run} makes it"})
    stage.pool.attach_disk(vm, stage.pool.create_disk(SR, drawing, 0, str(run)), drawing)
    return vm, stage.pool.create_disk(SR, drawing, 1, str(run))


def test_what_a_restore_left_that_is_over_goes_with_its_disks(stages: Stages) -> None:
    """VM and disks, in one run of clean-up."""
    stage = staged(stages)
    half_made(stage, OVER)
    (one,) = wanted(stage)
    run = stage.run(one)
    assert (run.status, left(stage)) == (Status.DONE, [])
    assert wanted(stage) == []


def test_that_of_a_run_at_work_and_of_an_unknown_one_stays(stages: Stages) -> None:
    """The first may need it; of the other a person says so."""
    stage = staged(stages)
    half_made(stage, AT_WORK)
    half_made(stage, UNKNOWN)
    assert wanted(stage) == []
    assert [one.data["restored"] for one in wanted(stage, unknown_too=True)] == [str(UNKNOWN)]


def test_a_disk_that_somebody_has_taken_stays(stages: Stages) -> None:
    """The mark goes, and the disk is theirs."""
    stage = staged(stages)
    _, disk = half_made(stage, OVER)
    other = next(vm for vm in stage.port.vms() if vm.power_state == "Halted" and vm.name != "half")
    drawing = {**stage.plugins.product.saved[0].blueprint["disks"][0], "device": "9"}
    stage.pool.attach_disk(other.uuid, disk, drawing)
    assert stage.run(wanted(stage)[0]).status is Status.DONE
    assert disk in [one.uuid for one in stage.port.disks(other.uuid)]
    assert stage.pool.marked_disks() == ()


def test_a_snapshot_with_a_copy_of_the_mark_is_nobodys(stages: Stages) -> None:
    """It is not what the run has made."""
    stage = staged(stages)
    vm = stage.port.vms()[0]
    give_disk(stage, vm.uuid)
    stage.pool.note(vm.uuid, restoring.NOTE, restoring.note_of(OVER))
    stage.client.call("VM.snapshot", stage.client.call("VM.get_by_uuid", vm.uuid), "copy", [])
    stage.pool.erase(vm.uuid, restoring.NOTE)
    assert [one for one in wanted(stage) if "restored" in one.data] == []


def test_a_lost_database_does_not_hide_it(stages: Stages) -> None:
    """A restore that dies in the middle is found by what it left, by a person's word."""
    stage = staged(stages)
    run_id = stage.submit(request(stage))
    for _ in range(4):
        stage.turn(run_id)
    found = clean_up.everything(leftovers.see(stage.pool), lambda _: None, stage.now, unknown_too=True)
    assert [one.data["restored"] for one in found] == [str(run_id)]
