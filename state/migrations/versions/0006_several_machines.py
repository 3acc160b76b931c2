"""What several machines need: notes of wakes, and that a million finished runs make nothing slow."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The rows that everybody looks at are written again and again: what is dead of them must go long before a fifth of all rows is.
BUSY = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0, fillfactor = 80"


def is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def upgrade() -> None:
    op.create_index("ix_run_subject_created_at", "run", ["pool", "subject", "workflow", "created_at"])
    # Notes of the last minutes, worth nothing after a crash: they cost the server's disk nothing.
    unlogged: dict[str, Any] = {"prefixes": ["UNLOGGED"]} if is_postgresql() else {}
    op.create_table(
        "woken",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        **unlogged,
    )
    op.create_index("ix_woken_key_at", "woken", ["key", "at"])
    if is_postgresql():
        op.alter_column("history", "seq", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)
        op.execute("ALTER SEQUENCE history_seq_seq AS bigint")
        op.execute(f"ALTER TABLE run SET ({BUSY})")


def downgrade() -> None:
    if is_postgresql():
        names = ", ".join(setting.split(" = ")[0] for setting in BUSY.split(", "))
        op.execute(f"ALTER TABLE run RESET ({names})")
        op.execute("ALTER SEQUENCE history_seq_seq AS integer")
        op.alter_column("history", "seq", type_=sa.Integer(), existing_type=sa.BigInteger(), existing_nullable=False)
    op.drop_table("woken")
    op.drop_index("ix_run_subject_created_at", "run")
