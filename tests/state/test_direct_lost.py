"""Statements that are a transaction of their own, and a wire or a server that is lost over one of them."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import make_url, text

from state import direct, runs
from state.run import Status
from state.store import Away, Store
from tests.engine.waiting import until
from tests.services.postgres import OwnPostgres
from tests.services.proxy import Cut, Proxy
from tests.state import moments
from tests.state.directly import behind, entries, next_step, record, take, taken
from tests.state.moments import LEASE, START, later


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    """A store with a wire of its own."""
    opened = Store(postgres_url)
    yield opened
    opened.close()


@pytest.fixture
def wire(postgres_url: str) -> Iterator[tuple[Proxy, Store]]:
    """A store behind a wire that can be cut."""
    proxy = Proxy(make_url(postgres_url).port or 5432)
    opened = behind(proxy, postgres_url)
    yield proxy, opened
    opened.close()
    proxy.close()


def waits(store: Store) -> bool:
    """Whether a statement waits for a lock."""
    return store.do(lambda session: session.connection().execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one()) > 0


@pytest.mark.parametrize("cut", Cut)
def test_a_record_whose_answer_is_lost_counts_once(wire: tuple[Proxy, Store], cut: Cut) -> None:
    """Wherever the wire is cut, also when somebody approves of the run before it is asked for."""
    proxy, store = wire
    run = taken(store)
    proxy.arm(b"it went well", cut)
    assert record(store, run, next_step(), later(1))
    assert (proxy.cuts, len(entries(store, run))) == (1, 1)
    proxy.arm(b"it went well", cut)
    assert record(store, run, moments.ended(), later(2))
    assert (proxy.cuts, len(entries(store, run)), moments.read(store, run).status) == (2, 2, Status.DONE)


def test_a_record_that_counts_is_found_whatever_happened_to_the_run_since(postgres_url: str, store: Store) -> None:
    """Its row was changed by a person, or taken by another worker, while the server was out of reach."""
    proxy = Proxy(make_url(postgres_url).port or 5432)
    far = behind(proxy, postgres_url)
    run = taken(far)
    proxy.arm(b"it went well", Cut.AFTER)
    proxy.refuse()
    with ThreadPoolExecutor(1) as threads:
        recording = threads.submit(record, far, run, next_step(later(5)), later(1))
        until(lambda: proxy.cuts == 1)
        until(lambda: len(entries(store, run)) == 1)
        store.do(lambda session: runs.approve(session, run.id, now=later(2), by="ann"))
        assert take(store, run, later(20)) is not None
        proxy.accept()
        assert recording.result(60)
    assert (run.approved_by, [entry[2] for entry in entries(store, run)]) == ("ann", ["done", "approve"])
    assert not record(far, run, moments.ended(), later(3))
    far.close()
    proxy.close()


def test_what_the_server_is_still_at_is_waited_for(wire: tuple[Proxy, Store], store: Store) -> None:
    """A statement whose wire was cut goes on at the server: it is not done again beside itself."""
    proxy, far = wire
    run = taken(far)
    assert record(far, run, next_step(), later(1))
    with ThreadPoolExecutor(1) as threads, store.write() as session:
        session.connection().execute(text("LOCK TABLE history IN EXCLUSIVE MODE"))
        proxy.arm(b"it went well", Cut.DURING)
        recording = threads.submit(record, far, run, next_step(), later(2))
        until(lambda: proxy.cuts == 1)
        until(lambda: waits(store))
        threading.Event().wait(0.3)  # it has asked some times by now
        assert not recording.done()
        session.rollback()
        assert recording.result(60)
    assert len(entries(store, run)) == 2


@pytest.mark.parametrize("cut", Cut)
def test_a_run_whose_creation_was_not_answered_is_there_once(wire: tuple[Proxy, Store], cut: Cut) -> None:
    """And it is new: who wanted it publishes it."""
    proxy, store = wire
    direct.create(store, moments.wanted("vm:1"), now=START)
    proxy.arm(b"title of vm:2", cut)
    run, new = direct.create(store, moments.wanted("vm:2"), now=START)
    assert (proxy.cuts, new) == (1, True)
    with store.read() as session:
        assert [one.id for one in runs.listed(session) if one.subject == "vm:2"] == [run.id]


@pytest.mark.parametrize("cut", Cut)
def test_a_taking_that_was_not_answered_costs_a_lease_at_most(wire: tuple[Proxy, Store], cut: Cut) -> None:
    """Nobody works on what may be another's: what was taken is due again when the lease ends, what was not is taken now."""
    proxy, store = wire
    run, _ = direct.create(store, moments.wanted(), now=START)
    proxy.arm(run.id.bytes, cut)
    found = take(store, run)
    assert proxy.cuts == 1
    if cut is not Cut.DURING:  # a server that notices in time that nobody listens does not take it
        assert (found is None) == (cut is Cut.AFTER)
    assert take(store, run, START + LEASE) is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_restart_costs_nothing_but_time(own_postgres: OwnPostgres, number: int) -> None:
    """Connections that were open are lost, and nobody hears of it."""
    with own_postgres.database() as url:
        store = Store(url, patience=timedelta(seconds=20))
        run, _ = direct.create(store, moments.wanted(), now=START)
        own_postgres.restart(number)
        found = take(store, run)
        assert found is not None
        own_postgres.restart(number)
        assert record(store, found.run, moments.ended())
        own_postgres.restart(number)
        assert direct.create(store, moments.wanted(), now=START)[1]
        assert len(entries(store, run)) == 1
        store.close()


def test_a_server_that_is_away_is_waited_for_as_long_as_the_patience_lasts(own_postgres: OwnPostgres) -> None:
    """Then it is `Away`, in words; what was not done is done by who tries again."""
    with own_postgres.database() as url:
        store, hurried = Store(url, patience=timedelta(seconds=30)), Store(url, patience=timedelta(seconds=0.3))
        run = taken(store)
        own_postgres.stop()
        with pytest.raises(Away, match=r"the database postgresql.* does not answer: .*refused"):
            record(hurried, run, moments.ended())
        with ThreadPoolExecutor(1) as threads:
            recording = threads.submit(record, store, run, moments.ended())
            own_postgres.start()
            assert recording.result(60)
        assert len(entries(store, run)) == 1
        for one in (store, hurried):
            one.close()


def test_a_lease_of_a_run_begins_when_the_server_is_back(own_postgres: OwnPostgres) -> None:
    """However long it was away: the time is asked for anew with each try."""
    with own_postgres.database() as url:
        store, times = Store(url, patience=timedelta(seconds=30)), iter(later(number) for number in range(0, 10_000, 100))
        run, _ = direct.create(store, moments.wanted(), now=START)
        own_postgres.restart(signal.SIGQUIT)
        found = direct.take(store, run.id, clock=lambda: next(times), lease=LEASE)
        assert found is not None
        assert found.run.due_at is not None
        assert found.run.due_at >= later(100) + LEASE
        store.close()
