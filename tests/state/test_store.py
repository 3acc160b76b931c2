import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from sqlmodel import Session

from state import leases, runs
from state.store import Store, Unusable
from tests.state import moments
from tests.state.moments import START


def test_every_commit_is_on_disk_before_it_counts(file_store: Store) -> None:
    """WAL, synchronous FULL and foreign keys hold on every connection."""
    for session_of in (file_store.read, file_store.write):
        with session_of() as session:
            found = [
                session.connection().exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert found == ["wal", 2, 1]


def test_what_leaves_by_an_exception_is_not_kept(store: Store) -> None:
    """A transaction is whole or nothing."""

    def fail_late(store: Store) -> None:
        with store.write() as session:
            runs.create(session, moments.wanted(), now=START)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_late(store)
    with store.read() as session:
        assert runs.listed(session) == []


def test_reading_waits_for_no_writer_and_sees_one_state(store: Store) -> None:
    """A reader that began before a commit goes on seeing what was."""
    with store.read() as session:
        assert runs.listed(session) == []
        moments.create(store)
        assert runs.listed(session) == []
    with store.read() as session:
        assert len(runs.listed(session)) == 1


def test_a_moment_without_a_time_zone_is_an_error(store: Store) -> None:
    """Nobody can say which moment it means."""
    with pytest.raises(Exception, match="no time zone"), store.write() as session:
        runs.create(session, moments.wanted(), now=datetime(2026, 1, 1))  # noqa: DTZ001 - the very thing


def test_a_write_within_a_write_is_an_error(file_store: Store) -> None:
    """It would wait for itself for ever; afterwards the store can be written as before."""
    for nested in (lambda: moments.create(file_store), lambda: file_store.together(lambda _: None)):
        with file_store.write(), pytest.raises(RuntimeError, match="a write within a write"):
            nested()
    moments.create(file_store)


def test_fifty_threads_that_write_lose_nothing(store: Store) -> None:
    """Read, then write, in one transaction: nobody fails, nobody's write is lost."""

    def again(number: int) -> bool:
        with store.write() as session:
            lease = leases.acquire(session, "counter", "same holder", now=START, duration=moments.LEASE)
        assert lease is not None
        return store.together(lambda session: runs.create(session, moments.wanted(f"vm:{number}"), now=START)[1])

    with ThreadPoolExecutor(50) as threads:
        assert all(threads.map(again, range(200)))
    with store.write() as session:
        lease = leases.acquire(session, "counter", "same holder", now=START, duration=moments.LEASE)
        assert lease is not None
        assert lease.epoch == 201
        assert len(runs.listed(session)) == 200


def test_a_work_that_fails_does_not_hurt_those_that_share_its_transaction(file_store: Store) -> None:
    """Its error reaches its own thread alone, and the rows of the others are committed."""
    inside, go = threading.Event(), threading.Event()

    def hold_the_turn(_: Session) -> None:
        inside.set()
        assert go.wait(10)

    def good(number: int) -> bool:
        return file_store.together(lambda session: runs.create(session, moments.wanted(f"vm:{number}"), now=START)[1])

    def bad(session: Session) -> None:
        runs.create(session, moments.wanted("vm:bad"), now=START)
        raise ValueError("mine")

    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(file_store.together, hold_the_turn)
        assert inside.wait(10)
        goods = [threads.submit(good, number) for number in range(3)]
        failing = threads.submit(file_store.together, bad)
        go.set()
        first.result()
        assert all(done.result() for done in goods)
        with pytest.raises(ValueError, match="mine"):
            failing.result()
    with file_store.read() as session:
        assert {run.subject for run in runs.listed(session)} == {"vm:0", "vm:1", "vm:2"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////nowhere/at/all/vfo.db", "cannot be opened: unable to open"),
        ("sqlite://", "must be a file"),
        ("certainly not", "URL"),
        ("mysql+nodriver://u:secret@h/d", "no driver"),
    ],
)
def test_a_database_that_cannot_be_used_says_so_in_a_line(url: str, says: str) -> None:
    """One named error, without the password."""
    with pytest.raises(Unusable, match=says) as raised:
        Store(url)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """It is named and refused, not overwritten."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, " * 100)
    with pytest.raises(Unusable, match="not a database"):
        Store(f"sqlite:///{file}")
    assert file.read_text().startswith("not a database, ")
