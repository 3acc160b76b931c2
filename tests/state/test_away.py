"""A PostgreSQL that goes away, comes back, or cuts a connection where it hurts."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import make_url
from sqlmodel import Session

from state import alone, history, leases, runs
from state.store import Away, Store, Unsure, Unusable
from tests.engine.waiting import until
from tests.services.postgres import WALLED, WALLED_PASSWORD, OwnPostgres
from tests.services.proxy import Cut, Proxy
from tests.state import moments
from tests.state.moments import LEASE, START

NOT_LONG = timedelta(seconds=0.3)


@pytest.fixture
def store(own_postgres: OwnPostgres) -> Iterator[Store]:
    """A store on a server that the test may stop."""
    with own_postgres.database() as url:
        opened = Store(url, patience=timedelta(seconds=20))
        yield opened
        opened.close()
        own_postgres.resume_and_start()


@pytest.fixture
def wire(postgres_url: str) -> Iterator[tuple[Proxy, Store]]:
    """A store behind a wire that can be cut."""
    url = make_url(postgres_url)
    proxy = Proxy(url.port or 5432)
    opened = Store(url.set(port=proxy.port).render_as_string(hide_password=False), patience=timedelta(seconds=20))
    yield proxy, opened
    opened.close()
    proxy.close()


def _noted(store: Store) -> int:
    with store.read() as session:
        return len(history.after(session, 0))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_restart_costs_nothing_but_time(store: Store, own_postgres: OwnPostgres, number: int) -> None:
    """Connections that were open are lost; the next transaction of each kind begins on a new one."""
    run = moments.create(store)
    own_postgres.restart(number)
    moments.create(store, "vm:2")
    own_postgres.restart(number)
    assert moments.read(store, run).subject == "vm:1"
    own_postgres.restart(number)
    assert store.do(lambda session: runs.create(session, moments.wanted("vm:3"), now=START))[1]


def test_a_server_that_is_away_is_waited_for(store: Store, own_postgres: OwnPostgres) -> None:
    """Who writes meanwhile goes on when it is back."""
    own_postgres.stop()
    created = []
    writer = threading.Thread(target=lambda: created.append(moments.create(store)))
    writer.start()
    own_postgres.start()
    writer.join(60)
    assert len(created) == 1


def test_who_does_not_want_to_wait_is_told_soon(store: Store, own_postgres: OwnPostgres) -> None:
    """A named error, in a line; closing the store ends every wait."""
    own_postgres.stop()
    with pytest.raises(Away, match=r"the database postgresql.* does not answer: .*refused") as raised:
        store.do(runs.counts, within=NOT_LONG)
    assert "\n" not in str(raised.value)
    with pytest.raises(Unusable, match="does not answer"):
        store.check()
    store.close()
    with pytest.raises(Away), store.read():
        pass


def test_a_block_that_lost_its_connection_says_so_and_keeps_nothing(store: Store, own_postgres: OwnPostgres) -> None:
    """It cannot be run again by others than who wrote it."""

    def cut(session: Session) -> None:
        runs.create(session, moments.wanted(), now=START)
        own_postgres.restart()
        runs.counts(session)

    with pytest.raises(Away, match="is away"), store.write() as session:
        cut(session)
    with store.read() as session:
        assert runs.listed(session) == []


def test_a_unit_of_work_that_lost_its_connection_runs_again(store: Store, own_postgres: OwnPostgres) -> None:
    """What it wrote the first time is not kept, what it wrote the second time is."""
    tries = []

    def work(session: Session) -> None:
        tries.append(1)
        runs.create(session, moments.wanted(f"vm:{len(tries)}"), now=START)
        if len(tries) == 1:
            own_postgres.restart()
        runs.counts(session)

    store.together(work)
    with store.read() as session:
        assert [run.subject for run in runs.listed(session)] == ["vm:2"]


@pytest.mark.parametrize(("cut", "tries"), [(Cut.BEFORE, 2), (Cut.AFTER, 1)])
def test_a_commit_whose_answer_is_lost_counts_once(wire: tuple[Proxy, Store], cut: Cut, tries: int) -> None:
    """The server is asked what became of it: it is done again where it was not done, and only there."""
    proxy, store = wire
    run, tried = moments.create(store), []

    def work(session: Session) -> str:
        tried.append(1)
        history.add(session, run.id, history.Entry("first", "done"), now=START)
        return "done"

    proxy.arm(b"COMMIT\0", cut)
    assert store.do(work) == "done"
    assert (proxy.cuts, len(tried), _noted(store)) == (1, tries, 1)
    proxy.arm(b"COMMIT\0", Cut.AFTER)
    with store.write() as session:
        work(session)
    assert (proxy.cuts, _noted(store)) == (2, 2)


def test_two_that_wait_for_each_other_both_come_through(postgres_url: str) -> None:
    """The server ends one of the two; it runs again, and nobody hears of it."""
    store = Store(postgres_url)
    for name in "ab":
        store.do(lambda session, name=name: leases.acquire(session, name, "x", now=START, duration=LEASE))  # type: ignore[misc]
    both, tries = threading.Barrier(2, timeout=10), []

    def work(session: Session, names: str) -> None:
        tries.append(names)
        for name in names:
            leases.acquire(session, name, "x", now=START, duration=LEASE)
            if len(tries) <= 2 and name == names[0]:
                both.wait()

    threads = [threading.Thread(target=store.do, args=(lambda session, names=names: work(session, names),)) for names in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    store.do(lambda session: work(session, "ab"))
    with store.write() as session:
        lease = leases.acquire(session, "a", "x", now=START, duration=LEASE)
    store.close()
    assert len(tries) == 4
    assert lease is not None
    assert lease.epoch == 5


def test_who_is_stopped_in_the_middle_of_a_transaction_keeps_nobody_for_long(postgres_url: str) -> None:
    """Every connection tells the server to cut it when it is idle in a transaction; the others then go on."""
    store = Store(postgres_url)

    def stopped(session: Session) -> None:
        assert session.connection().exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "10s"
        session.connection().exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '50ms'")
        alone.at(session, "x")
        store.do(lambda other: alone.at(other, "x"))

    with pytest.raises(Away), store.write() as session:
        stopped(session)
    store.close()


def test_a_reader_that_would_write_is_an_error(postgres_url: str) -> None:
    """On SQLite too it would not be kept; it is no reason to wait for another server."""
    store = Store(postgres_url)
    with pytest.raises(Exception, match="read-only") as raised, store.read() as session:
        runs.create(session, moments.wanted(), now=START)
    assert not isinstance(raised.value, Away)
    store.close()


def test_words_that_postgresql_keeps_in_no_text_are_kept_as_well_as_they_can_be(postgres_url: str) -> None:
    """A program's last words may hold anything."""
    store = Store(postgres_url)
    run = moments.claimed(store)
    store.do(lambda session: history.add(session, run.id, history.Entry("first", "x", "a\0b", {"c": "\0"}), now=START))
    with store.read() as session:
        [entry] = history.of(session, run.id)
    store.close()
    assert (entry.message, entry.data) == ("a\ufffdb", {"c": "\0"})


