"""What the administrator wants of SR-IOV, and how hosts may be rebooted for it, as frozen values."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from workflows.objects import NIC


@dataclass(frozen=True, slots=True)
class PortChoice:
    """Which ports: all that is given must fit. *device* is exact ("eth1"), *tag* one of the PIF's tags, the others are parts of names."""

    device: str = ""
    vendor: str = ""
    device_name: str = ""
    tag: str = ""

    def fits(self, nic: NIC) -> bool:
        """Whether it is one of them, capable or not."""
        return (
            self.device in ("", nic.device)
            and self.vendor.lower() in nic.vendor.lower()
            and self.device_name.lower() in nic.device_name.lower()
            and (not self.tag or self.tag in nic.tags)
        )

    def __str__(self) -> str:
        given = {"device": self.device, "vendor": self.vendor, "device_name": self.device_name, "pif_tag": self.tag}
        return ", ".join(f"{name} {value!r}" for name, value in given.items() if value)


@dataclass(frozen=True, slots=True)
class SriovPolicy:
    """`[sriov.NAME]`: SR-IOV on these ports of these hosts, on one network.

    *pool*: only this pool (None: every pool). *vlans*: tags; each gets a network "NETWORK vlan TAG" on top. *hosts*: names or uuids; None:
    all. *reboot*: who may say that a host reboots. *maintenance*: in which windows, by name; empty: in any. *max_unavailable*: how many
    hosts of the pool may be away at once, the one that we reboot included; we never reboot two at a time. *mend*: whether drift is brought
    back, or only reported.
    """

    name: str
    network: str
    ports: PortChoice
    pool: str | None = None
    vlans: tuple[int, ...] = ()
    hosts: tuple[str, ...] | None = None
    reboot: Literal["never", "window", "approved"] = "approved"
    maintenance: tuple[str, ...] = ()
    max_unavailable: int = 1
    mend: bool = True

    def wants(self, nic: NIC) -> bool:
        """Whether SR-IOV is wanted on the port, could it have it."""
        return self.ports.fits(nic) and (self.hosts is None or nic.host in self.hosts or nic.host_name in self.hosts)


@dataclass(frozen=True, slots=True)
class RebootPolicy:
    """`[reboot]`: what happens to the VMs of a host that reboots, and how long things may take.

    *shutdown*: what becomes of a VM that does not shut down within *patience*: "clean" gives the reboot up, "hard" pulls its plug.
    *back_within*: how long a host may stay away, *vfs_within* how long its VFs may take after that. *takes*: how long a host is
    expected to take in all: it is not begun when the window ends sooner. *start_first*: tags; VMs that have the first one are started
    first and shut down last, and so on; those with none of them the other way round.
    """

    shutdown: Literal["clean", "hard"] = "clean"
    patience: timedelta = timedelta(minutes=10)
    back_within: timedelta = timedelta(minutes=30)
    vfs_within: timedelta = timedelta(minutes=10)
    takes: timedelta = timedelta(minutes=30)
    start_first: tuple[str, ...] = field(default_factory=tuple)

    def rank(self, tags: tuple[str, ...]) -> int:
        """When a VM with these tags is started: low ones first."""
        return next((rank for rank, tag in enumerate(self.start_first) if tag in tags), len(self.start_first))
