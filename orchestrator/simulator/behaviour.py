"""All that is written by hand about what xapi does, module by module."""

from typing import Final

from orchestrator.simulator import (
    disks,
    host_boots,
    hosts,
    networks,
    pifs,
    pools,
    sriov,
    storage,
    usbs,
    vbds,
    vifs,
    vm_power,
    vm_snapshots,
    vms,
)
from orchestrator.simulator.registry import Messages

TABLES: Final[tuple[Messages, ...]] = (
    vms.MESSAGES,
    vm_power.MESSAGES,
    vm_snapshots.MESSAGES,
    vifs.MESSAGES,
    networks.MESSAGES,
    pifs.MESSAGES,
    sriov.MESSAGES,
    hosts.MESSAGES,
    host_boots.MESSAGES,
    pools.MESSAGES,
    storage.MESSAGES,
    disks.MESSAGES,
    vbds.MESSAGES,
    usbs.MESSAGES,
)
