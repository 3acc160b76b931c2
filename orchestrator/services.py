"""What the workflows of backups reach besides the pool: other runs, and the catalogue, over the rows."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from orchestrator import fence
from orchestrator.engine.engine import Engine
from state import backups, runs
from state.backups import Backup
from state.run import ACTIVE, Run
from state.store import Store
from workflows.outcome import Request
from workflows.services import Known, Plugins, RunView, Saved, Services, Transfers


def of(store: Store, engine: Engine, pool: str, plugins: Plugins, transfers: Transfers) -> Services:
    """What the runs of one pool are given."""
    return Services(RunRows(store, engine, pool), plugins, Lines(store, pool), transfers)


class RunRows:
    """Satisfies `workflows.services.Runs` for one pool: what is asked of a run is done by the engine, so that it goes on at once."""

    def __init__(self, store: Store, engine: Engine, pool: str) -> None:
        self._store = store
        self._engine = engine
        self._pool = pool

    def look(self, run_id: UUID) -> RunView | None:
        """The run; None when there is none of that id in this pool."""
        with self._store.read() as session:
            found = runs.get(session, run_id)
        return _view(found) if found is not None and found.pool == self._pool else None

    def active_on(self, workflow: str, subject: str) -> RunView | None:
        """The active run of the workflow on the subject."""
        with self._store.read() as session:
            found = runs.active_on(session, Request(workflow, self._pool, subject, ""))
        return _view(found) if found is not None else None

    def active_of(self, workflow: str) -> Sequence[RunView]:
        """All active runs of the workflow in this pool."""
        with self._store.read() as session:
            return [_view(found) for found in runs.active_of(session, workflow, self._pool)]

    def approve(self, run_id: UUID, by: str) -> None:
        """As `vfo run ID approve`; no error when it has ended."""
        fence.assert_held()
        try:
            self._engine.approve(run_id, by=by)
        except runs.Impossible:
            return

    def cancel(self, run_id: UUID, by: str) -> None:
        """As `vfo run ID cancel`; no error when it has ended."""
        fence.assert_held()
        try:
            self._engine.cancel(run_id, by=by)
        except runs.Impossible:
            return


def _view(run: Run) -> RunView:
    return RunView(
        run.id, run.workflow, str(run.status), run.step or "", run.reason, run.next_command, dict(run.data), over=run.status not in ACTIVE
    )  # fmt: skip


class Lines:
    """Satisfies `workflows.services.Catalogue` for one pool."""

    def __init__(self, store: Store, pool: str) -> None:
        self._store = store
        self._pool = pool

    def record(self, saved: Saved) -> None:
        """Write the line of this id, anew or over the one that is there."""
        self._store.together(fence.fenced(lambda session: backups.put(session, _line(saved))))

    def record_new(self, lines: Sequence[Saved]) -> None:
        """Write those lines of whose id there is none."""
        self._store.together(fence.fenced(lambda session: backups.put_new(session, [_line(saved) for saved in lines])))

    def known(self, policy: str) -> Mapping[str, Known]:
        """What is known of the VMs (uuids) of this pool that the policy has saved."""
        with self._store.read() as session:
            found = backups.latest_saved(session, self._pool, policy)
        return {vm: Known(saved_at, took) for vm, (saved_at, took) in found.items()}

    def paused(self) -> Mapping[str, str]:
        """The policies that are paused, each with who paused it and when, in words."""
        with self._store.read() as session:
            found = backups.paused(session)
        return {name: f"paused by {pause.by} at {pause.at:%Y-%m-%d %H:%M} UTC" for name, pause in found.items()}


def _line(saved: Saved) -> Backup:
    return Backup(
        id=saved.id, pool=saved.pool, vm=saved.vm, vm_name=saved.vm_name, policy=saved.policy, product=saved.product,
        window=saved.window, opened_at=saved.opened_at, status=saved.status, reason=saved.reason, began_at=saved.began_at,
        ended_at=saved.ended_at, downtime=saved.downtime.total_seconds(), size=saved.size, read=saved.read, stored=saved.stored,
        point=saved.point, mode=saved.mode, details=dict(saved.details),
    )  # fmt: skip