def test_no_password_is_told(own_postgres: OwnPostgres) -> None:
    """Neither the right one nor a wrong one, wherever in the URL it stands."""
    with own_postgres.database() as url:
        mine = make_url(url).set(username=WALLED, password=WALLED_PASSWORD)
        store = Store(mine.render_as_string(hide_password=False))
        assert WALLED_PASSWORD not in store.name
        moments.create(store)
        own_postgres.stop()
        with pytest.raises(Away) as away:
            store.do(runs.counts, within=NOT_LONG)
        own_postgres.start()
        store.close()
        wrong = [mine.set(password="wrong-one"), mine.set(password=None).update_query_dict({"password": "wrong-one"})]
        told = [str(away.value)]
        for one in wrong:
            with pytest.raises(Unusable, match="authentication failed") as raised:
                Store(one.render_as_string(hide_password=False))
            told.append(str(raised.value))
    assert not any("wrong-one" in words or WALLED_PASSWORD in words or "p%40ss" in words for words in told)


def test_a_database_of_another_encoding_is_refused(own_postgres: OwnPostgres) -> None:
    """Names of VMs hold any letter."""
    with own_postgres.admin() as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(Unusable, match="its encoding is LATIN1"):
        Store(own_postgres.url.set(database="latin").render_as_string())
    own_postgres.drop("latin")


def test_the_answer_to_a_lost_commit_is_waited_for(own_postgres: OwnPostgres) -> None:
    """Also when the server is stopped between the commit and the question."""
    with own_postgres.database() as url:
        proxy = Proxy(own_postgres.url.port or 0)
        store = Store(make_url(url).set(port=proxy.port).render_as_string(), patience=timedelta(seconds=20))
        run, tried = moments.create(store), []

        def work(session: Session) -> None:
            tried.append(1)
            history.add(session, run.id, history.Entry("first", "done"), now=START)
            proxy.arm(b"COMMIT\0", Cut.AFTER)

        writer = threading.Thread(target=store.do, args=(work,))
        writer.start()
        until(lambda: proxy.cuts == 1)
        own_postgres.restart()
        writer.join(60)
        assert (len(tried), _noted(store)) == (1, 1)
        store.close()
        proxy.close()


def test_a_crash_over_a_commit_is_told_and_guessed_at_by_nobody(own_postgres: OwnPostgres) -> None:
    """A server that crashed may have given the transaction's number to another: the work is not done again, nor taken for done."""
    with own_postgres.database() as url:
        proxy = Proxy(own_postgres.url.port or 0)
        store, tried = Store(make_url(url).set(port=proxy.port).render_as_string(), patience=timedelta(seconds=20)), []
        run = moments.create(store)

        def work(session: Session) -> None:
            tried.append(1)
            history.add(session, run.id, history.Entry("first", "done"), now=START)
            if len(tried) == 1:
                proxy.arm(b"COMMIT\0", Cut.AFTER)
                proxy.refuse()

        with ThreadPoolExecutor(1) as threads:
            writer = threads.submit(store.do, work)
            until(lambda: proxy.cuts == 1)
            own_postgres.restart(signal.SIGQUIT)
            proxy.accept()
            with pytest.raises(Unsure, match="crashed: it is not known"):
                writer.result(60)
        store.do(work)
        assert (len(tried), _noted(store)) == (2, 2)
        proxy.arm(b"COMMIT\0", Cut.AFTER)
        store.do(work)
        assert (len(tried), _noted(store)) == (3, 3)
        store.close()
        proxy.close()


def test_the_driver_is_named_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for PostgreSQL without it is told what to install."""
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(Unusable, match=r"vf-orchestrator\[postgresql\]"):
        Store("postgresql://127.0.0.1/x")
    monkeypatch.undo()
    assert psycopg.__name__ == "psycopg"
