"""Runs of `[[assign]]` rules that were refused are taken up again when nothing stands against them any more."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from orchestrator.listener.second_looks import AT_ONCE, SecondLooks
from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.workflows.assigning import asking, bare, fill, returning
from tests.workflows.stage import Stage
from workflows.objects import VM
from workflows.outcome import Request
from workflows.tagged import Rule

Stages = Callable[..., Stage]
RULE = Rule("fast", "SR-IOV", "", None, "now", force=False, grace=timedelta())


def tagged(stage: Stage, vm: VM) -> VM:
    stage.pool.tag(vm.uuid, "fast")
    return stage.pool.vm(vm.uuid)


def block(stage: Stage, vm: VM) -> None:
    stage.client.call("VM.add_to_blocked_operations", find(stage.simulated.database, "VM", vm.uuid), "clean_shutdown", "ask Mary")


def unblock(stage: Stage, vm: VM) -> None:
    stage.client.call("VM.remove_from_blocked_operations", find(stage.simulated.database, "VM", vm.uuid), "clean_shutdown")


def refused(stage: Stage) -> tuple[VM, Run]:
    """A VM whose shutdown somebody blocks, and the rule's run that was refused for it."""
    vm = tagged(stage, bare(stage, running=True))
    block(stage, vm)
    run = stage.run(asking(stage, vm, rule="fast"))
    assert run.status is Status.REFUSED
    return vm, run


def look(stage: Stage, *rules: Rule) -> list[UUID]:
    """What a look takes up."""
    taken_up: list[UUID] = []

    def retry(run_id: UUID) -> None:
        stage.engine.retry(run_id, by="the test")
        taken_up.append(run_id)

    SecondLooks(stage.store, rules or (RULE,), stage.policy, retry).look(stage.pool, stage.ledger, stage.now)
    return taken_up


def test_it_is_taken_up_when_its_reason_is_gone(stages: Stages) -> None:
    """While the reason is there looks write nothing; then the same run goes on, and is done."""
    stage = stages()
    vm, run = refused(stage)
    before = stage.story(run.id)
    assert (look(stage), stage.story(run.id)) == ([], before)
    unblock(stage, vm)
    assert look(stage) == [run.id]
    assert look(stage) == []
    assert stage.finish(run.id).status is Status.DONE
    assert stage.pool.vm(vm.uuid).sriov_vifs
    assert look(stage) == []


def test_it_is_taken_up_when_a_vf_comes_free(stages: Stages) -> None:
    """Not before; what other halted VMs will want is not free."""
    stage = stages()
    vm = tagged(stage, bare(stage, running=False))
    holders = [one for one in stage.port.vms() if one.held]
    fill(stage)
    run = stage.run(asking(stage, vm, rule="fast"))
    assert (run.status, look(stage)) == (Status.REFUSED, [])
    for holder in holders:
        assert look(stage) == []
        assert stage.run(returning(stage, holder)).status is Status.DONE
    assert look(stage) == [run.id]
    assert stage.finish(run.id).status is Status.DONE


def no_tag(stage: Stage, vm: VM) -> None:
    stage.client.call("VM.remove_tags", find(stage.simulated.database, "VM", vm.uuid), "fast")


def gone(stage: Stage, vm: VM) -> None:
    stage.simulated.destroy_vm(vm.uuid)


def taken_from(stage: Stage, vm: VM) -> None:
    assert stage.run(returning(stage, vm)).status is Status.DONE


@pytest.mark.parametrize("meanwhile", [no_tag, gone, taken_from])
def test_a_vm_that_is_to_have_none_any_more_is_left_alone(stages: Stages, meanwhile: Callable[[Stage, VM], None]) -> None:
    """Its tag is gone, it is gone, or somebody took VFs from it since."""
    stage = stages()
    vm, _ = refused(stage)
    unblock(stage, vm)
    meanwhile(stage, vm)
    assert look(stage) == []


@pytest.mark.parametrize(
    "rule",
    [
        Rule("slow", "SR-IOV", "", None, "now", force=False, grace=timedelta()),
        Rule("fast", "another", "", None, "now", force=False, grace=timedelta()),
        Rule("fast", "SR-IOV", "", "attic", "now", force=False, grace=timedelta()),
    ],
    ids=["another tag", "another network", "another pool"],
)
def test_a_rule_that_is_no_more_is_not_followed(stages: Stages, rule: Rule) -> None:
    """It was taken out of the configuration, or is another one now."""
    stage = stages()
    vm, _ = refused(stage)
    unblock(stage, vm)
    assert look(stage, rule) == []


def test_what_a_person_asked_for_is_theirs_to_ask_for_again(stages: Stages) -> None:
    """Only runs of rules are taken up."""
    stage = stages()
    vm = tagged(stage, bare(stage, running=True))
    block(stage, vm)
    assert stage.run(asking(stage, vm)).status is Status.REFUSED
    unblock(stage, vm)
    assert look(stage) == []


def test_a_run_that_another_has_followed_is_left(stages: Stages) -> None:
    """A person did by hand what the rule could not."""
    stage = stages()
    vm, _ = refused(stage)
    unblock(stage, vm)
    stage.pass_time(timedelta(minutes=1))
    assert stage.run(asking(stage, vm)).status is Status.DONE
    assert look(stage) == []


def test_of_many_a_few_are_taken_up_at_once(stages: Stages) -> None:
    """They may all want the one VF that came free: those that were refused longest ago go first."""
    stage = stages(vms=12, vfs=16)
    wanted: list[Request] = []
    vms: list[Any] = []
    for vm in stage.port.vms():
        if vm.power_state == "Running" and len(vms) <= AT_ONCE + 1:
            vms.append(tagged(stage, vm))
    for device in ("3", "4"):
        wanted += [asking(stage, vm, rule="fast", device=device) for vm in vms]
    for vm in vms:
        block(stage, vm)
    ids = []
    for request in wanted:
        ids.append(stage.run(request).id)
        stage.pass_time(timedelta(seconds=1))
    assert len(ids) > AT_ONCE
    for vm in vms:
        unblock(stage, vm)
    assert look(stage) == ids[:AT_ONCE]
