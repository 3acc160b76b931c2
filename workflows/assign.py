"""Give a VM a VF on a network: find out whether it can be, promise it, take the VM down if that was asked for, and see that it holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from plugins.errors import GiveUp
from workflows import addressing, admission, downtime, objections, possession
from workflows.downtime import When
from workflows.objects import VIF, VM
from workflows.outcome import DONE, PARENT, Done, Finish, Need, Outcome, Refuse, Request, Wait
from workflows.policy import Policy
from workflows.ports import Gone, Pool
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "assign-vf"
FULL_AGAIN = timedelta(seconds=2)
"""Between two looks that must agree that there is no room."""

IN_MOTION = timedelta(minutes=2)
"""How long numbers that are in motion are given to come to rest."""

WAIT_FOR_ROOM = timedelta(seconds=30)
ADDRESS = {"network", "network_name", "below", "mac_asked", "device_asked", "qos_kbps"}
GIVEN = frozenset({"vm", "vm_name", *ADDRESS, "when", "force", "rule", "not_before", PARENT})


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person or a rule wants. *network* is an SR-IOV network or a VLAN on one, *vlan_network* the VLAN when *network* is below it.

    Networks are uuids. *mac* and *device* are "" where they are to be chosen. *force*: the plug may be pulled. *rule*: the tag of the rule.
    *qos_kbps* limits a VIF that is made (see `limit`); 0: nothing does; None: as `AssignmentPolicy` says.
    """

    network: str
    network_name: str
    vlan_network: str = ""
    mac: str = ""
    device: str = ""
    when: str = When.next_halt
    force: bool = False
    rule: str = ""
    qos_kbps: int | None = None


def request(pool: str, vm: str, vm_name: str, wish: Wish) -> Request:
    """The run that gives the VM a VF. A VM has one at a time for each of its networks, or of the devices that were asked for."""
    network = wish.vlan_network or wish.network
    subject = f"vm:{vm}/network:{network}" + (f"/device:{wish.device}" if wish.device else "")
    data = {
        "vm": vm,
        "vm_name": vm_name,
        "network": network,
        "network_name": wish.network_name,
        "below": wish.network if wish.vlan_network else "",
        "mac_asked": addressing.normal(wish.mac) if wish.mac else "",
        "device_asked": wish.device,
        "when": str(wish.when),
        "force": wish.force,
        "rule": wish.rule,
        "qos_kbps": wish.qos_kbps,
    }
    return Request(NAME, pool, subject, f"VM {vm_name}", data)


def check(world: World, data: Data) -> Outcome:
    """See whether it can be done at all, and is not done already; choose the MAC and device, or keep those that were asked for."""
    begins = datetime.fromisoformat(data["not_before"]) if "not_before" in data else world.now
    downtime.forget_earlier_try(data, GIVEN)
    if world.now < begins:
        return Wait("whoever makes the VM may still be at it", at_most=begins - world.now)
    mac = data["mac_asked"] or addressing.derived(data["vm"], data["network"], data["device_asked"], ())
    if _hold(mac) not in world.held:
        return Need((_hold(mac),))
    sight = seen(world.pool)
    try:
        vm = _of(world.pool, sight.vms, data["vm"])
    except Gone:
        return Refuse(f"VM {data['vm_name']} ({data['vm']}) is not in the pool")
    against = objections.to_assignment(vm, asked(data), sight)
    if against:
        return Refuse("; ".join(against))
    data["below_name"] = sight.name(data["below"])
    return already(vm, data) or _choose(world, data, (vm, sight.vms), mac)


def limit(policy: Policy, data: Data) -> dict[str, Any]:
    """The limit of a VIF that the run makes, as XenAPI writes it; empty when there is none.

    When the VM starts xapi gives a VF kbps/1024, at least 1, as the Mbit/s that it may send (xenopsd, device.ml: NetSriovVf.add). Where
    the NIC's driver cannot do that the VM starts nevertheless, unlimited, and only the host's log says so: XenAPI does not tell.
    """
    asked = data.get("qos_kbps")
    kbps = policy.assignment.qos_kbps if asked is None else asked
    return {"qos_algorithm_type": "ratelimit", "qos_algorithm_params": {"kbps": str(kbps)}} if kbps else {}


