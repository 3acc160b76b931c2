"""What runs that are over left in a pool: found, and cleaned away."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from state import runs
from state.run import Status
from tests.engine import crashes
from tests.workflows.stage import Stage
from workflows import backup_snapshots, clean_up, parking, put_right
from workflows.clean_up import CLEAN_UP
from workflows.outcome import Request

Stages = Callable[..., Stage]
OVER, AT_WORK, UNKNOWN = UUID(int=1), UUID(int=2), UUID(int=3)


def reason(run_id: UUID) -> str:
    return f"vfo: run {run_id} makes the VFs of host1/eth1 anew, in a moment"


def wanted(stage: Stage, *, unknown_too: bool = False) -> list[Request]:
    known = {OVER: True, AT_WORK: False}
    return clean_up.requests("lab", stage.port.marked(), known.get, stage.now, unknown_too=unknown_too)


def snapshot(stage: Stage, run_id: UUID, *, until: timedelta, tag: bool = True) -> str:
    """The uuid of a snapshot of web as a backup of this run leaves it, to be gone so long from now."""
    uuid = stage.client.call("VM.get_uuid", stage.simulated.add_snapshot("web", "vfo backup of web"))
    note = {"snapshot": uuid, "vm": stage.vm("web").uuid, "run": str(run_id), "until": (stage.now + until).isoformat()}
    stage.port.note(uuid, backup_snapshots.NOTE, json.dumps(note))
    if tag:
        stage.port.tag(uuid, "vfo")
    return str(uuid)


def web(stages: Stages, **fields: Any) -> Stage:
    """A pool with one halted VM."""
    stage: Stage = stages(vms=0, hosts=1, **fields)
    stage.simulated.add_vm("web", running=False)
    stage.began = stage.look()
    return stage


def test_a_pool_without_anything_of_ours_needs_no_run(stages: Stages) -> None:
    """Blocks, notes, tags and snapshots of others are nobody's business here."""
    stage = web(stages)
    stage.client.call("VM.add_to_blocked_operations", stage.simulated.database.by_name("VM", "web")[0], "destroy", "mine")
    stage.simulated.add_snapshot("web", "of somebody")
    assert wanted(stage) == []


def test_a_block_of_a_run_that_is_over_goes_and_everybody_elses_stay(stages: Stages) -> None:
    """Only the block that names an ended run: not that of a run at work, of an unknown one, or of a person (story 69)."""
    stage = web(stages)
    vm = stage.vm("web").uuid
    stage.port.block(vm, ["start"], reason(OVER))
    stage.port.block(vm, ["start_on"], reason(AT_WORK))
    stage.port.block(vm, ["clone"], reason(UNKNOWN))
    stage.client.call("VM.add_to_blocked_operations", stage.simulated.database.by_name("VM", "web")[0], "destroy", "vfo should not")
    (request,) = wanted(stage)
    assert stage.run(request).status is Status.DONE
    assert stage.vm("web").blocked_operations == {"start_on": reason(AT_WORK), "clone": reason(UNKNOWN), "destroy": "vfo should not"}
    assert wanted(stage) == []


def test_what_an_unknown_run_left_goes_when_a_person_says_so(stages: Stages) -> None:
    """A database that was lost, or another installation: only `vfo reclaim --unknown` takes its block away."""
    stage = web(stages)
    stage.port.block(stage.vm("web").uuid, ["start"], reason(UNKNOWN))
    assert wanted(stage) == []
    (request,) = wanted(stage, unknown_too=True)
    assert stage.run(request).status is Status.DONE
    assert stage.complaints() == []


def test_a_snapshot_whose_time_is_over_goes_with_its_disks(stages: Stages) -> None:
    """Ours, by its tag and its own note, an hour after it should have gone; not before, and no other one (story 69)."""
    stage = web(stages)
    stage.simulated.add_snapshot("web", "of somebody")
    stage.began = stage.look()
    kept = [snapshot(stage, OVER, until=timedelta(hours=1)), snapshot(stage, AT_WORK, until=-timedelta(days=1))]
    kept.append(snapshot(stage, OVER, until=-timedelta(days=1), tag=False))
    expired = snapshot(stage, OVER, until=-timedelta(hours=2))
    (request,) = wanted(stage)
    assert request.subject == f"vm:{expired}"
    assert stage.run(request).status is Status.DONE
    assert not stage.port.vm_exists(expired)
    assert all(stage.port.vm_exists(uuid) for uuid in kept)
    assert not [one for one in stage.complaints(kept_snapshots=kept) if "VDI" in one or "disk" in one]


def test_a_note_that_outlived_its_run_is_put_right(stages: Stages) -> None:
    """With the VIF on the parking network the VM gets the run that knows how; while a backup holds it nothing follows."""
    stage = web(stages)
    vm = stage.vm("web")
    network = stage.port.create_network(parking.NETWORK_NAME, {parking.NETWORK: "true"})
    note = json.dumps({"vm": vm.uuid, "run": str(OVER), "ran": False, "host": None, "vifs": [vif.as_note() for vif in vm.vifs]})
    stage.port.note(vm.uuid, parking.NOTE, note)
    stage.port.move_vif(vm.vifs[0].uuid, network)
    (request,) = wanted(stage)
    assert request.workflow == put_right.NAME
    assert stage.run(request).status is Status.DONE
    assert stage.vm("web").vifs == vm.vifs
    assert wanted(stage) == []
    held = json.loads(note) | {"until": (stage.now + timedelta(hours=3)).isoformat()}
    stage.port.note(vm.uuid, parking.NOTE, json.dumps(held))
    assert wanted(stage) == []


