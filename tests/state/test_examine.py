from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from state import examine, holds, jobs, moving, ports, promises, runs
from state.engines import Unusable
from state.examine import Known
from state.run import Status
from state.store import Store
from tests.state import moments
from tests.state.moments import START, later

STEPS = {"work": {"first", "second"}}
NOW = later(600)
SINCE = "2026-03-01 12:00 UTC and nobody has taken it since: does vfo serve work?"


def amiss(url: str, **known: Any) -> list[str]:
    """What is found ten minutes after the tests begin."""
    judged = Known(**{"now": NOW, "steps": STEPS, "taken_over": lambda data: (), **known})
    with examine.opened(url) as connection:
        return examine.amiss(connection, judged)


def some(store: Store) -> None:
    """Runs in every status, the active ones with what they need."""
    at_work = moments.claimed(store, "vm:1")
    moments.record(store, moments.claimed(store, "vm:2"), moments.parked(f"hold:{at_work.id}", later(900)))
    for number, status in enumerate((Status.DONE, Status.REFUSED, Status.UNDONE, Status.STUCK), 3):
        moments.record(store, moments.claimed(store, f"vm:{number}"), moments.ended(status))
    with store.write() as session:
        holds.take(session, at_work, ["vm:1"], now=START)
        promises.put(session, promises.Promise(pool="pool", port="port", vm="1", run_id=at_work.id, count=2, since=START))
        ports.hold(session, ports.LeakHold(pool="pool", port="port", run_id=at_work.id, count=1, since=START))
        jobs.claim(session, "job:1", uuid4(), "borg", holder="h:1:a", now=START, lease=timedelta(hours=1))


def test_nothing_is_amiss_with_runs_at_work(store: Store, url: str) -> None:
    """Runs in every status, with what they have for themselves: the rows fit together, and are counted."""
    some(store)
    assert amiss(url) == []
    with examine.opened(url) as connection:
        counted = examine.counts(connection)
    assert {name: counted[name] for name in ("run", "hold", "promise", "leak_hold", "job", "lease")} == {
        "run": 6, "hold": 1, "promise": 1, "leak_hold": 1, "job": 1, "lease": 0,
    }  # fmt: skip


def test_what_ended_runs_keep_is_amiss(store: Store, url: str) -> None:
    """Things that are held, VFs that count as leaked, and promises: what nobody would ever let go of; a promise taken over is well."""
    run = moments.claimed(store)
    with store.write() as session:
        holds.take(session, run, ["vm:1"], now=START)
        promises.put(session, promises.Promise(pool="pool", port="p1", vm="1", run_id=run.id, count=2, since=START))
        ports.hold(session, ports.LeakHold(pool="pool", port="p1", run_id=run.id, count=1, since=START))
    moments.record(store, run, moments.ended())
    moments.record(store, moments.claimed(store, "vm:2"), moments.parked(until=later(9999)))
    title = f"run {run.id} (work of title of vm:1)"
    now = START + timedelta(hours=2)
    held, leaked = (
        f"vm:1 in pool pool is held by {title}, which is done",
        f"a VF of port p1 in pool pool counts as leaked by {title}, which is done",
    )
    promised = f"2 VFs of port p1 are promised to VM 1 by run {run.id}, which is over or not there"
    assert amiss(url, now=now) == [held, leaked, promised]
    assert amiss(url, now=now, taken_over=lambda data: [str(run.id)]) == [held, leaked]


def test_a_stuck_run_may_keep_all_that(store: Store, url: str) -> None:
    """It needs it when a person has it go on."""
    run = moments.claimed(store)
    with store.write() as session:
        holds.take(session, run, ["vm:1"], now=START)
        promises.put(session, promises.Promise(pool="pool", port="p1", vm="1", run_id=run.id, count=2, since=START))
        ports.hold(session, ports.LeakHold(pool="pool", port="p1", run_id=run.id, count=1, since=START))
    moments.record(store, run, moments.ended(Status.STUCK))
    assert amiss(url, now=START + timedelta(hours=2)) == []


def test_steps_and_workflows_that_are_not_there(store: Store, url: str) -> None:
    """Of active and stuck runs, which would go on there; those that have ended are left out."""
    gone = moments.claimed(store, "vm:1")
    moments.record(store, gone, moments.ended(Status.STUCK))
    over = moments.claimed(store, "vm:2")
    moments.record(store, over, moments.ended())
    assert amiss(url, steps={"work": {"second"}}) == [
        f"run {gone.id} (work of title of vm:1) is stuck at step first, which its workflow does not have in this version"
    ]
    assert amiss(url, steps={}) == [f"run {gone.id} (work of title of vm:1) is stuck: this version has no workflow of that name"]


