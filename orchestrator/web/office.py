"""What the web has for its whole life, of which each request gets what it needs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import WrongInput
from orchestrator.actions.passwords import Passwords
from orchestrator.actions.place import Place
from orchestrator.bootstrap import PoolAccess
from orchestrator.config.load import Loaded
from orchestrator.web.attempts import Attempts
from orchestrator.web.live import Live
from orchestrator.web.principal import Principal
from orchestrator.web.shelf import Shelf
from orchestrator.written import InRows
from state.store import Store


class Office:
    """*pools*: each configured pool by its name, opened once; who lost a session logs in again by itself.

    *publish*: tells workers of new runs; without it they find them in the rows.
    """

    def __init__(
        self,
        loaded: Loaded,
        store: Store,
        pools: Mapping[str, PoolAccess],
        clock: Callable[[], datetime],
        publish: Callable[[Sequence[UUID]], None] = lambda _: None,
        written: InRows | None = None,
    ) -> None:
        self.loaded = loaded
        self.store = store
        self.pools = dict(pools)
        self.clock = clock
        self.publish = publish
        self.written = written or InRows(loaded, store)
        self.attempts = Attempts()
        self.passwords = Passwords()
        self.live = Live(store, list(self.pools))
        self.shelf = Shelf(loaded, store)
        self._endings: list[Callable[[], None]] = []

    def desk(self, by: Principal, pool: str | None = None) -> Desk:
        """Where *by* asks for something, of one pool or of all. Raises WrongInput: there is no such pool."""
        return Desk(self.loaded, self.store, self.chosen(pool), by.name, self.clock, by.how, self.written)

    def place(self, by: Principal) -> Place:
        """Where *by* does what no pool is needed for."""
        return Place(self.store, by.name, by.how, self.clock)

    def chosen(self, pool: str | None) -> list[PoolAccess]:
        """The pool of this name, or all of them. Raises WrongInput."""
        if pool is None:
            return list(self.pools.values())
        if pool not in self.pools:
            raise WrongInput(f"there is no pool of that name; there are {', '.join(self.pools)}", option="pool", value=pool)
        return [self.pools[pool]]

    def at_the_end(self, close: Callable[[], None]) -> None:
        """Have this called, too, when everything ends."""
        self._endings.append(close)

    def close(self) -> None:
        """End what listens, and jobs of verifying. The store and the pools are closed by who opened them."""
        for close in self._endings:
            close()
        self.live.close()
        self.shelf.close()
