"""What is on disks and what it costs: contents, chains, tracked changes, room; and the control verbs for them."""

import base64
import hashlib
from typing import Any

import pytest

from orchestrator.simulator.contents import BLOCK
from orchestrator.simulator.control import ControlError

from .conftest import Make, Setting, wait_until
from .moving import MIB, changed, disk, error_of, get, put, task

GIB = 1 << 30


def used(at: Setting) -> int:
    """What the SR says is used."""
    return int(at.client("SR.get_physical_utilisation", at.client.find("SR", "Shared SR")))


def test_bytes_written_by_control_are_exported(setting: Make) -> None:
    """At their offset, across blocks; the rest is zeros."""
    at = setting(hosts=1)
    vdi = disk(at)
    at.pool.control.write_disk(vdi, BLOCK - 2, base64.b64encode(b"guest").decode())
    assert get(at, vdi=vdi)[2] == bytes(BLOCK - 2) + b"guest" + bytes(MIB - BLOCK - 3)


def test_a_large_disk_costs_what_was_written_to_it(setting: Make) -> None:
    """20 GiB with one block, which zeros give back."""
    at = setting(hosts=1)
    before, vdi = used(at), disk(at, 20 * GIB)
    at.pool.control.write_bytes(vdi, 19 * GIB, b"x" * BLOCK)
    assert int(at.client("VDI.get_physical_utilisation", vdi)) == used(at) - before == BLOCK
    at.pool.control.write_bytes(vdi, 19 * GIB, bytes(BLOCK))
    assert int(at.client("VDI.get_physical_utilisation", vdi)) == used(at) - before == 0


def test_a_changed_part_is_the_same_for_the_same_seed(setting: Make) -> None:
    """1 % of the disk, in 64 KiB extents; the digest is that of what is exported."""
    at = setting(hosts=1)
    one, other = disk(at, 64 * MIB), disk(at, 64 * MIB)
    assert [at.pool.control.change_disk(vdi, seed=7) for vdi in (one, other)] == [{"extents": 10, "bytes": 10 * BLOCK}] * 2
    state = at.pool.control.disk(one, digest=True)
    assert state["allocated"] == 10 * BLOCK
    assert state["sha256"] == at.pool.control.disk(other, digest=True)["sha256"] == hashlib.sha256(get(at, vdi=one)[2]).hexdigest()


def test_a_filled_disk_is_noise(setting: Make) -> None:
    """All of it, or as much as was asked for."""
    at = setting(hosts=1)
    vdi = disk(at)
    at.pool.control.fill_disk(vdi, 2 * BLOCK, offset=BLOCK)
    assert at.pool.control.disk(vdi)["allocated"] == 2 * BLOCK
    at.pool.control.fill_disk(vdi)
    assert at.pool.control.disk(vdi)["allocated"] == MIB


def test_snapshots_make_a_chain_that_is_coalesced_when_they_go(setting: Make) -> None:
    """An image for each snapshot that something was written after; what the last one kept is given back."""
    at = setting(hosts=1)
    vdi, before = disk(at), used(at)
    snapshots = []
    for letter in b"abc":
        at.pool.control.write_bytes(vdi, 0, bytes([letter]) * BLOCK)
        snapshots.append(at.client("VDI.snapshot", vdi, {}))
    assert (at.pool.control.disk(vdi)["images"], used(at) - before) == (4, 3 * BLOCK)
    assert [get(at, vdi=one)[2][:1] for one in snapshots] == [b"a", b"b", b"c"]
    for snapshot in snapshots:
        at.client("VDI.destroy", snapshot)
    assert (at.pool.control.disk(vdi)["images"], used(at) - before) == (1, BLOCK)
    assert get(at, vdi=vdi)[2] == b"c" * BLOCK + bytes(MIB - BLOCK)


