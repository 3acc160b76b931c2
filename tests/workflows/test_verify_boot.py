"""A restore point is booted beside, seen, and removed: nothing of it stays, whatever happens."""

from uuid import uuid4

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.backups import meanwhile
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.restores import Stages, ended, left, staged
from tests.workflows.stage import Stage, giving_up
from workflows import clean_up, leftovers, recovering, verify_boot
from workflows.outcome import Request
from workflows.verify_boot import VERIFY_BOOT
from workflows.workflow import Data
from workflows.world import World


def request(stage: Stage) -> Request:
    """Look at the saved point."""
    return verify_boot.request("lab", "nas", stage.plugins.product.saved[0], uuid4())


def passed(stage: Stage, run: Run) -> None:
    """It booted, and nothing of it stays."""
    assert run.status is Status.DONE, stage.story(run.id)
    assert left(stage) == []


def test_a_point_that_boots_passes_and_nothing_stays(stages: Stages) -> None:
    """Beside the VM that was saved, which runs on; its guest is seen."""
    stage = staged(stages, deleted=False)
    run = ended(stage, request(stage))
    passed(stage, run)
    assert "says that it lives" in run.reason
    assert stage.complaints() == []


def test_its_vifs_are_on_the_parking_network_with_other_macs(stages: Stages) -> None:
    """Nobody hears what is only there to be looked at."""
    stage = staged(stages, deleted=False)
    seen: list[tuple[str, str]] = []
    meanwhile(
        stage, VERIFY_BOOT.name, "boot",
        lambda _, data: seen.extend((vif.network_name, vif.MAC.lower()) for vif in stage.port.vm(data["vm"]).vifs),
    )  # fmt: skip
    ended(stage, request(stage))
    macs = {vif["MAC"].lower() for vif in stage.plugins.product.saved[0].blueprint["vifs"]}
    assert {name for name, _ in seen} == {"vfo parking"}
    assert not macs & {mac for _, mac in seen}


def test_a_guest_that_halts_has_not_passed(stages: Stages) -> None:
    """The run says so, and all of it goes."""
    stage = staged(stages)
    halt = lambda _, data: stage.client.call("VM.hard_shutdown", stage.client.call("VM.get_by_uuid", data["vm"]))  # noqa: E731
    meanwhile(stage, VERIFY_BOOT.name, "see_guest", halt)
    run = ended(stage, request(stage))
    assert run.status is Status.UNDONE
    assert "did not stay up" in run.reason
    assert left(stage) == []


@pytest.mark.parametrize("step", [step.name for step in VERIFY_BOOT.steps[:-1]])
def test_given_up_after_any_step_nothing_stays(stages: Stages, step: str) -> None:
    """Running or not, whole or not."""
    stage = staged(stages)
    stage.workflows[VERIFY_BOOT.name] = giving_up(VERIFY_BOOT, step)
    ended(stage, request(stage))
    assert left(stage) == []


@pytest.mark.parametrize("crash", crashes.of(VERIFY_BOOT)[-6:], ids=str)
def test_a_death_at_any_step_of_its_own_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The others are those of restore-vm."""
    stage = staged(stages)
    deadly = crashes.Crash(crash.step, crash.when)
    stage.workflows[VERIFY_BOOT.name] = deadly.into(VERIFY_BOOT)
    passed(stage, ended(stage, request(stage)))
    assert deadly.deaths == 1


def test_a_death_at_any_call_is_survived(stages: Stages) -> None:
    """Before and after each single call that changes something."""
    assert crash_everywhere(lambda: staged(stages), request, passed, run=ended) > 20


def test_nobody_else_puts_it_right_while_it_is_looked_at(stages: Stages) -> None:
    """It stands on the parking network without a note of a backup: the run has it for itself, and its mark says whose it is."""
    stage = staged(stages)
    found: list[object] = []

    def look(world: World, data: Data) -> None:
        found.append(f"vm:{data['vm']}" in world.held)
        found.extend(recovering.requests("lab", stage.port.marked(), (), stage.now))
        found.extend(clean_up.everything(leftovers.see(stage.pool), {world.run_id: False}.get, stage.now))

    meanwhile(stage, VERIFY_BOOT.name, "see_guest", look)
    passed(stage, ended(stage, request(stage)))
    assert found == [True]
