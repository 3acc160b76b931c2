"""All that the rows hold, taken out of one database and put into another, of the other kind too: runs in flight go on there.

A value travels as its kind says and by no model, so that rows of an older schema can be put where that schema was made again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
    column,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine
from sqlmodel import AutoString, Session

from state import history, postgres, tables
from state.columns import UtcDateTime

STAY = frozenset({"lease", "woken", "sign_in", "idempotency"})
"""What is of processes that live, and worth nothing where they are not: leases, notes of the last minutes, browsers, answers."""
AT_ONCE = 500
KINDS: dict[str, Callable[[], TypeEngine[Any]]] = {
    "uuid": Uuid, "moment": UtcDateTime, "json": JSON, "json or none": lambda: JSON(none_as_null=True), "boolean": Boolean,
    "float": Float, "integer": BigInteger, "text": String,
}  # fmt: skip
READ: dict[str, Callable[[Any], Any]] = {"uuid": UUID, "moment": datetime.fromisoformat, "text": history.plain}
WRITTEN: dict[str, Callable[[Any], Any]] = {
    "text": lambda value: value if value is None else history.plain(value),
    "json": lambda value: orjson.dumps(value).decode(),
    "json or none": lambda value: value if value is None else orjson.dumps(value).decode(),
}


class Odd(Exception):
    """A row that cannot be; the text says why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A table: its name, and each of its columns with the kind of its values."""

    table: str
    columns: tuple[tuple[str, str], ...]

    def made(self) -> Table:
        """As a statement needs it."""
        return Table(self.table, MetaData(), *(Column(name, KINDS[kind]()) for name, kind in self.columns))


def shapes() -> list[Shape]:
    """Every table that moves, those first that others refer to."""
    moved = [table for table in tables.METADATA.sorted_tables if table.name not in STAY]
    return [Shape(str(table.name), tuple((str(column.name), _kind(column)) for column in table.columns)) for table in moved]


def rows(session: Session, shape: Shape, *, now: datetime) -> Iterator[list[Any]]:
    """The rows of a table, in no order and never many of them in memory.

    Whose claim lasts longer than *now* can be taken from now on: who had it works on another database.
    """
    free = _freed(shape)
    found = session.connection().execution_options(yield_per=AT_ONCE).execute(select(shape.made()))
    for row in found:
        values = list(row)
        if free is not None:
            free(values, now)
        yield values


def put(session: Session, table: Table, shape: Shape, values: Sequence[Sequence[Any]]) -> None:
    """Insert the rows, as they are read from plain JSON. Raises `Odd` when a value is not of its column's kind."""
    try:
        if _is_postgresql(session.connection()):
            _copy(session.connection(), shape, values)
        else:
            reads = [(name, READ.get(kind)) for name, kind in shape.columns]
            session.connection().execute(insert(table), [_read(reads, row) for row in values])
    except (ValueError, TypeError, AttributeError, SQLAlchemyError) as error:
        if postgres.passes(error):
            raise
        raise Odd(_plain(error)) from error
    except Exception as error:
        if postgres.driver_error(error) is None or postgres.passes(error):
            raise
        raise Odd(_plain(error)) from error


def _read(reads: Sequence[tuple[str, Callable[[Any], Any] | None]], row: Sequence[Any]) -> dict[str, Any]:
    return {name: value if read is None or value is None else read(value) for (name, read), value in zip(reads, row, strict=True)}


def _copy(connection: Connection, shape: Shape, values: Sequence[Sequence[Any]]) -> None:
    """As INSERT does it, in a tenth of the time; the server reads the values from their texts."""
    names = ", ".join(f'"{name}"' for name, _ in shape.columns)
    writes = [WRITTEN.get(kind) for _, kind in shape.columns]
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f'COPY "{shape.table}" ({names}) FROM STDIN') as copy:
        for row in values:
            copy.write_row([value if write is None else write(value) for write, value in zip(writes, row, strict=True)])


def counts(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """How many rows each of these tables has."""
    return {name: connection.execute(select(func.count()).select_from(Table(name, MetaData()))).scalar_one() for name in names}


def occupied(session: Session) -> list[str]:
    """The tables that have a row already, of those that move."""
    names = [shape.table for shape in shapes()]
    connection = session.connection()
    return [name for name in names if connection.execute(select(text("1")).select_from(Table(name, MetaData())).limit(1)).first()]


def keep_others_out(session: Session) -> None:
    """Until the transaction ends nobody else writes into the tables, and nothing but its own end ends it."""
    if _is_postgresql(session.connection()):
        session.connection().execute(text(f"LOCK TABLE {', '.join(shape.table for shape in shapes())} IN SHARE ROW EXCLUSIVE MODE"))


def take_time(session: Session) -> None:
    """The transaction may wait for a slow disk in between: it is not ended for that."""
    if _is_postgresql(session.connection()):
        session.connection().execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def settle(session: Session) -> None:
    """After all rows were put: what the database gives by itself goes on after the last one, and it knows how many there are."""
    connection = session.connection()
    if not _is_postgresql(connection):
        return
    for name in ("history", "audit"):
        last = select(func.coalesce(func.max(column("seq")), 0) + 1).select_from(Table(name, MetaData())).scalar_subquery()
        connection.execute(select(func.setval(func.pg_get_serial_sequence(name, "seq"), last, False)))  # noqa: FBT003 - PostgreSQL's own
    for shape in shapes():
        connection.execute(text(f"ANALYZE {shape.table}"))


def of_header(said: Mapping[str, Any]) -> list[Shape]:
    """The tables as the first line of a file has them. ValueError when they are none that could be."""
    found = [Shape(table, tuple((str(name), str(kind)) for name, kind in columns)) for table, columns in said.items()]
    strange = [f"{one.table}.{name} is {kind}" for one in found for name, kind in one.columns if kind not in KINDS]
    if strange:
        raise ValueError(", ".join(strange))
    return found


def packed(value: Any) -> bytes:
    """A row, or what is said of all of them, in a line of plain JSON."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def _kind(column: Column[Any]) -> str:
    """How the column's values travel. TypeError for a type that nobody has thought of here."""
    kind = column.type
    if isinstance(kind, JSON):
        return "json or none" if column.nullable else "json"
    for name, types in (("uuid", Uuid), ("moment", UtcDateTime), ("boolean", Boolean), ("float", Float), ("integer", Integer)):
        if isinstance(kind, types):
            return name
    if isinstance(kind, String | AutoString):
        return "text"
    raise TypeError(f"{column}: values of {kind!r} cannot be moved")


def _freed(shape: Shape) -> Callable[[list[Any], datetime], None] | None:
    """What makes a row of the table that a process has for itself one that anybody may take."""
    held = {"run": ("status", "RUNNING", "due_at"), "job": ("state", "running", "expires_at")}.get(shape.table)
    if held is None:
        return None
    names = [name for name, _ in shape.columns]
    state, taken, until = names.index(held[0]), held[1], names.index(held[2])

    def free(values: list[Any], now: datetime) -> None:
        if values[state] == taken and values[until] > now:
            values[until] = now

    return free


def _is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _plain(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())
