"""Plugins of values: a product that keeps nothing but the names of what it saved, and hooks that say what they are told to say.

plugins = FakePlugins()
plugins.says("before_vm", "later", times=2)      # the next two verdicts of that hook
plugins.product.script = ["busy", "lost", "done"]  # what the product does at each call, the last one for ever
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from plugins.errors import GiveUp, Queued, RetryLater
from plugins.values import BackupVM, Ended, Needs, Progress, RestorePoint, Snapshot, Verified
from workflows.services import Verdict


@dataclass
class FakeProduct:
    """One backup product. *polls*: what `poll` says, one after the other, the last one for ever; *starts*: "ok", "busy", "queued", "never".

    *forgets*: "ok", "busy", "queued", "cannot list".
    """

    polls: list[str] = field(default_factory=lambda: ["running", "done"])
    starts: list[str] = field(default_factory=lambda: ["ok"])
    forgets: str = "ok"
    needed: Needs | None = None
    begun: list[str] = field(default_factory=list)
    jobs: dict[str, tuple[BackupVM, Snapshot]] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=set)
    cancelled: list[str] = field(default_factory=list)
    saved: list[RestorePoint] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def start(self, vm: BackupVM, snapshot: Snapshot) -> str:
        """The job of the run, begun once as long as it is at work."""
        said = self.starts.pop(0) if len(self.starts) > 1 else self.starts[0]
        if said == "busy":
            raise RetryLater("others are at work", after=timedelta(minutes=1))
        if said == "queued":
            raise Queued("others come first", after=timedelta(minutes=1))
        if said == "never":
            raise GiveUp("fake: the repository is gone")
        job = f"job-{vm.run_id}"
        if job not in self.at_work:
            self.begun.append(job)
        self.at_work.add(job)
        self.jobs[job] = (vm, snapshot)
        return job

    def poll(self, job: str) -> Progress:
        """As the script says; what is done stays done."""
        self.meanwhile()
        if job not in self.at_work:
            found = [point.id for point in self.saved if point.run_id == str(self.jobs[job][0].run_id)] if job in self.jobs else []
            return Progress("done", point=found[-1]) if found and job not in self.cancelled else Progress("lost")
        said = self.polls.pop(0) if len(self.polls) > 1 else self.polls[0]
        if said == "busy":
            raise RetryLater("it does not say")
        if said == "broken":
            raise GiveUp("fake: poll_backup raised KeyError")
        if said in ("lost", "failed"):
            self.at_work.discard(job)
            return Progress(said, message="the repository is full" if said == "failed" else "")
        if said == "done":
            return self._done(job)
        return Progress("running", fraction=0.25, read=100 if said == "running" else int(said))

    def _done(self, job: str) -> Progress:
        vm, snapshot = self.jobs[job]
        self.at_work.discard(job)
        point = RestorePoint(
            f"point-{len(self.saved) + 1}", str(vm.run_id), vm.pool, vm.vm, vm.name, vm.policy, snapshot.taken_at, snapshot.disks,
            snapshot.blueprint,
        )  # fmt: skip
        self.saved.append(point)
        return Progress("done", 1.0, read=1000, stored=10, point=point.id, details={"archive": object()})


@dataclass
class FakePlugins:
    """Satisfies `workflows.services.Plugins`. *said*: the hooks that were called, as (hook, status of what they were told)."""

    product: FakeProduct = field(default_factory=FakeProduct)
    said: list[tuple[str, str]] = field(default_factory=list)
    called_for: list[BackupVM] = field(default_factory=list)
    to_say: dict[str, list[str]] = field(default_factory=dict)

    def says(self, hook: str, end: str, times: int = 1) -> None:
        """What the hook is to say next."""
        self.to_say[hook] = [end] * times

    def act(self, hook: str, names: Sequence[str], *values: object, timeout: timedelta) -> tuple[Verdict, ...]:
        """One verdict of each instance, as it was told to be said by the first one."""
        ended = [value.status for value in values if isinstance(value, Ended)]
        self.said.append((hook, ended[0] if ended else ""))
        self.called_for += [value for value in values if isinstance(value, BackupVM)]
        end = self.to_say[hook].pop(0) if self.to_say.get(hook) else "ok"
        first = Verdict(names[0], end, "" if end == "ok" else "for a reason", timedelta(minutes=2) if end == "later" else None)
        if not first.well and hook.startswith("before"):
            return (first,)
        return (first, *(Verdict(name, "ok") for name in names[1:]))

    def needs(self, product: str, vm: BackupVM) -> Needs | None:
        """What the product needs."""
        return self.product.needed

    def start(self, product: str, vm: BackupVM, snapshot: Snapshot) -> str:
        """Begin the job."""
        return self.product.start(vm, snapshot)

    def poll(self, product: str, job: str) -> Progress:
        """How it stands."""
        return self.product.poll(job)

    def cancel(self, product: str, job: str) -> None:
        """End it."""
        self.product.cancelled.append(job)
        self.product.at_work.discard(job)

    def points(self, product: str) -> tuple[RestorePoint, ...]:
        """What it has."""
        if self.product.forgets == "cannot list":
            raise GiveUp("fake: it has no hook list_backups")
        return tuple(point for point in self.product.saved if point.id not in self.product.forgotten)

    def verify(self, product: str, point: RestorePoint) -> Verified:
        """It is sound."""
        return Verified(sound=True, message="as it was")

    def forget(self, product: str, points: Sequence[RestorePoint]) -> int:
        """Remove them."""
        if self.product.forgets == "queued":
            raise Queued("others come first", after=timedelta(minutes=1))
        if self.product.forgets == "busy":
            raise RetryLater("the repository is locked")
        self.product.forgotten += [point.id for point in points]
        return 7 * len(points)


def point(number: int, taken_at: datetime | None = None, **fields: Any) -> RestorePoint:
    """A restore point."""
    plain: dict[str, Any] = {"run_id": "r", "pool": "lab", "vm": "vm-1", "vm_name": "web", "policy": "nightly", "disks": ()}
    return RestorePoint(id=f"old-{number}", taken_at=taken_at or datetime(2026, 1, 1, tzinfo=UTC), **{**plain, **fields})
