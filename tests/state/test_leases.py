from datetime import datetime

from state import leases, standing
from state.store import Store
from tests.state.moments import LEASE, START, later


def _acquire(store: Store, holder: str, seconds: float = 0) -> leases.Lease | None:
    with store.write() as session:
        return leases.acquire(session, "listener:p", holder, now=later(seconds), duration=LEASE)


def _held(store: Store, lease: leases.Lease, seconds: float) -> bool:
    with store.write() as session:
        return leases.holds(session, lease, now=later(seconds))


def test_a_lease_is_taken_by_one(store: Store) -> None:
    """While it lasts nobody else gets it; another name is another lease."""
    assert _acquire(store, "a") is not None
    assert _acquire(store, "b", 9) is None
    with store.write() as session:
        assert leases.acquire(session, "listener:q", "b", now=START, duration=LEASE) is not None


def test_an_expired_lease_is_taken_over_with_a_new_epoch(store: Store) -> None:
    """The former holder neither holds nor renews it any more, whatever it believes."""
    old = _acquire(store, "a")
    new = _acquire(store, "b", 10)
    assert old is not None
    assert new is not None
    assert new.epoch == old.epoch + 1
    assert not _held(store, old, 11)
    assert _held(store, new, 11)
    with store.write() as session:
        assert not leases.renew(session, old, now=later(11), duration=LEASE)
        leases.release(session, old, now=later(11))
    assert _held(store, new, 12)


def test_a_renewed_lease_lasts_on(store: Store) -> None:
    """Renewing keeps the epoch, even just after the end when nobody came."""
    lease = _acquire(store, "a")
    assert lease is not None
    assert not _held(store, lease, 10)
    with store.write() as session:
        assert leases.renew(session, lease, now=later(11), duration=LEASE)
    assert _held(store, lease, 20)
    assert _acquire(store, "b", 20) is None


def test_a_released_lease_is_free_at_once(store: Store) -> None:
    """The next holder need not wait, and its epoch is a new one all the same."""
    lease = _acquire(store, "a")
    assert lease is not None
    with store.write() as session:
        leases.release(session, lease, now=later(1))
    assert not _held(store, lease, 1)
    following = _acquire(store, "b", 1)
    assert following is not None
    assert following.epoch == lease.epoch + 1


def test_a_lease_that_was_taken_before_the_clock_was_set_back_is_free(store: Store) -> None:
    """Its holder is dead, and nobody should wait for hours; one that lives finds it lost."""
    old = _acquire(store, "a", 7200)
    new = _acquire(store, "b")
    assert old is not None
    assert new is not None
    assert new.epoch == old.epoch + 1
    with store.write() as session:
        assert not leases.renew(session, old, now=later(1), duration=LEASE)


def _since(store: Store) -> datetime | None:
    with store.read() as session:
        (held,) = standing.held(session, now=START)
    return held.since


def test_a_lease_says_since_when_its_holder_has_it(store: Store) -> None:
    """Neither renewing it nor taking what is one's own already changes that; whoever gets it from another, or anew, has it since then."""
    lease = _acquire(store, "a")
    assert lease is not None
    with store.write() as session:
        assert leases.renew(session, lease, now=later(5), duration=LEASE)
    assert _since(store) == START
    again = _acquire(store, "a", 6)
    assert again is not None
    assert _since(store) == START
    with store.write() as session:
        leases.release(session, again, now=later(7))
    assert _acquire(store, "a", 8) is not None
    assert _since(store) == later(8)
    assert _acquire(store, "b", 30) is not None
    assert _since(store) == later(30)
