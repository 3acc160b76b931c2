"""What assign-vf and release-vf would do to a VM, said before anything is touched."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from workflows import addressing, admission, assign, downtime, objections, release
from workflows.accounts import Ledger, PortAccount
from workflows.downtime import When
from workflows.objects import VM
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.policy import Policy
from workflows.ports import Gone, Pool, PortLook
from workflows.workflow import Data
from workflows.world import World

GUARD = ("VM.add_to_blocked_operations",)
UNGUARD = ("VM.remove_from_blocked_operations", "VM.update_allowed_operations")
NOBODY = UUID(int=0)


class Imagined:
    """A ledger that promises as the real one would, and writes nothing."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def account(self, look: PortLook) -> PortAccount:
        """As it is."""
        return self._ledger.account(look)

    def promised_to(self, vm: str, by: UUID | None = None) -> Mapping[str, int]:
        """As it is."""
        return self._ledger.promised_to(vm, by)

    def promise(self, look: PortLook, vm: str, count: int, run_id: UUID) -> bool:  # noqa: ARG002 - as the ledger's
        """Whether it would be promised."""
        held = look.taken_by(vm)
        own = max(0, self._ledger.promised_to(vm).get(look.port, 0) - held)
        return count <= look.remaining + held - (self._ledger.account(look).promised - own)

    def keep(self, vm: str, by: UUID | None = None) -> None:
        """Nothing was promised."""


def of_assignment(pool: Pool, ledger: Ledger, policy: Policy, request: Request, now: datetime) -> Plan:
    """The plan of a request of `assign.request`."""
    data, title = request.data, f"{request.workflow} of {request.title}"
    try:
        vm = pool.vm(data["vm"])
    except Gone:
        return Plan(title, (), refusals=(f"VM {data['vm_name']} ({data['vm']}) is not in the pool",))
    seen, looks = assign.seen(pool), pool.look_at_ports()
    there = addressing.at(vm, data["network"], data["device_asked"], data["mac_asked"])
    against = objections.to_assignment(vm, assign.asked(data), seen)
    finished = None if against else assign.already(vm, data)
    if finished:
        return Plan(title, (f"nothing: {finished.message}",))
    names = (data["network_name"], seen.name(data["below"]))
    against = against or list(objections.to_ports(data["network"], data["below"], names, looks))
    if against:
        return Plan(title, (), (), tuple(against))
    world = World(NOBODY, request.title, now, pool, cast("Ledger", Imagined(ledger)), policy, lambda _: None)
    place = admission.ask(world, vm, admission.demand(vm, None if there else data["network"]), (looks, seen.vms))
    refusals: tuple[str, ...] = ()
    if isinstance(place, admission.Full) and not place.moving and policy.assignment.full == "refuse":  # what moves the run gives time
        refusals = (place.reason,)
    on = data["network_name"]
    vif = f"take its VIF on {on} over, with its QoS" if there else f"create a VIF on {on}: {_address(vm, data)}{_limit(policy, data)}"
    sentences = (_promise(place, looks, data["network"]), _moment(vm, policy, data, now), vif, _return(vm, data["when"]))
    return Plan(title, sentences, _calls(vm, data["when"], [] if there else ["VIF.create"]), refusals)


def of_release(pool: Pool, policy: Policy, request: Request, now: datetime) -> Plan:
    """The plan of a request of `release.request`."""
    data, title = request.data, f"{request.workflow} of {request.title}"
    try:
        vm = pool.vm(data["vm"])
    except Gone:
        return Plan(title, (), refusals=(f"VM {data['vm_name']} ({data['vm']}) is not in the pool",))
    against = tuple(release.objections_to(vm, data["asked"], data["when"]))
    vifs = release.chosen(vm, data["asked"])
    if against or not vifs:
        return Plan(title, () if against else ("nothing: none of its VIFs is on an SR-IOV network",), (), against)
    gone = ", ".join(f"{vif.device} ({vif.MAC}, on {vif.network_name})" for vif in vifs)
    calls = ["VIF.destroy"] * len(vifs)
    if any(vif.currently_attached for vif in vifs):
        sentences = (_moment(vm, policy, data, now), f"destroy VIFs {gone}", _return(vm, data["when"], took=False))
        return Plan(title, sentences, _calls(vm, data["when"], calls))
    return Plan(title, (f"destroy VIFs {gone}, which are not attached",), (*GUARD, *calls, *UNGUARD))


def _address(vm: VM, data: Data) -> str:
    device = data["device_asked"] or addressing.free_device(vm)
    mac = data["mac_asked"] or addressing.derived(vm.uuid, data["network"], data["device_asked"], {vif.MAC.lower() for vif in vm.vifs})
    return f"device {device}, MAC {mac}"


def _limit(policy: Policy, data: Data) -> str:
    limited = assign.limit(policy, data)
    return f", limited to {limited['qos_algorithm_params']['kbps']} kbps where the NIC's driver can limit a VF" if limited else ""


def _promise(place: admission.Place | admission.Full, looks: Iterable[PortLook], network: str) -> str:
    if isinstance(place, admission.Full):
        return f"promise it a VF: {place.reason}"
    free = "; ".join(f"{look.name}: {look.remaining} free" for look in looks if look.attached and network in look.networks)
    return f"promise it its VFs of {', '.join(place.ports)} ({free})"


def _moment(vm: VM, policy: Policy, data: Data, now: datetime) -> str:
    """When it is touched, and what that costs it."""
    if vm.power_state == "Halted":
        return "it is halted: block its start for a moment"
    if data["when"] == When.next_halt:
        return "wait until somebody halts it (a reboot is no halt), its start blocked already, so that it cannot start without the VIF"
    then = "pull the plug" if data["force"] else "give up, and leave it as it was"
    down = f"block its start and shut it down; a guest that takes longer than {policy.assignment.shutdown}: {then}"
    if data["when"] == When.now:
        return down
    opening, name = downtime.opening(policy, data["when"], now), downtime.window_named(data["when"])
    if opening.lasts(now, policy.assignment.shutdown):
        return f"at once, as window {opening.name} is open until {opening.closes:%Y-%m-%d %H:%M} UTC: {down}"
    opens = f"opens at {opening.opens:%Y-%m-%d %H:%M} UTC" if opening.opens else "opens: none ever does"
    return f"wait until {f'maintenance window {name}' if name else 'a maintenance window'} {opens}, then {down}"


def _return(vm: VM, when: str, *, took: bool = True) -> str:
    if not _goes_down(vm, when):
        return "let it be started again; it is left halted" + (", and takes its VF when it starts" if took else "")
    return "start it again, and see in VM.attached_PCIs " + ("that it holds its VFs" if took else "that it holds no VF more than it should")


def _goes_down(vm: VM, when: str) -> bool:
    return vm.power_state != "Halted" and when != When.next_halt


def _calls(vm: VM, when: str, middle: Sequence[str]) -> tuple[str, ...]:
    down = _goes_down(vm, when)
    return (*GUARD, *(["VM.clean_shutdown"] * down), *middle, *UNGUARD, *(["VM.start_on"] * down))
