"""The observer that everybody has: one line in the log for each happening."""

import logging

from plugins.hooks import hookimpl
from plugins.values import RunEnded, VFFreed, VFLeaked

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
