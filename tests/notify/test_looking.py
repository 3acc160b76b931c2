"""Of what people are told: what is so, what has happened, and what is over."""

from datetime import timedelta

import pytest

from orchestrator import queues
from orchestrator.actions import windows
from orchestrator.actions.desk import Desk
from orchestrator.notify import teller
from orchestrator.notify.kinds import LASTING
from orchestrator.queues import Depths
from state import leases, ports, runs, told
from state.ports import PortRow
from state.run import Status
from state.store import Store
from tests.notify import scenes
from tests.notify.conftest import NOON, Ear, Office, channel
from tests.notify.test_teller import NIGHTLY
from workflows import reclaim

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, on Python 3.11 and 3.12

pytest.importorskip("apprise", reason='pip install "vf-orchestrator[notify]"')

MINUTE = timedelta(minutes=1)
LONG = 1_000_000.0


def stands(store: Store) -> set[str]:
    """What it is that stands."""
    with store.read() as session:
        return {one.key.partition(":")[0] for one in told.standing(session, LASTING)}


def test_a_run_that_waits_for_a_word_is_told_once_though_it_looks_again_meanwhile(office: Office, store: Store, ear: Ear) -> None:
    """It is over when somebody approves; one that an approval would only hurry is not told."""
    office.opens(channel(ear, more='events = ["approval"]'))
    asking = scenes.run(store, NOON, "enable-sriov", "sriov:fast")
    scenes.waits(store, asking, NOON)
    scenes.waits(store, scenes.run(store, NOON, "prepare-backup"), NOON, "held until 18:00 UTC")
    office.look()
    assert ear.titles == ["vfo: enable-sriov of VM web waits for your approval (pool lab)"]
    assert f"vfo run {asking.id} approve" in ear.texts[0]
    again = scenes.claimed(store, asking.id, NOON + 11 * MINUTE)
    office.look(minutes=11)
    scenes.waits(store, again, office.clock.now)
    office.look()
    assert "approval" in stands(store)
    with store.write() as session:
        runs.approve(session, asking.id, now=office.clock.now, by="ann")
    office.look()
    assert len(ear.got) == 1
    assert "approval" not in stands(store)


def test_vfs_that_no_cure_got_back_are_told_as_leaked(office: Office, store: Store, ear: Ear) -> None:
    """A reclaim that is stuck without having found any is a stuck run."""
    office.opens(channel(ear, more='events = ["leaked-vfs"]'))
    scenes.ends(store, scenes.run(store, NOON, reclaim.NAME, "port:1"), NOON, evidence={"held": {"xen1/eth1": 2}})
    scenes.ends(store, scenes.run(store, NOON, reclaim.NAME, "port:2"), NOON, evidence={"in_flight": ["a start"]})
    office.look()
    assert len(ear.got) == 1
    assert "no VM can use them" in ear.texts[0]


def test_a_window_is_told_when_it_is_over_with_whom_it_did_not_save(office: Office, store: Store, ear: Ear) -> None:
    """Once, and only from when on somebody looks: not what ended before."""
    scenes.window(store, NOON - timedelta(hours=8), NOON - MINUTE, web="failed")
    office.opens(NIGHTLY + channel(ear, more='events = ["backups-missing", "window-ended"]'))
    office.look()
    assert ear.got == []
    scenes.window(store, NOON, NOON + 2 * MINUTE, web="saved", db="failed", mail="missed")
    office.look(minutes=3)
    office.look(minutes=3)
    assert ear.titles == ["vfo: window nightly is over, and 2 of 3 VMs are not saved (pool lab)"]
    for part in ("- db (gold): failed: the disk is full", "- mail (gold): missed", "vfo report --since 2026-11-22", "vfo policy run gold"):
        assert part in ear.texts[0]
    scenes.window(store, NOON + 7 * MINUTE, NOON + 8 * MINUTE, web="saved", db="skipped")
    office.look(minutes=3)
    assert ear.titles[1:] == ["vfo: window nightly is over (pool lab)"]
    assert ear.got[1].said["type"] == "info"


def test_a_written_window_is_told_too_also_when_it_was_removed_meanwhile(office: Office, store: Store, ear: Ear) -> None:
    """What it saved, and whom it missed, is as true."""
    office.opens(channel(ear))
    desk = Desk(office.loaded(channel(ear)), store, [], "ann", office.clock)
    windows.write(desk, "nightly", {"schedule": "0 1 * * *", "duration": "8h"})
    office.look()
    windows.remove(desk, "nightly")
    scenes.window(store, NOON, NOON + 2 * MINUTE, web="saved", db="failed")
    office.look(minutes=3)
    assert ear.titles == ["vfo: window nightly is over, and 1 of 2 VMs is not saved (pool lab)"]


def test_a_window_that_nobody_kept_is_told(office: Office, store: Store, ear: Ear) -> None:
    """Each opening once."""
    office.opens(NIGHTLY + channel(ear))
    office.look()
    scenes.skipped(store, NOON - timedelta(hours=11), NOON + MINUTE)
    office.look(minutes=2)
    office.look(minutes=2)
    assert ear.titles == ["vfo: window nightly of 2026-11-22 01:00 UTC was not kept (pool lab)"]
    assert "Nobody was there when it opened." in ear.texts[0]


