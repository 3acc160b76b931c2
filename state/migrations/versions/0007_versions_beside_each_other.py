"""What several versions beside each other need: which code may use a schema, runs that only some know, and since when a lease is held."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
oldest = "0007"


def upgrade() -> None:
    op.add_column("alembic_version", sa.Column("oldest", sa.String(), nullable=True))
    op.add_column("lease", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("run", sa.Column("unknown_since", sa.DateTime(timezone=True), nullable=True))
    unknown = sa.text("unknown_since IS NOT NULL")
    op.create_index("ix_run_unknown", "run", ["due_at"], sqlite_where=unknown, postgresql_where=unknown)
    op.add_column("woken", sa.Column("tx", sa.BigInteger(), nullable=True))
    op.drop_index("ix_woken_key_at", "woken")
    op.create_index("ix_woken_key_tx", "woken", ["key", "tx"])


def downgrade() -> None:
    op.drop_index("ix_woken_key_tx", "woken")
    op.create_index("ix_woken_key_at", "woken", ["key", "at"])
    op.drop_column("woken", "tx")
    op.drop_index("ix_run_unknown", "run")
    op.drop_column("run", "unknown_since")
    op.drop_column("lease", "since")
    op.drop_column("alembic_version", "oldest")
