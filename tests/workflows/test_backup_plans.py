from datetime import timedelta
from itertools import chain

import pytest

from state.run import Status
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.dying import Dying
from workflows import backup_plans
from workflows.prepare import PREPARE

CALLS = {
    "note": ["VM.add_to_other_config"],
    "block": ["VM.add_to_blocked_operations", "VM.add_to_blocked_operations"],
    "unblock": ["VM.remove_from_blocked_operations", "VM.remove_from_blocked_operations", "VM.update_allowed_operations"],
    "erase": ["VM.remove_from_other_config"],
    "tag": ["VM.add_tags"],
    "move_vif": ["VIF.move"],
    "begin_clean_shutdown": ["VM.clean_shutdown"],
    "begin_snapshot": ["VM.snapshot"],
    "begin_start": ["VM.remove_from_blocked_operations", "VM.remove_from_blocked_operations", "VM.start_on"],
    "create_network": ["network.create"],
}


@pytest.mark.parametrize("halted", [False, True])
@pytest.mark.parametrize("mode", ["online", "offline", "failover"])
def test_a_plan_names_the_calls_that_the_run_makes(stages: Stages, mode: str, halted: bool) -> None:
    """Every call that changes something, in order; a note that is replaced is removed first."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    if halted:
        stage.simulated.halt_vm(vm.uuid)
        vm = stage.pool.vm(vm.uuid)
    stage.pool.create_network("vfo parking", {"vfo:parking": "true"})
    request = backups.request(stage, mode, vm)
    plan = backup_plans.of_preparing(stage.pool, stage.policy.backup, request, vm)
    assert stage.complaints() == ([] if not halted else stage.complaints()), "a plan changes nothing"
    counting = Dying(stage.port)
    stage.pool = counting.pool()
    run = stage.run(request)
    assert run.status is Status.DONE
    made = list(chain.from_iterable(CALLS[name] for name in counting.called))
    assert [call for call in plan.calls if call != "VM.remove_from_other_config"] == [c for c in made if c != "VM.remove_from_other_config"]


def test_a_plan_says_what_its_run_refuses(stages: Stages) -> None:
    """With the run's own words."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    stage.pool.block(vm.uuid, ["clean_shutdown"], "vfo: test")
    vm = stage.pool.vm(vm.uuid)
    request = backups.request(stage, "offline", vm)
    plan = backup_plans.of_preparing(stage.pool, stage.policy.backup, request, vm)
    run = stage.run(request)
    assert (run.status, run.reason) == (Status.REFUSED, "; ".join(plan.refusals))


def test_a_plan_says_how_long_the_vm_is_held(stages: Stages) -> None:
    """The numbers that decide it, in sentences."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    request = backups.request(stage, "failover", vm, timedelta(days=1))
    sentences = backup_plans.of_preparing(stage.pool, stage.policy.backup, request, vm).sentences
    assert sentences[-1] == "hold the snapshot 12 h for the product, or until `vfo backup release`"
    assert any(f"move its VIFs to {backups.ORDINARY}" in sentence for sentence in sentences)
    assert any(vm.vifs[0].MAC in sentence for sentence in sentences)
    assert PREPARE.name in backup_plans.of_preparing(stage.pool, stage.policy.backup, request, vm).title
