"""Back up one VM by a policy: a supervisor of the runs, hooks and jobs that do it.

The VM is this run's subject and never its own: prepare-backup has it while it is made ready, and it is in service while the product
works. Whatever goes wrong, the way back is the way forward once more: the job ends, the hooks that come after are told, the snapshot goes
and the VF comes back, and a line of the catalogue says how it ended. `data["ended"]` says so too, as `plugins.values.Ended`.
"""

from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid5

from plugins.values import WindowOpening
from workflows import backup_accounts, backup_hooks, backup_lines, backup_modes, prepare, release_backup, saved_snapshots
from workflows.backup_hooks import services
from workflows.backup_jobs import end_job, save
from workflows.backup_retention import forget
from workflows.outcome import PARENT, Done, Finish, Outcome, Refuse, Request, Wait, wake_on_end
from workflows.policies import BackupPlan
from workflows.ports import Gone
from workflows.services import RunView
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "back-up-vm"
ASKED = (
    "vm", "vm_name", "policy", "product", "mode", "hooks", "hook_seconds", "job_seconds", "window", "opened_at", "closes_at",
    "changed_blocks", "load", PARENT,
)  # fmt: skip
LOOK_AGAIN = timedelta(minutes=5)  # the end of a child wakes its parent; this is for a wake that was lost
HOLD = timedelta(days=7)
"""How long a snapshot is held when nobody says that its backup is over: the run does, so this counts when the database is lost."""


class Named(Protocol):
    """What is known of a VM that is to be backed up: `objects.VM` is one."""

    @property
    def uuid(self) -> str:
        """XenAPI's."""

    @property
    def name(self) -> str:
        """Its name_label."""


def request(vm: Named, plan: BackupPlan, opening: WindowOpening, run_id: UUID, *, woken: bool = True) -> Request:
    """The run that backs up the VM by the policy; its id is *run_id*.

    *opening*: the window, or the moment in which somebody asked; its run is told of the end (*woken*). Of one VM one run is active: where
    one is, by whatever policy, this one is not made.
    """
    data: dict[str, Any] = {
        "vm": vm.uuid, "vm_name": vm.name, "policy": plan.name, "product": plan.product, "mode": plan.mode, "hooks": list(plan.hooks),
        "hook_seconds": plan.timeouts.hook.total_seconds(), "job_seconds": plan.timeouts.job.total_seconds(),
        "window": opening.name if opening.closes else "", "opened_at": opening.opens.isoformat(),
        "closes_at": opening.closes.isoformat() if opening.closes else None, "changed_blocks": plan.changed_blocks,
    }  # fmt: skip
    if woken:
        data[PARENT] = str(opening.run_id)
    return Request(NAME, opening.pool, f"vm:{vm.uuid}", f"VM {vm.name}", data, run_id)


def ask_vm(world: World, data: Data) -> Outcome:
    """Look at the VM, and ask the hooks whether it may be backed up now."""
    _begin_anew(world, data)
    try:
        vm = world.pool.condition(data["vm"])
    except Gone:
        return _not_begun(world, data, "skipped", "the VM was deleted before its backup began")
    data["backup"] = {**backup_lines.nobody(world, data), "name": vm.name, "power_state": vm.power_state, "tags": list(vm.tags)}
    if _is_closed(world, data):
        return _not_begun(world, data, "failed", "the window closed before the backup could begin")
    no = backup_hooks.ask(world, data, "before_vm")
    if isinstance(no, Refuse):
        return _not_begun(world, data, data["ended"]["status"], no.reason)
    return no or Done(f"the backup begins; {vm.power_state.lower()}")


def _begin_anew(world: World, data: Data) -> None:
    """Of an earlier try of this run nothing counts but how many there were: its children have other ids."""
    if "ended" in data:
        data["tries"] = data.get("tries", 1) + 1
        for key in data.keys() - {*ASKED, "tries"}:
            del data[key]
    data.setdefault("began_at", world.now.isoformat())


def _is_closed(world: World, data: Data) -> bool:
    return data["closes_at"] is not None and world.now >= datetime.fromisoformat(data["closes_at"])


def _not_begun(world: World, data: Data, status: str, reason: str) -> Outcome:
    data["ended"] = {"status": status, "reason": reason}
    close(world, data)
    return Finish(f"skipped: {reason}") if status == "skipped" else Refuse(reason)


def make_ready(world: World, data: Data) -> Outcome:
    """Have the VM made ready by a run of prepare-backup: a snapshot that wants no VF, the VM back in service."""
    child = _child(world, data)
    seen = services(world).runs.look(child)
    if seen is None:
        other = services(world).runs.active_on(prepare.NAME, f"vm:{data['vm']}")
        if other is not None:
            return _refused(data, "refused", f"run {other.id} ({other.workflow}) is at work on the VM")
        if _is_closed(world, data):
            return _refused(data, "failed", "the window closed before the VM could be made ready")
        return Wait("it is made ready", on=wake_on_end(child), at_most=LOOK_AGAIN, follow_up=(_preparing(world, data, child),))
    if not seen.over:
        return Wait("it is made ready", on=wake_on_end(child), at_most=LOOK_AGAIN)
    if seen.status != "done":
        return _not_ready(data, seen)
    data |= {"snapshot": seen.data["snapshot"], "prepared_as": seen.data["mode"]}
    return Done(f"mode {seen.data['mode']}: {seen.data['why']}; snapshot {seen.data['snapshot']}")


