"""What the administrator allows and wants, as frozen values: the configuration fills them, the steps read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from workflows.policies import Backups
from workflows.wanted import RebootPolicy, SriovPolicy
from workflows.windows import Window

CURES = ("forget", "power-state-reset", "reinit-port", "restart-toolstack", "reboot-in-window")
"""What may be done to get lost VFs back, mildest first; the first three are allowed unless the configuration says otherwise."""


@dataclass(frozen=True, slots=True)
class ReclaimPolicy:
    """How VFs are reclaimed.

    *grace*: how long after a deletion, and between the first and the last look, before a VF that is missing in the arithmetic
    is called leaked. *looks*: how many looks, spread over the grace period, must agree on a leak.
    *settle*: how long a port may stay in motion (starts, migrations, boots) before a person is told that no look was possible.
    *allow*: the cures that may be tried, see `CURES`.
    *halted_longer_than*: VMs that are halted for longer lose their VIFs on SR-IOV networks; None: never.
    """

    grace: timedelta = timedelta(seconds=30)
    looks: int = 3
    settle: timedelta = timedelta(minutes=30)
    allow: frozenset[str] = frozenset(CURES[:3])
    halted_longer_than: timedelta | None = None


@dataclass(frozen=True, slots=True)
class BackupPolicy:
    """How VMs are made ready for a backup.

    *needs*: during what the product needs the VM to hold no VF: "nothing", the "snapshot", or its whole "job"; mode auto goes by it.
    *memory*: whether the product takes the VM's memory too (VM.checkpoint), which xapi refuses for a VM that holds a VF.
    *shutdown_patience*: how long a guest may take to shut down when asked; *shutdown*: what follows: "give-up" (and undo) or "hard".
    *late_halt*: how long a guest that did not shut down in time is watched, as it may still do so, and must run again then.
    *hold*: how long a prepared VM waits for the product when nobody releases it. *retention*: how long the snapshot stays after that.
    *no_vf*: what to try, in this order, when the VF is gone at the return: "elsewhere", "wait", "fallback-network", "leave-halted".
    *wait_for_vf*: how long "wait" waits. *fallback_network*: uuid or name of the ordinary network for that and for mode failover.
    *max_snapshots*: a disk that has more is refused: its chain is too long. *room*: what share of a VM's disks must be free on their SR.
    *snapshot_patience*: after that a snapshot is given up. *foreign_snapshot*: whether a release waits for a product that is not ours and
    is at work on the VM: "wait" or "ignore"; *foreign_patience*: for how long.
    """

    needs: str = "snapshot"
    memory: bool = False
    shutdown_patience: timedelta = timedelta(minutes=5)
    shutdown: str = "give-up"
    late_halt: timedelta = timedelta(minutes=5)
    hold: timedelta = timedelta(hours=12)
    retention: timedelta = timedelta()
    no_vf: tuple[str, ...] = ("elsewhere", "wait", "fallback-network", "leave-halted")
    wait_for_vf: timedelta = timedelta(minutes=30)
    fallback_network: str = ""
    max_snapshots: int = 20
    room: float = 0.1
    snapshot_patience: timedelta = timedelta(minutes=15)
    foreign_snapshot: str = "wait"
    foreign_patience: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class AssignmentPolicy:
    """How VFs are given to VMs and taken back.

    *full*: what follows when no VF is to be had: "refuse" or "wait". *count_halted*: whether the VFs that halted VMs will want when they
    start count as taken. *shutdown*: how long a guest may take to shut down cleanly. *qos_kbps*: what a VIF that is made is limited to
    where nothing else is asked for, as XenAPI's ratelimit; 0: nothing.
    """

    full: str = "refuse"
    count_halted: bool = True
    shutdown: timedelta = timedelta(minutes=5)
    qos_kbps: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """All policies, by subject."""

    reclaim: ReclaimPolicy = field(default_factory=ReclaimPolicy)
    backup: BackupPolicy = field(default_factory=BackupPolicy)
    reboot: RebootPolicy = field(default_factory=RebootPolicy)
    sriov: Mapping[str, SriovPolicy] = field(default_factory=dict)
    maintenance: Mapping[str, Window] = field(default_factory=dict)
    assignment: AssignmentPolicy = field(default_factory=AssignmentPolicy)
    backups: Backups = field(default_factory=Backups)


def of_run(policy: Policy, data: Mapping[str, Any]) -> Policy:
    """The policies as they hold for a run: where its data names a backup policy, what that one says goes over [backup].

    "needs" in the data is what the product says that it needs of the VM.
    """
    plan = policy.backups.policies.get(data.get("policy", ""))
    if plan is None:
        return policy
    backup = replace(
        policy.backup,
        needs=data.get("needs", policy.backup.needs),
        shutdown_patience=plan.timeouts.shutdown,
        snapshot_patience=plan.timeouts.snapshot,
        shutdown=policy.backup.shutdown if plan.shutdown is None else plan.shutdown,
        no_vf=policy.backup.no_vf if plan.on_vf_gone is None else plan.on_vf_gone,
    )
    return replace(policy, backup=backup)
