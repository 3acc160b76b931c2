"""`vfo backup`: make VMs ready for a backup product, and say that it is done."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from uuid import UUID

    from orchestrator.config.load import Loaded
    from state.run import Run
    from state.store import Store
    from workflows.objects import VM
    from workflows.outcome import Request

app = typer.Typer(name="backup", help="Make VMs ready for a backup product, and say that it is done.", no_args_is_help=True)

VMs = Annotated[list[str], typer.Argument(metavar="VM...", help="VMs, by uuid or by name.")]


class ModeName(StrEnum):
    """The modes of `workflows.backup_modes`."""

    auto = "auto"
    online = "online"
    offline = "offline"
    failover = "failover"


@app.command()
def prepare(  # noqa: PLR0913 - one parameter is one option
    vms: VMs,
    *,
    mode: Annotated[ModeName, typer.Option("--mode", help="How; auto takes the least that [backup] needs asks for.")] = ModeName.auto,
    hold: Annotated[str | None, typer.Option("--hold", metavar="12h", help="How long the VM waits for its release at most.")] = None,
    keep: Annotated[str | None, typer.Option("--keep", metavar="7d", help="How long the snapshot stays after the release.")] = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Take a snapshot that wants no VF and have each VM back in service. With --wait, exit code 0 says that all are prepared."""
    from orchestrator import bootstrap, names
    from orchestrator.cli import house, start
    from workflows import backup_plans

    loaded = house.configuration(config, pool)
    times = _times(loaded, hold, keep)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        found = [names.vm([access.port for access in opened], written) for written in dict.fromkeys(vms)]
        wanted = [(port, vm, _request(port.name, vm, mode.value, times)) for port, vm in found]
        if dry_run:
            policy = bootstrap.policy(loaded).backup
            start.show([backup_plans.of_preparing(port, policy, request, vm) for port, vm, request in wanted], as_json=as_json)
        else:
            start.start(store, [request for _, _, request in wanted], wait=wait, as_json=as_json)


@app.command()
def release(
    vms: VMs,
    *,
    wait: Wait = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """The product is done with these VMs: the VF comes back where it was away, and the snapshot goes when its time is over."""
    from orchestrator.cli import house, start

    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store:
        held = [run_id for written in dict.fromkeys(vms) for run_id in _held(loaded, store, written, pool)]
        for run_id in held:
            _approve(store, run_id)
        start.follow(store, held, wait=wait, as_json=as_json, reached=_is_over_for_the_product)


def _times(loaded: Loaded, hold: str | None, keep: str | None) -> tuple[timedelta, timedelta]:
    from orchestrator.cli.failures import WrongInput
    from orchestrator.config import durations

    times = []
    for option, written, default in (("--hold", hold, loaded.settings.backup.hold), ("--keep", keep, loaded.settings.backup.retention)):
        try:
            times.append(durations.parse(written) if written is not None else default)
        except ValueError as error:
            raise WrongInput(f"{option} {written!r}: {error}") from None
    return times[0], times[1]


def _request(pool: str, vm: VM, mode: str, times: tuple[timedelta, timedelta]) -> Request:
    from workflows import prepare as workflow

    return workflow.request(pool, vm, mode=mode, hold=times[0], retention=times[1])


def _held(loaded: Loaded, store: Store, written: str, pool: str | None) -> list[UUID]:
    """The runs that hold a snapshot of the VM, which may be gone or renamed by now: the rows are asked before the pool."""
    from orchestrator import names
    from orchestrator.cli import house
    from orchestrator.cli.failures import NotSo, WrongInput

    active = _active(store, pool)
    found = [run for run in active if written in (run.data["vm"], run.data["vm_name"])]
    if not found:
        with house.pools(loaded, store, pool) as opened:
            uuid = names.vm([access.port for access in opened], written)[1].uuid
        found = [run for run in active if run.data["vm"] == uuid]
    which = {run.data["vm"]: run.pool for run in found}
    if len(which) > 1:
        said = ", ".join(f"{uuid} (pool {name})" for uuid, name in which.items())
        raise WrongInput(f"VM {written!r}: {len(which)} fit: {said}: write the uuid of the one that is meant")
    stuck = next((run for run in found if run.status == "stuck"), None)
    if stuck is not None:
        raise NotSo(f"VM {written!r}: run {stuck.id} ({stuck.workflow}) is stuck: {stuck.reason}; next: {stuck.next_command}")
    held = [run.id for run in found if run.workflow == "release-backup"]
    if held:
        return held
    if found:
        raise NotSo(f"VM {written!r} is being prepared: `vfo run {found[0].id} cancel` gives that up")
    raise NotSo(f"VM {written!r}: nothing of it is held for a backup")


def _active(store: Store, pool: str | None) -> Sequence[Run]:
    from state import runs
    from state.run import ACTIVE, Status

    with store.read() as session:
        listed = runs.listed(session, statuses=ACTIVE | {Status.STUCK}, pool=pool, limit=1_000_000)
    return [run for run in listed if run.workflow in ("prepare-backup", "release-backup")]


def _approve(store: Store, run_id: UUID) -> None:
    from datetime import UTC, datetime
    from getpass import getuser

    from orchestrator.cli.failures import NotSo
    from state import runs

    with store.write() as session:
        try:
            runs.approve(session, run_id, now=datetime.now(UTC), by=getuser())
        except runs.Impossible as error:
            raise NotSo(f"run {run_id}: {error}") from None


def _is_over_for_the_product(run: Any) -> bool:
    """Whether all that is left is to keep the snapshot for its retention."""
    return bool(run.step == "retain" and run.reason)
