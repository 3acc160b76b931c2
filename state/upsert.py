"""INSERT ... ON CONFLICT: both databases have it, each in a dialect of its own."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

Insert = sqlite.Insert | postgresql.Insert
DIALECTS: dict[str, Callable[[Table], Insert]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert(session: Session, table: Table) -> Insert:
    """An INSERT that takes on_conflict_do_nothing and on_conflict_do_update, in the dialect of the session's database."""
    return DIALECTS[session.get_bind().dialect.name](table)


def put(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows: new ones are inserted, those whose primary key is there already are replaced in every other column."""
    if not rows:
        return
    statement = insert(session, table)
    keys = [column.name for column in table.primary_key]
    fresh = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    session.connection().execute(statement.on_conflict_do_update(index_elements=keys, set_=fresh), list(rows))
