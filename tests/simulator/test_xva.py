"""GET /export, PUT /import and their kin for metadata, beyond what the transcripts hold."""

import gzip
import hashlib
import io
import socket
import tarfile
import urllib.parse

import pytest

from orchestrator.simulator import xxh64

from .conftest import Make, Setting
from .moving import MIB, attach, disk, disks_of, error_of, get, put, task


def guest(at: Setting, size: int = 4 * MIB, network: str | None = None) -> str:
    """A halted VM with a disk that has bytes in its second MiB."""
    vm = at.pool.add_vm("guest", network=network, running=False, disk=False)
    vdi = disk(at, size)
    attach(at, vm, vdi)
    at.pool.control.write_bytes(vdi, MIB + 5, b"bytes")
    return vm


def exported(at: Setting, vm: str, **query: str) -> bytes:
    """The VM's XVA."""
    status, _, body = get(at, "/export", ref=vm, **query)
    assert status == 200
    return body


def imported(at: Setting, body: bytes, path: str = "/import", **query: str) -> list[str]:
    """The VMs that the import made."""
    ref = task(at)
    assert put(at, body, path, task_id=ref, **query) == 200
    record = at.client.finish(ref)
    assert record["status"] == "success", record["error_info"]
    return [part.split("<")[0] for part in record["result"].split("<value>") if part.startswith("OpaqueRef:")]


def test_an_xva_has_first_last_and_filled_blocks(setting: Make) -> None:
    """Blocks of zeros between are left out; each block's XXH64 follows it."""
    at = setting(hosts=1)
    with tarfile.open(fileobj=io.BytesIO(exported(at, guest(at)))) as tar:
        names = tar.getnames()
        assert [name.partition("/")[2] for name in names] == [
            "",
            *(f"{number:08d}{end}" for number in (0, 1, 3) for end in ("", ".xxhash")),
        ]
        block, check = (tar.extractfile(name) for name in names[3:5])
        assert block is not None
        assert check is not None
        data = block.read()
        assert data == bytes(5) + b"bytes" + bytes(MIB - 10)
        assert check.read().decode() == xxh64.in_python(data)


def test_an_imported_vm_has_the_same_bytes_and_new_addresses(setting: Make) -> None:
    """Its VIF is on the network of that name, its MAC is another; the disk is another one too."""
    at = setting(hosts=1)
    vm = guest(at, network="SR-IOV")
    (copy,) = imported(at, exported(at, vm))
    assert at.client("VM.get_uuid", copy) != at.client("VM.get_uuid", vm)
    (old,), (new,) = at.client("VM.get_VIFs", vm), at.client("VM.get_VIFs", copy)
    assert at.client("VIF.get_network", new) == at.network
    assert at.client("VIF.get_MAC", new) != at.client("VIF.get_MAC", old)
    assert get(at, vdi=disks_of(at, copy)[0])[2] == get(at, vdi=disks_of(at, vm)[0])[2]
    assert at.client("VM.get_current_operations", copy) == {}


def test_a_restore_keeps_uuids_and_macs(setting: Make) -> None:
    """When the VM is gone."""
    at = setting(hosts=1)
    vm = guest(at, network="SR-IOV")
    uuid, mac = at.client("VM.get_uuid", vm), at.client("VIF.get_MAC", at.client("VM.get_VIFs", vm)[0])
    body = exported(at, vm)
    at.pool.destroy_vm(vm)
    (back,) = imported(at, body, restore="true")
    assert at.client("VM.get_uuid", back) == uuid
    assert at.client("VIF.get_MAC", at.client("VM.get_VIFs", back)[0]) == mac


def test_a_restore_over_a_running_vm_is_refused(setting: Make) -> None:
    """VM_BAD_POWER_STATE, and no disk is left behind."""
    at = setting(hosts=1)
    vm = guest(at)
    body = exported(at, vm)
    at.client("VM.start", vm, False, False)
    ref, before = task(at), at.client("VDI.get_all")
    put(at, body, "/import", restore="true", task_id=ref)
    assert error_of(at, ref) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    assert at.client("VDI.get_all") == before


def test_a_forced_restore_replaces_a_halted_vm(setting: Make) -> None:
    """The version counts how often."""
    at = setting(hosts=1)
    vm = guest(at)
    (back,) = imported(at, exported(at, vm), restore="true", force="true")
    assert at.client("VM.get_version", back) == 1
    assert at.client.refusal("VM.get_record", vm) == ["HANDLE_INVALID", "VM", vm]


def test_a_compressed_xva_is_the_same_in_less(setting: Make) -> None:
    """And can be imported as it is."""
    at = setting(hosts=1)
    vm = guest(at)
    plain, packed = exported(at, vm), exported(at, vm, use_compression="gzip")
    assert gzip.decompress(packed) == plain
    (copy,) = imported(at, packed)
    assert get(at, vdi=disks_of(at, copy)[0])[2] == get(at, vdi=disks_of(at, vm)[0])[2]


def test_a_vm_is_held_by_its_export(setting: Make) -> None:
    """current_operations says so until the client is gone; the disk is plugged meanwhile."""
    at = setting(hosts=1)
    vm, ref = guest(at), task(at)
    at.pool.control.slow_stream("export", 100_000, times=1)
    address = urllib.parse.urlsplit(at.pool.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"GET /export?session_id={at.client.session}&ref={vm}&task_id={ref} HTTP/1.1\r\n\r\n".encode())
        at.client.until("VM.get_current_operations", vm, gives={ref: "export"})
        assert at.client("VM.get_allowed_operations", vm) == []
    at.client.until("VM.get_current_operations", vm, gives={})
    assert at.client.finish(ref)["status"] == "failure"
    assert "start" in at.client("VM.get_allowed_operations", vm)


