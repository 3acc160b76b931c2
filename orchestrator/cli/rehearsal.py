"""A simulated pool with a VM, its disks and a snapshot, for plugins to be tried on over the wire that they will meet."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.demo.actors import OtherClient
    from orchestrator.xapi.transfers import PoolTransfers
    from plugins.testing import Sample
    from plugins.values import Disk

SIZES = (1 << 20, 1 << 18)
POOL = "vfo-check"


@contextlib.contextmanager
def sample() -> Iterator[Sample]:
    """A snapshot in a simulated pool, which goes with it."""
    from pydantic import SecretStr

    from orchestrator.demo.actors import OtherClient
    from orchestrator.simulator import SimulatedPool
    from orchestrator.xapi.settings import PoolSettings
    from orchestrator.xapi.transfers import PoolTransfers

    with contextlib.ExitStack() as stack:
        pool = SimulatedPool(hosts=1, vms=1).start()
        stack.callback(pool.stop)
        client = OtherClient(pool.url, pool.user, pool.password)
        stack.callback(client.close)
        transfers = PoolTransfers(PoolSettings(name=POOL, url=pool.url, username=pool.user, password=SecretStr(pool.password)))
        stack.callback(transfers.close)
        yield _taken(client, transfers)


def _taken(client: OtherClient, transfers: PoolTransfers) -> Sample:
    from orchestrator.xapi.transfers_source import PoolSource
    from plugins.testing import Sample
    from plugins.values import Snapshot

    (vm,) = (ref for ref, row in client.call("VM.get_all_records").items() if not (row["is_a_template"] or row["is_control_domain"]))
    if client.call("VM.get_power_state", vm) == "Running":
        client.call("VM.hard_shutdown", vm)
    for vbd in client.call("VM.get_VBDs", vm):
        client.call("VBD.destroy", vbd)
    for number, size in enumerate(SIZES):
        _add_disk(client, transfers, vm, number, size)
    taken = client.call("VM.snapshot", vm, "a snapshot")
    blueprint = {"VM": {"name_label": client.call("VM.get_name_label", vm)}, "VIFs": [], "disks": list(SIZES)}
    moment = datetime.now(UTC).replace(microsecond=0)
    snapshot = Snapshot(client.call("VM.get_uuid", taken), "a snapshot", moment, _disks(client, taken), blueprint)
    return Sample(snapshot, lambda: PoolSource(transfers, snapshot))


def _add_disk(client: OtherClient, transfers: PoolTransfers, vm: str, number: int, size: int) -> None:
    from plugins import testing

    sr = next(ref for ref, row in client.call("SR.get_all_records").items() if row["content_type"] != "iso")
    given = {"name_label": f"disk {number}", "name_description": "", "SR": sr, "virtual_size": str(size), "type": "user", "sharable": False,
             "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": []}  # fmt: skip
    vdi = client.call("VDI.create", given)
    contents = testing.contents(size, number)
    transfers.write_disk(client.call("VDI.get_uuid", vdi), size, lambda: io.BytesIO(contents), lambda _: None)
    drive: dict[str, Any] = {"VM": vm, "VDI": vdi, "userdevice": str(number), "bootable": number == 0, "mode": "RW", "type": "Disk",
             "unpluggable": True, "empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}  # fmt: skip
    client.call("VBD.create", drive)


def _disks(client: OtherClient, taken: str) -> tuple[Disk, ...]:
    from plugins.values import Disk

    drives = [client.call("VBD.get_record", vbd) for vbd in client.call("VM.get_VBDs", taken)]
    drives = sorted((drive for drive in drives if drive["type"] == "Disk"), key=lambda drive: int(drive["userdevice"]))
    found = []
    for number, drive in enumerate(drives):
        vdi = client.call("VDI.get_record", drive["VDI"])
        of = client.call("VDI.get_uuid", vdi["snapshot_of"])
        found.append(Disk(number, drive["userdevice"], vdi["uuid"], of, vdi["name_label"], int(vdi["virtual_size"])))
    return tuple(found)
