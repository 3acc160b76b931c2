"""Many runs of a kind at once, the process killed with -9 again and again: at the end the judge finds nothing."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from state import runs
from state.run import Status
from tests import scale
from tests.journey import kills
from tests.journey.lab import Lab, wait_until
from workflows import assign, prepare, release
from workflows.assign import Wish
from workflows.downtime import When

RUNS = scale.of(50, 20)
KILLS = scale.of(8, 4)
POOL = ("--hosts", "4", "--vfs", "64", "--vms", str(2 * RUNS), "--speed", "0.02")
CUT = (
    "Async.VM.start",
    "Async.VM.clean_shutdown",
    "Async.VM.snapshot",
    "VIF.move",
    "VM.add_to_other_config",
    "VM.add_to_blocked_operations",
)
FALLBACK = '\n[backup]\nfallback_network = "Pool-wide network associated with eth0"\n'
SECOND = "5"  # the device of a second VIF


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["offline", "online", "failover"])
def test_killed_while_many_vms_are_backed_up(lab: Callable[..., Lab], mode: str) -> None:
    """Shut down, parked, snapshot, back, started, released, snapshot gone: every VM as it was, and nothing of ours left over."""
    here = lab(*POOL)
    here.config.write_text(here.config.read_text() + FALLBACK)
    before = kills.look(here)
    chosen = [vm for vm in kills.vms(here) if vm.held][:RUNS]
    assert len(chosen) == RUNS
    hold = timedelta(seconds=1)
    kills.submit(here, (prepare.request("lab", vm, mode=mode, hold=hold, retention=timedelta()) for vm in chosen))
    assert kills.kill_through(here, KILLS, seed=1) == KILLS
    assert kills.ended_otherwise(here) == []
    done = Counter(run.workflow for run in here.runs() if run.status is Status.DONE)
    assert (done[prepare.NAME], done["release-backup"]) == (RUNS, RUNS)
    assert kills.wrong(here, before) == []


@pytest.mark.timeout(600)
def test_killed_while_many_vms_get_a_second_vf_and_give_it_back(lab: Callable[..., Lab]) -> None:
    """Each is down for a moment twice; in between it holds two VFs, at the end everything is as it was."""
    here = lab(*POOL)
    before = kills.look(here)
    chosen = [vm for vm in kills.vms(here) if vm.held][:RUNS]
    wish = Wish(kills.network(here), "SR-IOV", device=SECOND, when=When.now)
    kills.submit(here, (assign.request("lab", vm.uuid, vm.name, wish) for vm in chosen))
    assert kills.kill_through(here, KILLS, seed=2) == KILLS
    assert kills.ended_otherwise(here) == []
    between = {vm.uuid: vm for vm in kills.vms(here)}
    assert [len(between[vm.uuid].held) for vm in chosen] == [2] * RUNS
    given = {vif.uuid for vm in between.values() for vif in vm.vifs if vif.device == SECOND}
    assert not [line for line in kills.wrong(here, before) if not any(said in line for said in ("held 1 VFs, holds 2", "is new"))]
    assert len(given) == RUNS
    kills.submit(here, (release.request("lab", between[vm.uuid], [SECOND], When.now) for vm in chosen))
    assert kills.kill_through(here, KILLS, seed=3) == KILLS
    assert kills.ended_otherwise(here) == []
    assert kills.wrong(here, before) == []


@pytest.mark.timeout(600)
def test_killed_while_backups_and_assignments_want_the_same_vms(lab: Callable[..., Lab]) -> None:
    """Of the two runs of a VM one waits for the other; both are done, and when the second VF is given back everything is as it was."""
    here = lab(*POOL)
    before = kills.look(here)
    chosen = [vm for vm in kills.vms(here) if vm.held][: RUNS // 2]
    wish = Wish(kills.network(here), "SR-IOV", device=SECOND, when=When.now)
    kills.submit(here, (assign.request("lab", vm.uuid, vm.name, wish) for vm in chosen))
    hold = timedelta(seconds=1)
    kills.submit(here, (prepare.request("lab", vm, mode="offline", hold=hold, retention=timedelta()) for vm in chosen))
    assert kills.kill_through(here, KILLS, seed=4) == KILLS
    assert any(", held by run" in said for said in here.said())
    assert kills.ended_otherwise(here) == []
    with_two = {vm.uuid: vm for vm in kills.vms(here)}
    kills.submit(here, (release.request("lab", with_two[vm.uuid], [SECOND], When.now) for vm in chosen))
    kills.kill_through(here, 2, seed=5)
    assert kills.ended_otherwise(here) == []
    assert kills.wrong(here, before) == []


@pytest.mark.timeout(600)
def test_killed_while_the_toolstack_restarts_and_answers_are_cut(lab: Callable[..., Lab]) -> None:
    """Tasks are forgotten, calls take effect without an answer, the process dies: every VM is as it was."""
    here = lab(*POOL)
    before = kills.look(here)
    chosen = [vm for vm in kills.vms(here) if vm.held][:RUNS]
    hold = timedelta(seconds=1)
    kills.submit(here, (prepare.request("lab", vm, mode="offline", hold=hold, retention=timedelta()) for vm in chosen))
    with kills.disturbed(here, CUT, seed=6):
        kills.kill_through(here, KILLS // 2, seed=6)
    assert any("CONNECTION_CUT" in said for said in here.said())
    assert kills.ended_otherwise(here) == []
    assert kills.wrong(here, before) == []


@pytest.mark.timeout(600)
def test_killed_while_many_backups_are_released_at_once(lab: Callable[..., Lab]) -> None:
    """Half of the VMs stand on an ordinary network, and get their VFs back; the snapshots go with their disks."""
    here = lab(*POOL)
    here.config.write_text(here.config.read_text() + FALLBACK)
    before = kills.look(here)
    chosen = [vm for vm in kills.vms(here) if vm.held][:RUNS]
    modes = ["failover", "online"] * (RUNS // 2)
    day = timedelta(days=1)
    kills.submit(
        here, (prepare.request("lab", vm, mode=mode, hold=day, retention=timedelta()) for vm, mode in zip(chosen, modes, strict=True))
    )
    daemon = here.serve()
    wait_until(lambda: here.statuses()["done"] == RUNS and here.statuses().total() == 2 * RUNS, 120, "all are prepared")
    daemon.kill()
    with here.store.write() as session:
        for run in runs.listed(session):
            runs.approve(session, run.id, now=datetime.now(UTC), by="ada")
    assert kills.kill_through(here, KILLS // 2, seed=7) == KILLS // 2
    assert kills.ended_otherwise(here) == []
    assert kills.wrong(here, before) == []
