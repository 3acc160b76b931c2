from uuid import UUID, uuid4

from state import ports
from state.ports import LeakHold, PortRow
from state.store import Session, Store
from tests.state.moments import START, later

ONE, TWO = uuid4(), uuid4()


def _hold(session: Session, run_id: UUID, count: int, seconds: float = 0) -> None:
    ports.hold(session, LeakHold(pool="p", port="s1", run_id=run_id, count=count, since=later(seconds)))


def test_what_was_learned_of_a_port_is_kept(store: Store) -> None:
    """The newest row of a port is the only one; ports are listed by name."""
    row = PortRow(pool="p", port="s1", name="host-b/eth0", epoch="e1", total=8, updated_at=START)
    with store.write() as session:
        ports.put(session, row)
        ports.put(session, PortRow(**row.model_dump() | {"total": 7}))
        ports.put(session, PortRow(**row.model_dump() | {"port": "s2", "name": "host-a/eth0"}))
        assert [(port.name, port.total) for port in ports.known(session, "p")] == [("host-a/eth0", 8), ("host-b/eth0", 7)]
        assert ports.get(session, "p", "s3") is None


def test_leaks_are_counted_over_all_runs(store: Store) -> None:
    """Of a port: all that is held, or all but what one run holds; none is 0."""
    with store.write() as session:
        assert ports.leaked(session, "p", "s1") == 0
        _hold(session, ONE, 2)
        _hold(session, TWO, 1)
        assert (ports.leaked(session, "p", "s1"), ports.leaked(session, "p", "s1", besides=ONE)) == (3, 1)
        assert ports.leaked(session, "p", "s2") == 0


def test_a_hold_changes_its_count_and_keeps_its_beginning(store: Store) -> None:
    """Since when a run holds leaked VFs is evidence; 0 lets go."""
    with store.write() as session:
        _hold(session, ONE, 2)
        _hold(session, ONE, 1, seconds=60)
        assert [(held.count, held.since) for held in ports.leaks(session, "p")] == [(1, START)]
        _hold(session, ONE, 0)
        assert ports.leaks(session, "p") == []
