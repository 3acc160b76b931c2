"""What prepare-backup would do to a VM, said before anything is touched."""

from workflows import backup_modes, prepare
from workflows.backup_modes import FAILOVER, ONLINE, Mode
from workflows.objects import VM
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.policy import BackupPolicy
from workflows.ports import Pool

MARK = ("VM.add_tags", "VM.add_to_other_config")
NOTE = ("VM.add_to_other_config",)
GUARD = ("VM.add_to_blocked_operations", "VM.add_to_blocked_operations")
OPEN = ("VM.remove_from_blocked_operations", "VM.remove_from_blocked_operations")
UNGUARD = (*OPEN, "VM.update_allowed_operations")
ERASE = ("VM.remove_from_other_config",)


def of_preparing(pool: Pool, policy: BackupPolicy, request: Request, vm: VM) -> Plan:
    """The plan of a request of `prepare.request`; the refusals are the run's own."""
    title = f"{request.workflow} of {request.title}"
    mode = backup_modes.choose(request.data["asked"], vm, policy)
    if against := prepare.objections(pool, policy, vm, mode):
        return Plan(title, (f"mode {mode.name}: {mode.why}",), (), tuple(against))
    return Plan(title, _sentences(vm, mode, policy, request), _calls(vm, mode))


def _sentences(vm: VM, mode: Mode, policy: BackupPolicy, request: Request) -> tuple[str, ...]:
    said = [f"mode {mode.name}: {mode.why}"]
    vifs = ", ".join(f"{vif.device} ({vif.MAC}, {vif.network_name})" for vif in vm.sriov_vifs) or "none"
    ran = vm.power_state == "Running"
    if mode.parks:
        said += [f"promise {len(vm.sriov_vifs)} VFs of its host to it for the return"] if ran and vm.sriov_vifs else []
        said += [f"note its VIFs in the pool and let nobody start it meanwhile; VIFs that take VFs: {vifs}"]
        hard = "then pull the plug" if policy.shutdown == "hard" else "then give up and undo"
        said += [f"shut it down, waiting {policy.shutdown_patience} for its guest, {hard}"] if ran else []
        said += ["move its VIFs to the parking network"] if vm.sriov_vifs else []
    if not mode.parks:
        said.append("note on it that a snapshot is taken, by which that is known for ours")
    said.append("take a snapshot of its disks" + (" while it runs" if ran and not mode.parks else ""))
    if mode.parks:
        said.append(f"move its VIFs to {policy.fallback_network}" if mode.name == FAILOVER and ran else "move its VIFs back")
        said += [f"start it where it ran; if its VF is gone: {', '.join(policy.no_vf)}"] if ran else ["leave it halted, as it is"]
        said.append("see that it holds its VFs and that every field of its VIFs is as it was")
    else:
        said.append("move the snapshot's VIFs to the parking network, and take the note off the VM")
    return (*said, f"hold the snapshot {_hours(request)} h for the product, or until `vfo backup release`")


def _hours(request: Request) -> str:
    return f"{request.data['hold'] / 3600:g}"


def _calls(vm: VM, mode: Mode) -> tuple[str, ...]:
    moves = ("VIF.move",) * len(vm.sriov_vifs)
    if mode.name == ONLINE:
        return (*NOTE, "VM.snapshot", *MARK, *(moves or ERASE), *ERASE)
    ran = vm.power_state == "Running"
    there = ("VM.clean_shutdown",) if ran else ()
    back = (*OPEN, "VM.start_on") if ran else ()
    renote = ("VM.remove_from_other_config", *NOTE) if mode.name == FAILOVER and ran else ()
    end = (*renote,) if renote else (*(() if ran else UNGUARD), *ERASE)
    return (*NOTE, *GUARD, *there, *moves, "VM.snapshot", *renote, *moves, *back, *MARK, *UNGUARD, *(() if moves else ERASE), *end)
