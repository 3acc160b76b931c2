"""Deletions and backups while processes are killed and services restarted again and again; at the end the judge counts what took effect."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlmodel import col, func, select

from orchestrator.demo.actors import OtherClient
from state.run import ACTIVE, Run, Status
from tests.journey import kills
from tests.journey.cluster import Cluster, Shared, wait
from tests.journey.lab import wait_until
from tests.services.postgres import OwnPostgres
from tests.services.rabbit import OwnRabbit
from tests.workflows import checker
from workflows import clean_up, prepare, reclaim, release_backup
from workflows.objects import VM

MORE = '\n[backup]\nfallback_network = "Pool-wide network associated with eth0"\nforeign_snapshot = "ignore"\n'
TWO_OF_EACH = ("listener", "scheduler", "worker") * 2
HALTS = {"offline": 1, "failover": 2, "online": 0}
AT_A_TIME = 10
PATIENCE = 240.0


@dataclass(frozen=True)
class Plan:
    """What is done, and what goes wrong meanwhile. *pause*: seconds between two kills; *over*: those within which deletions are spread.

    *postgres*: the signals by which PostgreSQL is stopped, one after the other. *longest*: after so many seconds nothing is killed.
    """

    deletions: int
    backups: int
    seed: int
    over: float
    pause: tuple[float, float] = (2.0, 5.0)
    rabbit: int = 1
    postgres: tuple[int, ...] = (signal.SIGQUIT,)
    longest: float = 600.0


@dataclass
class Came:
    """What the storm did, and what came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    services: list[str] = field(default_factory=list)
    seconds: float = 0.0
    in_the_storm: bool = False
    typed_again: int = 0
    ended_by_themselves: int = 0

    def figures(self, lab: Shared) -> dict[str, Any]:
        """For people."""
        calls = {method: sum(things.values()) for method, things in sorted(lab.effects().items())}
        every = lab.runs()
        ended = {name: dict(Counter(run.status.value for run in every if run.workflow == name)) for name in {run.workflow for run in every}}
        return {
            "seconds": round(self.seconds, 1), "killed": dict(self.kills), "restarted": self.services,
            "all ended while it went on": self.in_the_storm, "commands typed again": self.typed_again,
            "processes that ended by themselves": self.ended_by_themselves,
            "runs": ended, "calls that changed something": calls,
        }  # fmt: skip


