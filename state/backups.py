"""The catalogue of backups: a line for each VM that a policy was to save, and the policies that are paused."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ColumnElement, FromClause, Index, delete, func, true
from sqlmodel import Field, Session, col, select

from state import upsert
from state.columns import Row, UtcDateTime, table

LATEST = 5  # backups of a VM that say how long the next one takes


class Backup(Row, table=True):
    """One line, as in `workflows.services.Saved`. *id*: of the run that did it, or made up where none was begun. *downtime*: seconds."""

    __tablename__ = "backup"
    __table_args__ = (
        Index("ix_backup_policy_began_at", "pool", "policy", "began_at"),
        Index("ix_backup_vm_began_at", "pool", "vm", "began_at"),
        Index("ix_backup_began_at", "began_at"),
    )

    id: UUID = Field(primary_key=True)
    pool: str
    vm: str
    vm_name: str
    policy: str
    product: str
    window: str
    opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    status: str
    reason: str = ""
    began_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    downtime: float = 0.0
    size: int = Field(default=0, sa_type=BigInteger)
    read: int = Field(default=0, sa_type=BigInteger)
    stored: int = Field(default=0, sa_type=BigInteger)
    point: str = ""
    mode: str = ""
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


class Pause(Row, table=True):
    """A policy that a person paused."""

    __tablename__ = "pause"

    policy: str = Field(primary_key=True)
    by: str
    at: datetime = Field(sa_type=UtcDateTime)


BACKUP, PAUSE = table(Backup), table(Pause)


def put(session: Session, line: Backup) -> None:
    """Write the line of this id, anew or over the one that is there."""
    upsert.put(session, BACKUP, [_row(line)])


def put_new(session: Session, lines: Sequence[Backup]) -> None:
    """Write those lines of whose id there is none."""
    if lines:
        session.connection().execute(upsert.insert(session, BACKUP).on_conflict_do_nothing(), [_row(line) for line in lines])


def _row(line: Backup) -> dict[str, Any]:
    return {column.name: getattr(line, column.name) for column in BACKUP.columns}


def get(session: Session, backup_id: UUID) -> Backup | None:
    """The line of this id."""
    return session.get(Backup, backup_id, populate_existing=True)


def since(session: Session, moment: datetime, *, policy: str | None = None) -> list[Backup]:
    """The lines of what began at *moment* or later, oldest first."""
    query = select(Backup).where(col(Backup.began_at) >= moment).order_by(col(Backup.began_at))
    return list(session.exec(query if policy is None else query.where(Backup.policy == policy)))


def not_well(session: Session, moment: datetime, well: Collection[str]) -> list[Backup]:
    """Of each VM and policy the last line of what began at *moment* or later, where its status is none of *well*; newest first."""
    of_one = (BACKUP.c.pool, BACKUP.c.policy, BACKUP.c.vm)
    nth = func.row_number().over(partition_by=of_one, order_by=BACKUP.c.began_at.desc()).label("nth")
    lines = select(BACKUP.c.id, BACKUP.c.status, nth).where(BACKUP.c.began_at >= moment).subquery()
    last = select(lines.c.id).where(lines.c.nth == 1, lines.c.status.not_in(well))
    return list(session.exec(select(Backup).where(col(Backup.id).in_(last)).order_by(col(Backup.began_at).desc())))


def latest_saved(session: Session, pool: str, policy: str) -> Mapping[str, tuple[datetime, tuple[timedelta, ...]]]:
    """Of each VM that the policy saved: when the last backup began, and how long the latest took, newest first.

    Without the time for which others came first (`details["queued"]`, in seconds): that says nothing of the VM.
    """
    of_all, of_one = BACKUP.alias(), BACKUP.alias()
    vms = select(of_all.c.vm).where(*_saved(of_all, pool, policy)).distinct().subquery()
    mine = (*_saved(of_one, pool, policy), of_one.c.vm == vms.c.vm)
    said = (of_one.c.vm, of_one.c.began_at, of_one.c.ended_at, of_one.c.details["queued"].as_float().label("queued"))
    if session.get_bind().dialect.name == "postgresql":  # each way is what one of them is quick with, whatever the number of lines
        newest = select(*said).where(*mine).order_by(of_one.c.began_at.desc()).limit(LATEST).lateral()
        few = select(newest.c.vm, newest.c.began_at, newest.c.ended_at, newest.c.queued).select_from(vms.join(newest, true()))
        few = few.order_by(newest.c.vm, newest.c.began_at.desc())
    else:
        other = BACKUP.alias()
        its = select(other.c.id).where(*_saved(other, pool, policy), other.c.vm == vms.c.vm).order_by(other.c.began_at.desc()).limit(LATEST)
        few = (
            select(*said).select_from(vms.join(of_one, of_one.c.id.in_(its.correlate(vms)))).order_by(of_one.c.vm, of_one.c.began_at.desc())
        )
    found: dict[str, tuple[datetime, tuple[timedelta, ...]]] = {}
    for vm, began, ended, waited in session.connection().execute(few):
        first, took = found.get(vm, (began, ()))
        found[vm] = (first, (*took, ended - began - timedelta(seconds=waited or 0)))
    return found


def _saved(lines: FromClause, pool: str, policy: str) -> tuple[ColumnElement[bool], ...]:
    """That a line is of a backup that the policy has saved."""
    return lines.c.pool == pool, lines.c.policy == policy, lines.c.status == "saved", lines.c.ended_at.is_not(None)


def pause(session: Session, policy: str, *, by: str, now: datetime) -> None:
    """The policy is paused; one that is paused already stays as it is."""
    first = upsert.insert(session, PAUSE).values(policy=policy, by=by, at=now).on_conflict_do_nothing()
    session.connection().execute(first)


def resume(session: Session, policy: str) -> bool:
    """The policy goes on; False when it was not paused."""
    return bool(session.connection().execute(delete(PAUSE).where(PAUSE.c.policy == policy).returning(PAUSE.c.policy)).first())


def paused(session: Session) -> dict[str, Pause]:
    """The policies that are paused, by name."""
    return {row.policy: row for row in session.exec(select(Pause))}
