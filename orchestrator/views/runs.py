"""Runs as they are shown: what stands where, and all that happened to one."""

from typing import Any
from uuid import UUID

from sqlmodel import Session

from state import history, holds, runs
from state.run import ACTIVE, Run, Status

NEEDS_ATTENTION = ACTIVE | {Status.STUCK}


class NoSuchRun(Exception):
    """No run, or more than one, has an id that begins so; the text says which."""


def listed(session: Session, *, everything: bool, pool: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
    """The runs that are active or need a person, or all of them; newest first, at most *limit*."""
    statuses = frozenset(Status) if everything else NEEDS_ATTENTION
    return [row(run) for run in runs.listed(session, statuses=statuses, pool=pool, limit=limit)]


def find(session: Session, written: str) -> Run:
    """The run whose id is, or begins with, what was written. Raises NoSuchRun."""
    try:
        run = runs.get(session, UUID(written))
        found = [run] if run else []
    except ValueError:
        found = runs.with_prefix(session, written)
    if len(found) > 1:
        raise NoSuchRun(f"run {written!r}: {len(found)} begin so: {', '.join(str(run.id) for run in found)}")
    if not found:
        raise NoSuchRun(f"run {written!r}: there is none; `vfo runs --all` lists them (four digits of an id are enough)")
    return found[0]


def row(run: Run) -> dict[str, Any]:
    """One run as plain values."""
    return {
        "id": run.id,
        "workflow": run.workflow,
        "pool": run.pool,
        "subject": run.subject,
        "title": run.title,
        "status": run.status.value,
        "phase": run.phase.value,
        "step": run.step,
        "reason": run.reason,
        "next_command": run.next_command,
        "approved_by": run.approved_by,
        "due_at": run.due_at,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "finished_at": run.finished_at,
    }


def detail(session: Session, run: Run) -> dict[str, Any]:
    """One run with its evidence, what it has for itself, and its history, oldest entry first."""
    entries = [
        {"seq": entry.seq, "at": entry.at, "step": entry.step, "outcome": entry.outcome, "message": entry.message, "data": entry.data}
        for entry in history.of(session, run.id)
    ]
    return {**row(run), "evidence": run.evidence, "held": sorted(holds.of(session, run.id)), "history": entries}
