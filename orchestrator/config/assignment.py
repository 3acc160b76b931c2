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

    def policy(self) -> AssignmentPolicy:
        """As the steps read it."""
        return AssignmentPolicy(full=self.full, count_halted=self.count_halted, shutdown=self.shutdown)


class AssignRule(Section):
    """`[[assign]]`: a VM that has this tag gets a VF on this network, once, when it appears or gets the tag."""

    tag: str = Field(min_length=1)
    network: str = Field(min_length=1)
    """An SR-IOV network, or a VLAN network on one, by uuid or name."""
    vlan_network: str = ""
    """The VLAN network on *network* that the VIF goes on."""
    pool: str | None = None
    """Only in this pool; without it in all."""
    when: Literal["now", "next-halt", "window"] = "next-halt"
    """When a VM that runs may be shut down for it."""
    force_shutdown: bool = False
    """Whether the plug of a guest may be pulled that does not shut down cleanly."""
    grace: Duration = timedelta(seconds=15)
    """How long after it was seen: whoever makes the VM may still be giving it its first VIFs."""

    def rule(self) -> Rule:
        """As the listener reads it."""
        return Rule(self.tag, self.network, self.vlan_network, self.pool, self.when, force=self.force_shutdown, grace=self.grace)
