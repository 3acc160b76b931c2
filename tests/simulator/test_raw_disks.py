"""GET /export_raw_vdi and PUT /import_raw_vdi beyond what the transcripts hold."""

import socket
import threading
import urllib.parse

import pytest

from orchestrator.simulator import space
from orchestrator.simulator.contents import BLOCK

from .conftest import Make, wait_until
from .moving import MIB, attach, changed, disk, disks_of, get, put, send


def test_a_snapshot_keeps_what_was_there(setting: Make) -> None:
    """Writing to the disk afterwards does not change it; a clone starts with the same bytes."""
    at = setting(hosts=1)
    vdi = disk(at)
    put(at, b"old" * 1000, vdi=vdi)
    snapshot, clone = at.client("VDI.snapshot", vdi, {}), at.client("VDI.clone", vdi, {})
    put(at, b"new" * 1000, vdi=vdi)
    assert [get(at, vdi=one)[2][:3] for one in (vdi, snapshot, clone)] == [b"new", b"old", b"old"]


def test_reverting_a_vm_brings_the_bytes_back(setting: Make) -> None:
    """The new disk has what the snapshot's has."""
    at = setting(hosts=1)
    vm = at.pool.add_vm("vm", network=None, running=False, disk=False)
    small = disk(at)
    attach(at, vm, small)
    put(at, b"old", vdi=small)
    snapshot = at.client("VM.snapshot", vm, "snapshot", [])
    put(at, b"new", vdi=small)
    at.client("VM.revert", snapshot)
    assert get(at, vdi=disks_of(at, vm)[0])[2][:3] == b"old"


def test_changed_blocks_are_those_that_were_written(setting: Make) -> None:
    """One bit for 64 KiB, also when the earlier snapshot's data is gone."""
    at = setting(hosts=1)
    vdi = disk(at)
    at.client("VDI.enable_cbt", vdi)
    earlier = at.client("VDI.snapshot", vdi, {})
    put(at, bytes(3 * BLOCK) + b"x" * (BLOCK + 1), vdi=vdi)
    later = at.client("VDI.snapshot", vdi, {})
    assert changed(at, earlier, later) == [3, 4]
    at.client("VDI.data_destroy", earlier)
    assert changed(at, earlier, later) == [3, 4]


def test_a_worlds_disks_are_sparse_and_stay_the_same(setting: Make) -> None:
    """About a quarter of it is data; its snapshot has the same."""
    at = setting(hosts=1)
    vm = at.pool.add_vm("vm", network=None, running=False)
    snapshot = at.client("VM.snapshot", vm, "snapshot", [])
    first, copy = (space.content(at.pool.database, vdi).read(0, 8 * MIB) for vdi in (disks_of(at, vm)[0], disks_of(at, snapshot)[0]))
    empty = sum(first[offset : offset + BLOCK] == bytes(BLOCK) for offset in range(0, 8 * MIB, BLOCK))
    assert first == copy
    assert 64 < empty < 128


def test_a_resized_disk_is_empty_where_it_grew(setting: Make) -> None:
    """And what it had is still there."""
    at = setting(hosts=1)
    vdi = disk(at)
    put(at, b"x" * MIB, vdi=vdi)
    at.client("VDI.resize", vdi, 2 * MIB)
    assert get(at, vdi=vdi)[2] == b"x" * MIB + bytes(MIB)


def test_the_other_host_can_be_asked_where_the_redirect_points(setting: Make) -> None:
    """It is answered there by TLS, with the same session."""
    at = setting(hosts=2)
    vdi = disk(at)
    put(at, b"here", vdi=vdi)
    (pbd,) = (ref for ref, row in at.client("PBD.get_all_records").items() if row["host"] == at.host(1))
    at.client("PBD.unplug", pbd)
    status, headers, _ = get(at, vdi=vdi)
    assert status == 302
    there = urllib.parse.urlsplit(headers["location"])
    query = dict(urllib.parse.parse_qsl(there.query))
    assert send(f"{there.scheme}://{there.netloc}", "GET", there.path, query)[2][:4] == b"here"


def test_a_reader_may_not_read_disks(setting: Make) -> None:
    """403, and the task says RBAC_PERMISSION_DENIED."""
    at = setting(hosts=1, users={"reader": ("hush", "read-only")})
    vdi = disk(at)
    task = at.client("task.create", "export", "")
    reader = at.client.raw("session.login_with_password", "reader", "hush", "1.0", "tests")
    status, _, _ = send(at.pool.url, "GET", "/export_raw_vdi", {"session_id": reader, "vdi": vdi, "task_id": task})
    assert status == 403
    assert at.client("task.get_error_info", task)[0] == "RBAC_PERMISSION_DENIED"


