"""The way there and back: VMs with ext4 disks are saved by policy, changed, saved again, deleted, and come back by command."""

import base64
import json
import os
import random
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.config.load import load
from orchestrator.demo.actors import Process
from orchestrator.xapi.transfers import PoolTransfers
from state import backups
from state.backups import Backup
from tests.journey.lab import Lab, wait_until
from tests.journey.scenes import Hands, hands
from tests.services import typist
from workflows.objects import VM

MIB = 1 << 20
EXTENT = 1 << 16
BLOCK = 1 << 12
PRODUCTS = ("borg", "restic")
TABLES = """
[products.{name}]
plugin = "{name}"
repository = "{folder}/{name}"
passphrase = "only a test"

[policies.{name}]
vms = {{ names = ["*"] }}
mode = "online"
product = "{name}"
"""


def missing() -> str:
    """The programs that are not installed."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return ", ".join(name for name in (*PRODUCTS, "mke2fs", "debugfs") if shutil.which(name, path=path) is None)


WHOLE = """
[products.xva]
plugin = "xva"
directory = "{folder}/xva"

[policies.xva]
vms = {{ names = ["*"] }}
mode = "online"
product = "xva"
"""


def configure(lab: Lab) -> None:
    """Two products that save disks, and one that saves whole VMs; each with a policy of its own name."""
    (lab.folder / "xva").mkdir()
    with lab.config.open("a") as file:
        for name in PRODUCTS:
            file.write(TABLES.format(name=name, folder=lab.folder))
        file.write(WHOLE.format(folder=lab.folder))


def typed(lab: Lab, *words: str) -> tuple[int, str]:
    """Type a command in the lab's folder: its exit code and what it said."""
    done = typist.run(words, lab.folder, timeout=900)
    return done.returncode, done.stdout + done.stderr


def told(lab: Lab, *words: str) -> Any:
    """What a command that must end well says as JSON."""
    code, said = typed(lab, *words, "--json")
    assert code == 0, said
    return json.loads(said)


