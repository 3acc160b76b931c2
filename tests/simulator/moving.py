"""Disks over HTTP, as a client that moves them does it."""

import base64
import contextlib
import http.client
import ssl
import urllib.parse
from typing import Any

from .conftest import NULL, Setting

MIB = 1 << 20


def send(url: str, verb: str, path: str, query: dict[str, str], body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name, body; https trusts anybody."""
    address = urllib.parse.urlsplit(url)
    assert address.hostname is not None
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        connection = http.client.HTTPSConnection(address.hostname, address.port, timeout=20, context=ssl._create_unverified_context())
    else:
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    with contextlib.closing(connection):
        connection.request(verb, f"{path}?{urllib.parse.urlencode(query)}", body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def get(at: Setting, path: str = "/export_raw_vdi", **query: str) -> tuple[int, dict[str, str], bytes]:
    """GET with the client's session."""
    return send(at.pool.url, "GET", path, {"session_id": at.client.session, **query})


def put(at: Setting, body: bytes, path: str = "/import_raw_vdi", **query: str) -> int:
    """PUT with the client's session; the status."""
    return send(at.pool.url, "PUT", path, {"session_id": at.client.session, **query}, body)[0]


def task(at: Setting) -> str:
    """A task of the client's own."""
    return str(at.client("task.create", "transfer", ""))


def error_of(at: Setting, ref: str) -> list[str]:
    """What the task failed with, once it is over."""
    return list(at.client.finish(ref)["error_info"])


def disk(at: Setting, size: int = MIB, **more: Any) -> str:
    """An empty disk on the shared SR."""
    record = {"name_label": "disk", "name_description": "", "SR": at.client.find("SR", "Shared SR"), "virtual_size": size, "type": "user"}
    record |= {"sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": [], **more}
    return str(at.client("VDI.create", record))


def attach(at: Setting, vm: str, vdi: str, device: str = "0") -> str:
    """A VBD of the VM with the disk."""
    record = {"VM": vm, "VDI": vdi, "userdevice": device, "bootable": True, "mode": "RW", "type": "Disk", "empty": False}
    record |= {"unpluggable": True, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    return str(at.client("VBD.create", record))


def disks_of(at: Setting, vm: str) -> list[str]:
    """The VM's disks in order of device."""
    records = sorted((at.client("VBD.get_record", vbd) for vbd in at.client("VM.get_VBDs", vm)), key=lambda row: row["userdevice"])
    return [row["VDI"] for row in records if row["VDI"] != NULL]


def changed(at: Setting, earlier: str, later: str) -> list[int]:
    """The numbers of the blocks that VDI.list_changed_blocks says are different."""
    bitmap = base64.b64decode(at.client("VDI.list_changed_blocks", earlier, later))
    return [number for number in range(len(bitmap) * 8) if bitmap[number // 8] & 0x80 >> number % 8]
