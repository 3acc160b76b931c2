"""The product is done with a prepared VM: its VF is given back where it stood in, and the snapshot goes when its time is over."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from workflows import backup_modes, backup_snapshots, foreign, homecoming, placing, starting
from workflows.outcome import DONE, PARENT, Done, Need, Outcome, Request, Wait, wake_on_approval
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "release-backup"
KEPT = ("vm", "vm_name", "mode", "vifs", "host", "ran", "snapshot", "until", "retention", "policy", "snapshots", PARENT)


def request(world: World, data: Data) -> Request:
    """The run that waits for the release of what a run of prepare-backup has prepared."""
    kept: dict[str, Any] = {name: data[name] for name in KEPT if name in data}
    kept["failed_over"] = data["mode"] == backup_modes.FAILOVER and bool(data.get("stand_in")) and not data.get("fallen_back")
    kept["blocked_by"] = str(world.run_id)
    return Request(NAME, world.pool.name, f"snapshot:{data['snapshot']}", f"VM {data['vm_name']}", kept, id_for(world.run_id))


def id_for(prepared_by: UUID) -> UUID:
    """The id of the run that follows this one of prepare-backup: whoever wants the release knows it before."""
    return uuid5(prepared_by, "release")


def again(pool: str, said: dict[str, Any], note: dict[str, Any] | None) -> Request:
    """The run for a snapshot whose run was lost, from what is said on it and the note on its VM (None: there is none).

    The note on the snapshot says until when it stays at most: that is then its hold and its retention in one.
    """
    stands_in = bool(note and note.get("until"))
    data = {
        "vm": said["vm"], "vm_name": said.get("vm_name", ""), "mode": said.get("mode", ""), "snapshot": said["snapshot"],
        "until": note["until"] if note and stands_in else said["until"], "retention": 0.0, "failed_over": stands_in,
        "vifs": note["vifs"] if note else [], "host": note.get("host") if note else None, "ran": True, "blocked_by": said["run"],
    }  # fmt: skip
    title = f"VM {data['vm_name']}" if data["vm_name"] else f"snapshot {said['snapshot']}"  # its run died before it said whose it is
    return Request(NAME, pool, f"snapshot:{said['snapshot']}", title, data)


def of_unmarked(pool: str, snapshot: str, note: dict[str, Any], now: datetime) -> Request:
    """The run for a snapshot whose run died before it was marked, from the *note* on it, a copy of its VM's: it goes at once."""
    return again(pool, {"snapshot": snapshot, "vm": note["vm"], "run": note["run"], "until": now.isoformat()}, None)


def hold(world: World, data: Data) -> Outcome:
    """Wait until somebody says that the product is done (`vfo backup release`), the hold runs out, or the backup is over anyway.

    A product with a scheduler of its own that is seen at work then is waited for, as long as the policy says: see `workflows.foreign`.
    """
    if "released_at" not in data:
        foreign.note(world, data)
        until = datetime.fromisoformat(data["until"])
        if not world.approved_by and world.now < until and not _is_in_vain(world, data):
            said = f"held until {until:%Y-%m-%d %H:%M} UTC or its release"
            return Wait(said, on=wake_on_approval(world.run_id), at_most=until - world.now)
        ran_out = "the hold ran out" if world.now >= until else "the run that it was held for is over"
        data["released_at"] = world.now.isoformat()
        data["released"] = f"released by {world.approved_by}" if world.approved_by else ran_out
    return _others_at_work(world, data) or Done(data["released"])


def _others_at_work(world: World, data: Data) -> Wait | None:
    """Wait for a product that is not ours. A backup by policy, whose product is ours, does so only where its VF is away."""
    if PARENT in data and not data["failed_over"]:
        return None
    foreign.note(world, data)  # a run of before this was known has none
    waiting = foreign.waiting(world, data, datetime.fromisoformat(data["released_at"]))
    return replace(waiting, message=f"{data.get('released', 'released')}; {waiting.message}") if waiting else None


def _is_in_vain(world: World, data: Data) -> bool:
    """Whether the run that had the VM prepared is over already: it was given up while this one did not exist yet."""
    seen = world.services.runs.look(UUID(data[PARENT])) if PARENT in data and world.services else None
    return seen is not None and seen.over


@placing.if_there
def take_over(world: World, data: Data) -> Outcome:
    """Have the VM for this run alone, where it is to get its VF back, and see whether it runs."""
    if not data["failed_over"]:
        return Done("the VM has its VF already")
    if _thing(data) not in world.held and (waiting := _others_at_work(world, data)):
        return waiting
    return _taken(world, data, data["released_at"])


def _thing(data: Data) -> str:
    return f"vm:{data['vm']}"


def _taken(world: World, data: Data, since: str) -> Outcome:
    if _thing(data) not in world.held:
        return Need((_thing(data),))
    vm = world.pool.condition(data["vm"])
    if waiting := foreign.in_progress(world, vm, datetime.fromisoformat(since)):
        return waiting
    data["ran"] = vm.power_state == "Running"
    data["taken_over"] = True
    return Done("it is shut down for a moment" if data["ran"] else "somebody halted it: it stays halted")


@placing.if_there
def give_vf_back(world: World, data: Data) -> Outcome:
    """Shut it down, put its VIFs back on their network, start it, and see that it has its VFs."""
    if not data["failed_over"]:
        return DONE
    if data["ran"]:
        data.setdefault("down_at", world.now.isoformat())
    if run := data.pop("blocked_by", None):
        data["taken_from"] = run
        world.pool.block(data["vm"], backup_modes.GUARDED, starting.reason(world.run_id))
    outcome = homecoming.come_home(world, data)
    if isinstance(outcome, Done) and "down_at" in data:
        data.setdefault("up_at", world.now.isoformat())
    return outcome


def retain(world: World, data: Data) -> Outcome:
    """Keep the snapshot as long as the policy says."""
    until = datetime.fromisoformat(data["released_at"]) + timedelta(seconds=data["retention"])
    left = until - world.now
    return Wait(f"the snapshot stays until {until:%Y-%m-%d %H:%M} UTC", at_most=left) if left > timedelta() else DONE


def remove_snapshot(world: World, data: Data) -> Outcome:
    """Destroy the snapshot with its disks."""
    return Done(backup_snapshots.remove(world, data))


@placing.if_there
def take_over_now(world: World, data: Data) -> Outcome:
    """As take_over, for a person who gives up: products of others are not waited for, but what is in progress right now."""
    return _taken(world, data, data["given_up_at"])


def let_all_go(world: World, data: Data) -> Outcome:
    """Given up: the VF is given back and the snapshot goes at once, so that nothing is left behind."""
    if data["failed_over"] and not data.get("taken_over"):
        data.setdefault("given_up_at", world.now.isoformat())
        outcome = take_over_now(world, data)
        if isinstance(outcome, Need | Wait):
            return outcome
        data["taken_over"] = True  # recorded before anything is done
        return Wait("the VF is given back", at_most=timedelta())
    return homecoming.one_after_the_other(world, data, give_vf_back, remove_snapshot)


RELEASE = Workflow(
    NAME,
    "Wait for the release of a prepared VM, then give its VF back and let the snapshot go",
    (
        Step(hold, undo=let_all_go, timeout=None),
        Step(take_over, timeout=None),
        Step(give_vf_back, timeout=None),
        Step(retain, timeout=None),
        Step(remove_snapshot, timeout=None),
    ),
)
