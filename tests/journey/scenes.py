"""What pools look like that need us: made by a client at a lab's pool, while no daemon looks, with the marks that runs of ours leave."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from orchestrator.config.load import load
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from state import runs
from state.run import Status
from tests.journey.lab import Lab
from workflows import backup_modes, backup_snapshots, booting, guests, parking, put_right, starting
from workflows.objects import VM, Host

THREADS = 4
Thing = TypeVar("Thing")
Made = TypeVar("Made")


class Hands:
    """Somebody at the pool: the raw client, and what steps have."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.port = PoolPort(client)

    def ref(self, cls: str, uuid: str) -> str:
        """The ref of an object."""
        return str(self.client.call(f"{cls}.get_by_uuid", uuid))

    def vms(self, state: str) -> list[VM]:
        """The VMs in this power state that have VIFs on SR-IOV networks, by name."""
        return [vm for vm in self.port.vms() if vm.power_state == state and vm.sriov_vifs]

    def parking(self) -> str:
        """Our parking network, made where there is none."""
        ours = [network.uuid for network in self.port.networks() if network.is_parking]
        return ours[0] if ours else self.port.create_network(parking.NETWORK_NAME, {parking.NETWORK: "true"})


@contextmanager
def hands(lab: Lab) -> Iterator[Hands]:
    """Hands at the lab's pool."""
    client = Client(load(lab.config).pools["lab"])
    try:
        yield Hands(client)
    finally:
        client.close()


def each(things: Iterable[Thing], act: Callable[[Thing], Made]) -> list[Made]:
    """What *act* gives for each of the things, several at a time."""
    with ThreadPoolExecutor(THREADS) as several:
        return list(several.map(act, things))


def ended_run(lab: Lab) -> UUID:
    """A run that is over."""
    with lab.store.write() as session:
        created, _ = runs.create(session, put_right.request("lab", str(uuid4()), "long gone"), now=datetime.now(UTC))
        run = runs.get(session, created.id)
        assert run
        run.status, run.due_at, run.finished_at = Status.DONE, None, datetime.now(UTC)
        return run.id


def note(vm: VM, run_id: UUID, *, ran: bool, **more: Any) -> str:
    """Our note about the VM as it is."""
    data = {"vm": vm.uuid, "ran": ran, "host": vm.resident_on, "vifs": [vif.as_note() for vif in vm.sriov_vifs]}
    return parking.note_of(run_id, data | more)


def park(at: Hands, vm: VM) -> None:
    """Move its VIFs that take VFs to the parking network."""
    for vif in vm.sriov_vifs:
        at.port.move_vif(vif.uuid, at.parking())


def lose(at: Hands, vm: VM, run_id: UUID) -> None:
    """Leave a VM as a run leaves it whose process and rows are lost in the middle of a backup: noted, guarded, halted, its VIFs parked."""
    at.port.note(vm.uuid, parking.NOTE, note(vm, run_id, ran=vm.power_state == "Running"))
    at.port.block(vm.uuid, backup_modes.GUARDED, starting.reason(run_id))
    if vm.power_state != "Halted":
        at.client.call("VM.hard_shutdown", at.ref("VM", vm.uuid))
    park(at, vm)


def snapshot(at: Hands, vm: VM, run_id: UUID, until: timedelta) -> str:
    """The uuid of a snapshot of ours of a halted VM, made while its VIFs were away, to be gone so long from now; the VM is as before."""
    at.port.note(vm.uuid, parking.NOTE, note(vm, run_id, ran=False))
    park(at, vm)
    ref = at.client.call("VM.snapshot", at.ref("VM", vm.uuid), f"vfo backup of {vm.name}", [])
    for vif in vm.sriov_vifs:
        at.port.move_vif(vif.uuid, vif.network)
    at.port.erase(vm.uuid, parking.NOTE)
    uuid = str(at.client.call("VM.get_uuid", ref))
    said = {"snapshot": uuid, "vm": vm.uuid, "run": str(run_id), "until": (datetime.now(UTC) + until).isoformat()}
    at.port.note(uuid, backup_snapshots.NOTE, json.dumps(said))
    at.port.tag(uuid, backup_snapshots.TAG)
    return uuid


def bar(at: Hands, host: Host, vms: Sequence[VM], run_id: UUID) -> None:
    """Leave a host as a run leaves it that is lost while it empties it: marked, disabled, its VMs noted and shut down."""
    mark = {"run": str(run_id), "since": datetime.now(UTC).isoformat(), "was_enabled": True}
    at.port.note_host(host.uuid, booting.AT_WORK, json.dumps(mark))
    at.port.disable_host(host.uuid)
    for vm in vms:
        at.port.note(vm.uuid, guests.RESTART, json.dumps({"vm": vm.uuid, "run": str(run_id), "host": host.uuid}))
        at.client.call("VM.hard_shutdown", at.ref("VM", vm.uuid))
