"""The way back: a guest that does not shut down, a VF that is gone, a VIF that does not go back."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.stage import Stage
from workflows.objects import VM
from workflows.prepare import PREPARE
from workflows.put_right import PUT_RIGHT
from workflows.release_backup import RELEASE


def host_name(stage: Stage, vm: VM) -> str:
    return next(host.name for host in stage.pool.hosts() if host.uuid == vm.resident_on)


def taken(stage: Stage, *hosts: str) -> list[str]:
    """Other VMs take every VF that is left on the hosts: their refs."""
    free = {port["host"]: port["free"] for port in stage.simulated.state()["ports"] if port["network"]}
    return [stage.simulated.add_vm(f"thief-{host}-{number}", host=host) for host in hosts for number in range(free[host])]


def without_vf(stage: Stage, *, elsewhere: bool) -> tuple[Run, VM]:
    """The VM's VF is taken by others while it is away: on its host, or (not *elsewhere*) on all hosts."""
    vm = stage.with_vf()
    all_hosts = [host.name for host in stage.pool.hosts()]
    backups.meanwhile(
        stage, PREPARE.name, "take_snapshot", lambda _, __: taken(stage, *([host_name(stage, vm)] if elsewhere else all_hosts))
    )
    return stage.run(backups.request(stage, "offline", vm)), vm


def no_thieves(complaints: list[str]) -> list[str]:
    return [line for line in complaints if "thief" not in line and "is new" not in line]


def test_a_vm_whose_vf_was_taken_runs_on_another_host(stages: Stages) -> None:
    """Elsewhere is first in the policy's order (story 12)."""
    stage = backups.staged(stages)
    promised: list[set[str]] = []
    backups.meanwhile(stage, PREPARE.name, "mark_snapshot", lambda world, data: promised.append(set(world.ledger.promised_to(data["vm"]))))
    run, vm = without_vf(stage, elsewhere=True)
    backups.ended(stage, run)
    assert promised == [{look.port for look in stage.pool.look_at_ports()}], "on its own host, then on the other one"
    now = stage.pool.vm(vm.uuid)
    assert (now.power_state, len(now.held)) == ("Running", 1)
    assert now.resident_on != vm.resident_on
    assert any("NETWORK_SRIOV_INSUFFICIENT_CAPACITY" in line for line in stage.story(run.id))
    assert [line for line in no_thieves(stage.complaints()) if "disk" not in line] == []


def test_a_vm_waits_for_a_vf_as_long_as_the_policy_says(stages: Stages) -> None:
    """As soon as one is free it runs again."""
    stage = backups.staged(stages, {"no_vf": ("wait", "leave-halted")})
    vm = stage.with_vf()
    thieves: list[str] = []
    backups.meanwhile(
        stage, PREPARE.name, "take_snapshot", lambda _, __: thieves.extend(taken(stage, *[h.name for h in stage.pool.hosts()]))
    )
    run_id = stage.submit(backups.request(stage, "offline", vm))
    assert stage.settle(run_id).reason == "no host has room for the VM"
    stage.simulated.destroy_vm(thieves[0])
    run = backups.ended(stage, stage.finish(run_id))
    assert len(stage.pool.vm(vm.uuid).held) == 1, stage.story(run.id)


def test_a_vm_without_a_vf_runs_on_the_fallback_network_until_its_next_halt(stages: Stages) -> None:
    """The run says so; when somebody halts the VM its VIFs are put back and nothing of ours is left."""
    stage = backups.staged(stages, {"no_vf": ("wait", "fallback-network")})
    run, vm = without_vf(stage, elsewhere=False)
    assert run.status is Status.DONE
    now = stage.pool.vm(vm.uuid)
    assert (now.power_state, now.vifs[0].network_name, now.vifs[0].MAC) == ("Running", backups.ORDINARY, vm.vifs[0].MAC)
    assert any("fallback network until its next halt" in line for line in stage.story(run.id))
    later = next(one for one in stage.runs() if one.workflow == PUT_RIGHT.name)
    assert "when somebody halts the VM" in stage.settle(later.id).reason
    stage.simulated.halt_vm(vm.uuid)
    assert stage.finish(later.id).status is Status.DONE
    now = stage.pool.vm(vm.uuid)
    assert (now.power_state, now.vifs[0].network) == ("Halted", vm.vifs[0].network)
    stage.finish_all()
    assert [line for line in stage.complaints() if "vfo" in line or "parking" in line or "promised" in line] == []


