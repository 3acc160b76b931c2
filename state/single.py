"""A statement that is a transaction of its own on PostgreSQL: carried out by the driver, it takes a third of what a session takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Select, UpdateBase
from sqlmodel import Session

Row = dict[str, Any]
"""What a statement gives, by column."""

Process = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Made:
    """A statement in the driver's words. *given*: the values that it takes, *gives*: its columns, each with what converts it."""

    words: str
    fixed: dict[str, Any]
    given: tuple[tuple[str, Process | None], ...]
    gives: tuple[tuple[str, Process | None], ...]


class Single:
    """A statement (a SELECT of what other statements in it write, or one that returns) that gives one row or none; built once.

    Its values are those of its bound parameters that have none yet. For any number of threads.
    """

    def __init__(self, statement: Select[Any] | UpdateBase) -> None:
        self.statement = statement
        self._made: _Made | None = None

    def by(self, session: Session, values: Mapping[str, Any]) -> Row | None:
        """Carry it out in the session's transaction."""
        row = session.connection().execute(self.statement, values).mappings().first()
        return None if row is None else dict(row)

    def carried_out(self, driver: Any, dialect: Dialect, values: Mapping[str, Any]) -> Row | None:
        """Carry it out on the driver's connection, which is in no transaction. Raises what the driver raises."""
        made = self._made
        if made is None:
            made = self._made = _made(self.statement, dialect)
        said = dict(made.fixed)
        for name, process in made.given:
            value = values[name]
            said[name] = value if process is None else process(value)
        row = driver.execute(made.words, said, prepare=True).fetchone()
        if row is None:
            return None
        found = {}
        for (name, process), value in zip(made.gives, row, strict=True):
            found[name] = value if process is None else process(value)
        return found


def _made(statement: Select[Any] | UpdateBase, dialect: Dialect) -> _Made:
    compiled = statement.compile(dialect=dialect)
    fixed, given = {}, []
    for value, name in compiled.bind_names.items():
        process = value.type.dialect_impl(dialect).bind_processor(dialect)
        if value.required:
            given.append((name, process))
        else:
            fixed[name] = value.value if process is None else process(value.value)
    columns = statement.exported_columns
    gives = tuple((str(column.key), column.type.dialect_impl(dialect).result_processor(dialect, None)) for column in columns)
    return _Made(str(compiled), fixed, tuple(given), gives)
