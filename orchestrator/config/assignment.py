"""`[assignment]` and `[[assign]]`: how VFs are given to VMs, and which VMs get one without being asked for."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from orchestrator.config.durations import Duration
from orchestrator.config.section import Section
from workflows.policy import AssignmentPolicy
from workflows.tagged import Rule


class Assignment(Section):
    """`[assignment]`: giving VFs to VMs and taking them back."""

    full: Literal["refuse", "wait"] = "refuse"
    """What follows when no VF is to be had: the run is refused, or it waits until one is free."""
    count_halted: bool = True
    """Whether the VFs that halted VMs will want when they start count as taken. false: a VM may find none when it starts."""
    shutdown: Duration = timedelta(minutes=5)
    """How long a guest may take to shut down cleanly before the run gives up (or pulls the plug, where that was allowed)."""

    qos_kbps: int = Field(default=0, ge=0)
    """What VIFs that are made are limited to where nothing else is asked for, as XenAPI's "ratelimit"; 0: nothing."""

    def policy(self) -> AssignmentPolicy:
        """As the steps read it."""
        return AssignmentPolicy(full=self.full, count_halted=self.count_halted, shutdown=self.shutdown, qos_kbps=self.qos_kbps)


class AssignRule(Section):
    """`[[assign]]`: a VM that has this tag gets a VF on this network, once, when it appears or gets the tag."""

    tag: str = Field(min_length=1)
    network: str = Field(min_length=1)
    """An SR-IOV network, or a VLAN network on one, by uuid or name."""
    vlan_network: str = ""
    """The VLAN network on *network* that the VIF goes on."""
    pool: str | None = None
    """Only in this pool; without it in all."""
    when: str = "next-halt"
    """When a VM that runs may be shut down for it: "now", "next-halt", "window" (any maintenance window), "window:NAME" (that one)."""
    force_shutdown: bool = False
    """Whether the plug of a guest may be pulled that does not shut down cleanly."""
    grace: Duration = timedelta(seconds=15)
    """How long after it was seen: whoever makes the VM may still be giving it its first VIFs."""
    qos_kbps: int | None = Field(default=None, ge=0)
    """What its VIF is limited to; 0: nothing; left out: as `[assignment]` says."""

    def rule(self) -> Rule:
        """As the listener reads it."""
        place = (self.tag, self.network, self.vlan_network, self.pool)
        return Rule(*place, self.when, force=self.force_shutdown, grace=self.grace, qos_kbps=self.qos_kbps)
