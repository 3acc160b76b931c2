"""`[[assign]]` rules: VMs with a tag get a VF on a network, once. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from workflows import assign
from workflows.assign import Wish
from workflows.outcome import Request


@dataclass(frozen=True, slots=True)
class Rule:
    """A VM with *tag* gets a VF on *network*, *grace* after it was seen to have the tag. *pool*: only in that one; None: in all.

    Networks are uuids or names. *when*, *force* and *qos_kbps* are those of `assign.Wish`.
    """

    tag: str
    network: str
    vlan_network: str
    pool: str | None
    when: str
    force: bool
    grace: timedelta
    qos_kbps: int | None = None

    @property
    def goes_on(self) -> str:
        """The network that the VIF goes on."""
        return self.vlan_network or self.network


def request(pool: str, rule: Rule, vm: tuple[str, str], networks: tuple[str, str], seen_at: datetime) -> Request:
    """The run that a VM (uuid, name) with the rule's tag is given; *networks* are the uuids of the rule's two, "" for no VLAN network."""
    network, vlan = networks
    wish = Wish(network, rule.goes_on, vlan, when=rule.when, force=rule.force, rule=rule.tag, qos_kbps=rule.qos_kbps)
    wanted = assign.request(pool, *vm, wish)
    wanted.data["not_before"] = (seen_at + rule.grace).isoformat()
    return wanted
