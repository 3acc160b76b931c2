"""The product is done with a prepared VM: its VF is given back where it stood in, and the snapshot goes when its time is over."""

from datetime import datetime, timedelta
from typing import Any

from workflows import backup_modes, backup_snapshots, homecoming, placing, starting
from workflows.outcome import DONE, Done, Need, Outcome, Request, Wait, wake_on_approval
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "release-backup"
KEPT = ("vm", "vm_name", "mode", "vifs", "host", "ran", "snapshot", "until", "retention")


def request(world: World, data: Data) -> Request:
    """The run that waits for the release of what a run of prepare-backup has prepared."""
    kept: dict[str, Any] = {name: data[name] for name in KEPT if name in data}
    kept["failed_over"] = data["mode"] == backup_modes.FAILOVER and bool(data.get("stand_in")) and not data.get("fallen_back")
    kept["blocked_by"] = str(world.run_id)
    return Request(NAME, world.pool.name, f"snapshot:{data['snapshot']}", f"VM {data['vm_name']}", kept)


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
    return Request(NAME, pool, f"snapshot:{said['snapshot']}", f"VM {data['vm_name']}", data)


def hold(world: World, data: Data) -> Outcome:
    """Wait until somebody says that the product is done (`vfo backup release`), or the hold runs out."""
    until = datetime.fromisoformat(data["until"])
    if not world.approved_by and world.now < until:
        return Wait(f"held until {until:%Y-%m-%d %H:%M} UTC or its release", on=wake_on_approval(world.run_id), at_most=until - world.now)
    data["released_at"] = world.now.isoformat()
    return Done(f"released by {world.approved_by}" if world.approved_by else "the hold ran out")


@placing.if_there
def take_over(world: World, data: Data) -> Outcome:
    """Have the VM for this run alone, where it is to get its VF back, and see whether it runs."""
    if not data["failed_over"]:
        return Done("the VM has its VF already")
    thing = f"vm:{data['vm']}"
    if thing not in world.held:
        return Need((thing,))
    data["ran"] = world.pool.power_state(data["vm"]) == "Running"
    data["taken_over"] = True
    return Done("it is shut down for a moment" if data["ran"] else "somebody halted it: it stays halted")


@placing.if_there
def give_vf_back(world: World, data: Data) -> Outcome:
    """Shut it down, put its VIFs back on their network, start it, and see that it has its VFs."""
    if not data["failed_over"]:
        return DONE
    if data.pop("blocked_by", None):
        world.pool.block(data["vm"], backup_modes.GUARDED, starting.reason(world.run_id))
    return homecoming.come_home(world, data)


def retain(world: World, data: Data) -> Outcome:
    """Keep the snapshot as long as the policy says."""
    until = datetime.fromisoformat(data["released_at"]) + timedelta(seconds=data["retention"])
    left = until - world.now
    return Wait(f"the snapshot stays until {until:%Y-%m-%d %H:%M} UTC", at_most=left) if left > timedelta() else DONE


def remove_snapshot(world: World, data: Data) -> Outcome:
    """Destroy the snapshot with its disks."""
    return Done(backup_snapshots.remove(world, data))


def let_all_go(world: World, data: Data) -> Outcome:
    """Given up: the VF is given back and the snapshot goes at once, so that nothing is left behind."""
    if data["failed_over"] and not data.get("taken_over"):
        outcome = take_over(world, data)
        data["taken_over"] = not isinstance(outcome, Need)  # recorded before anything is done
        return outcome if isinstance(outcome, Need) else Wait("the VF is given back", at_most=timedelta())
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
