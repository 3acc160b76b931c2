"""The database as the rest of the product holds it: one place to read, one place to write, both with a session of their own."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlmodel import Session

from state import engines, patience, postgres, schema, together, woken
from state.engines import Unusable
from state.single import Row, Single

__all__ = ["Away", "Session", "Store", "Unsure", "Unusable"]

T = TypeVar("T")
PATIENCE = timedelta(seconds=60)


class Away(Exception):
    """The database did not answer for as long as was waited, or ended the transaction: nothing of it counts, and it may be tried again."""


class Unsure(Away):
    """As `Away`, but it is not known whether it counts: the server crashed over the commit. Who tries again looks first."""


class Store:
    """The rows at *url* (an SQLAlchemy URL), brought to this version's schema unless *migrate* is said to be False.

    *upgrade* False: PostgreSQL that has an older schema is left as it is, and not used: other processes may be at work on it.
    SQLite: WAL, every commit on disk before it counts, writers of one process queue at a lock (the database's own waiting is a spin).
    PostgreSQL: writers run beside each other, in other processes too; a server that is away is waited for, *patience* at most.
    Raises `Unusable`.
    """

    def __init__(self, url: str, *, migrate: bool = True, upgrade: bool = True, patience: timedelta = PATIENCE) -> None:
        self._engine = engines.make(url)
        self._reader = self._engine.execution_options(vfo_reads_only=True)
        self._writing = threading.Lock() if self._engine.dialect.name == "sqlite" else None
        self._together = together.Together(self.write)
        self._writer: int | None = None
        self._patience = patience
        self._closing = threading.Event()
        self._witness = ""
        try:
            if self.is_shared:
                self._assert_fit()
            if migrate:
                schema.upgrade(self._engine, only_empty=self.is_shared and not upgrade)
            self.check()
            if self.is_shared:
                self.vouch()
        except Unusable:
            self._engine.dispose()
            raise
        except Exception as error:
            self._engine.dispose()
            if not isinstance(error, SQLAlchemyError) and postgres.driver_error(error) is None:
                raise
            raise Unusable(f"the database {self.name} cannot be opened: {_plain(error)}") from error

    @property
    def name(self) -> str:
        """The database's URL without its password."""
        return engines.name(self._engine.url)

    @property
    def is_shared(self) -> bool:
        """Whether writers run beside each other, so that what this process knows of the rows is never all."""
        return self._writing is None

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in a transaction that may write: committed at the end, rolled back when an exception leaves it.

        PostgreSQL: begun when the server is there; lost in the middle it raises `Away`, as a block cannot be run again: see `do`.
        """
        if self._writing is None:
            with self._transaction(self._engine, self._patience) as session:
                yield session
            return
        self._refuse_nesting()
        with self._writing, Session(self._engine, expire_on_commit=False) as session, session.begin():
            self._writer = threading.get_ident()
            try:
                yield session
            finally:
                self._writer = None

    def do(self, work: Callable[[Session], T], *, within: timedelta | None = None) -> T:
        """What *work* returns, once it is committed; it has a transaction of its own that may write.

        It does nothing but read and write rows and return: it runs again when the connection was lost or two transactions were in each
        other's way, and counts once. Raises what it raises, `Away` when that went on for *within* (None: the store's patience), and
        `Unsure` when the server crashed over the commit.
        """
        if self._writing is not None:
            with self.write() as session:
                return work(session)

        def once() -> T:
            with self._transaction(self._engine, timedelta()) as session:
                return work(session)

        within = self._patience if within is None else within
        return patience.again(once, on=Away, besides=(Unsure,), patience=within, stop=self._closing)

    def once(self, single: Single, values: Mapping[str, Any], *, again: Callable[[Session], Row | None]) -> Row | None:
        """What the statement gives (None: no row), in a transaction of its own, which costs a third of one of `do`. PostgreSQL alone.

        Where its answer is missing, or it could not be carried out just then, *again* is what `do` does instead, when the server is done
        with the statement: it looks first where that may count already. Raises as `do` does.
        """
        peers = list[postgres.Peer]()
        try:
            return self._carried_out(single, values, peers)
        except Exception as error:
            if postgres.driver_error(error) is None:
                raise

        def once_more(session: Session) -> Row | None:
            if any(postgres.is_there(session.connection(), peer) for peer in peers):
                raise Away(f"the database {self.name} is not done yet with what it was told before the connection was lost")
            return again(session)

        return self.do(once_more)

    def together(self, work: Callable[[Session], T]) -> T:
        """`do` for what many threads do at once: *work* may share its transaction with the others' (see `state.together`)."""
        if self._writing is None:
            return self.do(work)
        self._refuse_nesting()
        return self._together.do(work)

    @contextmanager
    def read(self, *, within: timedelta | None = None) -> Iterator[Session]:
        """A session that reads one consistent state and waits for no writer. What it would write is not kept.

        PostgreSQL: as `write` has it, where *within* says how long a server that is away is waited for (None: the store's patience); what
        would write is an error.
        """
        if self._writing is None:
            with self._transaction(self._reader, self._patience if within is None else within) as session:
                yield session
            return
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    def check(self) -> None:
        """The database answers and has a schema that this version can use; raises `Unusable` else."""
        try:
            with self._reader.connect() as connection:
                problem = schema.problem(connection)
        except Exception as error:
            if not isinstance(error, SQLAlchemyError) and postgres.driver_error(error) is None:
                raise
            raise Unusable(f"the database {self.name} does not answer: {_plain(error)}") from error
        if problem:
            raise Unusable(f"the database {self.name} {problem}")

    @property
    def witness(self) -> str:
        """PostgreSQL: the key of a note that the server has not crashed since: see `state.woken`."""
        return self._witness

    def vouch(self) -> None:
        """PostgreSQL: have a new witness, the last one being gone. May raise `Away`."""
        with self._transaction(self._engine, timedelta()) as session:
            witness = woken.vouch(session)
        self._witness = witness

    def close(self) -> None:
        """Close every connection that is not in use, and end all waiting for a database that is away."""
        self._closing.set()
        if self._witness:
            with contextlib.suppress(Exception):  # it goes by itself after a while
                self.do(lambda session: woken.dismiss(session, self._witness), within=timedelta())
        self._engine.dispose()

    # -- inside ------------------------------------------------------------------------------------------------

    def _carried_out(self, single: Single, values: Mapping[str, Any], peers: list[postgres.Peer]) -> Row | None:
        """Who was told to and did not say that it is done is among the *peers*, and its connection is given up: whatever became of it."""
        connection = self._engine.raw_connection()
        try:
            return single.carried_out(connection.driver_connection, self._engine.dialect, values)
        except BaseException as error:
            peers.append(postgres.peer(connection))
            connection.invalidate(error)
            raise
        finally:
            connection.close()

    @contextmanager
    def _transaction(self, engine: Engine, within: timedelta) -> Iterator[Session]:
        """A transaction on PostgreSQL, begun at once; *within*: how long it is tried to begin. Raises `Away`."""
        session = patience.again(lambda: self._begun(engine), on=Away, patience=within, stop=self._closing)
        try:
            yield session
            session.flush()
            self._commit(session, writes=engine is self._engine)
        except BaseException as error:
            with contextlib.suppress(Exception):  # of a connection that is lost nothing is left to roll back
                session.rollback()
            if postgres.passes(error):
                raise Away(f"the database {self.name} is away: {postgres.in_words(error)}") from error
            raise
        finally:
            session.close()

    def _begun(self, engine: Engine) -> Session:
        session = Session(engine, expire_on_commit=False)
        try:
            session.connection()
        except BaseException as error:
            session.close()
            if postgres.passes(error) or postgres.only_reads(error):
                raise Away(f"the database {self.name} does not answer: {postgres.in_words(error)}") from error
            raise
        return session

    def _commit(self, session: Session, *, writes: bool) -> None:
        """Commit; when the connection is lost over it, the server is asked later what became of it."""
        number, witness = postgres.transaction(session.connection()) if writes else None, self._witness
        try:
            session.commit()
        except Exception as error:
            if number is None or not postgres.is_lost(error):
                raise
            counts = patience.again(
                lambda: self._was_committed(number, witness), on=Away, besides=(Unsure,), patience=self._patience, stop=self._closing
            )
            if not counts:
                raise

    def _was_committed(self, number: str, witness: str) -> bool:
        """A server that crashed gives the number of a transaction that left nothing on its disk to another one: then nobody knows."""
        with self._transaction(self._reader, timedelta()) as session:
            vouched = woken.still_there(session, witness)
            found = postgres.was_committed(session.connection(), number)
        if found is not False and not vouched:
            self.vouch()
            raise Unsure(f"the database {self.name} crashed: it is not known whether the last transaction counts")
        if found is None:
            raise Away(f"the database {self.name} does not know yet what became of a transaction")
        return found

    def _assert_fit(self) -> None:
        with self._reader.connect() as connection:
            problem = postgres.problem_with(connection)
        if problem:
            raise Unusable(f"the database {self.name} cannot be used: {problem}")

    def _refuse_nesting(self) -> None:
        """A thread that writes within its own write would wait for itself for ever: better an error where it happens."""
        if self._writer == threading.get_ident():
            raise RuntimeError("a write within a write: the session at hand is the one to use")


def _plain(error: Exception) -> str:
    """What the driver said, without the statement and its parameters."""
    if postgres.driver_error(error) is not None:
        return postgres.in_words(error)
    return str(error.orig) if isinstance(error, DatabaseError) else type(error).__name__
