"""`vfo recover`: put every VM right that shows marks of ours, by those marks alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from orchestrator.bootstrap import PoolAccess
    from state.run import Run
    from state.store import Store
    from workflows.outcome import Request

OURS = ("prepare-backup", "release-backup", "put-right")


def recover(
    *,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Find every VM and snapshot with a mark of ours and put it right, without `vfo serve` and with an empty database too.

    Runs that a crash left, or that are stuck, go on. Exit code 1 when a person is still needed.
    """
    from orchestrator.cli import house, output, recovery

    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        known = [run for access in opened for run in _known(store, access.name)]
        wanted = [request for access in opened for request in _wanted(access, known)]
        wanted += [request for access in opened for request in _hosts(store, access)]
        if dry_run:
            _show(known, wanted, as_json=as_json)
            return
        ids = [*(_taken_up(store, run) for run in known), *_submitted(store, wanted)]
        runs = recovery.work(loaded, store, opened, list(dict.fromkeys(ids)))
    rows = [_row(run) for run in runs]
    if as_json:
        output.json(rows)
    elif rows:
        output.table(
            ["run", "pool", "about", "status", "why"], [[str(r["run"])[:8], r["pool"], r["title"], r["status"], r["reason"]] for r in rows]
        )
    else:
        output.console().print("Nothing of ours is in the pool: there is nothing to put right.")
    if any(row["status"] in ("stuck", "refused") for row in rows):
        raise typer.Exit(1)


def _known(store: Store, pool: str) -> list[Run]:
    """The runs of backups that are active or stuck."""
    from state import runs
    from state.run import ACTIVE, Status

    with store.read() as session:
        listed = runs.listed(session, statuses=ACTIVE | {Status.STUCK}, pool=pool, limit=1_000_000)
    return [run for run in listed if run.workflow in OURS]


def _wanted(access: PoolAccess, known: Sequence[Run]) -> list[Request]:
    from datetime import UTC, datetime

    from workflows import recovering

    at_work = {run.data["vm"] for run in known if run.pool == access.name}
    return recovering.requests(access.name, access.port.marked(), at_work, datetime.now(UTC))


def _hosts(store: Store, access: PoolAccess) -> list[Request]:
    """Hosts that a reboot left out of service; what a run that is active or stuck is at, it will see to itself."""
    from state import runs
    from state.run import ACTIVE, Status
    from workflows import bring_back

    with store.read() as session:
        listed = runs.listed(session, statuses=ACTIVE | {Status.STUCK}, pool=access.name, limit=1_000_000)
    return bring_back.requests(access.name, access.port.hosts(), access.port.marked(), {str(run.id) for run in listed})


def _taken_up(store: Store, run: Run) -> UUID:
    """A stuck run is tried again."""
    from datetime import UTC, datetime
    from getpass import getuser

    from state import runs
    from state.run import Status

    if run.status is Status.STUCK:
        with store.write() as session:
            runs.retry(session, run.id, now=datetime.now(UTC), by=f"{getuser()} (vfo recover)")
    return run.id


def _submitted(store: Store, wanted: Sequence[Request]) -> list[UUID]:
    from datetime import UTC, datetime

    from state import runs

    with store.write() as session:
        return [runs.create(session, request, now=datetime.now(UTC))[0].id for request in wanted]


def _show(known: Sequence[Run], wanted: Sequence[Request], *, as_json: bool) -> None:
    from orchestrator.cli import output

    rows = [{"workflow": run.workflow, "pool": run.pool, "title": run.title, "run": run.id} for run in known]
    rows += [{"workflow": request.workflow, "pool": request.pool, "title": request.title, "run": None} for request in wanted]
    if as_json:
        output.json(rows)
        return
    for row in rows:
        begun = f" (run {row['run']} goes on)" if row["run"] else ""
        output.console().print(f"{row['pool']}: {row['workflow']} of {row['title']}{begun}", markup=False)
    output.console().print("Nothing was changed.")


def _row(run: Run) -> dict[str, Any]:
    return {
        "run": run.id, "workflow": run.workflow, "pool": run.pool, "title": run.title, "status": run.status.value, "step": run.step,
        "reason": run.reason, "next_command": run.next_command,
    }  # fmt: skip
