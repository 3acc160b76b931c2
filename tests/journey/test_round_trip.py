"""What was saved comes back: with real products, by command, with a disk that is the same byte by byte."""

import hashlib
import os
from collections.abc import Callable
from itertools import cycle

import pytest

from plugins.values import RestorePoint
from state.backups import Backup
from tests.journey import kills, round_trip
from tests.journey.lab import Lab
from tests.journey.round_trip import EXTENT, MIB, PRODUCTS, Guest
from tests.journey.scenes import hands
from tests.workflows import checker
from workflows import restore
from workflows.outcome import Request
from workflows.restore_examining import Asked

SIZE = 24 * MIB
TIMES, KILLS = 6, 4


@pytest.fixture
def saved(lab: Callable[..., Lab]) -> tuple[Lab, list[tuple[Guest, str]]]:
    """A lab with a VM for each product, and its configuration; nothing is saved yet."""
    if lacking := round_trip.missing():
        assert "CI" not in os.environ, f"{lacking} must be there in CI"
        pytest.skip(f"{lacking}: not installed")
    here = lab("--hosts", "1", "--vfs", "16", "--vms", "6")
    round_trip.configure(here)
    return here, list(zip(round_trip.furnished(here, 2, SIZE), PRODUCTS, strict=True))


@pytest.mark.timeout(400)  # two programs that derive keys for every call, thirty times
def test_a_deleted_vm_comes_back_from_the_repository(saved: tuple[Lab, list[tuple[Guest, str]]]) -> None:
    """Saved by policy, changed, saved again, deleted, restored: disk, MAC and VF; a file comes out of a disk; checksums agree."""
    here, guests = saved
    with round_trip.serving(here):
        first = [line for guest, product in guests for line in round_trip.save(here, [guest], product)]
        changed = [round_trip.change(here, guest) for guest, _ in guests]
        second = [line for guest, product in guests for line in round_trip.save(here, [guest], product)]
        for guest, _ in guests:
            round_trip.delete(here, guest)
        for (guest, product), line in zip(guests, second, strict=True):
            round_trip.restored(here, guest, line.point, product)
    assert all(line.stored > SIZE // 4 for line in first)
    assert second[0].stored < 1.1 * changed[0] + EXTENT  # borg cuts in 64 KiB, restic in pieces of a MiB or so
    assert second[1].stored < first[1].stored
    assert checker.left_over(kills.look(here)) == []
    assert checker.rows_left_over(here.store) == []


def again(guest: Guest, line: Backup, name: str) -> Request:
    """The VM under another name, started."""
    point = RestorePoint(line.point, str(line.id), "lab", guest.vm.uuid, guest.vm.name, line.policy, line.began_at, ())
    return restore.request("lab", line.product, point, Asked(name, new_macs=True, starts=True))


@pytest.mark.timeout(600)
def test_killed_while_vms_come_back(saved: tuple[Lab, list[tuple[Guest, str]]]) -> None:
    """Restores beside the VM that was saved, by disks and as a whole, the daemon killed with -9 again and again: six VMs, nothing else."""
    here, guests = saved
    guest, _ = guests[0]
    with round_trip.serving(here):
        lines = {product: round_trip.save(here, [guest], product)[0] for product in (*PRODUCTS, "xva")}
    before = kills.look(here)
    names = [f"again-{number}" for number in range(TIMES)]
    kills.submit(here, (again(guest, line, name) for line, name in zip(cycle(lines.values()), names, strict=False)))
    assert kills.kill_through(here, KILLS, seed=9, most=20) == KILLS
    assert kills.ended_otherwise(here) == []
    came = [vm for vm in kills.vms(here) if vm.name in names]
    assert sorted((vm.name, vm.power_state, len([pci for pci in vm.held if pci.is_vf])) for vm in came) == [
        (name, "Running", len(guest.vm.sriov_vifs)) for name in names
    ]
    with hands(here) as somebody:
        disks = [disk.uuid for vm in came for disk in somebody.port.disks(vm.uuid)]
        assert somebody.port.marked_disks() == ()
    assert {round_trip.digest(here, uuid) for uuid in disks} == {hashlib.sha256(guest.contents).hexdigest()}
    after = kills.look(here)
    assert after.records["VDI"].keys() - before.records["VDI"].keys() == {
        ref for ref, row in after.records["VDI"].items() if row["uuid"] in disks
    }
    assert checker.left_over(after) == []
    assert checker.rows_left_over(here.store) == []