def test_a_disk_is_busy_during_its_export_and_a_little_after(setting: Make) -> None:
    """Domain 0 has it by a VBD; VDI_IN_USE meanwhile."""
    at = setting(hosts=1, speed=0.1)
    vdi = disk(at)
    get(at, vdi=vdi)
    assert at.client.refusal("VDI.destroy", vdi) == ["VDI_IN_USE", vdi, "destroy"]
    wait_until(lambda: at.client("VDI.get_VBDs", vdi) == [])
    at.client("VDI.destroy", vdi)


def test_a_disk_that_runs_on_another_host_is_not_to_be_had(setting: Make) -> None:
    """The 200 is out by then: only the task tells, and junk in the body."""
    at = setting(hosts=2)
    vm = at.pool.add_vm("vm", network=None, host="host2")
    task = at.client("task.create", "export", "")
    status, _, body = get(at, vdi=disks_of(at, vm)[0], task_id=task)
    assert status == 200
    assert body.startswith(b"HTTP/1.1 500 Internal Error\r\n")
    assert at.client("task.get_error_info", task)[0] == "SR_BACKEND_FAILURE_46"


def test_domain_0_may_read_what_runs_on_its_own_host(setting: Make) -> None:
    """It is exempt from the sharing check; the VM keeps its disk."""
    at = setting(hosts=1)
    vm, vdi = at.pool.add_vm("vm", network=None, running=False, disk=False), disk(at)
    vbd = attach(at, vm, vdi)
    at.client("VM.start", vm, False, False)
    assert len(get(at, vdi=vdi)[2]) == MIB
    at.client.until("VDI.get_VBDs", vdi, gives=[vbd])
    assert at.client("VBD.get_currently_attached", vbd) is True


def test_a_cancelled_transfer_ends_early(setting: Make) -> None:
    """The task is cancelled, the body short of the disk."""
    at = setting(hosts=1, speed=1.0)
    vdi = disk(at, 512 * MIB)
    task = at.client("task.create", "export", "")
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(get(at, vdi=vdi, task_id=task)[2]))
    thread.start()
    wait_until(lambda: at.client("task.get_progress", task) > 0)
    at.client("task.cancel", task)
    thread.join(60)
    assert at.client("task.get_status", task) == "cancelled"
    assert len(got[0]) < 512 * MIB


def test_a_format_the_simulator_cannot_make_fails_in_the_task(setting: Make) -> None:
    """Not with a body that looks whole."""
    at = setting(hosts=1)
    task = at.client("task.create", "export", "")
    status, headers, _ = get(at, vdi=disk(at), format="qcow2", task_id=task)
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    assert at.client("task.get_error_info", task)[0] == "NOT_IMPLEMENTED"


@pytest.mark.parametrize("query", [{}, {"sr_id": "OpaqueRef:bad"}, {"format": "vhd"}])
def test_a_new_disk_wants_an_sr_and_raw_bytes(query: dict[str, str], setting: Make) -> None:
    """400 otherwise."""
    assert put(setting(hosts=1), b"x" * 512, **query) == 400


def test_an_export_that_fails_halfway_looks_whole_to_who_does_not_look(setting: Make) -> None:
    """200, some of the disk and then a page; only the task tells."""
    at = setting(hosts=1)
    vdi, task = disk(at, 8 * MIB), at.client("task.create", "export", "")
    at.pool.control.fail("export_raw_vdi", ["VDI_IO_ERROR", "Device I/O errors"])
    status, _, body = get(at, vdi=vdi, task_id=task)
    assert status == 200
    assert body[4 * MIB :].startswith(b"HTTP/1.1 500 Internal Error")
    assert at.client("task.get_error_info", task) == ["VDI_IO_ERROR", "Device I/O errors"]
    assert len(get(at, vdi=vdi)[2]) == 8 * MIB


def test_an_export_that_is_cut_ends_as_one_that_is_done(setting: Make) -> None:
    """With a close; the task fails, and the disk is free again."""
    at = setting(hosts=1)
    vdi, task = disk(at, 8 * MIB), at.client("task.create", "export", "")
    at.pool.control.cut("export_raw_vdi", "after")
    assert len(get(at, vdi=vdi, task_id=task)[2]) == 4 * MIB
    at.client.until("task.get_status", task, gives="failure")
    at.client.until("VDI.get_VBDs", vdi, gives=[])


def test_an_import_into_a_disk_goes_as_far_as_the_body(setting: Make) -> None:
    """A client that goes away leaves what it sent, and a failed task."""
    at = setting(hosts=1)
    vdi, task = disk(at), at.client("task.create", "import", "")
    address = urllib.parse.urlsplit(at.pool.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        path = f"/import_raw_vdi?session_id={at.client.session}&vdi={vdi}&task_id={task}"
        connection.sendall(f"PUT {path} HTTP/1.1\r\nContent-Length: {MIB}\r\n\r\n".encode() + b"begun")
    at.client.until("task.get_status", task, gives="failure")
    assert get(at, vdi=vdi)[2][:6] == b"begun\0"
