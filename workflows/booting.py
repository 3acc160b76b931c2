"""What is known of a host that is at work, and what we leave on it in the pool, so that it is known to others too."""

import json
from datetime import datetime
from typing import Any

from workflows.objects import NIC, Host
from workflows.world import World

AT_WORK = "vfo:reboot"
IN_VAIN = "vfo:rebooted-in-vain"
GOING = frozenset({"shutdown", "reboot"})

Memo = dict[str, Any]


def run_at(host: Host) -> str:
    """The run that has the host at work, by the mark on it; "" when none has."""
    return str(mark(host).get("run", ""))


def mark(host: Host) -> dict[str, Any]:
    """What our mark on the host says: *run*, *since*, *was_enabled*; empty when there is none."""
    try:
        found = json.loads(host.other_config.get(AT_WORK, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def has_gone(host: Host, memo: Memo) -> bool:
    """Whether it goes down, is down, or has come back: by its own boot time, never by ours."""
    return not host.live or bool(GOING.intersection(host.current_operations)) or booted_anew(host, memo)


def booted_anew(host: Host, memo: Memo) -> bool:
    """Whether the host has booted since it was noted, by its own clock: `boot_time` and `agent_start_time` of its other_config."""
    boot, agent = memo["booted"]
    return host.agent_start_time > agent and (host.boot_time > boot or not host.boot_time)


def nics(world: World, memo: Memo) -> list[NIC]:
    """The ports of the host that have SR-IOV, or half of it."""
    return [nic for nic in world.pool.nics() if nic.host == memo["uuid"] and nic.sriov is not None]


def since(world: World, memo: Memo, key: str) -> datetime:
    """The moment noted under *key*; noted now the first time."""
    return datetime.fromisoformat(memo.setdefault(key, world.now.isoformat()))


def reason(world: World) -> str:
    """Why VMs that the boot would start may not start meanwhile, for whoever tries."""
    return f"vfo: a host reboots (run {world.run_id})"
