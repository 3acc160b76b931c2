"""Make a VM ready for a backup: a snapshot that wants no VF, and the VM back in service with its own.

The VM is never without somebody who brings it home: what it was is in the run and, before a VIF is moved, in the pool itself.
"""

from datetime import datetime, timedelta
from typing import Any

from plugins.errors import GiveUp
from plugins.values import Ended
from workflows import (
    backup_hooks,
    backup_modes,
    backup_snapshots,
    homecoming,
    parking,
    placing,
    powering,
    put_right,
    release_backup,
    room,
    starting,
)
from workflows.backup_modes import FAILOVER, ONLINE, Mode
from workflows.objects import VM
from workflows.outcome import DONE, PARENT, Done, Need, Outcome, Refuse, Request, Wait
from workflows.policy import BackupPolicy
from workflows.ports import Pool
from workflows.tasks import tidied
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "prepare-backup"
ASKED = ("vm", "vm_name", "asked", "hold", "retention", PARENT, *backup_hooks.CARRIED)


def request(pool: str, vm: VM, *, mode: str = backup_modes.AUTO, hold: timedelta, retention: timedelta) -> Request:
    """The run that prepares the VM; *hold*: how long it waits for its release, *retention*: how long the snapshot stays after that."""
    data = {
        "vm": vm.uuid, "vm_name": vm.name, "asked": mode, "hold": hold.total_seconds(), "retention": retention.total_seconds(),
    }  # fmt: skip
    return Request(NAME, pool, f"vm:{vm.uuid}", f"VM {vm.name}", data)


def examine(world: World, data: Data) -> Outcome:
    """Have the VM for this run alone, look at it, choose the mode, and refuse whatever would fail later."""
    thing = f"vm:{data['vm']}"
    if thing not in world.held:
        return Need((thing,))
    for key in data.keys() - set(ASKED):  # of an earlier try
        del data[key]
    vm = world.pool.vm(data["vm"])
    if vm.current_operations:
        return powering.change_of(world, vm, f"{', '.join(vm.current_operations)} in progress on the VM", timedelta(seconds=30))
    mode = backup_modes.choose(data["asked"], vm, world.policy.backup)
    if against := objections(world.pool, world.policy.backup, vm, mode):
        return Refuse("; ".join(against))
    if mode.name == FAILOVER:
        data["failover_to"] = backup_modes.stand_in(world.policy.backup, world.pool.networks()).uuid
    network = parking.network(world)
    if network is None:
        return Need((parking.MAKING,))
    data |= {**_noted(world, vm, mode), "parking": network}
    return Done(f"mode {mode.name}: {mode.why}; {vm.power_state.lower()}, {len(data['vifs'])} VIFs that take VFs")


def objections(pool: Pool, policy: BackupPolicy, vm: VM, mode: Mode) -> list[str]:
    """Everything that stands against it, as the pool shows it now."""
    against = backup_modes.objections(vm, mode, policy, pool.facts())
    if not against:
        against = backup_modes.to_disks(vm, pool.disks(vm.uuid), policy)
    if mode.name == FAILOVER:
        try:
            backup_modes.stand_in(policy, pool.networks())
        except LookupError as error:
            against.append(str(error))
    return against


def _noted(world: World, vm: VM, mode: Mode) -> dict[str, Any]:
    """What the VM is, and must be again."""
    return {
        "mode": mode.name,
        "untouched": mode.name == ONLINE,
        "why": mode.why,
        "ran": vm.power_state == "Running",
        "host": vm.resident_on,
        "vifs": [vif.as_note() for vif in vm.sriov_vifs],
        "snapshots": list(vm.snapshots),
        "name": backup_snapshots.name_for(world, vm.name),
    }


def promise_return(world: World, data: Data) -> Outcome:
    """Promise the VM its VFs before they are taken off, so that no run of ours takes them meanwhile."""
    if not _parks(data) or not data["ran"] or not data["vifs"]:
        return Done("no VF is given away")
    if not room.promise(world, data, data["host"]):
        if moving := room.in_motion(world, data, data["host"]):
            return Wait(f"its VFs can be promised to it when its host has come to rest: {moving}", at_most=timedelta(seconds=5))
        return Refuse("its VFs cannot be promised to it for the return: others have been promised them")
    return Done(f"promised: {len(data['vifs'])} VFs of the host where it runs")