class Storm:
    """On a lab, with its services."""

    def __init__(self, lab: Shared, postgres: OwnPostgres, rabbit: OwnRabbit, plan: Plan) -> None:
        self._lab, self._postgres, self._rabbit, self._plan = lab, postgres, rabbit, plan
        self._chance = random.Random(plan.seed)
        self.before = kills.look(lab)
        holding = [vm for vm in kills.vms(lab) if vm.held]
        assert len(holding) >= plan.deletions + plan.backups, f"{len(holding)} VMs hold a VF"
        self._chance.shuffle(holding)
        self.backed_up = dict(zip((vm.uuid for vm in holding[: plan.backups]), self._modes(), strict=False))
        self.deleted = {vm.uuid: vm for vm in holding[plan.backups : plan.backups + plan.deletions]}
        self._names = {vm.uuid: vm.name for vm in holding}
        self._failed: list[str] = []
        self.came = Came()

    def _modes(self) -> list[str]:
        modes = ["offline", "offline", "failover", "online"]
        return [modes[number * len(modes) // max(1, self._plan.backups)] for number in range(self._plan.backups)]

    def rage(self) -> None:
        """Do everything, through all that goes wrong, until every run has ended."""
        began = time.monotonic()
        with Cluster(self._lab, TWO_OF_EACH) as cluster:
            wait_until(lambda: self._lab.known() >= len(self.deleted), 120, "a listener knows the pool")
            doing = [threading.Thread(target=self._noted, args=(act,), daemon=True) for act in (self._delete, self._back_up)]
            for thread in doing:
                thread.start()
            self._kill_through(cluster, began)
            for thread in doing:
                thread.join(PATIENCE)
            self.came.in_the_storm = self._over()
            self.came.seconds = time.monotonic() - began
            self._let_end(cluster)
            self.came.ended_by_themselves = cluster.ended_by_themselves
        assert not self._failed, self._failed

    def _let_end(self, cluster: Cluster) -> None:
        ends = time.monotonic() + PATIENCE
        while not self._over():
            assert time.monotonic() < ends, "\n".join(["not all runs have ended", *self._failed, *self.unfinished()])
            wait(1)
            cluster.keep()

    def complaints(self) -> list[str]:
        """Everything that is not as it should be."""
        wanted = self._plan.rabbit + len(self._plan.postgres)
        calm = [] if len(self.came.services) == wanted else [f"{len(self.came.services)} services were restarted: {wanted} were to be"]
        return [*calm, *self._of_the_pool(), *self._of_the_runs(), *twice(self._lab.effects(), self.backed_up, self._names)]

    # -- what people do ----------------------------------------------------------------------------------------

    def _noted(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - of another thread: told at the end
            self._failed.append(f"{type(error).__name__}: {error}")

    def _delete(self) -> None:
        """Somebody else deletes VMs, one after the other."""
        refs = {row["uuid"]: ref for ref, row in self.before.records["VM"].items()}
        said = self._lab.pool.said
        with closing(OtherClient(said["url"], said["user"], said["password"])) as client:
            for uuid in self.deleted:
                client.delete(refs[uuid])
                wait(self._plan.over / len(self.deleted))

    def _back_up(self) -> None:
        """Somebody types `vfo backup prepare` for some VMs, and `release` when they are prepared; again, when a command fails."""
        todo = list(self.backed_up)
        portions = [todo[at : at + AT_A_TIME] for at in range(0, len(todo), AT_A_TIME)]
        ends = time.monotonic() + self._plan.longest + PATIENCE
        while portions or self._unreleased():
            assert time.monotonic() < ends, "the backups are not all prepared and released in time"
            if portions:
                self._prepare(portions.pop(0))
            if ready := self._unreleased(ready=True):
                self._type("release", *(run.data["vm"] for run in ready))
            wait(self._plan.over / 3 / AT_A_TIME)

    def _prepare(self, uuids: Sequence[str]) -> None:
        for mode in dict.fromkeys(self.backed_up[uuid] for uuid in uuids):
            while wanted := [uuid for uuid in uuids if self.backed_up[uuid] == mode and not self._runs_of(prepare.NAME, uuid)]:
                self._type("prepare", *wanted, "--mode", mode, "--keep", "0s")

    def _type(self, *words: str) -> None:
        done = self._lab.typed("backup", *words)
        self.came.typed_again += done.returncode != 0

    def _unreleased(self, *, ready: bool = False) -> list[Run]:
        """Runs of preparing that have not ended, and those that wait for their release; only the latter, if *ready*."""
        every = self._lab.runs()
        held = [run for run in every if run.workflow == release_backup.NAME and run.status in ACTIVE and not run.approved_by]
        return held if ready else [*held, *(run for run in every if run.workflow == prepare.NAME and run.status in ACTIVE)]

    # -- what goes wrong ---------------------------------------------------------------------------------------

    def _kill_through(self, cluster: Cluster, began: float) -> None:
        expected = len(self.deleted) + 2 * len(self.backed_up)
        services = self._services()
        while not (self._over() and not services) and time.monotonic() - began < self._plan.longest:
            wait(self._chance.uniform(*self._plan.pause))
            cluster.keep()
            if role := cluster.kill_one(self._chance):
                self.came.kills[role] += 1
            if services and self._ended() >= services[0][0] * expected:
                services.pop(0)[1]()

    def _services(self) -> list[tuple[float, Callable[[], None]]]:
        """Restarts of services, each with the share of runs that have ended before it."""
        acts: list[Callable[[], None]] = [self._restart_rabbit] * self._plan.rabbit
        acts[1:1] = [partial(self._restart_postgres, number) for number in self._plan.postgres]
        return [((at + 1) / (len(acts) + 1), act) for at, act in enumerate(acts)]

    def _restart_rabbit(self) -> None:
        self._rabbit.stop()
        wait(self._chance.uniform(0, 3))
        self._rabbit.start()
        self.came.services.append("RabbitMQ by SIGKILL")

    def _restart_postgres(self, number: int) -> None:
        self._postgres.stop(number)
        wait(self._chance.uniform(0, 3))
        self._postgres.start()
        self.came.services.append(f"PostgreSQL by {signal.Signals(number).name}")

    # -- what came of it ---------------------------------------------------------------------------------------

    def _over(self) -> bool:
        """Whether all runs that there are to be are there, and have ended."""
        counted = self._counted()
        active = sum(count for status, count in counted.items() if status in ACTIVE)
        return not active and counted.total() >= len(self.deleted) + 2 * len(self.backed_up)

    def _ended(self) -> int:
        return sum(count for status, count in self._counted().items() if status not in ACTIVE)

    def _counted(self) -> Counter[Status]:
        found = self._lab.store.do(lambda session: session.exec(select(Run.status, func.count()).group_by(col(Run.status))).all())
        return Counter({Status(status): count for status, count in found})

    def unfinished(self) -> list[str]:
        """The runs that have not ended, and how they stand."""
        return [
            f"{run.workflow} of {run.title}: {run.step}: {run.status}, due {run.due_at}, takes {run.takes}: {run.reason}"
            for run in self._lab.runs()
            if run.status in ACTIVE
        ]

    def _of_the_pool(self) -> list[str]:
        before = left(self.before, self.deleted.values())
        return [*kills.wrong(self._lab, before), *kills.ended_otherwise(self._lab), *self._lab.odd_ports()]

    def _of_the_runs(self) -> list[str]:
        """Each deletion and each backup has one run of each kind that it needs, and was proven once."""
        followed = Counter(run.data.get("vm") for run in self._lab.runs() if run.workflow == reclaim.NAME and run.data.get("vm"))
        found = [
            f"the deletion of {vm.name} was followed {followed[uuid]} times" for uuid, vm in self.deleted.items() if followed[uuid] != 1
        ]
        found += [f"a deletion of {uuid} was followed, and it was not deleted" for uuid in followed.keys() - self.deleted.keys()]
        for name in (prepare.NAME, release_backup.NAME):
            runs = Counter(run.data["vm"] for run in self._lab.runs() if run.workflow == name)
            found += [f"{self._names[uuid]} has {runs[uuid]} runs of {name}" for uuid in self.backed_up if runs[uuid] != 1]
        proofs = {run.data["vm"]: self._lab.proofs(run) for run in self._lab.runs() if run.workflow == reclaim.NAME and "vm" in run.data}
        found += [f"{run.title} was cleaned up" for run in self._lab.runs() if run.workflow == clean_up.NAME and run.data.get("snapshot")]
        return [*found, *(f"the deletion of {self._names[uuid]} was proven {times} times" for uuid, times in proofs.items() if times != 1)]

    def _runs_of(self, name: str, uuid: str) -> list[Run]:
        return [run for run in self._lab.runs() if run.workflow == name and run.data["vm"] == uuid]


def twice(effects: dict[str, dict[str, int]], modes: dict[str, str], names: dict[str, str]) -> Iterable[str]:
    """What was not done to a VM as often as a backup in its mode does it, by the pool's own count."""
    for uuid, mode in modes.items():
        starts = sum(effects.get(method, {}).get(uuid, 0) for method in ("VM.start", "VM.start_on"))
        halts = sum(effects.get(method, {}).get(uuid, 0) for method in ("VM.clean_shutdown", "VM.hard_shutdown"))
        snapshots = effects.get("VM.snapshot", {}).get(uuid, 0)
        if (snapshots, halts, starts) != (1, HALTS[mode], HALTS[mode]):
            yield f"VM {names[uuid]}, {mode}: {snapshots} snapshots, halted {halts} times, started {starts} times"


def left(before: checker.Seen, vms: Iterable[VM]) -> checker.Seen:
    """What was seen, without these VMs."""
    gone = {vm.uuid for vm in vms}
    kept = {ref: row for ref, row in before.records["VM"].items() if row["uuid"] not in gone}
    return replace(before, records={**before.records, "VM": kept})
