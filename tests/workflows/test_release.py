from state.run import Status
from tests.workflows.assigning import Stages, asking, bare, change, left_wrong, meddle, returning
from workflows.ports import Refused


def test_a_vm_runs_on_without_its_vf(stages: Stages) -> None:
    """The VIF is gone, the VF is free again."""
    stage = stages()
    vm = stage.with_vf()
    free = sum(look.remaining for look in stage.port.look_at_ports())
    run = stage.run(returning(stage, vm))
    after = stage.port.vm(vm.uuid)
    assert (run.status, after.power_state, after.vifs, after.held) == (Status.DONE, "Running", (), ())
    assert sum(look.remaining for look in stage.port.look_at_ports()) == free + 1
    assert left_wrong(stage, vm) == []


def test_only_the_vif_that_was_named_goes(stages: Stages) -> None:
    """By device here; the others keep their VFs, which were promised while the VM was down."""
    stage = stages()
    vm = stage.with_vf()
    assert stage.run(asking(stage, vm, device="3")).status is Status.DONE
    run = stage.run(returning(stage, vm, "3"))
    after = stage.port.vm(vm.uuid)
    assert (run.status, [vif.uuid for vif in after.vifs], len(after.held)) == (Status.DONE, [vif.uuid for vif in vm.vifs], 1)
    assert stage.complaints() == []


def test_a_vif_may_be_named_by_its_uuid_or_mac(stages: Stages) -> None:
    """In any case of letters."""
    stage = stages()
    vm = next(vm for vm in stage.port.vms() if vm.power_state == "Halted")
    assert stage.run(returning(stage, vm, vm.vifs[0].MAC.upper())).status is Status.DONE
    assert stage.port.vm(vm.uuid).vifs == ()


def test_a_vif_that_is_not_attached_needs_no_shutdown(stages: Stages) -> None:
    """It was made while the VM ran, and gave it no VF."""
    stage = stages()
    vm = stage.with_vf()
    made = stage.port.create_vif(vm.uuid, stage.network(), "4", "02:00:00:00:00:41", {})
    meddle(stage, begin_clean_shutdown=lambda: (_ for _ in ()).throw(AssertionError("it must not be shut down")))
    run = stage.run(returning(stage, vm, made, when="next-halt"))
    assert (run.status, stage.complaints()) == (Status.DONE, [])


def test_a_vm_without_such_a_vif_is_left_alone(stages: Stages) -> None:
    """There is nothing to give back."""
    stage = stages()
    run = stage.run(returning(stage, bare(stage, running=True)))
    assert (run.status, stage.complaints()) == (Status.DONE, [])
    assert run.reason == "none of its VIFs is on an SR-IOV network"


def test_a_vif_that_cannot_go_leaves_the_vm_as_it_was(stages: Stages) -> None:
    """The other VIFs are tried nevertheless, and created anew when the run is given up (story 7)."""
    stage = stages()
    vm = stage.with_vf()
    assert stage.run(asking(stage, vm, device="3")).status is Status.DONE
    before = stage.port.vm(vm.uuid)
    stage.simulated.control.fail("VIF.destroy", ["OPERATION_NOT_ALLOWED", "somebody is at it"], times=1)
    run = stage.run(returning(stage, before))
    after = stage.port.vm(vm.uuid)
    assert run.status is Status.UNDONE, stage.story(run.id)
    assert sorted((vif.device, vif.MAC) for vif in after.vifs) == sorted((vif.device, vif.MAC) for vif in before.vifs)
    assert (after.power_state, len(after.held), after.blocked_operations) == ("Running", 2, {})


def test_what_a_new_vif_cannot_be_given_is_said(stages: Stages) -> None:
    """QoS and locking are as they were; addresses are not VIF.create's: the undo says that they are lost instead of saying nothing."""
    stage = stages()
    vm = stage.with_vf()
    ref = stage.client.call("VIF.get_by_uuid", vm.vifs[0].uuid)
    stage.client.call("VIF.set_locking_mode", ref, "disabled")
    stage.client.call("VIF.set_qos_algorithm_type", ref, "ratelimit")
    stage.client.call("VIF.set_qos_algorithm_params", ref, {"kbps": "2048"})
    change(stage, "VIF", vm.vifs[0].uuid, ipv4_configuration_mode="Static", ipv4_addresses=["192.0.2.7/24"])

    def fail() -> None:
        raise Refused("SOMETHING_ELSE")

    meddle(stage, unblock=fail)
    run = stage.run(returning(stage, vm))
    assert run.status is Status.STUCK
    assert "without the IPv4 addresses set on them" in run.reason
    (vif,) = stage.port.vm(vm.uuid).sriov_vifs
    assert (vif.locking_mode, vif.qos_algorithm_type, vif.qos_algorithm_params) == ("disabled", "ratelimit", {"kbps": "2048"})
    assert (stage.port.vm(vm.uuid).power_state, len(stage.port.vm(vm.uuid).held)) == ("Running", 1)


def test_a_deleted_vm_ends_the_run(stages: Stages) -> None:
    """Undone, with nothing left behind."""
    stage = stages()
    vm = stage.with_vf()
    meddle(stage, destroy_vif=lambda: stage.simulated.destroy_vm(vm.uuid))
    run = stage.run(returning(stage, vm))
    assert run.status is Status.UNDONE, stage.story(run.id)
    assert stage.ledger.promised_to(vm.uuid) == {}
