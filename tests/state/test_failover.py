"""A PostgreSQL whose standby takes over: the URL names both, and who writes is found."""

import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from state import direct, history, runs
from state.run import Status
from state.store import Store, Unsure
from tests.engine.waiting import until
from tests.services import postgres, programs
from tests.services.postgres import OwnPostgres
from tests.state import moments
from tests.state.moments import LEASE, START, later

Pair = tuple[OwnPostgres, OwnPostgres]


def _programs() -> Path:
    return postgres.binaries() or programs.left_out("PostgreSQL is not installed: apt-get install postgresql")


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A server and its standby, which confirms each commit before it counts."""
    first = OwnPostgres(_programs())
    second = OwnPostgres(_programs(), follows=first)
    with first.admin() as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
        until(lambda: connection.execute("SELECT sync_state FROM pg_stat_replication").fetchone() == ("sync",))
    yield first, second
    second.close()
    first.close()


def _url(pair: Pair) -> str:
    hosts = "&".join(f"host=127.0.0.1:{server.url.port}" for server in pair)
    return f"postgresql+psycopg://postgres@/postgres?{hosts}&target_session_attrs=read-write"


def _take_over(second: OwnPostgres) -> None:
    second.promote()
    with second.admin() as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        connection.execute("SELECT pg_reload_conf()")


def _make(store: Store, subject: str) -> bool:
    """Whether the run is there afterwards; who is told that it is not known looks."""
    try:
        assert store.do(lambda session: runs.create(session, moments.wanted(subject), now=START))[1]
    except Unsure:
        with store.read() as session:
            return runs.active_on(session, moments.wanted(subject)) is not None
    return True


def _done(store: Store, subject: str) -> bool:
    """Whether a run was created, taken and recorded, each by a statement; who is not told looks, and waits for a lost lease."""
    times = iter(later(seconds) for seconds in range(0, 10_000, 10))
    while True:
        with contextlib.suppress(Unsure):
            run, _ = direct.create(store, moments.wanted(subject), now=START)
            if taken := direct.take(store, run.id, clock=lambda: next(times), lease=LEASE):
                break
    try:
        return direct.record(store, taken.run, moments.ended(), history.Entry("first", "done"), now=START) is not None
    except Unsure:
        return moments.read(store, taken.run).status is Status.DONE


def test_a_standby_that_takes_over_is_found_and_lacks_nothing(pair: Pair) -> None:
    """Writers go on where they were; each unit of work that counted counts once, before, over and after the change."""
    first, second = pair
    store, failed, ending = Store(_url(pair), patience=timedelta(seconds=60)), list[BaseException](), threading.Event()
    made: list[list[str]] = [[] for _ in range(4)]

    def write(number: int) -> None:
        try:
            while not ending.is_set():
                subject = f"vm:{number}:{len(made[number])}"
                if (_make if number % 2 else _done)(store, subject):
                    made[number].append(subject)
        except BaseException as error:  # noqa: BLE001 - shown at the end
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(made))]
    for thread in threads:
        thread.start()
    until(lambda: all(len(subjects) > 5 for subjects in made))
    first.stop(signal.SIGQUIT)
    before = [len(subjects) for subjects in made]
    _take_over(second)
    until(lambda: bool(failed) or all(len(now) > was + 5 for now, was in zip(made, before, strict=True)), 90)
    ending.set()
    for thread in threads:
        thread.join(60)
    with store.read() as session:
        found = runs.listed(session, statuses=tuple(Status), limit=1_000_000)
        told = Counter(entry.run_id for entry in history.after(session, 0, limit=1_000_000))
    store.close()
    assert not failed
    there = sorted(run.subject for run in found)
    assert told == {run.id: 1 for run in found if run.status is Status.DONE}
    assert {run.subject for run in found if run.status is Status.DONE} == {subject for subjects in made[::2] for subject in subjects}
    assert there == sorted(subject for subjects in made for subject in subjects)