def test_coalescing_comes_later(setting: Make) -> None:
    """The snapshot is gone at once, its room a while after."""
    at = setting(hosts=1, speed=0.002)
    vdi = disk(at)
    at.pool.control.write_bytes(vdi, 0, b"a" * BLOCK)
    snapshot = at.client("VDI.snapshot", vdi, {})
    at.client("VDI.destroy", snapshot)
    wait_until(lambda: at.pool.control.disk(vdi)["images"] == 1)
    assert get(at, vdi=vdi)[2][:BLOCK] == b"a" * BLOCK


def test_a_chain_that_is_kept_grows_until_the_driver_refuses(setting: Make) -> None:
    """SR_BACKEND_FAILURE_109; once coalesced it goes on."""
    at = setting(hosts=1)
    vdi = disk(at)
    at.pool.control.keep_chains("Shared SR")
    for number in range(29):
        at.pool.control.write_bytes(vdi, 0, bytes([number + 1]))
        at.client("VDI.destroy", at.client("VDI.snapshot", vdi, {}))
    assert at.client.refusal("VDI.snapshot", vdi, {})[0] == "SR_BACKEND_FAILURE_109"
    at.pool.control.keep_chains("Shared SR", False)
    assert at.pool.control.disk(vdi)["images"] == 1
    at.client("VDI.snapshot", vdi, {})


def test_a_middle_snapshot_takes_nothing_from_its_neighbours(setting: Make) -> None:
    """Their bytes are what they were when its layer is merged."""
    at = setting(hosts=1)
    vdi = disk(at)
    kept = []
    for number in range(5):
        at.pool.control.change_disk(vdi, 0.5, seed=number)
        kept.append((at.client("VDI.snapshot", vdi, {}), at.pool.control.disk(vdi, digest=True)["sha256"]))
    for snapshot, _ in kept[1::2]:
        at.client("VDI.destroy", snapshot)
    assert [at.pool.control.disk(one, digest=True)["sha256"] for one, _ in kept[::2]] == [sha for _, sha in kept[::2]]
    assert at.pool.control.disk(vdi)["images"] == 4


def test_changes_across_a_snapshot_that_is_gone_are_not_lost(setting: Make) -> None:
    """Its log goes to the next one's."""
    at = setting(hosts=1)
    vdi = disk(at)
    at.client("VDI.enable_cbt", vdi)
    snapshots = []
    for number in range(3):
        at.pool.control.write_bytes(vdi, number * BLOCK, b"x")
        snapshots.append(at.client("VDI.snapshot", vdi, {}))
    at.client("VDI.destroy", snapshots[1])
    assert changed(at, snapshots[0], snapshots[2]) == [1, 2]
    at.pool.control.write_bytes(vdi, 5 * BLOCK, b"x")
    assert changed(at, snapshots[2], vdi) == [5]


def test_unrelated_disks_have_no_changed_blocks(setting: Make) -> None:
    """SR_BACKEND_FAILURE_460, also for a disk with itself and from the later to the earlier one."""
    at = setting(hosts=1)
    vdi, other = disk(at), disk(at)
    for one in (vdi, other):
        at.client("VDI.enable_cbt", one)
    first, second = (at.client("VDI.snapshot", vdi, {}) for _ in range(2))
    for pair in ((vdi, other), (first, first), (second, first)):
        assert at.client.refusal("VDI.list_changed_blocks", *pair)[0] == "SR_BACKEND_FAILURE_460"


def test_a_lost_log_ends_the_chain(setting: Make) -> None:
    """The driver has switched tracking off; switched on again, nothing can be said across the gap."""
    at = setting(hosts=1)
    vdi = disk(at)
    at.client("VDI.enable_cbt", vdi)
    first = at.client("VDI.snapshot", vdi, {})
    at.pool.control.break_cbt(vdi)
    assert at.client("VDI.get_cbt_enabled", vdi) is False
    assert at.client.refusal("VDI.list_changed_blocks", first, vdi) == ["VDI_NO_CBT_METADATA", vdi]
    at.pool.control.break_cbt(vdi, enabled_again=True)
    second = at.client("VDI.snapshot", vdi, {})
    assert at.client.refusal("VDI.list_changed_blocks", first, second)[0] == "SR_BACKEND_FAILURE_460"


