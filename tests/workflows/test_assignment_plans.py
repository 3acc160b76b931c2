"""`--dry-run`: what would be done, with the numbers and the calls; nothing is changed."""

from datetime import timedelta

from orchestrator.simulator.control import find
from state.run import Status
from tests.workflows.assigning import Stages, asking, bare, returning
from tests.workflows.stage import Stage
from workflows import assignment_plans
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.policy import AssignmentPolicy, Policy
from workflows.windows import Window


def planned(stage: Stage, request: Request) -> Plan:
    if request.workflow == "release-vf":
        return assignment_plans.of_release(stage.pool, stage.policy, request, stage.now)
    return assignment_plans.of_assignment(stage.pool, stage.ledger, stage.policy, request, stage.now)


def test_a_plan_says_what_the_run_does_and_changes_nothing(stages: Stages) -> None:
    """Address, room, downtime and return; and the run does just that."""
    stage = stages()
    vm = bare(stage, running=True)
    plan = planned(stage, asking(stage, vm))
    assert stage.complaints() == []
    assert (plan.title, plan.refusals) == (f"assign-vf of VM {vm.name}", ())
    assert plan.calls == (
        "VM.add_to_blocked_operations", "VM.clean_shutdown", "VIF.create",
        "VM.remove_from_blocked_operations", "VM.update_allowed_operations", "VM.start_on",
    )  # fmt: skip
    run = stage.run(asking(stage, vm))
    vif = stage.port.vm(vm.uuid).vifs[0]
    assert run.status is Status.DONE
    assert any(f"device {vif.device}, MAC {vif.MAC}" in sentence for sentence in plan.sentences)
    assert any("free" in sentence for sentence in plan.sentences)


def test_a_halted_vm_is_not_shut_down(stages: Stages) -> None:
    """Its start is blocked for a moment, that is all."""
    stage = stages()
    plan = planned(stage, asking(stage, bare(stage, running=False), when="next-halt"))
    assert "VM.clean_shutdown" not in plan.calls
    assert "VM.start_on" not in plan.calls
    assert "it is halted: block its start for a moment" in plan.sentences


def test_a_plan_says_what_it_waits_for(stages: Stages) -> None:
    """A halt by somebody, or a window."""
    stage = stages()
    vm = stage.with_vf()
    assert any("wait until somebody halts it" in line for line in planned(stage, asking(stage, vm, device="3", when="next-halt")).sentences)
    stage.policy = Policy(maintenance={"night": Window("0 2 * * *", timedelta(hours=3))})
    assert any("window" in line for line in planned(stage, asking(stage, vm, device="3", when="window")).sentences)


def test_a_plan_says_the_limit_and_the_window_by_name(stages: Stages) -> None:
    """A limit is said with what nobody can know before."""
    stage = stages(policy=Policy(maintenance={"night": Window("0 2 * * *", timedelta(hours=3))}))
    lines = planned(stage, asking(stage, stage.with_vf(), device="3", when="window:night", qos_kbps=2048)).sentences
    assert any("limited to 2048 kbps where the NIC's driver can limit a VF" in line for line in lines)
    assert any("window night" in line for line in lines)


def test_a_full_network_is_no_refusal_where_the_policy_waits(stages: Stages) -> None:
    """It is said all the same."""
    stage = stages(policy=Policy(assignment=AssignmentPolicy(full="wait")))
    for look in stage.port.look_at_ports():
        stage.simulated.control.leak(look.name.split("/")[0], "SR-IOV", look.remaining)
    plan = planned(stage, asking(stage, stage.with_vf(), device="3"))
    assert plan.refusals == ()
    assert any("no VF is to be had" in sentence for sentence in plan.sentences)


def test_a_plan_counts_what_is_promised_to_others(stages: Stages) -> None:
    """As the run would."""
    stage = stages()
    vm = stage.with_vf()
    for look in stage.port.look_at_ports():
        assert stage.ledger.promise(look, "somebody", look.remaining, stage.submit(asking(stage, vm, device="6")))
    assert any("no VF is to be had" in refusal for refusal in planned(stage, asking(stage, vm, device="3")).refusals)


def test_nothing_to_do_is_said(stages: Stages) -> None:
    """A VM that has its VF, and one that has none to give."""
    stage = stages()
    assert planned(stage, asking(stage, stage.with_vf())).sentences[0].startswith("nothing: it has a VIF on SR-IOV")
    vm = bare(stage, running=True)
    assert planned(stage, returning(stage, vm)).sentences == ("nothing: none of its VIFs is on an SR-IOV network",)


def test_a_release_names_what_goes(stages: Stages) -> None:
    """Each VIF with its address."""
    stage = stages()
    vm = stage.with_vf()
    plan = planned(stage, returning(stage, vm, when="now"))
    assert any(vm.vifs[0].MAC in sentence for sentence in plan.sentences)
    assert (plan.calls[0], plan.calls[2], plan.calls[-1]) == ("VM.add_to_blocked_operations", "VIF.destroy", "VM.start_on")
    assert stage.complaints() == []


def test_a_full_network_in_motion_is_no_refusal_yet(stages: Stages) -> None:
    """A start lowers the numbers for a moment, and the run gives them time to come to rest."""
    stage = stages()
    for look in stage.port.look_at_ports():
        stage.simulated.control.leak(look.name.split("/")[0], "SR-IOV", look.remaining)
    request = asking(stage, stage.with_vf(), device="3")
    assert planned(stage, request).refusals
    rows = stage.simulated.database
    halted = next(vm for vm in stage.port.vms() if vm.power_state == "Halted" and vm.sriov_vifs)
    where = find(rows, "host", stage.port.look_at_ports()[0].name.split("/")[0])
    rows.set("VM", find(rows, "VM", halted.uuid), scheduled_to_be_resident_on=where, current_operations={"a task": "start_on"})
    rows.set("VIF", find(rows, "VIF", halted.sriov_vifs[0].uuid), currently_attached=True)
    plan = planned(stage, request)
    assert plan.refusals == ()
    assert any("no VF is to be had" in sentence for sentence in plan.sentences)
