"""What the tests of the port share: a simulated pool with its port and a client beside it, and what was begun there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from workflows.objects import NIC, VM, Host, Network
from workflows.tasks import Pending, TaskOutcome

Bench = Callable[..., "Workbench"]
Until = Callable[[Callable[[], bool]], None]


@dataclass
class Workbench:
    """*client* is somebody else's."""

    pool: SimulatedPool
    port: PoolPort
    client: Client

    def vm(self, name: str) -> VM:
        """The VM as the port shows it."""
        return next(vm for vm in self.port.vms() if vm.name == name)

    def host(self, name: str) -> Host:
        return next(host for host in self.port.hosts() if host.name == name)

    def network(self, name: str) -> Network:
        return next(network for network in self.port.networks() if network.name == name)

    def nic(self, host: str, device: str) -> NIC:
        return next(nic for nic in self.port.nics() if (nic.host_name, nic.device) == (host, device))

    def ref(self, kind: str, uuid: str) -> str:
        return str(self.client.call(f"{kind}.get_by_uuid", uuid))

    def record(self, kind: str, uuid: str) -> dict[str, Any]:
        """The object as XenAPI has it."""
        return dict(self.client.call(f"{kind}.get_record", self.ref(kind, uuid)))

    def begun(self, method: str) -> int:
        """How many tasks of the method the pool has, whatever became of them."""
        return sum(task["name_label"] == f"Async.{method}" for task in self.client.call("task.get_all_records").values())

    def outcome(self, ref: str, until: Until) -> TaskOutcome:
        """What became of the task, in the end."""
        seen: list[TaskOutcome] = []

        def over() -> bool:
            seen.append(self.port.task(ref))
            return not isinstance(seen[-1], Pending)

        until(over)
        return seen[-1]