@placing.if_there
def withdraw_promise(world: World, data: Data) -> Outcome:
    """What this run promised is promised no more: it holds its VFs, or wants none."""
    world.ledger.keep(data["vm"], world.run_id)
    return DONE


def leave_note(world: World, data: Data) -> Outcome:
    """Write into the pool what the VM and its VIFs are, for `vfo recover`; the snapshot has a copy, by which it is known for ours."""
    world.pool.note(data["vm"], parking.NOTE, parking.note_of(world.run_id, data))
    return Done(f"noted in the pool: {len(data['vifs'])} VIFs, {'running' if data['ran'] else 'halted'}")


def guard(world: World, data: Data) -> Outcome:
    """Let nobody start the VM while its VIFs are away."""
    if not _parks(data):
        return DONE
    world.pool.block(data["vm"], backup_modes.GUARDED, starting.reason(world.run_id))
    return Done("nobody can start it until its VIFs are back")


@placing.if_there
def erase_note(world: World, data: Data) -> Outcome:
    """Take our block and our note away."""
    return homecoming.leave_nothing(world, data) if _parks(data) else _unnoted(world, data)


def _unnoted(world: World, data: Data) -> Done:
    world.pool.erase(data["vm"], parking.NOTE)
    return Done("nothing of ours is left on the VM")


def shut_down(world: World, data: Data) -> Outcome:
    """Halt it with its guest's help; when the policy's patience is over, give up or pull the plug, as the policy says."""
    if not _parks(data):
        return Done("it goes on running: nothing of it is touched" if data["ran"] else "it is halted")
    asked = data.get(powering.ASKED, world.now.isoformat())
    waiting = powering.halt(world, data, world.pool.condition(data["vm"]))
    if waiting is None and data["ran"]:
        data["down_at"] = asked
    return waiting or DONE


def park_vifs(world: World, data: Data) -> Outcome:
    """Move the VIFs that take VFs to our parking network, where they keep everything."""
    if not _parks(data) or not data["vifs"]:
        return DONE
    vm = world.pool.vm(data["vm"])
    if vm.power_state != "Halted" or vm.current_operations:
        raise GiveUp("somebody started the VM while it was to be halted for its backup")
    for vif in vm.sriov_vifs:
        world.pool.move_vif(vif.uuid, data["parking"], seen=vm)
    return Done(f"on network {parking.NETWORK_NAME!r}: {len(data['vifs'])} VIFs")


def asks_nobody(data: Data) -> bool:
    """Whether there are no hooks to be asked for the snapshot, so that there is nobody to be told of it when the run is given up."""
    return not data.get("hooks")


def before_snapshot(world: World, data: Data) -> Outcome:
    """Ask the hooks of the policy, if a policy wants it, for the snapshot: a guest that runs is frozen now."""
    return backup_hooks.ask(world, data, "before_snapshot") or DONE


def take_snapshot(world: World, data: Data) -> Outcome:
    """Take the snapshot of its disks."""
    began = datetime.fromisoformat(data.setdefault("snapshot_began", world.now.isoformat()))
    patience = world.policy.backup.snapshot_patience
    if world.now - began > patience:
        world.pool.cancel_task(data.get(f"task:{backup_snapshots.TAKING}", ""))
        raise GiveUp(f"the snapshot took longer than {patience}")
    waiting = backup_snapshots.take(world, data)
    if not _parks(data):  # nobody waits to be started
        tidied(world, data)
    return waiting or Done(f"snapshot {data['snapshot']}")


def after_snapshot(world: World, data: Data) -> Outcome:
    """Tell the hooks that the snapshot was taken: a guest that was frozen is thawed."""
    return Done(backup_hooks.tell(world, data, "after_snapshot", Ended("taken")))


def thaw(world: World, data: Data) -> Outcome:
    """Tell the hooks that there will be no snapshot, those that were asked for it last too; once."""
    return Done(backup_hooks.tell(world, data, "after_snapshot", Ended("failed", world.given_up)))


def remove_snapshot(world: World, data: Data) -> Outcome:
    """Destroy the snapshot with its disks; the guest is thawed before."""
    thaw(world, data)
    waiting = backup_snapshots.at_work(world, data) if world.pool.vm_exists(data["vm"]) else None
    return waiting or Done(backup_snapshots.remove_unrecorded(world, data))


