"""Run by alembic: migrates over the connection that `state.schema` hands over, within its transaction."""

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import create_engine, text

from state import tables

FIRST = "0007"  # the version that began to say it


def note_oldest(ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]) -> None:  # noqa: ARG001
    """After each migration: the database says the oldest schema whose code can use it from now on."""
    for head in heads:
        oldest = getattr(context.script.get_revision(head).module, "oldest", head)
        if head >= FIRST and ctx.connection is not None:
            ctx.connection.execute(text("UPDATE alembic_version SET oldest = :oldest"), {"oldest": oldest})


def main() -> None:
    """Migrate; without a connection (a developer's `alembic revision --autogenerate -x url=...`) one is opened to the URL given."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        connection = create_engine(context.get_x_argument(as_dictionary=True)["url"]).connect()
    context.configure(connection=connection, target_metadata=tables.METADATA, render_as_batch=True, compare_type=True,
                      on_version_apply=note_oldest)  # fmt: skip
    with context.begin_transaction():
        context.run_migrations()


main()