def test_a_vm_that_cannot_run_again_needs_a_person(stages: Stages) -> None:
    """The run is stuck with the next command; when there is room that command brings the VM home."""
    stage = backups.staged(stages, {"no_vf": ("leave-halted",)})
    vm = stage.with_vf()
    thieves: list[str] = []
    backups.meanwhile(stage, PREPARE.name, "take_snapshot", lambda _, __: thieves.extend(taken(stage, host_name(stage, vm))))
    run = stage.run(backups.request(stage, "offline", vm))
    assert (run.status, run.next_command) == (Status.STUCK, f"vfo run {run.id} retry")
    assert "left halted, as the policy says" in run.reason
    stage.simulated.destroy_vm(thieves[0])
    stage.engine.retry(run.id, by="me")
    backups.ended(stage, stage.finish(run.id))
    assert len(stage.pool.vm(vm.uuid).held) == 1


def test_a_guest_that_ignores_us_runs_on_and_nothing_is_left(stages: Stages) -> None:
    """The policy does not allow force: the run is undone (story 11)."""
    stage = backups.staged(stages)
    wanted = backups.request(stage)
    stage.simulated.control.guest(wanted.data["vm"], ignores_shutdown=True, acknowledges=True)
    run = stage.run(wanted)
    assert run.status is Status.UNDONE
    assert "the guest does not shut down: VM_SHUTDOWN_TIMEOUT" in run.reason
    assert stage.complaints() == []


def test_a_guest_that_takes_too_long_is_given_up(stages: Stages) -> None:
    """The policy's patience is over before xapi's is: the shutdown is cancelled, and the VM runs on."""
    stage = backups.staged(stages, {"shutdown_patience": timedelta(minutes=1)}, speed=0.05)
    wanted = backups.request(stage)
    stage.simulated.control.guest(wanted.data["vm"], ignores_shutdown=True, acknowledges=True)
    run = stage.run(wanted)
    assert (run.status, run.reason) == (Status.UNDONE, "the guest did not shut down within 0:01:00")
    assert any("the shutdown is cancelled" in line for line in stage.story(run.id))
    assert stage.complaints() == []


def test_a_guest_without_tools_is_not_waited_for(stages: Stages) -> None:
    """What the pool refuses at once ends at once."""
    stage = backups.staged(stages)
    wanted = backups.request(stage)
    stage.simulated.control.guest(wanted.data["vm"], tools=False)
    run = stage.run(wanted)
    assert run.status is Status.UNDONE
    assert "VM_LACKS_FEATURE" in run.reason
    assert stage.complaints() == []


def test_force_is_used_where_the_policy_says_so(stages: Stages) -> None:
    """A guest that ignores us is switched off, and runs again with its VF."""
    stage = backups.staged(stages, {"shutdown": "hard"})
    wanted = backups.request(stage)
    stage.simulated.control.guest(wanted.data["vm"], ignores_shutdown=True, acknowledges=True)
    run = backups.ended(stage, stage.run(wanted))
    assert any("hard shutdown" in line for line in stage.story(run.id))
    assert stage.complaints() == []


def test_a_guest_that_shuts_down_too_late_is_started_again(stages: Stages) -> None:
    """It was asked by us, so it is ours to start."""
    stage = backups.staged(stages)
    wanted = backups.request(stage)
    stage.simulated.control.guest(wanted.data["vm"], ignores_shutdown=True, acknowledges=True)
    run_id = stage.submit(wanted)
    while "may still do so" not in stage.settle(run_id).reason:
        stage.pass_time(timedelta(minutes=1))
    stage.simulated.control.guest(wanted.data["vm"])
    stage.simulated.halt_vm(wanted.data["vm"])
    assert stage.finish(run_id).status is Status.UNDONE
    assert stage.complaints() == []


def two_vifs(stage: Stage) -> VM:
    """A VM with two VIFs that take VFs, running."""
    vm = stage.with_vf()
    stage.simulated.halt_vm(vm.uuid)
    stage.pool.create_vif(vm.uuid, stage.network(), "1", "", {})
    stage.client.call("VM.start", find(stage.simulated.database, "VM", vm.uuid), False, False)
    stage.began = stage.look()
    return stage.pool.vm(vm.uuid)


