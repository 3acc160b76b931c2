"""What there is to tell people, and how far each channel is with it."""

import sqlalchemy as sa
from alembic import op

from state.columns import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
oldest = "0007"


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("pool", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("over_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
    )
    open_yet = sa.text("over_at IS NULL")
    op.create_index("uq_notice_key", "notice", ["key"], unique=True, sqlite_where=open_yet, postgresql_where=open_yet)
    op.create_index("ix_notice_seen_at", "notice", ["seen_at"])
    op.create_table(
        "telling",
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.Column("problem", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name="fk_telling_notice_id_notice"),
        sa.PrimaryKeyConstraint("notice_id", "channel", name="pk_telling"),
    )
    due, told = sa.text("due_at IS NOT NULL"), sa.text("told_at IS NOT NULL")
    op.create_index("ix_telling_due", "telling", ["channel", "due_at"], sqlite_where=due, postgresql_where=due)
    op.create_index("ix_telling_told", "telling", ["channel", "told_at"], sqlite_where=told, postgresql_where=told)


def downgrade() -> None:
    op.drop_table("telling")
    op.drop_table("notice")
