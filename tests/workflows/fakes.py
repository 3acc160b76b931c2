"""A pool and a ledger of values, for the steps alone: what is asked of them is in workflows/ports.py."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from plugins.values import Happening
from workflows.accounts import Ledger, PortAccount
from workflows.objects import VIF, VM
from workflows.outcome import Need, Outcome, Wait
from workflows.policy import Policy, ReclaimPolicy
from workflows.ports import Gone, Pool, PortLook, User
from workflows.workflow import Workflow
from workflows.world import World

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def look(port: str = "port-1", *, remaining: int = 8, users: int = 0, in_flight: tuple[str, ...] = (), epoch: str = "1") -> PortLook:
    """A look at a port of 8 VFs."""
    held = tuple(User(f"vm-{n}", f"web-{n}", f"vif-{n}", "0") for n in range(users))
    return PortLook(port, f"host1/{port}", "host-1", "net-1", NOON, True, "sysfs", remaining, held, in_flight, 8, epoch, ("net-1",))


def vm(uuid: str, **fields: Any) -> VM:
    """A halted VM with a VIF on the network of the port; *fields* replace its own."""
    vif = VIF(
        f"vif-of-{uuid}", "0", "aa", False, "net-1", "SR-IOV", True, False, 1500, {}, "", {}, "network_default", (), (), "None", (), ""
    )
    plain: dict[str, Any] = {
        "uuid": uuid, "name": f"name-of-{uuid}", "power_state": "Halted", "is_template": False, "is_snapshot": False,
        "is_control_domain": False, "snapshot_of": None, "resident_on": None, "scheduled_on": None, "affinity": None,
        "current_operations": (), "allowed_operations": (), "blocked_operations": {}, "other_config": {}, "tags": (),
        "ha_restart_priority": "", "vifs": (vif,), "held": (), "vusbs": 0, "snapshots": (),
    }  # fmt: skip
    return VM(**{**plain, **fields})


@dataclass
class FakePool:
    """Answers with the looks it is given, the last one for ever. *holder* is a VM that holds what is lost until it is reset."""

    looks: list[tuple[PortLook, ...]]
    clock: "Clock"
    there: set[str] = field(default_factory=set)
    machines: list[VM] = field(default_factory=list)
    holder: str = ""
    was_reset: list[str] = field(default_factory=list)
    name: str = "lab"
    asked: int = 0

    def look_at_ports(self) -> tuple[PortLook, ...]:
        self.asked += 1
        now = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return tuple(replace(one, at=self.clock.now) for one in now)

    def vm_exists(self, uuid: str) -> bool:
        return uuid in self.there

    def vm(self, uuid: str) -> VM:
        found = next((one for one in self.machines if one.uuid == uuid), None)
        if found is None:
            raise Gone("UUID_INVALID", ("VM", uuid))
        return found

    def vms(self) -> tuple[VM, ...]:
        return tuple(self.machines)

    def power_state_reset(self, vm: str) -> None:
        self.was_reset.append(vm)
        if vm == self.holder:
            self.looks = [(look(),)]


@dataclass
class FakeLedger:
    """Knows that every port has 8 VFs; keeps who holds which leaks."""

    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held: dict[tuple[str, UUID], int] = field(default_factory=dict)
    ports: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def forget_vm(self, vm: str) -> tuple[str, ...]:
        return self.known.pop(vm, ())

    def last_ports(self) -> dict[str, tuple[str, ...]]:
        return self.ports

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
    held: set[str] = field(default_factory=set)
    patience: int = 10_000

    def world(self) -> World:
        pool, ledger = cast("Pool", self.pool), cast("Ledger", self.ledger)  # as much of both as these steps use
        return World(self.run_id, "VM web-1", self.clock.now, pool, ledger, self.policy, self.told.append, frozenset(self.held))

    def run(self, workflow: Workflow, data: dict[str, Any]) -> list[tuple[str, Outcome]]:
        """What each step ended in, up to and with the one that ended the run."""
        ended: list[tuple[str, Outcome]] = []
        for step in workflow.steps:
            outcome = step.action(self.world(), data)
            while isinstance(outcome, Wait | Need) and len(self.waits) < self.patience:
                if isinstance(outcome, Need):
                    self.held |= set(outcome.things)
                else:
                    self.waits.append(outcome)
                    self.clock.now += outcome.at_most
                outcome = step.action(self.world(), data)
            ended.append((step.name, outcome))
            if type(outcome).__name__ != "Done":
                break
        return ended
