"""Start a VM that ran: where it ran; when its VF is gone, by the policy's fallbacks in their order. Never silently left halted."""

from datetime import datetime, timedelta

from workflows import parking, placing, powering, room
from workflows.objects import Condition
from workflows.outcome import Done, Outcome, Stuck, Wait
from workflows.ports import Denied, Refused, Transient
from workflows.tasks import carried_out, over, tidied
from workflows.workflow import Data
from workflows.world import World

HOST_AWAY = frozenset({"HOST_OFFLINE", "HOST_STILL_BOOTING", "HOST_NOT_LIVE"})
LOOK_FOR_ROOM = timedelta(seconds=30)


def reason(run_id: object) -> str:
    """Why nobody may start a VM while its VIFs are parked, for whoever tries: `blocked_operations` shows it."""
    return f"vfo: run {run_id} has its VIFs parked; `vfo recover` puts it right"


def reason_of(world: World, data: Data) -> str:
    """The reason of the blocks on the VM of this run, or of the run whose VM it brings home."""
    return reason(data.get("blocked_by") or world.run_id)


def started(world: World, data: Data, seen: Condition | None = None) -> Outcome:
    """Run the VM again, if it ran. Stuck, with all that was tried, when nothing works.

    *seen*: the VM as it was looked at in the same turn, when nothing was done to it since.
    """
    vm = seen or world.pool.condition(data["vm"])
    if not data["ran"]:
        tidied(world, data)
        return Done("it was halted before, and stays so")
    if vm.power_state == "Running":
        over(data, "start")
        tidied(world, data)
        data["ran_again"] = True
        return Done("it runs")
    if vm.power_state == "Halted" and data.get("ran_again") and not data.get("task:start"):
        return Done("it ran again, and somebody halted it")
    if vm.power_state != "Halted":
        return powering.change_of(world, vm, f"the VM is {vm.power_state}: it must run or be halted", timedelta(minutes=1))
    outcome = _by_policy(world, data, vm)
    ours = reason_of(world, data)
    if "task:start" not in data and ours in vm.blocked_operations.values():  # a start takes our block away itself, and none was begun
        world.pool.unblock(vm.uuid, ours)
    return outcome


def in_words(data: Data) -> list[str]:
    """What was tried before it ran, and where it runs for want of a VF."""
    said = [f"refused before: {', '.join(data['refusals'])}"] if data.get("refusals") else []
    return [*said, *(["it runs on the fallback network until its next halt"] if data.get("fallen_back") else [])]


def _by_policy(world: World, data: Data, vm: Condition) -> Outcome:
    """From the rung that it stands on, downwards."""
    rungs = ("home", *world.policy.backup.no_vf)
    data.setdefault("refusals", [])
    while (number := data.setdefault("rung", 0)) < len(rungs):
        outcome = _rung(world, data, vm, rungs[number])
        if outcome is not None:
            return outcome
        data["rung"] = number + 1
        data.pop("hosts", None)
    tried = "; ".join(dict.fromkeys(data["refusals"])) or "the policy names no fallback"
    for key in ("rung", "refusals", "waiting_for_room_since"):
        data.pop(key, None)
    return Stuck(
        f"the VM could not be started again and is halted: {tried}",
        next_command=f"vfo run {world.run_id} retry",
        evidence={"tried": tried, "vifs": [vif["uuid"] for vif in data["vifs"]]},
    )


def _rung(world: World, data: Data, vm: Condition, rung: str) -> Outcome | None:
    """One way to start it; None when it does not work."""
    if rung == "wait":
        return _when_there_is_room(world, data, vm)
    if rung == "fallback-network":
        return _without_vf(world, data, vm)
    if rung == "leave-halted":
        data["refusals"].append("left halted, as the policy says")
        data["rung"] = len(world.policy.backup.no_vf)
        return None
    return _on_one_of(world, data, vm, rung)


def _on_one_of(world: World, data: Data, vm: Condition, rung: str) -> Outcome | None:
    """Where it ran, or on one host after the other that has room; on each its VFs are promised first."""
    if "hosts" not in data:
        data["hosts"] = _hosts(world, data, rung)
    while data["hosts"]:
        host = data["hosts"][0] or None
        begun = "task:start" in data
        outcome = _start(world, data, vm, host) if begun or _has_room(world, data, host) else None
        if outcome is not None:
            return outcome
        data["hosts"] = data["hosts"][1:]
    return None


def _hosts(world: World, data: Data, rung: str) -> list[str]:
    """The hosts to try, "" for wherever xapi says."""
    if rung == "home":
        return [data["host"]] if data.get("host") else []
    if _wants_no_vf(data):
        return [""]
    return [host for host in room.hosts(world, data) if rung != "elsewhere" or host != data.get("host")]


def _has_room(world: World, data: Data, host: str | None) -> bool:
    """Whether its VFs are promised to it on the host, which is noted where they cannot be."""
    promised = host == data.get("host") and world.ledger.promised_to(data["vm"])
    if _wants_no_vf(data) or host is None or promised or room.promise(world, data, host):
        return True
    data["refusals"].append("others have been promised its VFs" + (" where it ran" if host == data.get("host") else ""))
    return False


def _wants_no_vf(data: Data) -> bool:
    return bool(data.get("stand_in")) or not data["vifs"]


def _when_there_is_room(world: World, data: Data, vm: Condition) -> Outcome | None:
    """Look now and then until a host has room, as long as the policy says."""
    since = datetime.fromisoformat(data.setdefault("waiting_for_room_since", world.now.isoformat()))
    outcome = _on_one_of(world, data, vm, "wait")
    if outcome is not None:
        return outcome
    data.pop("hosts", None)
    left = since + world.policy.backup.wait_for_vf - world.now
    return Wait("no host has room for the VM", at_most=min(left, LOOK_FOR_ROOM)) if left > timedelta() else None


def _without_vf(world: World, data: Data, vm: Condition) -> Outcome | None:
    """On the fallback network, with the same MACs; its VIFs are put right at its next halt."""
    if data.get("fallen_back"):
        outcome = _start(world, data, vm, None)
        if outcome is None:
            del data["stand_in"], data["fallen_back"]
            placing.restored(world, data)
        return outcome
    if data.get("stand_in"):  # it is on an ordinary network already: what it lacks is not a VF
        return None
    try:
        data["stand_in"] = parking.named(world.pool.networks(), world.policy.backup.fallback_network).uuid
    except LookupError as error:
        data["refusals"].append(f"fallback {error}")
        return None
    data["fallen_back"] = True
    world.pool.note(vm.uuid, parking.NOTE, parking.note_of(world.run_id, {**data, "until": None}))
    placing.restored(world, data)
    return Wait("no VF is free: its VIFs are on the fallback network, and it is started there", at_most=timedelta())


def _start(world: World, data: Data, vm: Condition, host: str | None) -> Outcome | None:
    """Start it there; None, with the refusal noted, when that does not work."""
    seen = [vm]

    def runs() -> bool:
        return (seen.pop().power_state if seen else world.pool.power_state(vm.uuid)) == "Running"

    def begin() -> str:
        return world.pool.begin_start(vm.uuid, host, unblocking=reason_of(world, data))

    try:
        waiting = carried_out(world, data, "start", begin, runs)
    except (Refused, Denied) as error:
        data["refusals"].append(f"{'start_on' if host else 'start'}: {error}")
        return None
    except Transient as error:
        if error.code not in HOST_AWAY or host is None:
            raise
        data["refusals"].append(f"start_on: {error}")
        return None
    if waiting is None:
        data["ran_again"] = True
        return Done("it runs again")
    return waiting
