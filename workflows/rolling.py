"""Reboot hosts, one at a time, the coordinator last: which one is next, whether it may be now, and how far the one at work is.

What happens to the host that is at work is in `workflows/rebooting.py`; what is known of it is in the run's data, so that whoever takes the
run up goes on where it was.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from workflows import booting, guests, rebooting, windows
from workflows.objects import Host
from workflows.outcome import DONE, LOOK_AGAIN, Need, Outcome, Wait, wake_on_approval, wake_on_object
from workflows.trying import AT_ONCE
from workflows.workflow import Data
from workflows.world import World

KEY = "rolling"


@dataclass(frozen=True, slots=True)
class Consent:
    """Who may say that a host reboots: *reboot* and *maintenance* as in `SriovPolicy`, *max_unavailable* too."""

    reboot: Literal["never", "window", "approved"] = "approved"
    maintenance: tuple[str, ...] = ()
    max_unavailable: int = 1


def at_work(data: Data) -> bool:
    """Whether a host is being rebooted by this run: it must be brought back, whatever else is wanted by now."""
    return bool(_state(data)["host"])


def rebooted(data: Data) -> list[str]:
    """The hosts (uuids) that this run has rebooted; none of them is rebooted by it again."""
    return list(_state(data)["rebooted"])


def roll(world: World, data: Data, due: Collection[str], consent: Consent) -> Outcome:
    """Reboot the hosts that are *due* (uuids): go on with the one at work, or begin the next one. DONE when none is due any more."""
    if at_work(data):
        return go_on(world, data)
    state = _state(data)
    left = [uuid for uuid in due if uuid not in state["rebooted"]]
    if not left:
        return DONE
    return _begin(world, state, left, consent)


def go_on(world: World, data: Data) -> Outcome:
    """Go on with the host at work."""
    state = _state(data)
    if _too_late(world, state["host"]):
        name, state["host"] = state["host"]["name"], None
        return Wait(f"{name} was not begun within its window: not now", at_most=AT_ONCE, lets_go=_guests(world))
    outcome = rebooting.go_on(world, state["host"])
    if outcome is not None:
        if state["host"].get("over"):
            state["host"] = None
        return outcome
    name = state["host"]["name"]
    state["rebooted"] = [*state["rebooted"], state["host"]["uuid"]]
    state["host"] = None
    return Wait(f"{name} is back in service", at_most=AT_ONCE, lets_go=_guests(world))


def _too_late(world: World, memo: dict[str, Any]) -> bool:
    """Whether it waited (for a backup of one of its VMs) until the window had no room for it any more, and nothing of it is touched yet."""
    begin_by = memo.get("begin_by")
    return begin_by is not None and "booted" not in memo and world.now > datetime.fromisoformat(begin_by)


def _guests(world: World) -> tuple[str, ...]:
    """The VMs that the run has for itself: with no host at work all are as they were, and a backup of one need not wait for other hosts.

    The next host takes those that are there then. The pool and the hosts stay with the run.
    """
    return tuple(sorted(thing for thing in world.held if thing.startswith("vm:")))


def put_back(world: World, data: Data) -> Outcome:
    """Bring the host that is at work back in service, with the VMs that ran there: it is not rebooted if it was not yet."""
    state = _state(data)
    if state["host"] is None:
        return DONE
    rebooting.turn_back(state["host"])
    return go_on(world, data)


def _state(data: Data) -> dict[str, Any]:
    state: dict[str, Any] = data.setdefault(KEY, {"host": None, "rebooted": []})
    return state


def _begin(world: World, state: dict[str, Any], due: list[str], consent: Consent) -> Outcome:
    """Note the next host, before anything is touched; wait while it may not be."""
    hosts = {host.uuid: host for host in world.pool.hosts()}
    following = [host for host in in_order(hosts.values()) if host.uuid in due]
    candidate = next((host for host in following if host.live), None)
    if candidate is None:
        names = ", ".join(host.name for host in following) or "none of the hosts is in the pool any more"
        return Wait(f"must be rebooted and is away: {names}", at_most=LOOK_AGAIN)
    waits = _not_allowed(world, following, consent) or _not_again(world, candidate)
    if waits:
        return waits
    if candidate.is_coordinator and len(following) > 1:
        names = ", ".join(host.name for host in following if host is not candidate)
        return Wait(f"{candidate.name} is the coordinator and goes last: {names} must be rebooted first, and is away", at_most=LOOK_AGAIN)
    needed = {f"pool:{world.pool.facts().uuid}", f"host:{candidate.uuid}"} - world.held
    if needed:
        return Need(tuple(sorted(needed)))
    away = [host.name for host in hosts.values() if host.uuid != candidate.uuid and not (host.live and host.enabled)]
    if len(away) >= consent.max_unavailable:
        said = f"{candidate.name} is not rebooted while {', '.join(sorted(away))} {'is' if len(away) == 1 else 'are'} away or disabled"
        return Wait(said, at_most=LOOK_AGAIN)
    state["host"] = {**rebooting.fresh(candidate), "begin_by": _begin_by(world, consent)}
    return Wait(f"{candidate.name} is next", at_most=AT_ONCE)


def in_order(hosts: Collection[Host]) -> list[Host]:
    """By name, the coordinator last: when it goes, everything else has been proven."""
    return sorted(hosts, key=lambda host: (host.is_coordinator, host.name, host.uuid))


def _not_allowed(world: World, following: list[Host], consent: Consent) -> Wait | None:
    """Wait for the consent that the policy asks for; a person's approval stands in for a window."""
    waiting = f"{', '.join(host.name for host in following)} must be rebooted"
    if consent.reboot == "never":
        return Wait(f'{waiting}, which is not for us to do (reboot = "never")', at_most=LOOK_AGAIN)
    if world.approved_by:
        return None
    approval = wake_on_approval(world.run_id)
    if consent.reboot == "approved":
        harm = [f"{host.name}: {', '.join(said)}" for host in following if (said := guests.in_words(world.pool, host, world.policy.reboot))]
        whole = "; ".join((waiting, *harm))
        return Wait(f"{whole}. To approve: `vfo run {world.run_id} approve`", on=approval, at_most=LOOK_AGAIN * 10)
    opening = _opening(world, consent)
    if opening.lasts(world.now, world.policy.reboot.takes):
        return None
    if opening.opens is None:
        return Wait(f"{waiting}, and no maintenance window ever opens", on=approval, at_most=LOOK_AGAIN * 10)
    return Wait(
        f"{waiting}: in the window that opens at {opening.opens:%Y-%m-%d %H:%M} UTC", on=approval, at_most=opening.opens - world.now
    )


