"""One dialect for all SQLite databases of the process: what was compiled for one test's engine serves those of all that follow.

SQLAlchemy keeps what it compiled by engine and dialect, which is right for a program with one of each; a test process makes thousands.
"""

from typing import Any, Self

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_MADE: dict[frozenset[tuple[str, Any]], "OneDialect"] = {}


class OneDialect(SQLiteDialect_pysqlite):
    """The one with these options, and what it has compiled."""

    supports_statement_cache = True

    def __new__(cls, **options: Any) -> Self:
        return _MADE.setdefault(frozenset(options.items()), super().__new__(cls))  # type: ignore[return-value]

    def __init__(self, **options: Any) -> None:
        if "compiled" not in vars(self):
            super().__init__(**options)
            self.compiled = dict[Any, Any]()

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """What is asked of the engine is compiled once."""
        if isinstance(engine.dialect, cls):
            engine.update_execution_options(compiled_cache=engine.dialect.compiled)


def share() -> None:
    """From now on."""
    registry.register("sqlite", __name__, OneDialect.__name__)