def _hold(mac: str) -> str:
    """No other run gives the MAC away meanwhile."""
    return f"mac:{mac}"


def asked(data: Data) -> objections.Asked:
    """What the run is asked for, as objections want it."""
    return objections.Asked(data["network"], data["mac_asked"], data["device_asked"], data["when"] != When.next_halt)


def seen(pool: Pool) -> objections.Seen:
    """A look at everything that may stand against it, but for the ports."""
    vms, networks = pool.census()
    return objections.Seen(pool.facts(), networks, vms)


def _of(pool: Pool, vms: Sequence[VM], uuid: str) -> VM:
    """The VM among all that were read; a template or snapshot is none of them. Raises Gone."""
    return next((vm for vm in vms if vm.uuid == uuid), None) or pool.vm(uuid)


def already(vm: VM, data: Data) -> Finish | None:
    """A VIF that fits and needs nothing more; one that is not attached to a running VM is taken over when the VM may be shut down."""
    there = addressing.at(vm, data["network"], data["device_asked"], data["mac_asked"])
    if there is None:
        return None
    has = f"it has a VIF on {data['network_name']}: device {there.device}, MAC {there.MAC}"
    if vm.power_state == "Running" and there.currently_attached:
        return Finish(f"{has}, with its VF")
    if vm.power_state == "Halted":
        return Finish(f"{has}; it takes its VF when it starts")
    if data["when"] == When.next_halt:
        return Finish(f"{has}; it takes its VF at its next start after a shutdown (a reboot is not enough)")
    return None


def _choose(world: World, data: Data, among: tuple[VM, Sequence[VM]], mac: str) -> Outcome:
    """The address, noted: that of the VIF that is taken over, else one that nobody *among* all VMs has."""
    vm, vms = among
    there = addressing.at(vm, data["network"], data["device_asked"], data["mac_asked"])
    data["adopted"] = there is not None
    if there is not None:
        data["mac"], data["device"] = there.MAC.lower(), there.device
        return Done(f"its VIF {there.device} is there, without a VF yet, and keeps its QoS")
    if addressing.holders(mac, vms):  # as an import that keeps its MACs may have it; one that was asked for was refused
        taken = {vif.MAC.lower() for other in vms for vif in other.vifs}
        mac = addressing.derived(vm.uuid, data["network"], data["device_asked"], taken)
    if _hold(mac) not in world.held:
        return Need((_hold(mac),))
    data["mac"], data["device"] = mac, data["device_asked"] or addressing.free_device(vm)
    return Done(f"device {data['device']}, MAC {mac}")


def admit(world: World, data: Data) -> Outcome:
    """Promise it a VF, besides those that it has: of a port that has one free which nobody else was promised."""
    return _room(world, data, downtime.look(world, data), world.policy.assignment.full)


def _room(world: World, data: Data, vm: VM, when_full: str) -> Outcome:
    """The promise, on one host; what follows when there is no room."""
    guests, looks = world.pool.guests(), world.pool.look_at_ports()
    against = list(objections.to_ports(data["network"], data["below"], (data["network_name"], data["below_name"]), looks))
    if against:
        return Refuse("; ".join(against))
    place = admission.ask(world, vm, admission.demand(vm, None if data["adopted"] else data["network"]), (looks, guests))
    if isinstance(place, admission.Place):
        data.pop("full_since", None)
        data["host"], data["promised"] = place.host, dict(world.ledger.promised_to(vm.uuid, world.run_id))
        return Done(f"promised of {', '.join(place.ports)}")
    data.setdefault("full_since", world.now.isoformat())
    if world.now - datetime.fromisoformat(data["full_since"]) < (IN_MOTION if place.moving else FULL_AGAIN):
        return Wait(place.reason, at_most=FULL_AGAIN)
    if when_full == "wait":
        return Wait(place.reason, at_most=WAIT_FOR_ROOM)
    return Refuse(place.reason)


def let_go(world: World, data: Data) -> Outcome:
    """What this run promised the VM is promised no more."""
    world.ledger.keep(data["vm"], world.run_id)
    return DONE


