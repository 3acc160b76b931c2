from dataclasses import replace
from datetime import timedelta

import pytest

from state.run import Status
from tests.workflows.assigning import Stages, asking, bare, change, fill, left_wrong, meddle, returning, vif_uuids
from tests.workflows.stage import Stage
from workflows.objects import VM
from workflows.policy import AssignmentPolicy, Policy
from workflows.windows import Window


def test_a_halted_vm_gets_a_vif_and_stays_halted(stages: Stages) -> None:
    """The VF comes when it starts."""
    stage = stages()
    vm = bare(stage, running=False)
    run = stage.run(asking(stage, vm))
    after = stage.port.vm(vm.uuid)
    assert (run.status, after.power_state, [vif.device for vif in after.vifs]) == (Status.DONE, "Halted", ["0"])
    assert left_wrong(stage, vm) == []
    assert run.reason == "it is halted, and takes a VF on SR-IOV when it starts"


def test_a_running_vm_is_shut_down_and_started_and_holds_its_vf(stages: Stages) -> None:
    """Seen in VM.attached_PCIs; nothing of ours is left, no promise either."""
    stage = stages()
    vm = bare(stage, running=True)
    run = stage.run(asking(stage, vm))
    after = stage.port.vm(vm.uuid)
    assert (run.status, after.power_state, len(after.held)) == (Status.DONE, "Running", 1)
    assert left_wrong(stage, vm) == []


def test_the_mac_and_the_device_that_were_asked_for_are_kept(stages: Stages) -> None:
    """Written in any way."""
    stage = stages()
    vm = bare(stage, running=False)
    stage.run(asking(stage, vm, mac="02-16-3E-AA-00-01", device="4"))
    assert [(vif.MAC, vif.device) for vif in stage.port.vm(vm.uuid).vifs] == [("02:16:3e:aa:00:01", "4")]


def test_a_vf_that_was_given_back_and_is_given_again_has_its_mac(stages: Stages) -> None:
    """The guest must not rename its NIC (story 6)."""
    stage = stages()
    vm = bare(stage, running=True)
    stage.run(asking(stage, vm))
    first = stage.port.vm(vm.uuid).vifs[0]
    assert stage.run(returning(stage, vm)).status is Status.DONE
    assert stage.port.vm(vm.uuid).vifs == ()
    stage.run(asking(stage, vm))
    again = stage.port.vm(vm.uuid).vifs[0]
    assert (again.MAC, again.device, again.uuid == first.uuid) == (first.MAC, first.device, False)


def test_a_vm_that_has_its_vf_is_left_alone(stages: Stages) -> None:
    """Asked for again, nothing is done."""
    stage = stages()
    run = stage.run(asking(stage, stage.with_vf()))
    assert (run.status, len(stage.story(run.id)), stage.complaints()) == (Status.DONE, 1, [])
    assert "with its VF" in run.reason


def test_a_vif_that_was_made_while_the_vm_ran_gets_its_vf(stages: Stages) -> None:
    """Somebody made the record, which alone gives no VF; it is taken over, not doubled."""
    stage = stages()
    vm = bare(stage, running=True)
    stage.port.create_vif(vm.uuid, stage.network(), "1", "02:00:00:00:00:11", {})
    run = stage.run(asking(stage, vm))
    after = stage.port.vm(vm.uuid)
    assert (run.status, [vif.MAC for vif in after.vifs], len(after.held)) == (Status.DONE, ["02:00:00:00:00:11"], 1)
    assert left_wrong(stage, vm) == []


def test_a_guest_that_does_not_shut_down_is_left_running(stages: Stages) -> None:
    """Force is a matter of consent: without it the run is undone after the policy's patience (story 11)."""
    stage = stages()
    vm = stage.with_vf()
    stage.simulated.control.guest(vm.uuid, ignores_shutdown=True, acknowledges=True)
    run = stage.run(asking(stage, vm, device="3"))
    assert (run.status, stage.complaints()) == (Status.UNDONE, [])
    assert "--force-shutdown would pull the plug" in run.reason


def test_a_guest_that_shuts_down_too_late_is_started_again(stages: Stages) -> None:
    """The shutdown was cancelled; the guest had heard it all the same, and must not stay halted (story 1)."""
    stage = stages()
    vm = stage.with_vf()
    stage.simulated.control.guest(vm.uuid, ignores_shutdown=True, acknowledges=True)
    run_id = stage.submit(asking(stage, vm, device="3"))
    for _ in range(100):
        if "may yet do so" in stage._turned(run_id).reason:
            break
        stage._move_to(stage.at(run_id))
    stage.simulated.halt_vm(vm.uuid)
    assert (stage.finish(run_id).status, stage.complaints()) == (Status.UNDONE, []), stage.story(run_id)


def test_a_guest_without_tools_is_left_running(stages: Stages) -> None:
    """The pool refuses at once."""
    stage = stages()
    vm = stage.with_vf()
    stage.simulated.control.guest(vm.uuid, tools=False)
    run = stage.run(asking(stage, vm, device="3"))
    assert (run.status, stage.complaints()) == (Status.UNDONE, [])


