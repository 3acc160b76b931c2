from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from state import clock
from state.clock import Clock
from state.store import Store
from tests.services import sqlite
from tests.services.postgres import OwnPostgres

NEAR = timedelta(seconds=5)
WRONG = datetime(2001, 1, 1, tzinfo=UTC)


def _wrong() -> datetime:
    return WRONG


def _is_now(told: Callable[[], datetime]) -> bool:
    return abs(told() - datetime.now(UTC)) < NEAR


def test_machines_whose_clocks_differ_agree(postgres_url: str) -> None:
    """What the one gives for a lease the other judges by the same time: the server's."""
    stores = [Store(postgres_url), Store(postgres_url)]
    right, wrong = Clock(stores[0]), Clock(stores[1], machine=_wrong)
    assert _is_now(right)
    assert _is_now(wrong)
    assert abs(right() - wrong()) < timedelta(seconds=0.5)
    for store in stores:
        store.close()


def test_the_time_goes_on_while_the_server_is_away(own_postgres: OwnPostgres) -> None:
    """By a clock that nobody can set; who never reached the server has its machine's alone."""
    with own_postgres.database() as url:
        store = Store(url)
        known, never = Clock(store, every=0, machine=_wrong), Clock(store, every=0, machine=_wrong)
        first = known()
        own_postgres.stop()
        assert _is_now(known)
        assert known() > first
        assert never() == WRONG
        own_postgres.start()
        assert _is_now(never)
        store.close()


def test_a_file_has_the_clock_of_its_machine(tmp_path: Path) -> None:
    """Nobody else shares it."""
    store = sqlite.store(tmp_path / "vfo.db")
    assert Clock(store, machine=_wrong)() == WRONG
    assert _is_now(Clock(store))
    store.close()


def test_the_server_is_not_asked_every_time(postgres_url: str) -> None:
    """A clock is read for every step."""
    store = Store(postgres_url)
    mine = Clock(store)
    mine()
    asked = mine._asked_at
    for _ in range(100):
        mine()
    assert mine._asked_at == asked
    assert clock.EVERY >= 10
    store.close()