def test_every_vif_is_tried_whatever_becomes_of_the_others(stages: Stages) -> None:
    """The first cannot go back: the second does, the VM runs, a person is told, and a retry mends it (story 7)."""
    stage = backups.staged(stages)
    vm = two_vifs(stage)
    assert len(vm.held) == 2
    refuse = lambda _, __: stage.simulated.control.fail("VIF.move", ["NETWORK_ALREADY_CONNECTED", "x", "y"])  # noqa: E731
    backups.meanwhile(stage, PREPARE.name, "restore_vifs", refuse)
    run = stage.run(backups.request(stage, "offline", vm))
    assert run.status is Status.STUCK
    assert "VIF 0" in run.reason
    now = stage.pool.vm(vm.uuid)
    assert (now.power_state, [vif.on_sriov for vif in now.vifs], len(now.held)) == ("Running", [False, True], 1)
    stage.engine.retry(run.id, by="me")
    backups.ended(stage, stage.finish(run.id))
    assert stage.complaints() == []


def test_a_vif_that_was_lost_on_the_parking_network_is_made_anew(stages: Stages) -> None:
    """Somebody destroyed the network under it: same MAC, same device, and the run says so (story 6)."""
    stage = backups.staged(stages)
    vm = stage.with_vf()

    def lose(*_: Any) -> None:
        db = stage.simulated.database
        stage.client.call("VIF.destroy", find(db, "VIF", vm.vifs[0].uuid))

    backups.meanwhile(stage, PREPARE.name, "restore_vifs", lose)
    run = backups.ended(stage, stage.run(backups.request(stage, "offline", vm)))
    now = stage.pool.vm(vm.uuid)
    assert [(vif.device, vif.MAC, vif.network) for vif in now.vifs] == [(vif.device, vif.MAC, vif.network) for vif in vm.vifs]
    assert len(now.held) == 1
    assert any("made anew, with another uuid" in line for line in stage.story(run.id))


def test_what_somebody_changed_on_a_vif_is_said(stages: Stages) -> None:
    """Compared field by field after: their change stays, and is in the history."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    lock = lambda _, __: stage.client.call("VIF.set_locking_mode", find(stage.simulated.database, "VIF", vm.vifs[0].uuid), "locked")  # noqa: E731
    backups.meanwhile(stage, PREPARE.name, "take_snapshot", lock)
    run = backups.ended(stage, stage.run(backups.request(stage, "offline", vm)))
    assert any("locking_mode was 'network_default' and is 'locked'" in line for line in stage.story(run.id))


@pytest.mark.parametrize(
    "method", ["VIF.move", "VM.start_on", "VM.snapshot", "VM.clean_shutdown", "VM.add_tags", "VDI.destroy", "VM.destroy"]
)
@pytest.mark.parametrize("error", [["VDI_IN_USE", "x", "y"], ["OTHER_OPERATION_IN_PROGRESS", "VM", "x"], ["HOST_NOT_LIVE"]])
def test_what_passes_is_outlasted(stages: Stages, method: str, error: list[str]) -> None:
    """Busy disks after an export, operations of others, a toolstack that restarts (story 68)."""
    stage = backups.staged(stages)
    stage.simulated.control.fail(method, error, times=3)
    backups.ended(stage, stage.run(backups.request(stage)))
    assert stuck(stage) == []
    assert stage.complaints() == []


@pytest.mark.parametrize("method", ["VIF.move", "VM.snapshot", "VM.add_tags", "VM.add_to_other_config", "VM.add_to_blocked_operations"])
@pytest.mark.parametrize("mode", ["online", "offline", "failover"])
def test_what_is_refused_on_the_way_there_is_undone(stages: Stages, method: str, mode: str) -> None:
    """The VM is as it was (stories 1 and 15)."""
    stage = backups.staged(stages)
    stage.simulated.control.fail(method, ["LICENCE_RESTRICTION", "x"])
    run = stage.run(backups.request(stage, mode))
    stage.finish_all()
    assert run.status in {Status.UNDONE, Status.DONE, Status.REFUSED}, stage.story(run.id)
    assert stuck(stage) == []
    stage.simulated.control.clear()
    assert stage.complaints() == []


def test_two_vms_do_not_share_a_promise(stages: Stages) -> None:
    """Both away at once from a full port: each comes back to its own VF (stories 8 and 12)."""
    stage = backups.staged(stages, vms=8, vfs=2)
    running = [vm for vm in stage.port.vms() if vm.held]
    assert len(running) >= 2
    ids = [stage.submit(backups.request(stage, "offline", vm)) for vm in running]
    stage.finish(*ids)
    assert {stage.at(one).status for one in ids} == {Status.DONE}
    assert [stage.pool.vm(vm.uuid).resident_on for vm in running] == [vm.resident_on for vm in running]
    stage.finish_all()
    assert stage.complaints() == []


def stuck(stage: Stage) -> list[str]:
    return [f"{run.workflow}: {run.reason}" for run in stage.runs() if run.status is Status.STUCK]


def test_a_release_while_it_is_held_does_not_wait_for_the_time(stages: Stages) -> None:
    """The product is done: the snapshot goes at once."""
    stage = backups.staged(stages)
    stage.run(backups.request(stage))
    release = next(run for run in stage.runs() if run.workflow == RELEASE.name)
    stage.settle(release.id)
    began = stage.now
    stage.engine.approve(release.id, by="the product")
    assert stage.settle(release.id).status is Status.DONE
    assert stage.now - began < timedelta(minutes=1)
    assert stage.complaints() == []


def test_a_vf_that_stays_claimed_does_not_keep_the_vm_down(stages: Stages) -> None:
    """The VM is halted, and its VF stays reserved for nobody: it runs again with another one (story 9)."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    leak = lambda _, __: stage.simulated.control.leak(host_name(stage, vm), "SR-IOV")  # noqa: E731
    backups.meanwhile(stage, PREPARE.name, "park_vifs", leak)
    backups.ended(stage, stage.run(backups.request(stage, "offline", vm)))
    assert len(stage.pool.vm(vm.uuid).held) == 1


