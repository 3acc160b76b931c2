"""The schema's version: which one this code needs, which one a database has, and the way from one to the other.

Versions of the program work beside each other on one database while they are exchanged one after the other. So a migration adds, and takes
nothing away that the code before it uses; and the database says which is the oldest schema whose code can use it (*oldest*, which every
migration declares, in the row that has the version). What old code needs is removed by a later release, whose migration raises *oldest*.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

if TYPE_CHECKING:
    import alembic.config

HEAD = "0012"  # known here so that a database that is up to date is opened without loading alembic


def revision(connection: Connection) -> str | None:
    """The version of the database's schema; None when it has none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def problem(connection: Connection) -> str:
    """Why this code cannot use the database as it is, after "the database ... "; "" when it can."""
    found = revision(connection)
    if found == HEAD:
        return ""
    needs = f"has schema {found or 'none'}, this version needs {HEAD}"
    if found is None or found < HEAD:
        return f"{needs}: run 'vfo db upgrade'"
    oldest = _oldest(connection)
    return "" if oldest <= HEAD else f"{needs}: what uses it must know schema {oldest} at least, so use a newer version of vfo"


def _oldest(connection: Connection) -> str:
    """The oldest schema whose code can use a database that a newer version has migrated."""
    said: str | None = connection.execute(text("SELECT oldest FROM alembic_version")).scalar()
    return said or "9999"


def upgrade(engine: Engine, *, only_empty: bool = False) -> None:
    """Bring the database to HEAD, in one transaction: of several processes that start at once one does it, the others find it done.

    *only_empty*: when it has no schema at all; an older one is left as it is.
    """
    with engine.execution_options(vfo_reads_only=True).connect() as connection:
        found = revision(connection)
        if found == HEAD or (only_empty and found is not None):
            return
    import alembic.command

    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('vfo schema', 0))"))
        found = revision(connection)
        if found is None or (found < HEAD and not only_empty):  # a newer one is left alone; who opens the store says that it cannot be used
            alembic.command.upgrade(_config(connection), "head")


def move(connection: Connection, version: str) -> None:
    """Bring the schema of a database without rows up or down to the version, in the transaction at hand."""
    import alembic.command

    way = alembic.command.downgrade if (revision(connection) or "") > version else alembic.command.upgrade
    way(_config(connection), version)


def versions() -> list[str]:
    """Every version that this code knows the way to, oldest first."""
    from alembic.script import ScriptDirectory

    return sorted(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _config(connection: Connection | None = None) -> "alembic.config.Config":
    import alembic.config

    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
