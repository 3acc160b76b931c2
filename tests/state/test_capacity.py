"""Samples of VFs over time, in rows."""

from datetime import timedelta

from state import capacity
from state.capacity import Asked, Figures
from state.store import Store
from tests.state.moments import START, later

SOME = Figures("fast", 1, 8, 2, 6, 1)
DAYS = timedelta(days=1)


def put(store: Store, at: float, used: int, *, network: str = "n", first: bool = False) -> None:
    with store.write() as session:
        capacity.add(session, "lab", {network: Figures("fast", 1, 8, used, 8 - used)}, now=later(at), hourly={network} if first else set())


def used(store: Store, **asked: object) -> list[int]:
    wanted: dict[str, object] = {"since": START, "until": START + DAYS, **asked}
    with store.read() as session:
        return [row["used"] for row in capacity.listed(session, Asked(**wanted), limit=100)]  # type: ignore[arg-type]


def test_samples_come_back_in_the_order_of_time(store: Store) -> None:
    """Those of a time, of a pool, of a network, and those behind one of them; the first of all is known."""
    for at, number, network in ((10, 1, "n"), (20, 2, "n"), (20, 3, "o"), (30, 4, "n")):
        put(store, at, number, network=network)
    assert used(store) == [1, 2, 3, 4]
    assert used(store, since=later(15), until=later(25)) == [2, 3]
    assert used(store, network="o") == [3]
    assert used(store, pools=["other"]) == []
    assert used(store, after=(later(20), "lab", "n")) == [3, 4]
    with store.read() as session:
        assert capacity.since(session, ["lab", "other"]) == later(10)
        assert capacity.since(session, ["other"]) is None
        assert {network: one.used for network, (_, one) in capacity.latest(session, "lab").items()} == {"n": 4, "o": 3}


def test_old_samples_are_thinned_and_then_go(store: Store) -> None:
    """Of those before the one moment the first of each hour stay, of those before the other none; a few at a time."""
    for at in range(6):
        put(store, 10 * at, at, first=at in {0, 3})
    with store.write() as session:
        assert capacity.remove(session, changes=later(45), hours=None, limit=2) == 2
        assert capacity.remove(session, changes=later(45), hours=None, limit=2) == 1
    assert used(store) == [0, 3, 5]
    with store.write() as session:
        assert capacity.remove(session, changes=later(45), hours=later(15), limit=9) == 1
    assert used(store) == [3, 5]
