"""What a known VM consists of, and promises that several runs give one VM."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("known_vm", sa.Column("vbds", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("known_vm", sa.Column("all_vifs", sa.JSON(none_as_null=True), nullable=True))
    _promises_by("pool", "port", "vm", "run_id")


def downgrade() -> None:
    op.execute(
        "DELETE FROM promise WHERE EXISTS (SELECT 1 FROM promise AS other WHERE other.pool = promise.pool AND other.port = promise.port"
        " AND other.vm = promise.vm AND other.run_id > promise.run_id)"
    )
    _promises_by("pool", "port", "vm")
    op.drop_column("known_vm", "all_vifs")
    op.drop_column("known_vm", "vbds")


def _promises_by(*keys: str) -> None:
    with op.batch_alter_table("promise") as promise:
        promise.drop_constraint("pk_promise", type_="primary")
        promise.create_primary_key("pk_promise", list(keys))
