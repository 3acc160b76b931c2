"""Policies and windows that people write while the machine runs."""

import sqlalchemy as sa
from alembic import op

from state.columns import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
oldest = "0007"


def upgrade() -> None:
    op.create_table(
        "written",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Uuid(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_written"),
    )


def downgrade() -> None:
    op.drop_table("written")