@pytest.mark.parametrize("mode", ["offline", "failover"])
def test_what_was_guarded_may_be_done_again(stages: Stages, mode: str) -> None:
    """`allowed_operations` is computed anew when our blocks are gone (story 18)."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    backups.ended(stage, stage.run(backups.request(stage, mode, vm)))
    assert set(stage.pool.vm(vm.uuid).allowed_operations) == set(vm.allowed_operations)
    stage.simulated.halt_vm(vm.uuid)
    backups.ended(stage, stage.run(backups.request(stage, mode, stage.pool.vm(vm.uuid))))
    assert {"start", "start_on"} <= set(stage.pool.vm(vm.uuid).allowed_operations)


def test_a_host_that_starts_no_vms_is_passed_over(stages: Stages) -> None:
    """The one where it ran was disabled, and so was the next with room: it runs on the third."""
    stage = backups.staged(stages, hosts=3)
    vm = stage.with_vf()
    others = [host.uuid for host in stage.pool.hosts() if host.uuid != vm.resident_on]
    disable = lambda world, _: [world.pool.disable_host(host) for host in (vm.resident_on, others[0])]  # noqa: E731
    backups.meanwhile(stage, PREPARE.name, "take_snapshot", disable)
    run = backups.ended(stage, stage.run(backups.request(stage, "offline", vm)))
    now = stage.pool.vm(vm.uuid)
    assert (now.power_state, len(now.held), now.resident_on) == ("Running", 1, others[1]), stage.story(run.id)


def test_many_vms_of_full_ports_are_prepared_at_once(stages: Stages) -> None:
    """While one starts its VF is reserved and promised, which counts once: the others go on, and none is refused."""
    stage = backups.staged(stages, hosts=1, vfs=2, vms=4, speed=0.1)
    first, second = [stage.submit(backups.request(stage, "offline", vm)) for vm in stage.port.vms() if vm.held]
    assert stage.pool.look_at_ports()[0].remaining == 0
    backups.until_at_work(stage, first, "start_again")
    assert stage.turn(second).step == "shut_down"
    stage.finish(first, second)
    assert {stage.at(one).status for one in (first, second)} == {Status.DONE}
    stage.finish_all()
    assert stage.complaints() == []
