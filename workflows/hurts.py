"""Everything that enabling SR-IOV will hurt, said before anything is touched. Reads only."""

from collections.abc import Iterator

from workflows import booting, guests, rolling, sriov
from workflows.ports import Pool
from workflows.sriov import Sight, State, Target
from workflows.wanted import RebootPolicy

WRITES = "on the host: /etc/modprobe.d"
OF_REBOOTS = (
    "host.add_to_other_config", "VM.add_to_blocked_operations", "host.disable", "VM.pool_migrate", "VM.add_to_other_config",
    "VM.clean_shutdown", "VM.start", "VM.start_on", "VM.remove_from_other_config", "host.reboot", "host.enable",
    "VM.remove_from_blocked_operations", "VM.update_allowed_operations", "host.remove_from_other_config",
)  # fmt: skip
"""The mark on the host, the blocks of VMs that its boot would start, the notes on VMs that are stopped for it; and what is between."""


def known_mode(sight: Sight, target: Target) -> str:
    """The configuration mode that the port will most likely have: its own, or that of a port of the same driver; "" when nothing tells."""
    modes = {nic.mode for nic in sight.nics if nic.driver and nic.driver == target.nic.driver and nic.mode not in ("", "unknown")}
    if target.nic.mode not in ("", "unknown"):
        return target.nic.mode
    return modes.pop() if len(modes) == 1 else ""


def may_reboot(sight: Sight) -> tuple[Target, ...]:
    """The ports whose host must be rebooted, or may have to be."""
    waiting = sight.in_state(State.REBOOT)
    unmade = [one for one in sight.in_state(State.ABSENT, State.HALF_MADE, State.DETACHED) if known_mode(sight, one) in ("", "modprobe")]
    return (*waiting, *unmade)


def warnings(pool: Pool, sight: Sight, policy: RebootPolicy) -> tuple[str, ...]:
    """What will hurt, each in a sentence."""
    return (*_of_ports(sight), *_of_hosts(sight), *_of_reboots(pool, sight, policy))


def _of_ports(sight: Sight) -> Iterator[str]:
    for target in sight.targets:
        if target.state is State.UP:
            continue
        nic = target.nic
        if nic.bond_slave:
            yield f"{target.name} is in a bond: its VFs go past the bond"
        if nic.management:
            yield f"{target.name} carries the host's management: it may be without for a moment"
        if nic.vlans:
            yield f"{nic.vlans} VLANs stand on {target.name}: they may be without for a moment"
        if target.state is State.HALF_MADE:
            yield f"{target.name} is half made by an attempt that failed: it is plugged, or destroyed and made anew"
        others = [
            other.device for other in sight.nics if other.host == nic.host and other.uuid != nic.uuid and other.driver == nic.driver != ""
        ]
        mode = known_mode(sight, target)
        if others and mode in ("", "modprobe"):
            sure = "comes" if mode else "may come (only enabling tells)"
            where = f"a file of driver {nic.driver} ({WRITES})"
            yield f"{target.name}: the number of VFs {sure} from {where}, which changes {', '.join(others)} too, at the next boot"
        if mode == "manual":
            yield f"{target.name}: its VFs are set by hand on the host; we leave their number alone, and cannot take them away"
    yield from _of_files(sight)


def _of_files(sight: Sight) -> Iterator[str]:
    """What the hosts' administrator writes where the number of VFs is not set by us: a sentence for each driver.

    The comments are those of the files that the drivers' packages of XenServer and XCP-ng bring along, which xapi's network daemon reads.
    """
    modes = {(target.nic.driver, known_mode(sight, target)) for target in sight.targets if target.state is not State.UP}
    for driver, mode in sorted(one for one in modes if one[0]):
        file, options = f"/etc/modprobe.d/{driver}.conf", f"options {driver} max_vfs=N"
        found = f"(modinfo {driver} tells what its parameter is called)"
        if mode in ("", "modprobe"):
            where = (
                f"how many VFs a port of driver {driver} gets" if mode else f"where driver {driver} takes its number of VFs from a file, it"
            )
            yield (
                f"{where} is for the hosts' administrator to write in {file}: '# VFs-maxvfs-by-user: N' (left empty, the number after"
                f" '# VFs-maxvfs-by-default:' holds); xapi makes '{options}' of it. A file without '# VFs-param:' xapi does not write:"
                f" then write '{options}' {found} and reboot"
            )
        elif mode == "manual":
            yield f"for another number of VFs write '{options}' into {file} on the host {found} and reboot it"


