"""What the daemon begins by itself, for many at once, and kill -9 again and again: at the end the judge finds nothing."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from tests import scale
from tests.journey import kills, scenes
from tests.journey.lab import Lab
from workflows import put_right, release, release_halted
from workflows.objects import VM

RUNS = scale.of(50, 20)
KILLS = scale.of(8, 3)
FEWER_KILLS = scale.of(5, 2)
PATIENCE = "5s"
POOL = ("--hosts", "4", "--vfs", "64", "--vms", str(2 * RUNS), "--speed", "0.02")
FEW = scale.of(15, 8)  # these runs have few steps: so many things are recorded between two kills, at most


def places(vms: list[VM]) -> list[list[tuple[str, str, str]]]:
    """Where the VIFs of each VM are."""
    return [[(vif.network, vif.MAC, vif.device) for vif in vm.vifs] for vm in vms]


def done(lab: Lab) -> Counter[str]:
    """How many runs of each workflow are done."""
    return Counter(run.workflow for run in lab.runs() if run.status == "done")


@pytest.mark.timeout(300)
def test_killed_while_many_vms_are_put_right(lab: Callable[..., Lab]) -> None:
    """Half were reverted to snapshots made while their VIFs were away and stay halted; the others' runs were lost, and they run again."""
    here = lab(*POOL, every="1s")
    over, lost = scenes.ended_run(here), uuid4()
    with scenes.hands(here) as at:
        ran, asleep = at.vms("Running")[: RUNS // 2], at.vms("Halted")[: RUNS // 2]
        at.parking()
        snapshots = scenes.each(asleep, lambda vm: scenes.snapshot(at, vm, over, timedelta(days=1)))
        before = kills.look(here)
        scenes.each(snapshots, lambda uuid: at.client.call("VM.revert", at.ref("VM", uuid)))
        scenes.each(ran, lambda vm: scenes.lose(at, vm, lost))
        reverted = [at.port.vm(vm.uuid) for vm in asleep]
    assert kills.kill_through(here, KILLS, seed=11, most=FEW, at_least=1 + RUNS) == KILLS
    assert kills.ended_otherwise(here) == []
    assert done(here)[put_right.NAME] == 1 + RUNS
    anew = {vif.uuid for vm in (*asleep, *reverted) for vif in vm.vifs}
    found = kills.wrong(here, before, changed_vifs=anew, kept_snapshots=snapshots)
    assert [line for line in found if "VBDs was" not in line] == [], "a revert makes the disks anew"
    now = {vm.uuid: vm for vm in kills.vms(here)}
    assert places([now[vm.uuid] for vm in asleep]) == places(asleep)


@pytest.mark.timeout(300)
def test_killed_while_many_leftovers_are_cleaned_up(lab: Callable[..., Lab]) -> None:
    """Blocks, snapshots whose time is over, and VMs with their VIFs parked, some of which ran: of runs that are over, nothing is left."""
    here = lab(*POOL, every="1s")
    before, over = kills.look(here), scenes.ended_run(here)
    with scenes.hands(here) as at:
        at.parking()
        ran, asleep = at.vms("Running"), at.vms("Halted")
        few = RUNS // 4
        scenes.each(
            asleep[:few], lambda vm: at.port.block(vm.uuid, ("start", "start_on"), f"vfo: run {over} makes its VFs anew, in a moment")
        )
        scenes.each(asleep[few : 2 * few], lambda vm: scenes.snapshot(at, vm, over, -timedelta(hours=2)))
        scenes.each([*asleep[2 * few : 3 * few], *ran[: RUNS // 2 - few]], lambda vm: scenes.lose(at, vm, over))
    assert kills.kill_through(here, KILLS, seed=12, most=FEW, at_least=1 + RUNS) == KILLS
    assert kills.ended_otherwise(here) == []
    assert done(here)[put_right.NAME] == 1 + RUNS // 2
    assert done(here)["clean-up"] >= 2 * few, "one may come again for what a killed one had just cleaned"
    assert kills.wrong(here, before) == []


@pytest.mark.timeout(300)
def test_killed_while_many_vms_that_stay_halted_lose_their_vifs(lab: Callable[..., Lab]) -> None:
    """The time runs from when each was first seen halted, whoever dies meanwhile; those that run keep theirs."""
    here = lab(*POOL, every="1s")
    here.config.write_text(here.config.read_text().replace("[reclaim]", f'[reclaim]\nhalted_longer_than = "{PATIENCE}"'))
    before = kills.look(here)
    halted = [vm for vm in kills.vms(here) if vm.power_state == "Halted" and vm.sriov_vifs]
    assert len(halted) == RUNS
    assert kills.kill_through(here, FEWER_KILLS, seed=13, at_least=2 * RUNS) == FEWER_KILLS
    assert kills.ended_otherwise(here) == []
    assert (done(here)[release.NAME], {run.workflow for run in here.runs()}) == (RUNS, {release.NAME, release_halted.NAME})
    assert not [vm.name for vm in kills.vms(here) if vm.power_state == "Halted" and vm.sriov_vifs]
    assert kills.wrong(here, before, changed_vifs={vif.uuid for vm in halted for vif in vm.sriov_vifs}) == []
