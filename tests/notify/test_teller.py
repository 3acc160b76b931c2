"""People are told once, whatever is slow, refuses or dies."""

import threading
from datetime import timedelta

import pytest
from sqlmodel import select

from orchestrator.notify import setup, teller
from orchestrator.notify.courier import GIVEN_UP, LEASE, Courier
from state import told
from state.store import Store
from state.told import Notice
from tests.engine.waiting import until
from tests.notify import scenes
from tests.notify.conftest import NOON, Ear, Office, channel

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, on Python 3.11 and 3.12

pytest.importorskip("apprise", reason='pip install "vf-orchestrator[notify]"')

STUCK = 'events = ["stuck-run"]'
NIGHTLY = '[windows.nightly]\nschedule = "0 1 * * *"\nduration = "8h"\n'


def how(store: Store, name: str = "chat") -> told.Standing:
    with store.read() as session:
        return told.how(session, name)


def test_a_stuck_run_is_told_once_for_each_time_that_it_stuck(office: Office, store: Store, ear: Ear) -> None:
    """With what happened, what it means and what to type; not again by a process that is started anew."""
    office.opens(channel(ear))
    stuck = scenes.run(store, NOON)
    scenes.ends(store, stuck, NOON)
    for _ in range(3):
        office.look()
    office.opens(channel(ear))
    office.look(minutes=1)
    assert ear.titles == ["vfo: assign-vf of VM web is stuck (pool lab)"]
    assert ear.got[0].said["type"] == "failure"
    for part in (
        "the guest does not shut down",
        "until a person has looked at it",
        f"vfo run {stuck.id} retry",
        f"vfo run {stuck.id} cancel",
    ):
        assert part in ear.texts[0]
    again = scenes.retried(store, stuck.id, office.clock.now)
    office.look(minutes=1)
    scenes.ends(store, again, office.clock.now)
    office.look(minutes=1)
    assert len(ear.got) == 2


def test_what_was_seen_together_is_one_message(office: Office, store: Store, ear: Ear) -> None:
    """The worst first; of many only so many are told whole."""
    office.opens(channel(ear))
    for number in range(60):
        scenes.ends(store, scenes.run(store, NOON, subject=f"vm:{number}"), NOON)
    office.look()
    assert ear.titles == ["vfo: assign-vf of VM web is stuck (pool lab), and 59 more"]
    assert ear.texts[0].count("the guest does not shut down") == 10
    assert "and 20 more: vfo runs" in ear.texts[0]