def _of_hosts(sight: Sight) -> Iterator[str]:
    covered = {target.nic.host for target in sight.targets}
    wanted = [host for host in sight.hosts if sight.policy.hosts is None or {host.uuid, host.name} & set(sight.policy.hosts)]
    without = sorted(host.name for host in wanted if host.uuid not in covered)
    if without:
        yield f"{', '.join(without)} has no such port: VMs on the network cannot run there"
    for target in sight.targets:
        if not target.host.live:
            yield f"{target.host.name} is away: its port follows when it is back"
        if target.host.iommu is None and target.state is not State.UP:
            yield f"whether the IOMMU of {target.host.name} is on XenAPI does not tell (on the host: xl dmesg | grep -i virtualisation)"
    if sight.facts.ha_enabled:
        yield "HA is on: a VM with a VIF on the network cannot be protected by it (VM_HAS_SRIOV_VIF)"


def _of_reboots(pool: Pool, sight: Sight, policy: RebootPolicy) -> Iterator[str]:
    due = may_reboot(sight)
    if not due:
        return
    surely = {target.nic.host for target in due if target.state is State.REBOOT}
    for host in rolling.in_order({target.nic.host: target.host for target in due}.values()):
        drivers = sorted({target.nic.driver for target in due if target.nic.host == host.uuid and target.nic.driver})
        word = "must be rebooted" if host.uuid in surely else _may_have_to(drivers)
        again = ["it came back without VFs the last time, so it is not rebooted again unless approved"] * (
            booting.IN_VAIN in host.other_config
        )
        said = [*guests.in_words(pool, host, policy), *again] or ["nothing runs there"]
        yield f"{host.name} {word}: {'; '.join(said)}" if host.live else f"{host.name} {word}"
    if len(sight.hosts) == 1:
        yield "the pool has one host: while it reboots every VM is down, and nothing answers"
    elif any(target.host.is_coordinator for target in due):
        yield "the coordinator reboots last; meanwhile nothing in the pool can be changed"
    if sight.facts.ha_enabled:
        yield "HA is on while hosts reboot: each is emptied before, and protected VMs move"
    yield {
        "never": 'no host is rebooted by us (reboot = "never"): the run waits until somebody has done it',
        "window": "hosts reboot one at a time, in a maintenance window",
        "approved": "hosts reboot one at a time, once the run is approved (vfo run ID approve)",
    }[sight.policy.reboot]


def _may_have_to(drivers: list[str]) -> str:
    """Only enabling tells: the file may be right already, and then the VFs are there (xapi: requires_reboot false)."""
    files = ", ".join(f"/etc/modprobe.d/{driver}.conf" for driver in drivers) or "the file of its driver in /etc/modprobe.d"
    return f"may have to be rebooted: if its number of VFs comes from {files}, and that does not give them already; only enabling tells"


def sentences(sight: Sight) -> tuple[str, ...]:
    """What would be done, in order."""
    return tuple(_steps(sight))


def _steps(sight: Sight) -> Iterator[str]:
    policy = sight.policy
    if sight.network is None:
        yield f"make network {policy.network!r}"
    for words, states in (
        ("enable SR-IOV on", (State.ABSENT,)),
        ("repair", (State.HALF_MADE,)),
        ("plug", (State.DETACHED,)),
        ("reboot the host of", (State.REBOOT,)),
        ("leave as it is:", (State.UP,)),
    ):
        names = [target.name for target in sight.in_state(*states) if target.host.live]
        if names:
            yield f"{words} {', '.join(names)}"
    if policy.vlans:
        tags = ", ".join(f"{tag} (network {sriov.vlan_network(policy, tag)!r})" for tag in policy.vlans)
        yield f"put VLANs on top, on every port: {tags}"


def calls(sight: Sight, policy: RebootPolicy) -> tuple[str, ...]:
    """The XenAPI calls that would change something."""
    states = {target.state for target in sight.targets if target.host.live}
    made = ["network.create"] if sight.network is None else []
    made += ["network_sriov.create"] if State.ABSENT in states else []
    made += ["PIF.plug", "network_sriov.destroy", "network_sriov.create"] if State.HALF_MADE in states else []
    made += ["PIF.plug"] if State.DETACHED in states else []
    if sight.policy.vlans:
        made += ["network.create", "VLAN.create"]
    if may_reboot(sight) and sight.policy.reboot != "never":
        made += OF_REBOOTS
        made += ["VM.hard_shutdown"] if policy.shutdown == "hard" else []
    return tuple(dict.fromkeys(made))
