"""Two who want the last VF: one gets it, the other is refused or waits, as the policy says."""

import threading
from datetime import timedelta

from state.run import Run, Status
from tests.workflows.assigning import Stages, asking, bare, change, fill, left_wrong, returning
from tests.workflows.stage import Stage
from workflows import admission
from workflows.objects import VM
from workflows.policy import AssignmentPolicy, Policy


def two_bare(stage: Stage) -> list[VM]:
    """Two halted VMs without VIFs; nobody else is halted, so that only these two want VFs."""
    halted = [vm for vm in stage.port.vms() if vm.power_state == "Halted"][:2]
    for vm in halted:
        stage.pool.destroy_vif(vm.vifs[0].uuid)
    return [stage.port.vm(vm.uuid) for vm in halted]


def both(stage: Stage, vms: list[VM], **wish: str) -> list[Run]:
    """The runs of both, step by step beside each other."""
    ids = [stage.submit(asking(stage, vm, **wish)) for vm in vms]
    stage.finish(*ids)
    return [stage.at(run_id) for run_id in ids]


def test_the_last_vf_goes_to_one_of_two(stages: Stages) -> None:
    """Also when both VMs are halted and take it only when they start."""
    stage = stages()
    vms = two_bare(stage)
    fill(stage, leave=1)
    runs = both(stage, vms)
    assert sorted(run.status.value for run in runs) == ["done", "refused"], [run.reason for run in runs]
    refused = next(run for run in runs if run.status is Status.REFUSED)
    assert "no VF is to be had" in refused.reason
    assert sum(len(stage.port.vm(vm.uuid).vifs) for vm in vms) == 1


def test_the_second_waits_where_the_policy_says_so(stages: Stages) -> None:
    """It gets the VF that is given back later."""
    stage = stages(policy=Policy(assignment=AssignmentPolicy(full="wait")))
    vms = two_bare(stage)
    fill(stage, leave=1)
    ids = [stage.submit(asking(stage, vm)) for vm in vms]
    stage.finish(ids[0])
    assert "no VF is to be had" in stage.settle(ids[1]).reason
    assert stage.run(returning(stage, stage.with_vf())).status is Status.DONE
    assert stage.finish(ids[1]).status is Status.DONE


def test_halted_vms_do_not_count_where_the_policy_says_so(stages: Stages) -> None:
    """More VMs than VFs, if they never run together."""
    stage = stages(policy=Policy(assignment=AssignmentPolicy(count_halted=False)))
    vms = two_bare(stage)
    fill(stage, leave=1)
    assert [run.status for run in both(stage, vms)] == [Status.DONE, Status.DONE]


def test_a_promise_keeps_the_vf_while_a_vm_is_down(stages: Stages) -> None:
    """Nobody of ours takes it in between; outside of the run nothing stays promised (story 8)."""
    stage = stages()
    vm = bare(stage, running=True)
    run_id = stage.submit(asking(stage, vm, when="next-halt"))
    stage.settle(run_id)
    assert sum(stage.ledger.promised_to(vm.uuid).values()) == 1
    assert sum(stage.ledger.account(look).promised for look in stage.port.look_at_ports()) == 1
    stage.engine.cancel(run_id, by="a test")
    assert (stage.finish(run_id).status, stage.complaints()) == (Status.UNDONE, [])


def test_what_a_vm_holds_counts_for_itself(stages: Stages) -> None:
    """One free VF is enough for a VM that holds one and gets a second: it is not counted twice (story 30)."""
    stage = stages()
    vm = stage.with_vf()
    fill_but_on(stage, vm)
    run = stage.run(asking(stage, vm, device="3"))
    assert (run.status, len(stage.port.vm(vm.uuid).held)) == (Status.DONE, 2), run.reason


def fill_but_on(stage: Stage, vm: VM) -> None:
    """One VF is left, on the host where the VM runs; nobody is halted with a VIF."""
    for other in stage.port.vms():
        if other.power_state == "Halted":
            stage.pool.destroy_vif(other.vifs[0].uuid)
    for look in stage.port.look_at_ports():
        leave = 1 if look.host == vm.resident_on else 0
        if look.remaining > leave:
            stage.simulated.control.leak(look.name.split("/")[0], "SR-IOV", look.remaining - leave)


def test_many_at_once_get_what_there_is_and_no_more(stages: Stages) -> None:
    """Eight VFs, four in use, two of them promised for halted VMs: of four more VMs at most as many get one as are left."""
    stage = stages(vms=4, vfs=3)
    for number in range(6):
        stage.simulated.add_vm(f"new-{number}", network=None, running=False)
    stage.began = stage.look()
    vms = [vm for vm in stage.port.vms() if vm.name.startswith("new-")]
    free = sum(look.remaining for look in stage.port.look_at_ports())
    waiting = sum(vm.power_state == "Halted" and bool(vm.vifs) for vm in stage.port.vms())
    ids = [stage.submit(asking(stage, vm)) for vm in vms]
    threads = [threading.Thread(target=stage.turn, args=(run_id,)) for run_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stage.finish(*ids)
    given = [vm for vm in vms if stage.port.vm(vm.uuid).vifs]
    assert (len(given), sum(stage.at(run_id).status is Status.DONE for run_id in ids)) == (free - waiting, free - waiting)
    assert [line for vm in vms for line in left_wrong(stage, vm) if "is new" not in line] == []


def test_demand_counts_each_network(stages: Stages) -> None:
    """The VIFs that it has, one more, and without those that go."""
    stage = stages()
    vm = stage.with_vf()
    network = stage.network()
    assert admission.demand(vm, "another") == {network: 1, "another": 1}
    assert admission.demand(vm, network) == {network: 2}
    assert not admission.demand(vm, less=[vm.vifs[0].uuid])


def test_no_room_right_after_a_boot_is_not_believed(stages: Stages) -> None:
    """VFs may come later than their host: the run waits for the numbers to come to rest before it is refused (story 28)."""
    stage = stages()
    vm = bare(stage, running=False)
    for host in stage.port.hosts():
        change(stage, "host", host.uuid, other_config={**host.other_config, "boot_time": str(stage.now.timestamp())})
    fill(stage)
    run_id = stage.submit(asking(stage, vm))
    stage.settle(run_id)
    stage.pass_time(timedelta(seconds=30))
    assert "no VF is to be had" in stage.settle(run_id).reason
    database = stage.simulated.database
    for ref, row in database.rows("PCI"):
        if "_scheduled" in row:
            database.set("PCI", ref, _scheduled="OpaqueRef:NULL")
    assert stage.finish(run_id).status is Status.DONE
