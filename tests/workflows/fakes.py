"""A pool and a ledger of values, for the steps alone: what is asked of them is in workflows/ports.py."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from plugins.values import Happening
from workflows.outcome import Outcome, Wait
from workflows.policy import Policy, ReclaimPolicy
from workflows.ports import Ledger, Pool, PortAccount, PortLook, User
from workflows.workflow import Workflow
from workflows.world import World

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def look(port: str = "port-1", *, remaining: int = 8, users: int = 0, in_flight: tuple[str, ...] = (), epoch: str = "1") -> PortLook:
    """A look at a port of 8 VFs."""
    held = tuple(User(f"vm-{n}", f"web-{n}", f"vif-{n}", "0") for n in range(users))
    return PortLook(port, f"host1/{port}", "host-1", "net-1", NOON, True, "sysfs", remaining, held, in_flight, 8, epoch)


@dataclass
class FakePool:
    """Answers with the looks it is given, the last one for ever."""

    looks: list[tuple[PortLook, ...]]
    clock: "Clock"
    vms: set[str] = field(default_factory=set)
    name: str = "lab"
    asked: int = 0

    def look_at_ports(self) -> tuple[PortLook, ...]:
        self.asked += 1
        now = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return tuple(replace(one, at=self.clock.now) for one in now)

    def vm_exists(self, uuid: str) -> bool:
        return uuid in self.vms


@dataclass
class FakeLedger:
    """Knows that every port has 8 VFs; keeps who holds which leaks."""

    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held: dict[tuple[str, UUID], int] = field(default_factory=dict)

    def forget_vm(self, vm: str) -> tuple[str, ...]:
        return self.known.pop(vm, ())

    def learn(self, look: PortLook) -> PortAccount:
        return PortAccount(8, sum(count for (port, _), count in self.held.items() if port == look.port), 0)

    def account(self, look: PortLook) -> PortAccount:
        return self.learn(look)

    def hold_leaks(self, port: str, wanted: int, run_id: UUID) -> int:
        others = sum(count for (held, holder), count in self.held.items() if held == port and holder != run_id)
        self.held[port, run_id] = max(0, wanted - others)
        return self.held[port, run_id]

    def let_go(self, run_id: UUID) -> None:
        self.held = {key: count for key, count in self.held.items() if key[1] != run_id}

    def holders(self, port: str) -> tuple[UUID, ...]:
        return tuple(holder for (held, holder), count in self.held.items() if held == port and count)


@dataclass
class Clock:
    """The time, moved by hand."""

    now: datetime = NOON


@dataclass
class Journey:
    """Runs a workflow's steps one after the other, moving the clock over its waits."""

    pool: FakePool
    ledger: FakeLedger
    clock: Clock
    policy: Policy = field(default_factory=lambda: Policy(ReclaimPolicy(timedelta(seconds=30), 3, timedelta(minutes=30))))
    run_id: UUID = field(default_factory=uuid4)
    told: list[Happening] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)

    def world(self) -> World:
        pool, ledger = cast("Pool", self.pool), cast("Ledger", self.ledger)  # as much of both as these steps use
        return World(self.run_id, "VM web-1", self.clock.now, pool, ledger, self.policy, self.told.append)

    def run(self, workflow: Workflow, data: dict[str, Any]) -> list[tuple[str, Outcome]]:
        """What each step ended in, up to and with the one that ended the run."""
        ended: list[tuple[str, Outcome]] = []
        for step in workflow.steps:
            outcome = step.action(self.world(), data)
            while isinstance(outcome, Wait):
                self.waits.append(outcome)
                self.clock.now += outcome.at_most
                outcome = step.action(self.world(), data)
            ended.append((step.name, outcome))
            if type(outcome).__name__ != "Done":
                break
        return ended