def test_a_full_sr_takes_no_new_images(setting: Make) -> None:
    """SR_BACKEND_FAILURE_44 for disks and snapshots, and nothing is left of a VM's snapshot that failed."""
    at = setting(hosts=1)
    vm = at.pool.add_vm("vm", network=None, running=False)
    vdi = disk(at)
    at.pool.control.sr_free("Shared SR", 0)
    full = ["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""]
    assert at.client.refusal("VDI.snapshot", vdi, {}) == at.client.refusal("VM.snapshot", vm, "snapshot", []) == full
    assert at.client("VM.get_by_name_label", "snapshot") == []
    with pytest.raises(Exception, match="insufficient space"):
        disk(at)


def test_an_import_that_does_not_fit_fails_in_the_task(setting: Make) -> None:
    """VDI_IO_ERROR, as a thin image finds out when it is written to."""
    at = setting(hosts=1)
    vdi, ref = disk(at, 8 * MIB), task(at)
    at.pool.control.sr_free("Shared SR", 2 * MIB)
    assert put(at, b"x" * 8 * MIB, vdi=vdi, task_id=ref) == 200
    assert error_of(at, ref) == ["VDI_IO_ERROR", "Device I/O errors"]


def test_a_copy_has_its_own_image(setting: Make) -> None:
    """As large as all of the source's together."""
    at = setting(hosts=1)
    vdi = disk(at)
    at.pool.control.write_bytes(vdi, 0, b"a" * 2 * BLOCK)
    at.client("VDI.snapshot", vdi, {})
    at.pool.control.write_bytes(vdi, 0, b"b")
    copy = at.client("VDI.copy", vdi, at.client.find("SR", "Shared SR"), "OpaqueRef:NULL", "OpaqueRef:NULL")
    assert at.pool.control.disk(copy) == {"images": 1, "allocated": 2 * BLOCK, "virtual_size": MIB}
    assert get(at, vdi=copy)[2] == get(at, vdi=vdi)[2]


def test_nbd_is_told_of_where_a_network_is_for_it(setting: Make) -> None:
    """An address of each host that sees the SR, with the host's certificate; metadata alone cannot be read."""
    at = setting(hosts=2)
    vdi = disk(at)
    assert at.client("VDI.get_nbd_info", vdi) == []
    (management,) = {row["network"] for row in at.client("PIF.get_all_records").values() if row["management"]}
    at.client("network.add_purpose", management, "nbd")
    first, second = at.client("VDI.get_nbd_info", vdi)
    assert first["exportname"] == f"/{at.client('VDI.get_uuid', vdi)}?session_id={at.client.session}"
    assert (first["port"], first["subject"]) == (10809, "host1")
    assert first["cert"].startswith("-----BEGIN CERTIFICATE-----")
    assert {first["address"], second["address"]} == {row["address"] for row in at.client("host.get_all_records").values()}


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (lambda control: control.write_disk("disk", MIB - 1, "eHg="), ["offset", str(MIB - 1), str(MIB)]),
        (lambda control: control.write_disk("disk", 0, "???"), ["data", "base64"]),
        (lambda control: control.change_disk("disk", 2.0), ["fraction", "2.0"]),
        (lambda control: control.fill_disk("nothing"), ["VDI", "nothing"]),
        (lambda control: control.slow_stream("VM.start", 10), ["path", "VM.start"]),
        (lambda control: control.slow_stream("export", 0), ["rate", "0"]),
    ],
)
def test_an_order_for_a_disk_that_cannot_be_carried_out_names_the_thing(order: Any, words: list[str], setting: Make) -> None:
    """With the argument and its value."""
    at = setting(hosts=1)
    disk(at)
    with pytest.raises(ControlError) as refused:
        order(at.pool.control)
    assert all(word in str(refused.value) for word in words)
