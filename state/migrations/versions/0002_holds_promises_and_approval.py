"""What runs have for themselves, what is promised to VMs, and who approved a run."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("approved_by", sa.String(), nullable=True))
    op.create_table(
        "hold",
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("thing", sa.String(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_hold_run_id_run")),
        sa.PrimaryKeyConstraint("pool", "thing", name=op.f("pk_hold")),
    )
    op.create_index("ix_hold_run_id", "hold", ["run_id"])
    op.create_table(
        "promise",
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("port", sa.String(), nullable=False),
        sa.Column("vm", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pool", "port", "vm", name=op.f("pk_promise")),
    )


def downgrade() -> None:
    op.drop_table("promise")
    op.drop_index("ix_hold_run_id", "hold")
    op.drop_table("hold")
    op.drop_column("run", "approved_by")
