"""The schema's version: which one this code needs, which one a database has, and the way from one to the other."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

HEAD = "0003"  # known here so that a database that is up to date is opened without loading alembic


def revision(connection: Connection) -> str | None:
    """The version of the database's schema; None when it has none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def upgrade(engine: Engine) -> None:
    """Bring the database to HEAD, in one transaction: of several processes that start at once one does it, the others find it done."""
    with engine.execution_options(vfo_reads_only=True).connect() as connection:
        if revision(connection) == HEAD:
            return
    import alembic.command
    import alembic.config

    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.begin() as connection:
        found = revision(connection)
        if found is None or found < HEAD:  # a newer one is left alone; who opens the store says that it cannot be used
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
