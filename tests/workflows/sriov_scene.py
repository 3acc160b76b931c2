"""Scenes for SR-IOV on hosts: a pool whose eth1 has VFs that VMs hold, and whose eth2 is to get some."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from state import runs
from state.run import Run
from tests.workflows.stage import Stage
from workflows import enable
from workflows.policy import Policy
from workflows.wanted import PortChoice, RebootPolicy, SriovPolicy
from workflows.windows import Window

ALWAYS = Window("* * * * *", timedelta(hours=2))
MARK = "network fast: other_config has 'vfo:sriov'"


def policy(rebooting: RebootPolicy | None = None, /, **wanted: Any) -> Policy:
    """[sriov.fast] on eth2 of all hosts, with a maintenance window that is always open."""
    fast = SriovPolicy(**{"name": "fast", "network": "fast", "ports": PortChoice(device="eth2"), "reboot": "window", **wanted})
    return Policy(sriov={"fast": fast}, reboot=rebooting or RebootPolicy(), maintenance={"always": ALWAYS})


class Scene:
    """A stage, and how often each of its hosts went down."""

    def __init__(
        self, stages: Callable[..., Stage], reboot: RebootPolicy | None = None, wanted: dict[str, Any] | None = None, **fields: Any
    ):
        """*modprobe*: eth2 needs a reboot on every host (its VFs are those of a driver's file), which eth1 did not."""
        modprobe = fields.pop("modprobe", True)
        self.stage = stages(**{"hosts": 3, "vms": 6, "policy": policy(reboot, **(wanted or {})), **fields})
        self.simulated = self.stage.simulated
        for row in self.hosts().values() if modprobe else ():
            self.simulated.control.driver(row["name_label"], "modprobe")
        self.downs: Counter[str] = Counter()
        self.together = 0
        self._count_boots()

    def _count_boots(self) -> None:
        server, away = self.simulated.server, set()
        power = server.power

        def counted(host: str, *, on: bool) -> None:
            name = self.simulated.database.get("host", host)["name_label"]
            if on:
                away.discard(name)
            elif name not in away:
                away.add(name)
                self.downs[name] += 1
                self.together = max(self.together, len(away))
            power(host, on=on)

        server.power = counted  # type: ignore[method-assign]

    def hosts(self) -> dict[str, dict[str, Any]]:
        """The hosts' rows by ref."""
        return dict(self.simulated.database.rows("host"))

    def host(self, name: str) -> str:
        """The ref of the host of that name."""
        return next(ref for ref, row in self.hosts().items() if row["name_label"] == name)

    def vfs_of(self, device: str = "eth2") -> dict[str, int]:
        """How many VFs the port has on each host."""
        return {port["host"]: port["total"] for port in self.simulated.state()["ports"] if port["device"] == device}

    def with_vf_on(self, host: str) -> str:
        """The name of a VM that holds a VF on that host."""
        return next(vm.name for vm in self.stage.port.vms() if vm.held and self.stage.port.host(vm.resident_on or "").name == host)

    def enable(self) -> Run:
        """The run, at its end."""
        return self.stage.run(enable.request("lab", "fast"))

    def begin(self) -> UUID:
        """A run that nobody has begun."""
        return self.stage.submit(enable.request("lab", "fast"))

    def until(self, run_id: UUID, words: str, turns: int = 200) -> Run:
        """Turn the run until what it waits for says so."""
        for _ in range(turns):
            run = self.stage._turned(run_id)
            if words in run.reason:
                return run
            if run.waits_on is not None and run.waits_on.startswith("task:"):
                self.stage._await_task(run)
            else:
                self.stage._move_to(run)
        raise AssertionError(f"never {words!r}: {self.stage.story(run_id)}")

    def approve(self, run_id: UUID) -> None:
        """A person approves."""
        with self.stage.store.write() as session:
            runs.approve(session, run_id, now=self.stage.now, by="a person")

    def cancel(self, run_id: UUID) -> Run:
        """A person cancels; the run at its end."""
        self.stage.engine.cancel(run_id, by="a person")
        return self.stage.finish(run_id)

    def complaints(self) -> list[str]:
        """What is not as it was, but for the networks that were wanted."""
        return [one for one in self.stage.complaints() if not (one.startswith("network fast") and "'vfo:sriov'" in one)]