def test_a_pool_that_says_nothing_for_long_is_told_and_that_it_is_back(office: Office, store: Store, ear: Ear) -> None:
    """Not when it is away for a moment, and not again when the process that listened is started anew."""
    office.opens(channel(ear))
    scenes.present(store, NOON, heard=NOON, lasts=LONG)
    office.look(minutes=9)
    assert ear.got == []
    office.look(minutes=2)
    assert ear.titles == ["vfo: pool lab cannot be reached"]
    assert "since 2026-11-22 12:00 UTC, for 11 min" in ear.texts[0]
    scenes.present(store, office.clock.now, lasts=LONG)
    office.opens(channel(ear))
    office.look(minutes=20)
    assert len(ear.got) == 1
    scenes.present(store, office.clock.now, heard=office.clock.now, lasts=LONG)
    office.look()
    office.look(minutes=1)
    assert ear.titles[1:] == ["vfo: pool lab answers again"]
    assert "told 20 min ago" in ear.texts[1]
    office.look(minutes=30)
    assert ear.titles[2:] == ["vfo: pool lab cannot be reached"]


def test_a_pool_of_an_older_listener_is_no_alarm(office: Office, store: Store, ear: Ear) -> None:
    """That one does not say when it heard it; that it hears it is enough."""
    office.opens(channel(ear))
    with store.write() as session:
        said = '{"process": "old:1", "roles": ["listener", "worker"], "lag": {"lab": 0.1}}'
        assert leases.acquire(session, "process:1", said, now=NOON, duration=timedelta(minutes=50))
    office.look(minutes=30)
    assert ear.got == []


def test_a_role_that_nobody_has_is_told(office: Office, store: Store, ear: Ear) -> None:
    """After the time that an upgrade takes; what is so no more may come again."""
    office.opens(channel(ear, more='events = ["no-worker"]'))
    scenes.present(store, NOON, heard=NOON)
    office.look(minutes=4)
    assert ear.got == []
    office.look(minutes=5)
    assert ear.titles == ["vfo: no process has the role worker for 8 min"]
    scenes.present(store, office.clock.now, heard=office.clock.now)
    office.look()
    assert stands(store) == set()


def test_vfs_that_a_host_came_up_without_are_told(office: Office, store: Store, ear: Ear) -> None:
    """Until it has them again."""
    office.opens(channel(ear))

    def port(epoch: str, total: int) -> None:
        with store.write() as session:
            ports.put(session, PortRow(pool="lab", port="p", name="xen1/eth1", epoch=epoch, total=total, most=8, updated_at=NOON))

    port("1", 8)
    office.look()
    port("2", 5)
    office.look()
    office.look()
    assert ear.titles == ["vfo: xen1/eth1 has 5 VFs and had 8 (pool lab)"]
    port("3", 8)
    office.look()
    assert len(ear.got) == 1
    assert stands(store) == set()


def test_dead_letters_are_told_until_they_are_sent_again(office: Office, store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """A RabbitMQ that does not say how many there are changes nothing."""
    counts: list[int | None] = [3, 4, None, 0, 2]
    monkeypatch.setattr(queues, "depths", lambda _: Depths("rabbitmq", 0, counts.pop(0)))
    monkeypatch.setattr(teller, "LETTERS_EVERY", -1.0)
    office.opens(channel(ear))
    for now in ({"dead-letters"}, {"dead-letters"}, {"dead-letters"}, set(), {"dead-letters"}):
        office.look()
        assert stands(store) == now
    assert ear.titles == ["vfo: RabbitMQ gave up 3 messages", "vfo: RabbitMQ gave up 2 messages"]
    assert "vfo cluster requeue" in ear.texts[0]


def test_a_run_that_was_mended_is_stuck_no_more(office: Office, store: Store, ear: Ear) -> None:
    """The notice is over, so the digest does not name it."""
    office.opens(channel(ear))
    stuck = scenes.run(store, NOON)
    scenes.ends(store, stuck, NOON)
    office.look()
    assert stands(store) == {"stuck"}
    scenes.ends(store, scenes.retried(store, stuck.id, NOON), NOON, Status.DONE)
    office.look()
    assert stands(store) == set()


def test_a_run_that_the_machine_takes_up_in_vain_is_not_told_again(office: Office, store: Store, ear: Ear) -> None:
    """However often: nobody wants a message every ten minutes. For another reason, or after a person tried it, it is."""
    office.opens(channel(ear, more='events = ["stuck-run"]'))
    stuck = scenes.run(store, NOON)
    scenes.ends(store, stuck, NOON)
    office.look()
    for _ in range(3):
        again = scenes.retried(store, stuck.id, office.clock.now, by="the reconciler: its port has changed")
        office.look(minutes=5)
        scenes.ends(store, again, office.clock.now)
        office.look(minutes=5)
        assert "stuck" in stands(store)
    assert len(ear.got) == 1
    again = scenes.retried(store, stuck.id, office.clock.now, by="the reconciler: its port has changed")
    scenes.ends(store, again, office.clock.now, reason="the host is gone")
    office.look(minutes=5)
    assert len(ear.got) == 2
    again = scenes.retried(store, stuck.id, office.clock.now)
    scenes.ends(store, again, office.clock.now, reason="the host is gone")
    office.look(minutes=5)
    assert len(ear.got) == 3
