"""The first version."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATUSES = ("READY", "RUNNING", "WAITING", "DONE", "REFUSED", "UNDONE", "STUCK")


def only(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def create_what_runs_need() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("status", sa.Enum(*STATUSES, name="status", native_enum=False, length=16), nullable=False),
        sa.Column("phase", sa.Enum("FORWARD", "UNDO", name="phase", native_enum=False, length=16), nullable=False),
        sa.Column("step", sa.String(), nullable=True),
        sa.Column("step_began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("takes", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("waits_on", sa.String(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("next_command", sa.String(), nullable=False),
        sa.Column("evidence", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(due_at IS NULL) = (status IN ('DONE', 'REFUSED', 'UNDONE', 'STUCK'))", name=op.f("ck_run_ended_is_never_due")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_due", "run", ["due_at"], **only("due_at IS NOT NULL"))
    op.create_index("ix_run_status_created_at", "run", ["status", "created_at"])
    op.create_index("ix_run_waits_on", "run", ["waits_on"], **only("waits_on IS NOT NULL"))
    op.create_index("uq_run_active", "run", ["workflow", "pool", "subject"], unique=True, **only("due_at IS NOT NULL"))
    op.create_table(
        "history",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_history_run_id_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_history")),
    )
    op.create_index("ix_history_run_id", "history", ["run_id"])


def upgrade() -> None:
    create_what_runs_need()
    op.create_table(
        "known_vm",
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("vm", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("vifs", sa.JSON(), nullable=False),
        sa.Column("ports", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pool", "vm", name=op.f("pk_known_vm")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "port",
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("port", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pool", "port", name=op.f("pk_port")),
    )
    op.create_table(
        "leak_hold",
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("port", sa.String(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pool", "port", "run_id", name=op.f("pk_leak_hold")),
    )


def downgrade() -> None:
    op.drop_table("leak_hold")
    op.drop_index("ix_history_run_id", "history")
    op.drop_table("history")
    op.drop_index("uq_run_active", "run", **only("due_at IS NOT NULL"))
    op.drop_index("ix_run_waits_on", "run", **only("waits_on IS NOT NULL"))
    op.drop_index("ix_run_status_created_at", "run")
    op.drop_index("ix_run_due", "run", **only("due_at IS NOT NULL"))
    op.drop_table("run")
    op.drop_table("port")
    op.drop_table("lease")
    op.drop_table("known_vm")
