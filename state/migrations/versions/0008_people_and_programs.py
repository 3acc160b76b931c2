"""What the console and the REST API need: users, tokens, sign-ins, who did what, and what was answered under which key."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
oldest = "0007"


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "web_user",
        text("name"), text("password"), text("scope"), moment("created_at"), moment("changed_at"),
        sa.PrimaryKeyConstraint("name", name="pk_web_user"),
    )  # fmt: skip
    op.create_table(
        "api_token",
        text("name"), text("digest"), text("scope"), text("created_by"), moment("created_at"),
        moment("expires_at", nullable=True), moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_api_token"), sa.UniqueConstraint("digest", name="uq_api_token_digest"),
    )  # fmt: skip
    op.create_table(
        "sign_in",
        text("digest"), text("name"), text("how"), text("scope", nullable=True),
        moment("created_at"), moment("seen_at"), moment("idle_until"), moment("ends_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_sign_in"),
    )  # fmt: skip
    op.create_index("ix_sign_in_name", "sign_in", ["name"])
    op.create_index("ix_sign_in_ends_at", "sign_in", ["ends_at"])
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        moment("at"), text("who"), text("how"), text("what"), text("thing"), text("outcome"),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )  # fmt: skip
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_who_seq", "audit", ["who", "seq"])
    op.create_table(
        "idempotency",
        text("who"), text("key"), text("request"), moment("at"),
        sa.Column("status", sa.Integer(), nullable=False), sa.Column("answer", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("who", "key", name="pk_idempotency"),
    )  # fmt: skip
    op.create_index("ix_idempotency_at", "idempotency", ["at"])


def downgrade() -> None:
    for table in ("idempotency", "audit", "sign_in", "api_token", "web_user"):
        op.drop_table(table)