def image(folder: Path, name: str, size: int) -> bytes:
    """An ext4 filesystem with a host name and a large file of noise, half as large as the disk."""
    source, made = folder / f"source-{name}", folder / f"{name}.img"
    (source / "etc").mkdir(parents=True)
    (source / "etc" / "hostname").write_text(f"{name}\n")
    (source / "noise").write_bytes(random.Random(name).randbytes(size // 2))
    mke2fs = shutil.which("mke2fs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    subprocess.run(
        [str(mke2fs), "-q", "-t", "ext4", "-b", "4096", "-d", str(source), str(made), f"{size // 1024}k"], check=True, capture_output=True
    )
    return made.read_bytes()


@dataclass
class Guest:
    """A VM with one ext4 disk. *contents* are those of its disk; *noise*: where the extents of its file are that may change."""

    vm: VM
    vdi: str
    contents: bytes
    noise: list[int]


def furnish(lab: Lab, here: Hands, vm: VM, size: int) -> Guest:
    """Give the VM that runs with a VF a disk with a filesystem, instead of those it has."""
    call, ref = here.client.call, here.ref("VM", vm.uuid)
    contents = image(lab.folder, vm.name, size)
    call("VM.hard_shutdown", ref)
    for disk in here.port.disks(vm.uuid):
        call("VDI.destroy", call("VDI.get_by_uuid", disk.uuid))
    record = {
        "name_label": f"{vm.name} root", "name_description": "", "SR": next(iter(call("SR.get_all_records"))), "virtual_size": size,
        "type": "user", "sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": [],
    }  # fmt: skip
    place = {
        "VM": ref, "VDI": call("VDI.create", record), "userdevice": "0", "mode": "RW", "type": "Disk", "bootable": True, "empty": False,
        "unpluggable": True, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
    }  # fmt: skip
    call("VBD.create", place)
    uuid = str(call("VDI.get_uuid", place["VDI"]))
    with opened(lab) as transfers:
        transfers.write_disk(uuid, size, lambda: _stream(contents), lambda _: None)
    call("VM.start", ref, False, False)
    return Guest(here.port.vm(vm.uuid), uuid, contents, _extents(contents, random.Random(vm.name).randbytes(size // 2)))


def _stream(contents: bytes) -> Any:
    import io

    return io.BytesIO(contents)


def _extents(contents: bytes, noise: bytes) -> list[int]:
    """Where 64 KiB of the disk are all the file's."""
    own = {noise[at : at + BLOCK] for at in range(0, len(noise), BLOCK)}
    return [
        at
        for at in range(0, len(contents) - EXTENT, EXTENT)
        if all(contents[here : here + BLOCK] in own for here in range(at, at + EXTENT, BLOCK))
    ]


@contextmanager
def opened(lab: Lab) -> Iterator[PoolTransfers]:
    transfers = PoolTransfers(load(lab.config).pools["lab"])
    try:
        yield transfers
    finally:
        transfers.close()


def change(lab: Lab, guest: Guest, fraction: float = 0.01, seed: int = 1) -> int:
    """Write noise over so much of the disk, within the file; how many bytes."""
    chosen = random.Random(seed).sample(guest.noise, max(1, round(len(guest.contents) // EXTENT * fraction)))
    contents = bytearray(guest.contents)
    for number, offset in enumerate(chosen):
        data = random.Random(f"{seed}/{number}/{guest.vm.name}").randbytes(EXTENT)
        lab.control("write-disk", vdi=guest.vdi, offset=offset, data=base64.b64encode(data).decode())
        contents[offset : offset + EXTENT] = data
    guest.contents = bytes(contents)
    return len(chosen) * EXTENT


def save(lab: Lab, guests: Sequence[Guest], policy: str) -> list[Backup]:
    """Have the policy save these VMs, as a person types it; the lines of the catalogue, in the order of the VMs."""
    began = datetime.now(UTC)
    code, said = typed(lab, "policy", "run", policy, *(word for guest in guests for word in ("--vm", guest.vm.uuid)), "--wait")
    assert code == 0, said
    with lab.store.read() as session:
        lines = {line.vm: line for line in backups.since(session, began, policy=policy)}
    found = [lines[guest.vm.uuid] for guest in guests]
    assert [line.status for line in found] == ["saved"] * len(found), [line.reason for line in found]
    return found


def digest(lab: Lab, vdi: str) -> str:
    """The SHA-256 of all its bytes, as the simulator has them."""
    body = json.dumps({"vdi": vdi, "digest": True}).encode()
    request = urllib.request.Request(f"{lab.pool.said['control']}/disk", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        said: dict[str, Any] = json.load(answer)
    return str(said["result"]["sha256"])


def delete(lab: Lab, guest: Guest) -> None:
    """Somebody deletes the VM with its disk, by tools that have never heard of us."""
    lab.client.delete(lab.client.call("VM.get_by_uuid", guest.vm.uuid))
    lab.client.call("VDI.destroy", lab.client.call("VDI.get_by_uuid", guest.vdi))


def restored(lab: Lab, guest: Guest, point: str, product: str) -> VM:
    """Get the VM back by command, started, and see that it is what it was; then a file out of the disk, and the checksums."""
    code, said = typed(lab, "backup", "restore", point, "--start", "--wait")
    assert code == 0, said
    vm = came_back(lab, guest)
    target = lab.folder / f"hostname-{product}"
    told(lab, "backup", "files", point, "0", "get", "/etc/hostname", "--to", str(target))
    assert target.read_text() == f"{guest.vm.name}\n"
    assert told(lab, "backup", "verify", point, "--product", product)["sound"]
    return vm


@contextmanager
def serving(lab: Lab) -> Iterator[Process]:
    daemon = lab.serve()
    try:
        yield daemon
    finally:
        daemon.stop()


def furnished(lab: Lab, count: int, size: int) -> list[Guest]:
    """So many VMs that run with a VF, each with its filesystem."""
    with hands(lab) as here:
        running = [vm for vm in here.vms("Running") if vm.held][:count]
        assert len(running) == count, f"{len(running)} VMs run with a VF"
        return [furnish(lab, here, vm, size) for vm in running]


def came_back(lab: Lab, guest: Guest, wait: Callable[[Callable[[], Any], float, str], float] = wait_until) -> VM:
    """The VM of that name, which runs, has its MACs, its VF, and its disk byte by byte."""
    import hashlib

    with hands(lab) as here:
        wait(lambda: any(vm.name == guest.vm.name and vm.held for vm in here.vms("Running")), 30, f"{guest.vm.name} runs with a VF")
        vm = next(vm for vm in here.vms("Running") if vm.name == guest.vm.name)
        assert [vif.MAC.lower() for vif in vm.vifs] == [vif.MAC.lower() for vif in guest.vm.vifs]
        assert len([pci for pci in vm.held if pci.is_vf]) == len(guest.vm.sriov_vifs)
        (disk,) = here.port.disks(vm.uuid)
    assert digest(lab, disk.uuid) == hashlib.sha256(guest.contents).hexdigest()
    return vm
