"""How many VFs there were, and what of them was taken, over time."""

import sqlalchemy as sa
from alembic import op

from state.columns import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
oldest = "0007"


def upgrade() -> None:
    numbers = ("ports", "total", "used", "free", "promised", "leaked", "broken")
    op.create_table(
        "capacity",
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in numbers),
        sa.Column("hourly", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pool", "network", "at", name="pk_capacity"),
    )
    op.create_index("ix_capacity_at", "capacity", ["at"])


def downgrade() -> None:
    op.drop_table("capacity")
