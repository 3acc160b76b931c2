"""The tables about SR-IOV on hosts: what is wanted, and how hosts reboot."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from orchestrator.config.durations import Duration
from orchestrator.config.section import Section
from workflows.wanted import PortChoice, RebootPolicy, SriovPolicy

Tag = Annotated[int, Field(ge=0, le=4094)]


def _several(value: object) -> object:
    return (value,) if isinstance(value, int | str) else value


def _hosts(value: object) -> object:
    if value == "all":
        return None
    if isinstance(value, str):
        raise ValueError('write "all", or a list of names or uuids of hosts')  # noqa: TRY004 - pydantic's word
    return value


class Ports(Section):
    """Which ports; all that is given must fit."""

    device: str = ""
    vendor: str = ""
    device_name: str = ""
    pif_tag: str = ""

    @model_validator(mode="after")
    def _some(self) -> "Ports":
        if not any((self.device, self.vendor, self.device_name, self.pif_tag)):
            raise ValueError("say which ports: device, vendor, device_name or pif_tag")
        return self


class Sriov(Section):
    """`[sriov.NAME]`: SR-IOV on ports of one kind, on one network of the pool. `vfo sriov enable NAME` makes it so, and it is kept so."""

    network: str = Field(min_length=1)
    """The network's name; it is made where there is none. VMs with a VIF on it get a VF."""
    ports: Ports
    """Which ports: { device = "eth1" }, { vendor = "Intel" }, { device_name = "X710" } or { pif_tag = "fast" }; at most one a host."""
    pool: str | None = None
    """Only this pool, by its name in this file; left out: every pool."""
    vlan: Annotated[tuple[Tag, ...], BeforeValidator(_several)] = ()
    """Tags: for each a network "NETWORK vlan TAG" on top, whose VIFs get VFs too."""
    hosts: Annotated[tuple[str, ...] | None, BeforeValidator(_hosts)] = None
    """"all", those that join later too, or a list of names or uuids."""
    reboot: Literal["never", "window", "approved"] = "approved"
    """Where the driver needs a reboot: never by us; in a maintenance window; or after `vfo run ID approve`."""
    maintenance: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    """The maintenance windows in which it may be; left out: any of them."""
    max_unavailable: int = Field(default=1, ge=1)
    """How many hosts of the pool may be away at once, the one that is rebooted included. Two are never rebooted at the same time."""
    drift: Literal["mend", "report"] = "mend"
    """What becomes of a host that joins and of a port that lost its state: it is brought back, or shown by `vfo sriov status` alone."""

    def policy(self, name: str) -> SriovPolicy:
        """As the steps are given it."""
        ports = PortChoice(self.ports.device, self.ports.vendor, self.ports.device_name, self.ports.pif_tag)
        return SriovPolicy(
            name=name,
            network=self.network,
            ports=ports,
            pool=self.pool,
            vlans=self.vlan,
            hosts=self.hosts,
            reboot=self.reboot,
            maintenance=self.maintenance,
            max_unavailable=self.max_unavailable,
            mend=self.drift == "mend",
        )


class Reboot(Section):
    """`[reboot]`: hosts that reboot, and their VMs."""

    shutdown: Literal["clean", "hard"] = "clean"
    """What becomes of a VM that does not shut down within *patience*: "clean": the reboot is given up; "hard": its plug is pulled."""
    patience: Duration = timedelta(minutes=10)
    """How long a VM may take to shut down, or to move away."""
    back_within: Duration = timedelta(minutes=30)
    """How long a host may be away before a person is told."""
    vfs_within: Duration = timedelta(minutes=10)
    """How long the VFs of a host that is back may take before a person is told."""
    takes: Duration = timedelta(minutes=30)
    """How long a host is expected to take in all: when the window ends sooner it is not begun."""
    start_first: tuple[str, ...] = ()
    """Tags of VMs: those with the first one start first and shut down last, and so on."""

    def policy(self) -> RebootPolicy:
        """As the steps are given it."""
        return RebootPolicy(self.shutdown, self.patience, self.back_within, self.vfs_within, self.takes, self.start_first)