def test_claims_and_moments_that_passed_long_ago(store: Store, url: str) -> None:
    """Nobody took up what a worker left, or what was due, for an hour."""
    left, due = moments.claimed(store, "vm:1"), moments.create(store, "vm:2")
    assert amiss(url, now=START + timedelta(minutes=59)) == []
    assert sorted(amiss(url, now=START + timedelta(hours=2))) == sorted([
        f"run {left.id} (work of title of vm:1) was taken, its claim expired at {SINCE}",
        f"run {due.id} (work of title of vm:2) is due at {SINCE}",
    ])  # fmt: skip


def test_what_refers_to_runs_that_are_not_there(store: Store, url: str) -> None:
    """Leaks and waits, and what SQLite keeps when its foreign keys are off."""
    waiting, lost = moments.claimed(store), uuid4()
    moments.record(store, waiting, moments.parked(f"run:{lost}", later(900)))
    with store.write() as session:
        ports.hold(session, ports.LeakHold(pool="pool", port="p1", run_id=lost, count=1, since=START))
    assert amiss(url) == [
        f"leak_hold: 1 rows are of runs that are not there, such as run {lost}",
        f"run {waiting.id} (work of title of vm:1) waits for run {lost}, which is not there: it looks again at 2026-03-01 12:15 UTC",
    ]


def test_jobs_that_nobody_is_at_and_odd_ends(store: Store, url: str) -> None:
    """A job of long ago, an end without its moment, and what a clock that was ahead wrote."""
    run = moments.claimed(store)
    moments.record(store, run, moments.ended())
    with store.write() as session:
        jobs.claim(session, "job:1", run.id, "borg", holder="h:1:a", now=START, lease=timedelta(hours=1))
        session.connection().execute(text("UPDATE run SET finished_at = NULL"))
    assert amiss(url, now=START + timedelta(days=9)) == [
        "job job:1 is running, and nobody was at it since 2026-03-01 13:00 UTC",
        f"run {run.id} (work of title of vm:1) is done, and it is not said since when",
    ]
    assert amiss(url, now=START - timedelta(days=2))[-1].endswith("was created at 2026-03-01 12:00 UTC, by a clock that was ahead")


def test_many_of_a_kind_are_cut_short(store: Store, url: str) -> None:
    """Twenty are named, the others counted."""
    for number in range(25):
        moments.create(store, f"vm:{number}")
    found = amiss(url, now=START + timedelta(hours=2))
    assert len(found) == 21
    assert found[-1] == "... and 5 more like that"


def test_looking_writes_nothing(store: Store, url: str) -> None:
    """What would write is an error of the database."""
    with pytest.raises(Unusable, match=r"cannot be read: .*(readonly|read-only)"), examine.opened(url) as connection:
        connection.execute(text("DELETE FROM run"))


def test_a_database_of_another_schema_is_said_and_not_looked_at(store: Store, url: str) -> None:
    """An older one can be brought up to date, for a newer one a newer program is needed."""
    for version, said in (("0001", "vfo db upgrade brings it up to date"), ("9999", "use a newer vfo")):
        with store.write() as session:
            session.connection().exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}', oldest = '{version}'")
        found, = amiss(url)  # fmt: skip
        assert f"the schema is {version}, this version needs" in found
        assert said in found


def test_what_is_no_database(tmp_path: Path) -> None:
    """A file that is not there is not made, one that is something else is said to be so, and so is a server that does not answer."""
    with (
        pytest.raises(Unusable, match=r"there is no database at .*: vfo db upgrade makes one"),
        examine.opened(f"sqlite:///{tmp_path}/no.db"),
    ):
        pass
    assert not (tmp_path / "no.db").exists()
    (tmp_path / "odd.db").write_text("not a database, and longer than the header of one" * 9)
    with pytest.raises(Unusable, match="cannot be read: file is not a database"), examine.opened(f"sqlite:///{tmp_path}/odd.db"):
        pass
    with pytest.raises(Unusable, match="cannot be read"), examine.opened("postgresql+psycopg://nobody:secret@127.0.0.1:1/vfo") as nothing:
        moving.counts(nothing, ["run"])


def test_a_file_that_is_damaged(tmp_path: Path) -> None:
    """SQLite's own check is asked."""
    path = tmp_path / "vfo.db"
    store = Store(f"sqlite:///{path}")
    for number in range(200):
        moments.create(store, f"vm:{number}")
    with store.write() as session:
        assert len(runs.listed(session)) == 200
    store.close()
    whole = bytearray(path.read_bytes())
    for page in range(40, len(whole) // 4096):
        whole[page * 4096 + 100 : page * 4096 + 3000] = b"\x55" * 2900
    path.write_bytes(whole)
    try:
        found = amiss(f"sqlite:///{path}")
    except Unusable as error:
        found = [str(error)]
    assert found
    assert any("damaged" in one or "malformed" in one for one in found)
