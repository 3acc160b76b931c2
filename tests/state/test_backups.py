"""The catalogue of backups, the pauses of policies, jobs, and the openings of windows."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from state import backups, jobs, openings
from state.backups import Backup
from state.openings import Opening
from state.store import Store
from tests.state.moments import START as NOW

HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=30)


def line(vm="vm-1", status="saved", began=NOW, took=HOUR):
    return Backup(
        id=uuid4(), pool="lab", vm=vm, vm_name=vm, policy="nightly", product="borg", window="", status=status,
        began_at=began, ended_at=began + took,
    )  # fmt: skip


def test_the_latest_backups_of_a_vm_are_known_newest_first(store: Store) -> None:
    """When the last one that was saved began, and how long the latest took; failed ones teach nothing."""
    with store.write() as session:
        for number in range(7):
            backups.put(session, line(began=NOW + number * HOUR, took=number * HOUR))
        backups.put(session, line(began=NOW + 9 * HOUR, status="failed"))
    with store.read() as session:
        found = backups.latest_saved(session, "lab", "nightly")
    assert found == {"vm-1": (NOW + 6 * HOUR, tuple(number * HOUR for number in (6, 5, 4, 3, 2)))}


def test_the_latest_of_many_vms_are_each_their_own(store: Store) -> None:
    """Of one that has fewer, those; other policies and pools, and what has not ended, are none of it."""
    with store.write() as session:
        for vm, count in (("vm-1", 6), ("vm-2", 2)):
            for number in range(count):
                backups.put(session, Backup(**{**line(began=NOW + number * HOUR, took=number * HOUR).model_dump(), "vm": vm}))
        for other in ({"policy": "hourly"}, {"pool": "other"}, {"ended_at": None}):
            backups.put(session, Backup(**{**line(began=NOW + 99 * HOUR).model_dump(), **other}))
    with store.read() as session:
        found = backups.latest_saved(session, "lab", "nightly")
    assert found == {
        "vm-1": (NOW + 5 * HOUR, tuple(number * HOUR for number in (5, 4, 3, 2, 1))),
        "vm-2": (NOW + HOUR, (HOUR, 0 * HOUR)),
    }


def test_a_backup_that_was_tried_again_and_saved_needs_nobody(store: Store) -> None:
    """Of one VM and policy the last line of the time counts; of another policy its own does."""
    again = [line(status="failed"), line(began=NOW + HOUR), line("vm-2", began=NOW), line("vm-2", "failed", NOW + HOUR)]
    with store.write() as session:
        for one in (*again, line("vm-3", "missed", NOW + 2 * HOUR), line("vm-4", "failed", NOW - HOUR)):
            backups.put(session, one)
        backups.put(session, Backup(**{**line(status="failed").model_dump(), "policy": "hourly"}))
        found = backups.not_well(session, NOW, ("saved", "running"))
    assert [(one.vm, one.policy) for one in found] == [("vm-3", "nightly"), ("vm-2", "nightly"), ("vm-1", "hourly")]


def test_what_a_backup_waited_for_others_is_not_what_it_takes(store: Store) -> None:
    """A window plans by what the VM itself takes."""
    with store.write() as session:
        waited = line(took=3 * HOUR)
        waited.details = {"queued": 7200.0, "changed": 4}
        backups.put(session, waited)
        assert backups.latest_saved(session, "lab", "nightly") == {"vm-1": (NOW, (HOUR,))}


def test_a_line_is_written_over_by_its_id(store: Store) -> None:
    """The same run records twice after a crash: there is one line."""
    first = line(status="failed")
    with store.write() as session:
        backups.put(session, first)
        backups.put(session, Backup(**{**first.model_dump(), "status": "saved"}))
    with store.read() as session:
        assert [one.status for one in backups.since(session, NOW)] == ["saved"]


def test_a_policy_is_paused_once_and_resumed_once(store: Store) -> None:
    """Who paused it first is remembered; to resume what is not paused says so."""
    with store.write() as session:
        backups.pause(session, "nightly", by="ann", now=NOW)
        backups.pause(session, "nightly", by="ben", now=NOW + HOUR)
        assert backups.paused(session)["nightly"].by == "ann"
        assert backups.resume(session, "nightly")
        assert not backups.resume(session, "nightly")


def test_what_a_run_has_written_of_itself_stays(store: Store) -> None:
    """Whoever says that it is late may be late himself."""
    lines = [line(), line(status="late")]
    lines[1].id = lines[0].id
    with store.write() as session:
        backups.put(session, lines[0])
        backups.put_new(session, [lines[1], line(status="missed")])
        assert sorted(one.status for one in backups.since(session, NOW - HOUR)) == ["missed", "saved"]


def test_an_opening_is_dealt_with_once(store: Store) -> None:
    """Whoever comes second sees that it was."""
    opening = Opening(window="night", pool="lab", opens_at=NOW, closes_at=NOW + HOUR, status="run", noted_at=NOW)
    with store.write() as session:
        assert openings.note(session, opening)
        assert not openings.note(session, opening)
        assert openings.last(session, "night", "lab", now=NOW) == NOW
        assert openings.last(session, "night", "lab", now=NOW - HOUR) is None
        assert openings.last(session, "night", "other", now=NOW) is None


def test_the_newest_schedule_is_the_one_for_which_somebody_looks(store: Store) -> None:
    """Of each window and pool; what opened is not looked at here."""
    with store.write() as session:
        for at, status in ((NOW, "watched: A UTC"), (NOW + HOUR, "run"), (NOW + 2 * HOUR, "watched: B UTC")):
            openings.note(session, Opening(window="night", pool="lab", opens_at=at, closes_at=at, status=status, noted_at=at))
        assert openings.watches(session) == {("night", "lab"): ("B UTC", NOW + 2 * HOUR)}


def test_a_job_is_taken_while_nobody_is_at_it(store: Store) -> None:
    """Lost when its lease is over; the one who lost it writes no more."""
    run = uuid4()
    with store.write() as session:
        first = jobs.claim(session, "job", run, "borg", holder="a", now=NOW, lease=LEASE)
        assert first
        assert jobs.claim(session, "job", run, "borg", holder="b", now=NOW + LEASE / 2, lease=LEASE) is None
        second = jobs.claim(session, "job", run, "borg", holder="b", now=NOW + LEASE, lease=LEASE)
        assert second
        assert not jobs.write(session, first, read=1)
        assert jobs.write(session, second, state="done", point="x")
        assert jobs.claim(session, "job", run, "borg", holder="a", now=NOW + 9 * LEASE, lease=LEASE) is None


def test_a_job_is_asked_to_end_while_it_runs(store: Store) -> None:
    """Its process sees it among those that are to be cancelled."""
    with store.write() as session:
        jobs.claim(session, "job", uuid4(), "borg", holder="a", now=NOW, lease=LEASE)
        jobs.ask_to_end(session, "job", now=NOW, lease=LEASE)
        assert jobs.cancelled(session, "a") == ["job"]
        assert jobs.cancelled(session, "b") == []


def test_a_lost_job_is_cancelled_at_once(store: Store) -> None:
    """Nobody would ever see that it is to end; nobody begins it by itself either."""
    with store.write() as session:
        jobs.claim(session, "job", uuid4(), "borg", holder="a", now=NOW, lease=LEASE)
        jobs.ask_to_end(session, "job", now=NOW + LEASE, lease=LEASE)
        found = jobs.get(session, "job")
    assert found is not None
    assert found.state == "cancelled"


def test_a_job_is_lost_when_the_clock_was_set_back_behind_its_lease(store: Store) -> None:
    """A lease that ends in the far future was written by another time: nobody waits a day for it."""
    run = uuid4()
    with store.write() as session:
        jobs.claim(session, "job", run, "borg", holder="a", now=NOW + 24 * HOUR, lease=LEASE)
        assert jobs.claim(session, "job", run, "borg", holder="b", now=NOW, lease=LEASE)


def test_two_processes_that_take_a_job_at_once_are_two_answers(tmp_path: Path) -> None:
    """One statement decides: whoever comes second is told that somebody is at it."""
    stores = [Store(f"sqlite:///{tmp_path / 'vfo.db'}") for _ in range(2)]
    run, claims = uuid4(), []
    for number, one in enumerate(stores):
        with one.write() as session:
            claims.append(jobs.claim(session, "job", run, "borg", holder=str(number), now=NOW, lease=LEASE))
        one.close()
    assert [bool(claim) for claim in claims] == [True, False]
