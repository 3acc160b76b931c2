"""What all tables share: the names of constraints, moments in UTC, and quick access to a model's table."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, Table
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


SEQ: Any = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts by itself in an INTEGER alone, which is as big there


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the row. A naive one is an error, since nobody can say which moment it means."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Moments go into the row as UTC; SQLite keeps no offset, so it is dropped there."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the type's signature
        """Moments come out of the row aware, whatever the database kept."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(SQLModel):
    """The base of every table: metadata of our own, so that nobody else's tables are created with ours."""

    metadata = MetaData(naming_convention=NAMING)


def table(model: type[Row]) -> Table:
    """The table of a model, for statements that go past the ORM (which costs half of a transition's time)."""
    found: Any = sqlalchemy.inspect(model).local_table
    assert isinstance(found, Table)  # noqa: S101 - narrows the type: a model with table=True has one
    return found
