"""All that is written by hand about what xapi does, module by module."""

from typing import Final

from orchestrator.simulator import (
    bonds,
    changed_blocks,
    disks,
    host_boots,
    host_leaves,
    hosts,
    networks,
    pifs,
    pools,
    sriov,
    storage,
    usbs,
    vbds,
    vifs,
    vm_migration,
    vm_power,
    vm_snapshots,
    vms,
)
from orchestrator.simulator.registry import Messages

TABLES: Final[tuple[Messages, ...]] = (
    vms.MESSAGES,
    vm_power.MESSAGES,
    vm_migration.MESSAGES,
    vm_snapshots.MESSAGES,
    vifs.MESSAGES,
    networks.MESSAGES,
    pifs.MESSAGES,
    bonds.MESSAGES,
    sriov.MESSAGES,
    hosts.MESSAGES,
    host_boots.MESSAGES,
    host_leaves.MESSAGES,
    pools.MESSAGES,
    storage.MESSAGES,
    disks.MESSAGES,
    changed_blocks.MESSAGES,
    vbds.MESSAGES,
    usbs.MESSAGES,
)