def secure(world: World, data: Data) -> Outcome:
    """With the VM in hand: see that the promise still holds and the device is still free, before anything is changed."""
    vm = downtime.look(world, data)
    there = addressing.at(vm, data["network"], data["device_asked"], data["mac_asked"])
    if not data["adopted"] and there is not None:
        _take_over(vm, there, data)
    elif not data["adopted"] and data["device"] in {vif.device for vif in vm.vifs}:
        data["device"] = None if data["device_asked"] else addressing.free_device(vm)
        if data["device"] is None:
            raise GiveUp(f"no device of VM {vm.name} is free any more")
    promised = dict(world.ledger.promised_to(vm.uuid, world.run_id))
    needed = admission.demand(vm, None if data["adopted"] else data["network"]).total()
    there_still = vm.resident_on is None or (vm.resident_on == data["host"] and admission.starts_vms(world, data["host"]))
    if promised == data["promised"] and sum(promised.values()) == needed and there_still:
        return Done("what was promised is promised still")
    return _room(world, data, vm, "refuse")


def _take_over(vm: VM, vif: VIF, data: Data) -> None:
    """Somebody gave it such a VIF meanwhile (a backup put it back, a person made it): that one it is, and it is not taken away again."""
    data["adopted"], data["mac"], data["device"] = True, vif.MAC.lower(), vif.device
    if vm.power_state == "Running" and vif.currently_attached:
        data["ran"] = False


def create_vif(world: World, data: Data) -> Outcome:
    """Create the VIF on the halted VM, with the MAC and the device that were noted."""
    vm = downtime.look(world, data)
    vif = _mine(vm, data)
    if vif is None:
        if vm.power_state != "Halted":
            raise GiveUp(f"VM {vm.name} is {vm.power_state.lower()}: somebody started it in between")
        world.pool.create_vif(vm.uuid, data["network"], data["device"], data["mac"], {}, limit(world.policy, data))
        vif = _mine(downtime.look(world, data), data)
        if vif is None:
            return Wait("the VIF was created and is not there", at_most=downtime.SOON)
    data["vif"] = vif.uuid
    kbps = vif.qos_algorithm_params.get("kbps")
    limited = f", limited to {kbps} kbps where the NIC can" if kbps else ""
    return Done(f"VIF {vif.device}, MAC {vif.MAC}, on {data['network_name']}{limited}")


def _mine(vm: VM, data: Data) -> VIF | None:
    """The run's VIF: nobody else has that MAC, which was seen before."""
    return addressing.at(vm, data["network"], data["device"], data["mac"])


def remove_vif(world: World, data: Data) -> Outcome:
    """Take the VIF away again that the run made; the VM is shut down for it if it runs with the VF."""
    if data["adopted"]:
        return Done("the VIF was there before")
    try:
        vm = world.pool.vm(data["vm"])
    except Gone:
        return Done("the VM is gone, and its VIF with it")
    vif = _mine(vm, data)
    if vif is None:
        return Done("there is no VIF of it")
    if vif.currently_attached and vm.power_state != "Halted":
        waiting = downtime.bring_down(world, data)
        data["ran"] = True
        if waiting is not None:
            return waiting
    world.pool.destroy_vif(vif.uuid)
    return DONE if _mine(downtime.look(world, data), data) is None else Wait("the VIF is still there", at_most=downtime.SOON)


def verify(world: World, data: Data) -> Outcome:
    """See that the VM holds a VF of the right port (VM.attached_PCIs); or, halted, that its VIF is there for its next start."""
    outcome = possession.seen(world, data, downtime.look(world, data), data["vif"])
    if isinstance(outcome, Done):
        world.ledger.keep(data["vm"], world.run_id)
    return outcome


ASSIGN = Workflow(
    NAME,
    "Give a VM a VF on a network",
    (
        Step(check, timeout=None),
        Step(admit, undo=let_go, timeout=None),
        Step(downtime.await_moment, undo=downtime.unguard, timeout=None),
        Step(downtime.guard, timeout=None),
        Step(secure),
        Step(downtime.shut_down, undo=downtime.bring_back),
        Step(create_vif, undo=remove_vif),
        Step(downtime.open_start),
        Step(downtime.start),
        Step(verify),
    ),
)