@placing.if_there
def restore_vifs(world: World, data: Data) -> Outcome:
    """Put every VIF back where it was (in mode failover onto the ordinary network), whatever becomes of the others."""
    if not _parks(data):
        return DONE
    if data["mode"] == FAILOVER and data["ran"]:
        data["stand_in"], data["until"] = data["failover_to"], (world.now + timedelta(seconds=data["hold"])).isoformat()
        world.pool.note(data["vm"], parking.NOTE, parking.note_of(world.run_id, data))
    return placing.restored(world, data)


@placing.if_there
def start_again(world: World, data: Data) -> Outcome:
    """Start it if it ran: where it ran, else by the policy's fallbacks."""
    return _up(world, data, homecoming.start_again(world, data)) if _parks(data) else DONE


def _up(world: World, data: Data, outcome: Outcome) -> Outcome:
    """The outcome; where the VM is back by it, since when is noted."""
    if isinstance(outcome, Done) and "down_at" in data:
        data.setdefault("up_at", world.now.isoformat())
    return outcome


def mark_snapshot(world: World, data: Data) -> Outcome:
    """Tag the snapshot as ours, say how long it stays, and see that nothing that is restored from it wants a VF."""
    until = world.now + timedelta(seconds=data["hold"] + data["retention"])
    backup_snapshots.mark(world, data, until)
    if _parks(data):  # it is a copy of the guarded VM, and copies of it are to be started
        world.pool.unblock(data["snapshot"], starting.reason(world.run_id))
    moved = backup_snapshots.take_off_vfs(world, data)
    return Done(f"tagged, until {until:%Y-%m-%d %H:%M} UTC" + (f"; {moved} VIFs of it parked" if moved else ""))


@placing.if_there
def verify(world: World, data: Data) -> Outcome:
    """See that it runs if it ran, with its VFs, and that its VIFs are as they were, field by field."""
    return homecoming.verify(world, data) if _parks(data) else Done("the VM was not touched")


@placing.if_there
def leave_nothing(world: World, data: Data) -> Outcome:
    """Take our block, our note and the promise away; in mode failover the note and the promise stay until the VF is back."""
    return homecoming.leave_nothing(world, data) if _parks(data) else _unnoted(world, data)


def prepared(world: World, data: Data) -> Outcome:
    """Hand over: from here the release run looks after the snapshot, and after the VF in mode failover."""
    until = data.get("until") or (world.now + timedelta(seconds=data["hold"])).isoformat()
    follow_up = [release_backup.request(world, {**data, "until": until})]
    if data.get("fallen_back"):
        follow_up.append(put_right.request(world.pool.name, data["vm"], data["vm_name"]))
    return Done(f"prepared: snapshot {data['snapshot']}, held until {until[:16]} UTC or its release", follow_up=tuple(follow_up))


@placing.if_there
def come_home(world: World, data: Data) -> Outcome:
    """Bring the VM home as it was, whatever state it is in."""
    if not _parks(data):
        return DONE
    for key in ("stand_in", "until", "fallen_back", "in_service"):
        data.pop(key, None)
    return _up(world, data, homecoming.come_home(world, data))


def _parks(data: Data) -> bool:
    return bool(data["mode"] != ONLINE)


PREPARE = Workflow(
    NAME,
    "Make a VM ready for a backup, and have it back in service with its VF",
    (
        Step(examine),
        Step(promise_return, undo=withdraw_promise),
        Step(leave_note, undo=erase_note, timeout=None),
        Step(guard, timeout=None),
        Step(shut_down, undo=come_home, timeout=None, joined=True),
        Step(park_vifs, timeout=None, joined=asks_nobody),
        Step(before_snapshot, undo=thaw, timeout=timedelta(minutes=15)),
        Step(take_snapshot, undo=remove_snapshot, joined=True),
        Step(after_snapshot, joined=True),
        Step(restore_vifs, timeout=None, joined=True),
        Step(start_again, timeout=None),
        Step(mark_snapshot),
        Step(verify, timeout=None),
        Step(leave_nothing, timeout=None),
        Step(prepared),
    ),
)