def _preparing(world: World, data: Data, child: UUID) -> Request:
    """The run of prepare-backup, which calls the hooks of the policy around the snapshot."""
    needs = services(world).plugins.needs(data["product"], backup_hooks.of_data(data["backup"]))
    asked = {
        "vm": data["vm"], "vm_name": data["vm_name"], "asked": data["mode"], "hold": HOLD.total_seconds(), "retention": 0.0,
        PARENT: str(world.run_id), **{name: data[name] for name in backup_hooks.CARRIED if name in data},
    }  # fmt: skip
    if needs is not None and data["mode"] == backup_modes.AUTO:
        asked["needs"] = needs.no_vf_during
    return Request(prepare.NAME, world.pool.name, f"vm:{data['vm']}", f"VM {data['vm_name']}", asked, child)


def _not_ready(data: Data, seen: RunView) -> Refuse:
    """How the backup ends when the VM could not be made ready: as a hook said there, or as the run did."""
    if said := seen.data.get("ended"):
        return _refused(data, said["status"], said["reason"])
    if seen.status == "refused" and seen.reason != "cancelled":
        return _refused(data, "refused", seen.reason)
    next_command = f"; next: {seen.next_command}" if seen.next_command else ""
    return _refused(data, "failed", f"run {seen.id} (prepare-backup) is {seen.status}: {seen.reason}{next_command}")


def _refused(data: Data, status: str, reason: str) -> Refuse:
    data["ended"] = {"status": status, "reason": reason}
    return Refuse(reason)


def _child(world: World, data: Data) -> UUID:
    """The id of the run of prepare-backup: known before it is made, so that it is made once."""
    return uuid5(world.run_id, f"prepare {data.get('tries', 1)}")


def bring_home(world: World, data: Data) -> Outcome:
    """Let the snapshot go, and the VF come back where it is away; a run that is stuck over it is named, and not waited for."""
    runs, child = services(world).runs, _child(world, data)
    seen, by = runs.look(child), f"run {world.run_id}"
    if seen is not None and not seen.over:
        if not data.get("told_to_stop"):
            runs.cancel(child, by=by)
            data["told_to_stop"] = True
        return Wait("the VM is brought home", on=wake_on_end(child), at_most=LOOK_AGAIN)
    held = release_backup.id_for(child)
    release = runs.look(held)
    if release is not None and not release.over:
        if not data.get("released"):
            runs.approve(held, by=by)
            data["released"] = True
        return Wait("the VM is brought home", on=wake_on_end(held), at_most=LOOK_AGAIN)
    over = [one for one in (seen, release) if one is not None and one.status == "stuck"]
    stuck = [f"run {one.id} ({one.workflow}) is stuck: {one.reason}; next: {one.next_command}" for one in over]
    data["left"] = [*data.get("left", []), *(said for said in stuck if said not in data.get("left", []))]
    return Done("; ".join(stuck) or "nothing of ours is left on the VM")


def ask_job(world: World, data: Data) -> Outcome:
    """Ask the hooks whether the product may begin."""
    snapshot = saved_snapshots.read(world, data["snapshot"])
    data["size"] = sum(disk.size for disk in snapshot.disks)
    return backup_hooks.ask(world, data, "before_job", snapshot) or Done(f"{len(snapshot.disks)} disks, {data['size'] >> 20} MiB")


def after_job(world: World, data: Data) -> Outcome:
    """Tell the hooks how the product's job ended."""
    return Done(backup_hooks.tell(world, data, "after_job", backup_lines.ended(world, data)))


def close(world: World, data: Data) -> Outcome:
    """Tell the hooks and the observers how it ended, and write the line of the catalogue."""
    data.setdefault("backup", backup_lines.nobody(world, data))
    amiss = backup_hooks.tell(world, data, "after_vm", backup_lines.ended(world, data))
    ended = backup_lines.record(world, data, (child := _child(world, data), release_backup.id_for(child)))
    data["ended"] = {"status": ended.status, "reason": ended.reason, "point": ended.point}
    return Done("; ".join(part for part in (ended.status, ended.reason, amiss) if part))


BACK_UP = Workflow(
    NAME,
    "Back up a VM by its policy, and have it in service meanwhile",
    (
        Step(ask_vm, undo=close, timeout=timedelta(hours=12)),
        Step(backup_accounts.track),
        Step(make_ready, undo=bring_home, timeout=None),
        Step(ask_job, undo=after_job),
        Step(save, undo=end_job, timeout=None),
        Step(after_job),
        Step(backup_accounts.keep_account, undo=backup_accounts.drop_account),
        Step(bring_home, timeout=None),
        Step(backup_accounts.settle_account),
        Step(forget),
        Step(close),
    ),
)
