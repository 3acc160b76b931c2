"""The wakes of the last while of all processes, in the database: what `Wakes` is within one of them."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice

from orchestrator.engine.wakes import Mark
from state import woken
from state.store import Away, Session, Store

logger = logging.getLogger(__name__)

TIDY = 60.0  # seconds between two removals of what is too old
AT_ONCE = 1000  # notes in a transaction: a load of a pool has ten thousands, and nobody parks on a key that is being noted
PATIENCE = timedelta(seconds=5)  # a wake that is lost costs a wait; who brings it has more to do


class SharedWakes:
    """Remembers which keys were woken, by the order of the database's transactions: see `state.woken`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tidied = time.monotonic()
        self._crashed = threading.Event()

    def mark(self, session: Session) -> Mark:
        """The moment, to be given to `came`: taken in the transaction before the step looks."""
        return Mark(snapshot=woken.mark(session), witness=self._store.witness, at=time.monotonic())

    def before(self) -> Callable[[str], Mark]:
        """As `mark`, of a statement that begins after this and brings its snapshot: what makes the mark of that."""
        witness, at = self._store.witness, time.monotonic()
        return lambda snapshot: Mark(snapshot=snapshot, witness=witness, at=at)

    def note(self, keys: Iterable[str]) -> bool:
        """These keys are woken now: noted, and committed, before the rows are searched for who waits for them. Never raises.

        Nobody parks on one of them any more when this returns: False.
        """
        rest = iter(dict.fromkeys(keys))
        try:
            while some := list(islice(rest, AT_ONCE)):
                self._store.do(lambda session, some=some: woken.note_alone(session, some), within=PATIENCE)  # type: ignore[misc]
            if time.monotonic() - self._tidied > TIDY:
                self._tidied = time.monotonic()
                self._store.do(woken.forget, within=PATIENCE)
        except Away as error:
            logger.warning("wakes could not be noted: who waits for them looks when its wait is over: %s", error)
        return False

    def note_with(self, session: Session, keys: Iterable[str]) -> None:
        """These keys are woken by what the transaction does; to be called before the rows are searched in it."""
        woken.note(session, keys)

    @contextmanager
    def parking(self, key: str | None) -> Iterator[None]:
        """Around the transaction in which a run parks on the key (None: on none)."""
        try:
            yield
        finally:
            if key is not None and self._crashed.is_set():
                self._crashed.clear()
                self._vouch()

    def came(self, session: Session, mark: Mark, key: str) -> bool:
        """Whether *key* was woken after *mark*, or may have been: one wake too many costs a look, one too few costs the wait.

        To be asked in the transaction in which a run parks on it, before the row says so.
        """
        if time.monotonic() - mark.at > woken.KEPT.total_seconds() / 2:  # notes of then are forgotten, or will be soon
            return True
        noted, vouched = woken.came(session, key, since=mark.snapshot, witness=mark.witness)
        if not vouched and mark.witness == self._store.witness:
            self._crashed.set()
        return noted or not vouched

    def _vouch(self) -> None:
        """The server crashed, and all notes are gone: a new witness for the looks that begin from now on."""
        try:
            self._store.vouch()
        except Away as error:
            self._crashed.set()
            logger.warning("the database crashed, and went away again: runs that wait look more often than they would: %s", error)
