"""`[backup]`: how VMs are made ready for a backup product."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from orchestrator.config.durations import Duration
from orchestrator.config.section import Section
from workflows.policy import BackupPolicy

Fallback = Literal["elsewhere", "wait", "fallback-network", "leave-halted"]


class Backup(Section):
    """`[backup]`: preparing VMs for a backup."""

    needs: Literal["nothing", "snapshot", "job"] = "snapshot"
    """During what the product needs the VM to hold no VF; mode auto goes by it (online, offline, failover)."""
    memory: bool = False
    """Whether the product takes a VM's memory too, by a checkpoint of its own: a VM with VFs is failed over for it (mode auto)."""
    shutdown_patience: Duration = timedelta(minutes=5)
    """How long a guest may take to shut down when it is asked."""
    shutdown: Literal["give-up", "hard"] = "give-up"
    """What follows then: give up and leave it running, or pull the plug."""
    late_halt: Duration = timedelta(minutes=5)
    """How long a guest that did not shut down in time is watched: if it halts late, it is started again."""
    hold: Duration = timedelta(hours=12)
    """How long a prepared VM waits for its release when the command does not say."""
    retention: Duration = timedelta(0)
    """How long the snapshot stays after the release."""
    no_vf: tuple[Fallback, ...] = ("elsewhere", "wait", "fallback-network", "leave-halted")
    """What is tried, in this order, when the VF is gone at the return."""
    wait_for_vf: Duration = timedelta(minutes=30)
    """How long "wait" waits for a VF."""
    fallback_network: str = ""
    """An ordinary network, by uuid or name, for mode failover and "fallback-network"."""
    max_snapshots: int = Field(default=20, ge=0)
    """A VM with a disk that has more snapshots is refused."""
    room: float = Field(default=0.1, ge=0, le=2)
    """What share of a VM's disks must be free on their SR; write 1 for thick SRs."""
    snapshot_patience: Duration = timedelta(minutes=15)
    """After that a snapshot is given up, and the VM brought back."""
    foreign_snapshot: Literal["wait", "ignore"] = "wait"
    """Whether a release waits while a product that is not ours is at work on the VM, or has a snapshot there that came after ours."""
    foreign_patience: Duration = timedelta(hours=12)
    """How long it waits for that at most."""

    @model_validator(mode="after")
    def _failover_has_a_network(self) -> "Backup":
        said = "memory = true" if self.memory else 'needs = "job"'
        if (self.memory or self.needs == "job") and not self.fallback_network:
            raise ValueError(f"{said}: it means mode failover, which needs fallback_network")
        return self

    def policy(self) -> BackupPolicy:
        """As the steps read it."""
        return BackupPolicy(**dict(self))