def test_a_channel_that_refuses_is_tried_again_and_holds_up_nobody(
    office: Office, store: Store, ear: Ear, other_ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    """It says why, without its URL, and takes everything once it can."""
    office.opens(channel(ear, more=STUCK) + channel(other_ear, "mail", STUCK))
    ear.status = 500
    scenes.ends(store, scenes.run(store, NOON), NOON)
    office.look()
    assert (len(ear.got), len(other_ear.got)) == (1, 1)
    assert how(store).waiting == 1
    assert "error=500" in how(store).problem
    office.look()
    assert len(ear.got) == 1, "not before its time"
    ear.status = 200
    office.look(minutes=1)
    office.look(minutes=10)
    assert (len(ear.got), len(other_ear.got)) == (2, 1)
    assert how(store).problem == ""
    assert "t0ken" not in caplog.text


def test_what_a_channel_never_takes_is_given_up_after_a_day(office: Office, store: Store, ear: Ear) -> None:
    """It is counted; nobody wants to read it then."""
    office.opens(channel(ear))
    ear.status = 500
    scenes.ends(store, scenes.run(store, NOON), NOON)
    office.look()
    office.look(minutes=GIVEN_UP / timedelta(minutes=1) + 1)
    ear.status = 200
    office.look(minutes=60)
    assert (how(store).waiting, how(store).given_up, "vfo: assign-vf" in " ".join(ear.titles[2:])) == (0, 1, False)


def test_a_channel_that_hangs_holds_up_nobody(
    office: Office, store: Store, ear: Ear, other_ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the looks; after a while it is said not to answer, and what it took in the end counts."""
    made: list[Courier] = []

    def impatient(one: object, *rest: object) -> Courier:
        made.append(Courier(one, *rest, patience=0.0))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(setup, "Courier", impatient)
    office.opens(channel(ear) + channel(other_ear, "mail"))
    ear.open.clear()
    scenes.ends(store, scenes.run(store, NOON), NOON)
    office.begin()
    until(lambda: len(ear.got) == 1 and len(other_ear.got) == 1)
    scenes.ends(store, scenes.run(store, NOON, subject="vm:2"), NOON)
    until(lambda: (office.begin(), len(other_ear.got) >= 2)[1])
    until(lambda: (office.begin(), how(store).problem == "no answer for 0 s")[1])
    assert how(store).waiting > 0
    ear.open.set()
    until(lambda: (office.begin(), how(store).waiting == 0)[1])


def test_a_message_whose_sender_died_goes_once_more(office: Office, store: Store, ear: Ear) -> None:
    """When its claim has run out, and not before: whether it had arrived nobody knows."""
    office.opens(channel(ear, more=STUCK))
    scenes.ends(store, scenes.run(store, NOON), NOON)
    office.look()
    with store.write() as session:  # as if it had died before it could mark it
        session.connection().execute(told.TELLING.update().values(due_at=NOON + LEASE, told_at=None))
    office.opens(channel(ear, more=STUCK))
    office.look(minutes=1)
    assert len(ear.got) == 1
    office.look(minutes=5)
    office.look(minutes=10)
    assert len(ear.got) == 2


def test_of_two_processes_one_looks_and_nothing_is_told_twice(office: Office, store: Store, ear: Ear) -> None:
    """The other one takes over when the lease ends."""
    first = office.opens(channel(ear, more=STUCK))
    office.look()
    second = office.opens(channel(ear, more=STUCK))
    scenes.ends(store, scenes.run(store, NOON), NOON)
    office.look()
    assert ear.got == []
    office.teller = first
    office.look()
    assert len(ear.got) == 1
    office.teller = second
    office.look(minutes=2)
    scenes.ends(store, scenes.run(store, NOON, subject="vm:2"), NOON)
    office.look()
    assert len(ear.got) == 2


def test_a_channel_hears_what_it_wants_of_the_pools_that_it_wants(office: Office, store: Store, ear: Ear, other_ear: Ear) -> None:
    """Its events and its pools."""
    attic = '[pools.attic]\nurl = "https://127.0.0.1:9"\npassword = "x"\n'
    office.opens(attic + channel(ear, more='events = ["approval"]') + channel(other_ear, "mail", 'pools = ["attic"]'))
    scenes.ends(store, scenes.run(store, NOON), NOON)
    scenes.waits(store, scenes.run(store, NOON, "enable-sriov", "sriov:fast"), NOON)
    office.look()
    assert ear.titles == ["vfo: enable-sriov of VM web waits for your approval (pool lab)"]
    assert other_ear.got == []


def test_a_database_that_is_away_ends_nothing(office: Office, store: Store, ear: Ear, caplog: pytest.LogCaptureFixture) -> None:
    """The next look sees what this one could not."""
    office.opens(channel(ear))
    office.look()
    with store._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE notice RENAME TO hidden")
    office.begin()
    assert "it could not be seen what people are to be told" in caplog.text
    with store._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO notice")
    scenes.ends(store, scenes.run(store, NOON), NOON)
    office.look()
    assert len(ear.got) == 1


def test_old_notices_are_removed(office: Office, store: Store, ear: Ear) -> None:
    """A month later, but for what stands."""
    office.opens(NIGHTLY + channel(ear, more='events = ["window-ended"]'))
    office.look()
    scenes.window(store, NOON + timedelta(minutes=1), NOON + timedelta(minutes=5), web="saved")
    office.look(minutes=6)
    assert len(ear.got) == 1
    office.look(minutes=teller.KEPT / timedelta(minutes=1) + 1)
    with store.read() as session:
        assert {one.kind for one in session.exec(select(Notice))} >= {"began"}
        assert "window-ended" not in {one.kind for one in session.exec(select(Notice))}


def test_a_process_ends_though_a_channel_hangs(office: Office, store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way is waited for a moment; the lease is given back, so that another one need not wait for it."""
    monkeypatch.setattr(teller, "FIRST", timedelta())
    monkeypatch.setattr(teller, "CLOSING", 0.05)
    first = office.opens(channel(ear, more=STUCK))
    ear.open.clear()
    scenes.ends(store, scenes.run(store, NOON), NOON)
    stop = threading.Event()
    part = threading.Thread(target=first.run, args=(stop,))
    part.start()
    until(lambda: len(ear.got) == 1)
    stop.set()
    part.join(60)
    assert not part.is_alive()
    scenes.ends(store, scenes.run(store, NOON, subject="vm:2"), NOON)
    ear.open.set()
    office.opens(channel(ear, more=STUCK))
    office.look()
    assert len(ear.got) == 2
