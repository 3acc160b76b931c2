"""The morning's message: once a day, of what was saved and missed and of what needs somebody; nothing when there is nothing."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from orchestrator.notify import setup
from orchestrator.notify.courier import Courier
from orchestrator.notify.kinds import DIGEST
from orchestrator.notify.news import Message
from state import backups, told
from state.backups import Backup
from state.store import Store
from state.told import Notice
from tests.engine.waiting import until
from tests.notify import scenes
from tests.notify.conftest import NOON, Ear, Office, channel

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, on Python 3.11 and 3.12

pytest.importorskip("apprise", reason='pip install "vf-orchestrator[notify]"')

HOUR = timedelta(hours=1)
QUIET = "events = []\n"
MORNING = f'{QUIET}digest = "07:30"\ntimezone = "Europe/Berlin"\n'
HALF_PAST_SIX = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)  # the same, in November


def saved(store: Store, at: datetime, name: str = "web", status: str = "saved", pool: str = "lab") -> None:
    with store.write() as session:
        backups.put(session, Backup(
            id=uuid4(), pool=pool, vm=name, vm_name=name, policy="gold", product="nas", window="nightly", opened_at=at, status=status,
            reason="" if status == "saved" else "the disk is full", began_at=at, ended_at=at + HOUR, size=1 << 30,
        ))  # fmt: skip


def waiting(store: Store) -> int:
    with store.read() as session:
        return told.how(session, "chat").waiting


def test_a_digest_says_what_was_saved_and_missed_and_what_needs_somebody(office: Office, store: Store, ear: Ear) -> None:
    """Of the time since the last one, in the channel's own zone, once."""
    office.opens(channel(ear, more=MORNING))
    office.look()
    saved(store, NOON - 10 * HOUR, "before")
    saved(store, NOON + HOUR)
    saved(store, NOON + HOUR, "db", "failed")
    scenes.ends(store, scenes.run(store, NOON), NOON)
    office.clock.now = HALF_PAST_SIX - timedelta(minutes=1)
    scenes.present(store, office.clock.now, heard=office.clock.now)
    office.look()
    assert ear.got == []
    office.look(minutes=1)
    office.look(minutes=1)
    assert ear.titles == ["vfo: 1 VM is not saved; 1 thing needs somebody"]
    for part in (
        "From 2026-11-22 07:30 CET to 2026-11-23 07:30 CET", "\n2 backups: 1 saved, 1 failed", "- db (gold): failed: the disk is full",
        "- assign-vf of VM web is stuck (pool lab), since 2026-11-23 07:29",
    ):  # fmt: skip
        assert part in ear.texts[0]
    assert "before" not in ear.texts[0]


def test_nothing_is_said_when_there_is_nothing(office: Office, store: Store, ear: Ear, other_ear: Ear) -> None:
    """Unless that is wanted: then a morning without a message means that something is wrong."""
    office.opens(channel(ear, more=MORNING) + channel(other_ear, "mail", f"{MORNING}digest_when_quiet = true"))
    office.look()
    office.clock.now = HALF_PAST_SIX
    scenes.present(store, HALF_PAST_SIX, heard=HALF_PAST_SIX)
    office.look()
    assert ear.got == []
    assert other_ear.titles == ["vfo: all is well"]
    assert "Nothing needs anybody." in other_ear.texts[0]


def test_a_morning_before_anybody_looked_has_no_digest(office: Office, store: Store, ear: Ear) -> None:
    """One that was slept through for some hours has."""
    office.clock.now = HALF_PAST_SIX + HOUR
    saved(store, HALF_PAST_SIX - HOUR)
    scenes.present(store, office.clock.now, heard=office.clock.now, lasts=1e6)
    office.opens(channel(ear, more=MORNING))
    office.look()
    assert ear.got == []
    saved(store, HALF_PAST_SIX + 2 * HOUR)
    office.clock.now += 25 * HOUR
    scenes.present(store, office.clock.now, heard=office.clock.now)
    office.look()
    assert ear.titles == ["vfo: all is well, 1 VM is saved"]


def test_a_channel_that_is_added_later_begins_with_the_next_morning(office: Office, store: Store, ear: Ear, other_ear: Ear) -> None:
    """What was due before it was there is none of its messages; one that was taken away and is back begins anew."""
    first = channel(ear, more=MORNING)
    both = first + channel(other_ear, "mail", f"{MORNING}digest_when_quiet = true")
    scenes.present(store, NOON, heard=NOON, lasts=1e6)
    for text, hours, mails in ((first, 0, 0), (both, 20, 0), (both, 44, 1), (first, 46, 1), (both, 92, 1), (both, 116, 2)):
        office.opens(text)
        office.clock.now = NOON + hours * HOUR
        scenes.present(store, office.clock.now, heard=office.clock.now, lasts=1e6)
        office.look()
        assert len(other_ear.titles) == mails, hours


def test_a_digest_is_of_the_channels_pools_and_may_have_the_report(office: Office, store: Store, ear: Ear) -> None:
    """As a page, beside the text."""
    attic = '[pools.attic]\nurl = "https://127.0.0.1:9"\npassword = "x"\n'
    office.opens(attic + channel(ear, more=f'{MORNING}report = true\npools = ["attic"]'))
    office.look()
    saved(store, NOON + HOUR, "web")
    saved(store, NOON + HOUR, "attic-db", pool="attic")
    office.clock.now = HALF_PAST_SIX
    scenes.present(store, HALF_PAST_SIX, heard=HALF_PAST_SIX)
    office.look()
    assert "1 backups: 1 saved" in ear.texts[0]
    assert [one["filename"] for one in ear.got[0].said["attachments"]] == ["report.html"]


def test_a_digest_that_took_long_to_write_is_sent_once(office: Office, store: Store, ear: Ear) -> None:
    """Pools that are away keep it for minutes, and it is begun once more meanwhile: who is through last sees that it was sent."""
    gates = [threading.Event(), threading.Event()]
    begun: list[threading.Event] = []

    def compose(_: Notice) -> Message:
        begun.append(gates[len(begun)])
        assert begun[-1].wait(60)
        return Message("vfo: all is well", "x")

    made = setup.channels(office.loaded(channel(ear)))["chat"]
    courier = Courier(made, store, office.clock, compose, patience=0.0)
    with store.write() as session:
        told.add(session, Notice(key="digest:chat", kind=DIGEST, seen_at=NOON), ["chat"])
    courier.look()
    until(lambda: len(begun) == 1)
    courier.look()
    office.clock.now += timedelta(minutes=1)
    courier.look()
    until(lambda: len(begun) == 2)
    gates[0].set()
    until(lambda: len(ear.got) == 1)
    until(lambda: waiting(store) == 0)
    gates[1].set()
    courier.close(60)
    assert len(ear.got) == 1