@pytest.mark.parametrize("left", [100, 50_000, 1_200_000])
def test_an_xva_that_ends_early_leaves_nothing(left: int, setting: Make) -> None:
    """IMPORT_ERROR_PREMATURE_EOF; VM and disks are taken back."""
    at = setting(hosts=1)
    body = exported(at, guest(at))
    ref, before = task(at), (at.client("VM.get_all"), at.client("VDI.get_all"))
    put(at, body[:left], "/import", task_id=ref)
    assert error_of(at, ref) == ["IMPORT_ERROR_PREMATURE_EOF"]
    assert (at.client("VM.get_all"), at.client("VDI.get_all")) == before


def test_a_wrong_checksum_is_an_error_unless_forced(setting: Make) -> None:
    """IMPORT_ERROR names the block."""
    at = setting(hosts=1)
    body = exported(at, guest(at)).replace(b"bytes", b"bites")
    ref = task(at)
    put(at, body, "/import", task_id=ref)
    code, text = error_of(at, ref)
    assert code == "IMPORT_ERROR"
    assert "/00000001 checksum failed" in text
    assert len(imported(at, body, force="true")) == 1


def test_an_import_onto_a_full_sr_is_taken_back(setting: Make) -> None:
    """VDI_IO_ERROR in the task."""
    at = setting(hosts=1)
    vm = guest(at)
    at.pool.control.fill_disk(disks_of(at, vm)[0])
    body, before = exported(at, vm), at.client("VDI.get_all")
    at.pool.control.sr_free("Shared SR", MIB)
    ref = task(at)
    put(at, body, "/import", task_id=ref)
    assert error_of(at, ref) == ["VDI_IO_ERROR", "Device I/O errors"]
    assert at.client("VDI.get_all") == before


def test_metadata_of_a_vm_bring_its_snapshots_back(setting: Make) -> None:
    """As snapshots of the new VM, on the disks that are there; a dry run makes nothing."""
    at = setting(hosts=1)
    vm = guest(at)
    at.client("VM.snapshot", vm, "snapshot", [])
    meta = get(at, "/export_metadata", ref=vm)[2]
    everything = at.client("VM.get_all")
    assert imported(at, meta, "/import_metadata", dry_run="true") == []
    assert at.client("VM.get_all") == everything
    (copy,) = imported(at, meta, "/import_metadata")
    (snapshot,) = at.client("VM.get_snapshots", copy)
    assert at.client("VM.get_is_a_snapshot", snapshot) is True
    assert disks_of(at, copy) == disks_of(at, vm)


def test_metadata_without_the_disk_are_refused(setting: Make) -> None:
    """VDI_LOCATION_MISSING names the SR and the location."""
    at = setting(hosts=1)
    vm = guest(at)
    meta, vdi, ref = get(at, "/export_metadata", ref=vm)[2], disks_of(at, vm)[0], task(at)
    location = at.client("VDI.get_location", vdi)
    at.client("VDI.destroy", vdi)
    put(at, meta, "/import_metadata", task_id=ref)
    assert error_of(at, ref) == ["VDI_LOCATION_MISSING", at.client.find("SR", "Shared SR"), location]


def test_metadata_of_a_snapshot_alone_are_refused(setting: Make) -> None:
    """A 500 and OPERATION_NOT_ALLOWED in the task."""
    at = setting(hosts=1)
    snapshot, ref = at.client("VM.snapshot", guest(at), "snapshot", []), task(at)
    assert get(at, "/export_metadata", ref=snapshot, task_id=ref)[0] == 500
    assert error_of(at, ref)[0] == "OPERATION_NOT_ALLOWED"


def test_a_network_that_is_not_there_is_made(setting: Make) -> None:
    """With the name of the one that the VM was on."""
    at = setting(hosts=1)
    network = at.pool.add_network("lost")
    vm = guest(at, network="lost")
    body = exported(at, vm)
    at.pool.destroy_vm(vm)
    at.client("network.destroy", network)
    (copy,) = imported(at, body)
    (vif,) = at.client("VM.get_VIFs", copy)
    assert at.client("network.get_name_label", at.client("VIF.get_network", vif)) == "lost"


def test_an_import_that_breaks_halfway_is_taken_back(setting: Make) -> None:
    """Whatever the connection's end was, only the task tells."""
    at = setting(hosts=1)
    body, before, ref = exported(at, guest(at)), at.client("VDI.get_all"), task(at)
    at.pool.control.break_stream("import", 1_500_000, ["VDI_IO_ERROR", "Device I/O errors"])
    put(at, body, "/import", task_id=ref)
    assert error_of(at, ref)[0] == "VDI_IO_ERROR"
    assert at.client("VDI.get_all") == before


@pytest.mark.parametrize(
    ("text", "digest"),
    [("", "EF46DB3751D8E999"), ("a", "D24EC4F1A98C6E5B"), ("Nobody inspects the spammish repetition", "FBCEA83C8A378BF1")],
)
def test_checksums_are_xxh64(text: str, digest: str) -> None:
    """The values that the algorithm's other implementations give."""
    assert xxh64.in_python(text.encode()) == xxh64.checksum(text.encode()) == digest


def test_both_ways_to_a_checksum_agree() -> None:
    """On lengths around every boundary."""
    noise = hashlib.shake_128(b"noise").digest(300)
    assert all(xxh64.in_python(noise[:length]) == xxh64.checksum(noise[:length]) for length in range(300))