def test_the_plug_is_pulled_where_that_was_allowed(stages: Stages) -> None:
    """After the same patience."""
    stage = stages()
    vm = stage.with_vf()
    stage.simulated.control.guest(vm.uuid, ignores_shutdown=True, acknowledges=True)
    run = stage.run(asking(stage, vm, device="3", force=True))
    assert (run.status, len(stage.port.vm(vm.uuid).held)) == (Status.DONE, 2), stage.story(run.id)
    assert left_wrong(stage, vm) == []


def test_vfs_that_another_client_takes_while_the_vm_is_down_cost_it_no_more_than_a_restart(stages: Stages) -> None:
    """The start fails, the VIF goes, the VM runs as it did (story 12)."""
    stage = stages()
    vm = bare(stage, running=True)
    meddle(stage, begin_start=lambda: fill(stage))
    run = stage.run(asking(stage, vm))
    assert (run.status, [line for line in stage.complaints() if "leaked" not in line]) == (Status.UNDONE, []), stage.story(run.id)


def test_a_vm_starts_elsewhere_when_its_host_takes_it_no_more(stages: Stages) -> None:
    """First where its VFs are promised, then anywhere."""
    stage = stages()
    vm = bare(stage, running=True)
    was_on = vm.resident_on or ""
    meddle(stage, begin_start=lambda: stage.port.disable_host(was_on))
    run = stage.run(asking(stage, vm))
    stage.port.enable_host(was_on)
    after = stage.port.vm(vm.uuid)
    assert (run.status, after.resident_on == was_on, len(after.held)) == (Status.DONE, False, 1)


def test_a_vm_on_a_host_that_starts_none_gets_its_vf_elsewhere(stages: Stages) -> None:
    """The host was disabled for maintenance, before or while the run waited: the promise is another host's before the VM goes down."""
    stage = stages()
    vm = bare(stage, running=True)
    was_on = vm.resident_on or ""
    meddle(stage, block=lambda: stage.port.disable_host(was_on))
    run = stage.run(asking(stage, vm))
    stage.port.enable_host(was_on)
    after = stage.port.vm(vm.uuid)
    assert (run.status, after.resident_on == was_on, len(after.held)) == (Status.DONE, False, 1), stage.story(run.id)
    assert not any("cannot start where" in line for line in stage.story(run.id))


def test_a_vm_that_is_deleted_while_it_is_down_ends_the_run_undone(stages: Stages) -> None:
    """Nothing is left of it, and it is said."""
    stage = stages()
    vm = bare(stage, running=True)
    meddle(stage, create_vif=lambda: stage.simulated.destroy_vm(vm.uuid))
    run = stage.run(asking(stage, vm))
    assert run.status is Status.UNDONE
    assert [line for line in stage.complaints() if vm.name not in line and "VIF" not in line and "disk" not in line] == []


def test_a_vm_whose_vf_does_not_show_needs_a_person(stages: Stages) -> None:
    """It runs, and the pool shows no device: stuck with the evidence, and done by itself once it shows."""
    stage = stages()
    vm = bare(stage, running=True)
    request = asking(stage, vm)
    run_id = stage.submit(request)
    stage.settle(run_id)
    assert stage.at(run_id).status is Status.DONE
    taken = next(row["attached_PCIs"] for _, row in stage.simulated.database.rows("VM") if row["uuid"] == vm.uuid)
    change(stage, "VM", vm.uuid, attached_PCIs=[])
    stage.workflows["assign-vf"] = replace(stage.workflows["assign-vf"], steps=stage.workflows["assign-vf"].steps[-1:])
    again = stage.submit(replace(request, data={**stage.at(run_id).data}))
    assert stage.finish(again).status is Status.STUCK
    stuck = stage.at(again)
    assert (stuck.next_command, "shows 0 VFs" in stuck.reason) == (f"vfo run {again} retry", True)
    change(stage, "VM", vm.uuid, attached_PCIs=taken)
    stage.engine.retry(again, by="a test")
    assert stage.finish(again).status is Status.DONE


def test_a_window_is_waited_for(stages: Stages) -> None:
    """Nothing is touched before it opens; the VM is shut down in it."""
    opens_in = timedelta(hours=2)
    stage = stages()
    opening = stage.now + opens_in
    stage.policy = Policy(maintenance={"night": Window(f"{opening.minute} {opening.hour} * * *", timedelta(hours=1))})
    vm = stage.with_vf()
    run_id = stage.submit(asking(stage, vm, device="3", when="window"))
    parked = stage.settle(run_id)
    assert "until a maintenance window opens" in parked.reason
    assert [line for line in stage.complaints() if "waiting" not in line and "promised" not in line and "held by" not in line] == []
    began = stage.now
    assert stage.finish(run_id).status is Status.DONE
    assert stage.now - began > timedelta(hours=1)
    assert left_wrong(stage, vm) == []