def test_a_run_at_work_on_the_vm_is_waited_for(stages: Stages) -> None:
    """Nothing is cleaned away under the hands of a run that has the VM for itself."""
    stage = web(stages)
    vm = stage.vm("web").uuid
    stage.port.block(vm, ["start"], reason(OVER))
    first = stage.submit(Request(put_right.NAME, "lab", f"vm:{vm}", "VM web", {"vm": vm, "vm_name": "web"}))
    from state import holds

    with stage.store.write() as session:
        run = runs.get(session, first)
        assert run is not None
        assert holds.take(session, run, [f"vm:{vm}"], now=stage.now) is None
    run = stage.turn(stage.submit(wanted(stage)[0]))
    assert "held by run" in run.reason
    assert stage.vm("web").blocked_operations


def test_what_went_meanwhile_needs_no_cleaning(stages: Stages) -> None:
    """The VM was destroyed, or the run that left the block took it away after all."""
    stage = web(stages)
    stage.port.block(stage.vm("web").uuid, ["start"], reason(OVER))
    (request,) = wanted(stage)
    stage.port.unblock(stage.vm("web").uuid, reason(OVER))
    assert stage.run(request).reason == "nothing is left behind any more"
    stage.simulated.destroy_vm("web")
    assert "it is gone" in stage.run(request).reason


@pytest.mark.parametrize("crash", crashes.of(CLEAN_UP), ids=str)
def test_a_crash_at_every_step_leaves_nothing(stages: Stages, crash: crashes.Crash) -> None:
    """Block and snapshot: gone in the end, and nothing else is."""
    stage = web(stages)
    expired = snapshot(stage, OVER, until=-timedelta(hours=2))
    stage.port.block(expired, ["destroy"], reason(OVER))
    run = stage.survive(wanted(stage)[0], crash)
    assert run.status is Status.DONE, stage.story(run.id)
    assert stage.complaints() == []


def test_a_run_is_over_when_it_is_neither_active_nor_stuck(stages: Stages) -> None:
    """A stuck one may need what it left; one that nobody knows is not said to be over."""
    stage = web(stages)
    run_id = stage.submit(
        Request(CLEAN_UP.name, "lab", "vm:gone", "VM gone", {"vm": "gone", "vm_name": "", "reasons": [], "snapshot": False})
    )
    with stage.store.read() as session:
        assert [runs.is_over(session, one) for one in (run_id, uuid4())] == [False, None]
    assert stage.finish(run_id).status is Status.DONE
    with stage.store.read() as session:
        assert runs.is_over(session, run_id) is True
        run = runs.get(session, run_id)
        assert run
        assert not runs.failed_on(session, run)


def test_a_vm_loses_the_tag_and_the_note_that_a_revert_gave_it(stages: Stages) -> None:
    """VM.revert copies both from the snapshot: the VM is not the snapshot, and a tag "vfo" of its owner's, without the note, stays."""
    stage = web(stages)
    uuid = snapshot(stage, OVER, until=timedelta(days=1))
    stage.simulated.add_vm("tagged", running=False)
    stage.port.tag(stage.vm("tagged").uuid, "vfo")
    stage.client.call("VM.revert", stage.client.call("VM.get_by_uuid", uuid))
    assert "vfo" in stage.vm("web").tags
    (request,) = wanted(stage)
    assert (request.subject, "take off the tag" in " ".join(clean_up.plan(request).sentences)) == (f"vm:{stage.vm('web').uuid}", True)
    assert stage.run(request).status is Status.DONE
    assert not [mark for mark in (*stage.vm("web").tags, *stage.vm("web").other_config) if mark.startswith("vfo")]
    assert all("vfo" in vm.tags for vm in (stage.vm("tagged"), stage.port.vm(uuid)))
    assert wanted(stage) == []


def test_a_snapshot_that_was_marked_since_it_was_looked_at_is_held(stages: Stages) -> None:
    """Its run marked it and ended right after the pool was looked at: by the rows it is over, and the snapshot stays until its time."""
    stage = web(stages)
    note = {"vm": stage.vm("web").uuid, "run": str(OVER), "ran": False, "vifs": []}
    stage.port.note(stage.vm("web").uuid, parking.NOTE, json.dumps(note))
    uuid = stage.client.call("VM.get_uuid", stage.simulated.add_snapshot("web", f"vfo backup of web (run {str(OVER)[:8]})"))
    stage.port.erase(stage.vm("web").uuid, parking.NOTE)
    (seen,) = wanted(stage)
    assert seen.data["snapshot"]
    said = {"snapshot": uuid, "vm": stage.vm("web").uuid, "run": str(OVER), "until": (stage.now + timedelta(hours=12)).isoformat()}
    stage.port.note(uuid, backup_snapshots.NOTE, json.dumps(said))
    stage.port.tag(uuid, backup_snapshots.TAG)
    assert wanted(stage) == []
    assert stage.run(seen).status is Status.DONE
    assert stage.port.vm_exists(uuid)
