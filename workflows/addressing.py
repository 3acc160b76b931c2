"""The MAC and the device of a VIF that a VM is to get: given and kept, or chosen once and the same ever after. Pure."""

import hashlib
import re
from collections.abc import Collection, Iterable

from workflows.objects import VIF, VM

DEVICES = tuple(str(number) for number in range(7))
"""What XenServer lets a VM have (xapi: VM.get_allowed_VIF_devices)."""

SPELLINGS = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|[0-9a-f]{12}", re.IGNORECASE)


def normal(mac: str) -> str:
    """The MAC as XenAPI writes it, in lower case with colons; ValueError with what is wrong with it."""
    written = mac.strip()
    if not SPELLINGS.fullmatch(written):
        raise ValueError(f"MAC {mac!r}: write six pairs of hexadecimal digits, such as 02:16:3e:00:00:01")
    digits = re.sub("[:-]", "", written).lower()
    if int(digits[:2], 16) & 1:
        raise ValueError(f"MAC {mac!r}: it is a multicast address: the second digit must be even")
    if set(digits) == {"0"}:
        raise ValueError(f"MAC {mac!r}: no device has that one")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def derived(vm: str, network: str, device: str, taken: Collection[str]) -> str:
    """A MAC for a VIF of the VM on the network (uuids): the same ever after, so that a VF given back and given again has the MAC it had.

    *device* is the one that was asked for, "" for none: several VIFs on one network are told apart by it. *taken* are MACs that others
    have: then it is the next one. Locally administered.
    """
    number = 0
    while True:
        digest = hashlib.sha256(f"{vm}/{network}/{device}/{number}".encode()).digest()
        mac = ":".join(f"{byte:02x}" for byte in (digest[0] & 0xFC | 0x02, *digest[1:6]))
        if mac not in taken:
            return mac
        number += 1


def free_device(vm: VM) -> str | None:
    """The lowest device number that no VIF of the VM has; None when it has all that it may have."""
    taken = {vif.device for vif in vm.vifs}
    return next((device for device in DEVICES if device not in taken), None)


def holders(mac: str, vms: Iterable[VM]) -> list[str]:
    """Who has the MAC, in words: VMs that are alive or may be (snapshots and templates keep their VM's MAC and never are)."""
    return [f"VM {vm.name} ({vm.uuid}), device {vif.device}" for vm in vms for vif in vm.vifs if vif.MAC.lower() == mac]


def at(vm: VM, network: str, device: str, mac: str) -> VIF | None:
    """The VM's VIF on the network with this device and MAC; "" for either is any."""
    fitting = (vif for vif in vm.vifs if vif.network == network)
    return next((vif for vif in fitting if device in ("", vif.device) and mac in ("", vif.MAC.lower())), None)
