"""Reboot one host as carefully as an enable does: emptied before, its VMs started again after, and its VFs back."""

from workflows import rolling
from workflows.outcome import Done, Outcome, Refuse, Request
from workflows.rolling import Consent
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "reboot-host"


def request(pool: str, host: str, name: str, why: str, consent: Consent) -> Request:
    """The run that reboots the host (a uuid; *name* is for people) because of *why*, when that may be."""
    data = {"host": host, "why": why, "reboot": consent.reboot, "maintenance": list(consent.maintenance), "away": consent.max_unavailable}
    return Request(NAME, pool, f"host:{host}", f"host {name}", data)


def look_first(world: World, data: Data) -> Outcome:
    """Look whether the host is there."""
    data.pop(rolling.KEY, None)
    if not any(host.uuid == data["host"] for host in world.pool.hosts()):
        return Refuse("the host is not in the pool")
    return Done(f"it is to be rebooted: {data['why']}")


def reboot_host(world: World, data: Data) -> Outcome:
    """Reboot it, by consent: emptied before, and back with its VFs and its VMs."""
    consent = Consent(data["reboot"], tuple(data["maintenance"]), data["away"])
    outcome = rolling.roll(world, data, [data["host"]], consent)
    return Done("it was rebooted, and is back") if isinstance(outcome, Done) else outcome


REBOOT = Workflow(
    NAME,
    "Reboot a host, with its VMs brought to safety and back",
    (Step(look_first), Step(reboot_host, undo=rolling.put_back, timeout=None)),
)