def _opening(world: World, consent: Consent) -> windows.Opening:
    chosen = {name: window for name, window in world.policy.maintenance.items() if name in consent.maintenance or not consent.maintenance}
    return windows.look(chosen, world.now)


def _begin_by(world: World, consent: Consent) -> str | None:
    """Until when a host that is next may be begun, as ISO 8601: what it takes must fit into its window. None: a person approved."""
    closes = None if world.approved_by else _opening(world, consent).closes
    return None if closes is None else (closes - world.policy.reboot.takes).isoformat()


def _not_again(world: World, host: Host) -> Wait | None:
    """A host that came back without VFs, in whatever run, is rebooted again only when a person says so."""
    note = host.other_config.get(booting.IN_VAIN)
    if note is None or world.approved_by:
        return None
    said = f"{host.name} was rebooted at {_at(note)} and came back without VFs: not again, unless `vfo run {world.run_id} approve`"
    return Wait(said, on=wake_on_approval(world.run_id), at_most=LOOK_AGAIN * 10)


def _at(note: str) -> str:
    try:
        return str(json.loads(note)["at"])
    except (ValueError, KeyError, TypeError):
        return "some time"


def wakes(world: World, host: str) -> str:
    """The key that is woken when the host changes."""
    return wake_on_object(world.pool.name, "host", host)
