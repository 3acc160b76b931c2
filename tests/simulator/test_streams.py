"""Transfers that go wrong by order: slow ones, those that break, disks that stay busy."""

import socket
import urllib.parse

from .conftest import Make, wait_until
from .moving import MIB, disk, error_of, get, put, send, task

ERROR = ["VDI_IO_ERROR", "Device I/O errors"]


def test_a_stream_breaks_after_exactly_so_many_bytes(setting: Make) -> None:
    """The 200 was sent; the task fails, and the next transfer is whole."""
    at = setting(hosts=1)
    vdi, ref = disk(at, 4 * MIB), task(at)
    at.pool.control.break_stream("export_raw_vdi", MIB + 17, match=vdi)
    status, _, body = get(at, vdi=vdi, task_id=ref)
    assert (status, len(body)) == (200, MIB + 17)
    assert at.client.finish(ref)["status"] == "failure"
    assert len(get(at, vdi=vdi)[2]) == 4 * MIB


def test_a_stream_that_breaks_with_an_error_goes_on_with_a_page(setting: Make) -> None:
    """As xapi's own failures do: only the task tells."""
    at = setting(hosts=1)
    vdi, ref = disk(at, 4 * MIB), task(at)
    at.pool.control.break_stream("export_raw_vdi", 1000, ERROR)
    _, _, body = get(at, vdi=vdi, task_id=ref)
    assert body[1000:].startswith(b"HTTP/1.1 500 Internal Error")
    assert error_of(at, ref) == ERROR


def test_an_import_that_breaks_has_written_what_came_before(setting: Make) -> None:
    """And no more."""
    at = setting(hosts=1)
    vdi, ref = disk(at), task(at)
    at.pool.control.break_stream("import_raw_vdi", 1000, ERROR)
    put(at, b"x" * MIB, vdi=vdi, task_id=ref)
    assert error_of(at, ref) == ERROR
    assert get(at, vdi=vdi)[2] == b"x" * 1000 + bytes(MIB - 1000)


def test_a_slow_stream_takes_its_time(setting: Make) -> None:
    """A client that has had the first bytes finds the task far from its end; one that goes ends it."""
    at = setting(hosts=1)
    vdi, ref = disk(at), task(at)
    at.pool.control.slow_stream("export_raw_vdi", 100_000, times=1)
    address = urllib.parse.urlsplit(at.pool.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"GET /export_raw_vdi?session_id={at.client.session}&vdi={vdi}&task_id={ref} HTTP/1.1\r\n\r\n".encode())
        wait_until(lambda: at.client("task.get_progress", ref) > 0)
        assert at.client("task.get_progress", ref) < 0.5
        assert at.client("task.get_status", ref) == "pending"
    assert at.client.finish(ref)["status"] == "failure"


def test_a_disk_can_stay_busy_after_a_transfer(setting: Make) -> None:
    """VDI_IN_USE for as long as was ordered, whatever the pool's speed."""
    at = setting(hosts=1)
    vdi = disk(at)
    at.pool.control.busy_after_transfer(1.0)
    get(at, vdi=vdi)
    assert at.client.refusal("VDI.destroy", vdi) == ["VDI_IN_USE", vdi, "destroy"]
    wait_until(lambda: at.client("VDI.get_VBDs", vdi) == [])
    at.client("VDI.destroy", vdi)


def test_an_error_finds_a_transfer_without_a_middle(setting: Make) -> None:
    """Metadata have no disks to be halfway through."""
    at = setting(hosts=1)
    vm, ref = at.pool.add_vm("vm", network=None, running=False), task(at)
    at.pool.control.fail("export_metadata", ERROR)
    get(at, "/export_metadata", ref=vm, task_id=ref)
    assert error_of(at, ref) == ERROR
    assert at.client("VM.get_current_operations", vm) == {}


def test_a_secure_stream_has_the_same_bytes(setting: Make) -> None:
    """TLS goes another way to the wire."""
    at = setting(hosts=1)
    vdi = disk(at, 4 * MIB)
    at.pool.control.change_disk(vdi, 0.3)
    plain = get(at, vdi=vdi)[2]
    secure = send(at.pool.server.secure_url(at.host(1)), "GET", "/export_raw_vdi", {"session_id": at.client.session, "vdi": vdi})
    assert secure[2] == plain
