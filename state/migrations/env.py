"""Run by alembic: migrates over the connection that `state.schema` hands over, within its transaction."""

from alembic import context
from sqlalchemy import create_engine

from state import tables


def main() -> None:
    """Migrate; without a connection (a developer's `alembic revision --autogenerate -x url=...`) one is opened to the URL given."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        connection = create_engine(context.get_x_argument(as_dictionary=True)["url"]).connect()
    context.configure(connection=connection, target_metadata=tables.METADATA, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


main()
