"""What a port was before its VFs were made anew: how many VFs it had at most, where they were, and what changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("port", sa.Column("most", sa.Integer(), nullable=True))
    op.add_column("port", sa.Column("addresses", sa.JSON(), nullable=True))
    op.add_column("port", sa.Column("changed", sa.String(), nullable=True))


def downgrade() -> None:
    for column in ("most", "addresses", "changed"):
        op.drop_column("port", column)
