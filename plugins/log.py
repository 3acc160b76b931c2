"""The observer that everybody has: one line in the log for each happening."""

import logging

from plugins.hooks import hookimpl
from plugins.values import BackupEnded, HostChanged, RunEnded, VFFreed, VFLeaked, WindowChanged

logger = logging.getLogger("vfo.happenings")


@hookimpl
def vf_freed(freed: VFFreed) -> None:
    """Say which VM's VFs are free again, and how many the port has."""
    logger.info(
        "VFs of VM %s are free again on %s of pool %s: %d of %d are free", freed.vm_name, freed.port, freed.pool, freed.free, freed.total
    )


@hookimpl
def vf_leaked(leaked: VFLeaked) -> None:
    """Warn of VFs that nobody has and nobody can use."""
    logger.warning("%d VFs of %s of pool %s are leaked: see vfo run %s", leaked.count, leaked.port, leaked.pool, leaked.run_id)


@hookimpl
def run_ended(ended: RunEnded) -> None:
    """Say how a run ended; a stuck one is a warning."""
    level = logging.WARNING if ended.end == "stuck" else logging.INFO
    logger.log(
        level, "run %s (%s of %s, pool %s) is %s: %s", ended.run_id, ended.workflow, ended.title, ended.pool, ended.end, ended.reason
    )


@hookimpl
def backup_ended(backup: BackupEnded) -> None:
    """Say what became of the backup of a VM; whatever is not saved is a warning."""
    vm, ended = backup.vm, backup.ended
    level = logging.INFO if ended.status in ("saved", "skipped") else logging.WARNING
    why = f": {ended.reason}" if ended.reason else ""
    logger.log(level, "backup of VM %s of pool %s by policy %s: %s%s", vm.name, vm.pool, vm.policy, ended.status, why)


@hookimpl
def window_changed(change: WindowChanged) -> None:
    """Say that a window opened, or what came of it."""
    window, ended = change.window, change.ended
    if ended is None:
        logger.info("window %s of pool %s is open", window.name, window.pool)
    else:
        logger.info("window %s of pool %s: %s", window.name, window.pool, ended)


@hookimpl
def host_changed(change: HostChanged) -> None:
    """Say that a host came into service or went out of it."""
    how = "does not answer" if not change.live else "is in service" if change.enabled else "is disabled"
    logger.log(logging.INFO if change.live and change.enabled else logging.WARNING, "host %s of pool %s %s", change.name, change.pool, how)
