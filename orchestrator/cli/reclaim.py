"""`vfo reclaim`: account for every port now, whatever the events said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, PoolName

if TYPE_CHECKING:
    from orchestrator.bootstrap import PoolAccess
    from state.store import Store


def reclaim(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, with the XenAPI calls; change nothing.")] = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Start a run for every port that has SR-IOV: it proves that all its VFs are free or used, or keeps what is leaked."""
    from orchestrator.cli import house, output

    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        rows = [row for access in opened for row in (_plan(access) if dry_run else _start(access, store))]
    if as_json:
        output.json(rows)
    elif dry_run:
        _print_plan(rows)
    else:
        output.table(["run", "pool", "port"], [[str(row["run"]), row["pool"], row["name"]] for row in rows])
        output.console().print("`vfo serve` takes them up; `vfo runs --all` shows how they end.")


def _start(access: PoolAccess, store: Store) -> list[dict[str, Any]]:
    from datetime import UTC, datetime

    from state import runs
    from workflows.reclaim import request_for_port

    started = []
    for look in access.port.look_at_ports():
        with store.write() as session:
            run, _ = runs.create(session, request_for_port(access.name, look.port, look.name), now=datetime.now(UTC))
        started.append({"run": run.id, "pool": access.name, "port": look.port, "name": look.name})
    return started


def _plan(access: PoolAccess) -> list[dict[str, Any]]:
    from orchestrator.views import vfs as view
    from orchestrator.xapi.pool import CALLS_OF_A_LOOK
    from workflows.reclaim import RECLAIM

    planned = []
    for row in view.ports(access.port, access.ledger):
        steps = [{"step": step.name, "does": step.summary} for step in RECLAIM.steps]
        planned.append({**row, "steps": steps, "calls": ["VM.get_by_uuid", *CALLS_OF_A_LOOK], "writes": []})
    return planned


def _print_plan(rows: list[dict[str, Any]]) -> None:
    from orchestrator.cli import output

    console = output.console()
    for row in rows:
        balance = f"{row['total']} VFs, {row['free']} free, {len(row['users'])} in use, {row['leaked']} held as leaked"
        missing = "in motion, cannot be told now" if row["missing"] is None else f"{row['missing']} missing"
        console.print(f"{row['pool']}: {row['name']}: {balance}, {missing}", markup=False)
    if rows:
        console.print("A run for each of them would:")
        for number, step in enumerate(rows[0]["steps"], 1):
            console.print(f"  {number}. {step['does']}", markup=False)
        console.print(f"XenAPI calls, all of them reads: {', '.join(rows[0]['calls'])}", markup=False)
    console.print("Nothing was changed.")
