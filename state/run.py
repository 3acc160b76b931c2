"""A run: one workflow, at work on one subject of one pool, with all that a worker or a person needs to know of it."""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy
from sqlalchemy import JSON, CheckConstraint, Enum, Index, text
from sqlalchemy.orm import configure_mappers
from sqlmodel import Field

from state.columns import Row, UtcDateTime


class Status(enum.StrEnum):
    """Where a run stands. The first three are active, the others are ends; a stuck run can be taken up again by a person."""

    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
    STUCK = "stuck"


ACTIVE = frozenset({Status.READY, Status.RUNNING, Status.WAITING})
ENDED = frozenset(Status) - ACTIVE


class Phase(enum.StrEnum):
    """Which way a run goes through its table of steps."""

    FORWARD = "forward"
    UNDO = "undo"


class Run(Row, table=True):
    """One run.

    *step*: the step that is next or at work (in phase undo: whose undo is), the last one when the run has ended; None: not begun.
    *due_at*: the moment from which somebody may take the run: a retry, the end of a wait and the end of a lease are all this. None: ended.
    *claim*: grows with every taking; only who knows the newest may record. *takes*: how often the run was taken since its last record.
    *attempt*: failures in a row at this step. *waits_on*: the key that wakes it before it is due.
    *approved_by*: the person who approved the run; None: nobody has.
    *unknown_since*: since when nobody who took it has known its workflow or its step; None: who took it last did.
    *reason*: why it stands where it stands (what it waits for, why it ended). *evidence*, *next_command*: for the person who is needed.
    *calls*: those of the step at hand that no entry of the history tells of yet.
    """

    __tablename__ = "run"
    __table_args__ = (
        # An index that says "active" as due_at says it: SQLite uses a partial index only where the query's own words imply it.
        Index("uq_run_active", "workflow", "pool", "subject", unique=True, sqlite_where=text("due_at IS NOT NULL"),
              postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_run_due", "due_at", sqlite_where=text("due_at IS NOT NULL"), postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_run_waits_on", "waits_on", sqlite_where=text("waits_on IS NOT NULL"), postgresql_where=text("waits_on IS NOT NULL")),
        Index("ix_run_unknown", "due_at", sqlite_where=text("unknown_since IS NOT NULL"),
              postgresql_where=text("unknown_since IS NOT NULL")),
        Index("ix_run_status_created_at", "status", "created_at"),
        Index("ix_run_subject_created_at", "pool", "subject", "workflow", "created_at"),
        CheckConstraint("(due_at IS NULL) = (status IN ('DONE', 'REFUSED', 'UNDONE', 'STUCK'))", name="ended_is_never_due"),
    )  # fmt: skip

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    workflow: str
    pool: str
    subject: str
    title: str
    status: Status = Field(default=Status.READY, sa_type=Enum(Status, native_enum=False, length=16))
    phase: Phase = Field(default=Phase.FORWARD, sa_type=Enum(Phase, native_enum=False, length=16))
    step: str | None = None
    step_began_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    claim: int = 0
    takes: int = 0
    attempt: int = 0
    waits_on: str | None = None
    cancel_requested: bool = False
    approved_by: str | None = None
    unknown_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str = ""
    next_command: str = ""
    evidence: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    calls: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


DEFAULTS = {name: field.default for name, field in Run.model_fields.items() if not field.is_required() and field.default_factory is None}
configure_mappers()  # of its own accord it happens with the first `Run(...)`
MANAGER = sqlalchemy.inspect(Run).class_manager


def of_row(row: Mapping[str, Any]) -> Run:
    """The run of these columns, with the model's defaults for what is not among them.

    Past the model's own way of setting one attribute after the other, each with its events: every taking of a run makes one.
    """
    run: Run = MANAGER.new_instance()
    vars(run).update(DEFAULTS)
    vars(run).update(row)
    return run