def test_a_window_may_be_named(stages: Stages) -> None:
    """Another one that is open is not meant; when the named one is taken from the configuration, the run gives up and names it."""
    stage = stages()
    opening = stage.now + timedelta(hours=2)
    night, always = Window(f"{opening.minute} {opening.hour} * * *", timedelta(hours=1)), Window("* * * * *", timedelta(hours=2))
    stage.policy = Policy(maintenance={"night": night, "always": always})
    vm = stage.with_vf()
    run_id = stage.submit(asking(stage, vm, device="3", when="window:night"))
    assert stage.settle(run_id).reason == f"until maintenance window night opens at {opening:%Y-%m-%d %H:%M} UTC"
    assert stage.port.power_state(vm.uuid) == "Running"
    stage.policy = Policy(maintenance={"always": always})
    stage.pass_time(timedelta(hours=2))
    run = stage.finish(run_id)
    assert (run.status, run.reason) == (Status.UNDONE, "no maintenance window will ever open: [maintenance.night] says when they do")
    assert stage.run(asking(stage, vm, device="3", when="window:always")).status is Status.DONE


def limits(stage: Stage, vm: VM) -> list[tuple[str, dict[str, str]]]:
    """What its VIFs are limited to."""
    return [(vif.qos_algorithm_type, dict(vif.qos_algorithm_params)) for vif in stage.port.vm(vm.uuid).vifs]


@pytest.mark.parametrize(
    ("asked", "given"), [(None, ("ratelimit", {"kbps": "4096"})), (2048, ("ratelimit", {"kbps": "2048"})), (0, ("", {}))], ids=str
)
def test_a_vif_is_limited_as_the_policy_says_unless_something_else_is_asked_for(
    stages: Stages, asked: int | None, given: tuple[str, dict[str, str]]
) -> None:
    """The VIF is made so; the history says what XenAPI cannot: whether the NIC does it."""
    stage = stages(policy=Policy(assignment=AssignmentPolicy(qos_kbps=4096)))
    vm = bare(stage, running=False)
    run = stage.run(asking(stage, vm, qos_kbps=asked))
    assert (run.status, limits(stage, vm)) == (Status.DONE, [given])
    assert any("kbps where the NIC can" in line for line in stage.story(run.id)) == bool(given[0])


def test_a_vif_that_is_taken_over_keeps_its_limit(stages: Stages) -> None:
    """Whoever made it has set it."""
    stage = stages(policy=Policy(assignment=AssignmentPolicy(qos_kbps=4096)))
    vm = bare(stage, running=True)
    stage.port.create_vif(vm.uuid, stage.network(), "1", "02:00:00:00:00:11", {})
    run = stage.run(asking(stage, vm))
    assert (run.status, limits(stage, vm)) == (Status.DONE, [("", {})])
    assert any("keeps its QoS" in line for line in stage.story(run.id))


def test_without_a_window_the_run_does_not_wait_for_ever(stages: Stages) -> None:
    """It is undone, and says what is missing."""
    stage = stages()
    run = stage.run(asking(stage, stage.with_vf(), device="3", when="window"))
    assert (run.status, stage.complaints()) == (Status.UNDONE, [])
    assert "[maintenance.NAME]" in run.reason


def test_a_vif_that_somebody_made_meanwhile_is_taken_over(stages: Stages) -> None:
    """A second one would cost a second VF."""
    stage = stages()
    vm = bare(stage, running=False)
    meddle(stage, block=lambda: stage.port.create_vif(vm.uuid, stage.network(), "0", "02:00:00:00:00:12", {}))
    run = stage.run(asking(stage, vm))
    assert (run.status, [vif.MAC for vif in stage.port.vm(vm.uuid).vifs]) == (Status.DONE, ["02:00:00:00:00:12"])


def test_a_vm_on_a_vlan_of_the_network_gets_its_vf(stages: Stages) -> None:
    """The VIF is on the VLAN's network, the VF is of the port below."""
    stage = stages()
    vm = bare(stage, running=True)
    vlan = stage.port.create_network("vlan 7", {})
    for nic in stage.port.nics():
        if nic.logical_PIF:
            stage.port.create_vlan(nic.logical_PIF, 7, vlan)
    stage.began = stage.look()
    run = stage.run(asking(stage, vm, vlan_network=vlan))
    after = stage.port.vm(vm.uuid)
    assert (run.status, [vif.network for vif in after.vifs], len(after.held)) == (Status.DONE, [vlan], 1), run.reason
    assert left_wrong(stage, vm) == []


def test_an_undone_run_can_be_tried_again_from_its_beginning(stages: Stages) -> None:
    """What it had noted does not count any more."""
    stage = stages(policy=Policy(assignment=AssignmentPolicy(shutdown=timedelta(seconds=20))))
    vm = stage.with_vf()
    stage.simulated.control.guest(vm.uuid, ignores_shutdown=True, acknowledges=True)
    run = stage.run(asking(stage, vm, device="3"))
    assert run.status is Status.UNDONE
    stage.simulated.control.guest(vm.uuid)
    stage.engine.retry(run.id, by="a test")
    assert stage.finish(run.id).status is Status.DONE
    assert (len(vif_uuids(stage, vm)), left_wrong(stage, vm)) == (1, [])
