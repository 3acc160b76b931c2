"""Which calls each step of a run made."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
oldest = "0007"


def upgrade() -> None:
    op.add_column("history", sa.Column("calls", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("run", sa.Column("calls", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("run", "calls")
    op.drop_column("history", "calls")
