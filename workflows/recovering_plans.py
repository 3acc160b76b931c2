"""What would put a VM, a snapshot or a host right that a lost run has left, said before anything is touched."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from workflows import backup_snapshots, booting, guests, parking, powering, put_right, release_backup, starting
from workflows.backup_plans import ERASE, GUARD, UNGUARD
from workflows.objects import VM
from workflows.outcome import Finish, Refuse, Request
from workflows.plan import Plan
from workflows.policy import BackupPolicy
from workflows.ports import Gone, Pool
from workflows.workflow import Data

DISINHERIT = ("VM.remove_tags", "VM.remove_from_other_config")
REMOVE = ("VM.add_tags", "VDI.destroy", "VM.destroy")


Homes = Callable[[str], Sequence[parking.Noted]]
"""What our rows know of the VIFs of a VM (uuid): `Ledger.homes`."""


def of_recovering(pool: Pool, policy: BackupPolicy, request: Request, now: datetime, homes: Homes) -> Plan:
    """The plan of a request that `vfo recover` would make: of put-right, release-backup or bring-back."""
    if request.workflow == put_right.NAME:
        return of_putting_right(pool, policy, request, now, homes)
    if request.workflow == release_backup.NAME:
        return _of_releasing(request, now)
    return _of_bringing_back(pool, request)


def of_putting_right(pool: Pool, policy: BackupPolicy, request: Request, now: datetime, homes: Homes) -> Plan:
    """The plan of a request of `put_right.request`; the refusals are the run's own."""
    title, data = _title(request), dict(request.data)
    try:
        vm = pool.vm(data["vm"])
    except Gone:
        return Plan(title, ("nothing: the VM is gone",))
    said = put_right.judge(pool, vm, data, now, homes(vm.uuid))
    if isinstance(said, Refuse):
        return Plan(title, (), (), (said.reason,))
    if isinstance(said, Finish):
        return Plan(title, (f"nothing: {said.message}",))
    moving = sorted(powering.CHANGING.intersection(vm.current_operations))
    wait = [f"wait until {', '.join(moving)} is over on the VM"] if moving else []
    if data.get("only_note"):
        return Plan(title, (*wait, said.message, "take our note off it"), ERASE)
    heir = backup_snapshots.inherited(vm) is not None
    return Plan(title, (*wait, said.message, *_sentences(pool, policy, vm, data), *_left(vm, data, heir=heir)), _calls(vm, data, heir=heir))


def _title(request: Request) -> str:
    return f"{request.workflow} of {request.title}"


def _goes_down(vm: VM, data: Data) -> bool:
    """Whether the run itself halts it."""
    return vm.power_state != "Halted" and not data["at_next_halt"] and bool(parking.displaced(vm, data))


def _starts(vm: VM, data: Data) -> bool:
    """Whether the run starts it: it ran, and is halted or will be by the run."""
    return bool(data["ran"]) and (vm.power_state == "Halted" or _goes_down(vm, data))


def _sentences(pool: Pool, policy: BackupPolicy, vm: VM, data: Data) -> list[str]:
    wrong = parking.displaced(vm, data)
    names = {network.uuid: network.name for network in pool.networks()} if wrong else {}
    said = []
    if wrong and vm.power_state != "Halted":
        patience = f"shut it down, waiting {policy.shutdown_patience} for its guest"
        said.append("wait until somebody halts it" if data["at_next_halt"] else patience)
    said += [_moved(place, names) for place in wrong]
    if _starts(vm, data):
        where = "where it ran" if data["host"] else "where there is room"
        said.append(f"start it {where}; if its VF is gone: {', '.join(policy.no_vf)}")
    elif vm.power_state == "Halted" or wrong:
        said.append("leave it halted")
    return [*said, "see that every field of its VIFs is as it was" + (", and that it holds its VFs" if data["ran"] else "")]


def _moved(place: parking.Place, names: Mapping[str, str]) -> str:
    to = names.get(place.network, place.network)
    return f"move {place} from {place.vif.network_name} to {to}" if place.vif else f"make {place} anew on {to}"


def _left(vm: VM, data: Data, *, heir: bool) -> list[str]:
    ours = _blocks(vm, data)
    said = [f"take its block off ({', '.join(ours)})"] if ours else []
    said += ["take our note off it"] if parking.NOTE in vm.other_config else []
    return [*said, *(["take off the tag and the note that it has from a snapshot of ours"] if heir else [])]


def _blocks(vm: VM, data: Data) -> list[str]:
    reason = starting.reason(data.get("blocked_by"))
    return sorted(operation for operation, why in vm.blocked_operations.items() if why == reason)


def _calls(vm: VM, data: Data, *, heir: bool) -> tuple[str, ...]:
    down = ("VM.clean_shutdown",) if _goes_down(vm, data) else ()
    moves = ["VIF.move" if place.vif else "VIF.create" for place in parking.displaced(vm, data)]
    blocks = ["VM.remove_from_blocked_operations"] * len(_blocks(vm, data))
    up = ["VM.start_on"] if _starts(vm, data) else ["VM.update_allowed_operations"] * bool(blocks)
    return (*down, *moves, *blocks, *up, *ERASE, *(DISINHERIT if heir else ()))


def _of_releasing(request: Request, now: datetime) -> Plan:
    """Of a snapshot whose run was lost (`release_backup.again`)."""
    data, until = request.data, datetime.fromisoformat(request.data["until"])
    hold = f"hold the snapshot until {until:%Y-%m-%d %H:%M} UTC or `vfo backup release`" if now < until else "its time is over"
    vifs = ", ".join(f"{vif['device']} ({vif['MAC']})" for vif in data["vifs"])
    back = [f"shut the VM down if it runs, put VIFs {vifs} back on their networks, and start it again"] if data["failed_over"] else []
    moves = ("VIF.move",) * len(data["vifs"])
    calls = (*GUARD, "VM.clean_shutdown", *moves, *UNGUARD[: len(GUARD)], "VM.start_on", *ERASE) if data["failed_over"] else ()
    return Plan(_title(request), (hold, *back, "destroy the snapshot with its disks"), (*calls, *REMOVE))


def _of_bringing_back(pool: Pool, request: Request) -> Plan:
    """Of a host that a lost run has rebooted, and the VMs that wait for it."""
    uuid = request.data["host"]
    host = next((one for one in pool.hosts() if one.uuid == uuid), None)
    notes = [(vm, note) for vm in pool.marked() if (note := guests.restart_note(vm)) is not None and note["host"] == uuid]
    waiting = [vm.name for vm, _ in notes if vm.power_state == "Halted"]
    opens = host is not None and not host.enabled and bool(booting.mark(host).get("was_enabled"))
    said = ["wait until it is up"] if host is not None and not host.live else []
    said += ["let VMs start there again"] * opens
    said += [f"start {', '.join(waiting)} there, or where there is room"] if waiting else []
    mark = ("host.remove_from_other_config",) if host is not None and booting.AT_WORK in host.other_config else ()
    calls = (*("host.enable",) * opens, *("VM.start_on",) * len(waiting), *ERASE * len(notes), *mark)
    return Plan(_title(request), (*said, "take our marks away"), calls)
