"""What stands in the way on each host: pure, from records. What XenAPI cannot tell is said, with the command to type on the host."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.xapi.findings import Finding, fail, ok, warn
from orchestrator.xapi.records import PCI, PIF, VM, Host, HostMetrics, Network, Sriov

NO_LICENCE = "restrict_network_sriov"
SEE_IOMMU = "on the host: xl dmesg | grep -i 'i/o virtualisation'"


@dataclass(frozen=True, slots=True)
class Ward:
    """The records of the examination, by ref; *free* is the remaining capacity of each network_sriov."""

    hosts: dict[str, Host]
    metrics: dict[str, HostMetrics]
    pifs: dict[str, PIF]
    pcis: dict[str, PCI]
    networks: dict[str, Network]
    vms: dict[str, VM]
    sriovs: dict[str, Sriov]
    free: dict[str, int]


def examine(ward: Ward) -> Iterator[Finding]:
    """Each host with its ports, by name; then the networks that not every host serves."""
    for ref, host in sorted(ward.hosts.items(), key=lambda item: item[1].name_label):
        yield from _host(host, ward)
        yield from _ports(ref, host, ward)
    yield from _gaps(ward)
    yield from _dangling(ward)


def _host(host: Host, ward: Ward) -> Iterator[Finding]:
    metrics = ward.metrics.get(host.metrics)
    if metrics is None or not metrics.live:
        yield fail(host.name_label, "not live: its heartbeat is not heard", "power it on, and see that xapi runs there")
    elif not host.enabled:
        yield warn(
            host.name_label, "live, but disabled: no VM can start there", f"xe host-enable uuid={host.uuid}, if it is not on purpose"
        )
    else:
        yield ok(host.name_label, "live and enabled")
    if host.license_params.get(NO_LICENCE) == "true":
        yield fail(
            host.name_label, "its licence does not allow SR-IOV networks", f"xe host-apply-edition host-uuid={host.uuid} edition=..."
        )
    yield _iommu(host)


def _iommu(host: Host) -> Finding:
    """From host.chipset_info; without the IOMMU xapi refuses to give a device to a VM (VM_REQUIRES_IOMMU)."""
    match host.chipset_info.get("iommu"):
        case "true":
            return ok(host.name_label, "IOMMU is on")
        case "false":
            return fail(host.name_label, "IOMMU is off: no device can be given to a VM", f"turn on VT-d or AMD-Vi in the BIOS; {SEE_IOMMU}")
        case _:
            return warn(host.name_label, "XenAPI does not tell whether the IOMMU is on", SEE_IOMMU)


def _ports(ref: str, host: Host, ward: Ward) -> Iterator[Finding]:
    capable = [(key, pif) for key, pif in ward.pifs.items() if pif.host == ref and pif.physical and "sriov" in pif.capabilities]
    if not capable:
        text = "no port is SR-IOV capable, as far as XenAPI tells"
        yield warn(host.name_label, text, "turn on SR-IOV in the BIOS and the NIC's firmware; on the host: lspci -v | grep -i sr-iov")
    enabled = {sriov.physical_PIF: (key, sriov) for key, sriov in ward.sriovs.items()}
    for key, pif in sorted(capable, key=lambda item: item[1].device):
        yield _port(f"{host.name_label}/{pif.device}", pif, enabled.get(key), ward)


def _port(subject: str, pif: PIF, enabled: tuple[str, Sriov] | None, ward: Ward) -> Finding:
    """One capable port: enabled and well, half enabled, or not enabled. A reboot or a plug is advised by the command itself."""
    card = _card(pif, ward)
    if enabled is None:
        return ok(
            subject,
            f"{card}; SR-IOV is not enabled",
            f"to enable it: write {_table(pif, '...')} into the configuration, then vfo sriov enable NAME",
        )
    ref, sriov = enabled
    logical = ward.pifs.get(sriov.logical_PIF)
    network = ward.networks.get(logical.network) if logical else None
    on = f"{card}; SR-IOV on network {network.name_label if network else '?'}, mode {sriov.configuration_mode}"
    table = _table(pif, network.name_label if network else "...")
    mend = f"vfo sriov enable NAME, with {table} in the configuration"
    if sriov.requires_reboot:
        return warn(subject, f"{on}: its host must be rebooted before it has VFs", "reboot the host when its VMs allow it")
    if sriov.configuration_mode == "unknown":
        return fail(subject, f"{on}: half made, enabling failed or is under way", f"to have it repaired, or made anew: {mend}")
    if logical is None or not logical.currently_attached:
        by_hand = f"; or by hand: xe pif-plug uuid={logical.uuid if logical else '...'}"
        return fail(subject, f"{on}: its logical PIF was unplugged, so it has no VFs", f"to have it plugged: {mend}{by_hand}")
    return ok(subject, f"{on}: {ward.free[ref]} VFs free", _unsaid(pif, sriov))


def _table(pif: PIF, network: str) -> str:
    """What the configuration must have for `vfo sriov enable`, which enables a port, and mends one that is not well."""
    return f'[sriov.NAME] with network = "{network}" and ports = {{ device = "{pif.device}" }}'


def _card(pif: PIF, ward: Ward) -> str:
    pci = ward.pcis.get(pif.PCI)
    if pci is None or not pci.driver_name:
        return f"driver unknown to XenAPI (on the host: ethtool -i {pif.device})"
    return f"{pci.device_name}, driver {pci.driver_name}"


def _unsaid(pif: PIF, sriov: Sriov) -> str:
    """What XenAPI does not tell of a port that is well, and where to read it."""
    firmware = f"firmware and driver version, on the host: ethtool -i {pif.device}"
    if sriov.configuration_mode == "modprobe":
        return f"{firmware}; number of VFs: grep -r max_vfs /etc/modprobe.d"
    return firmware


def _dangling(ward: Ward) -> Iterator[Finding]:
    """References that outlived their devices (xapi has no explanation of its own for them): nothing is lost by them."""
    for vm in sorted(ward.vms.values(), key=lambda vm: vm.name_label):
        gone = sum(ref not in ward.pcis for ref in vm.attached_PCIs)
        if gone:
            text = f"its attached_PCIs has {gone} references to devices that XenAPI does not have any more"
            state = "they go when it is shut down" if vm.power_state != "Halted" else f"xe vm-reset-powerstate uuid={vm.uuid} --force"
            yield warn(f"VM {vm.name_label}", text, f"{state}; no VF is lost by them")


def _gaps(ward: Ward) -> Iterator[Finding]:
    """A host that joined later has no SR-IOV: VMs with a VIF on the network cannot start there."""
    served: dict[str, set[str]] = {}
    for sriov in ward.sriovs.values():
        if logical := ward.pifs.get(sriov.logical_PIF):
            served.setdefault(logical.network, set()).add(logical.host)
    for network, by in served.items():
        missing = sorted(host.name_label for ref, host in ward.hosts.items() if ref not in by)
        name = ward.networks[network].name_label if network in ward.networks else network
        if missing:
            text = f"has no port on {', '.join(missing)}: VMs with a VF on it cannot start there"
            yield warn(f"network {name}", text, "enable SR-IOV on a port of the same device there")
