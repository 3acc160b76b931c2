"""What there is to tell people: once, claimed before it is sent, marked after it, in both databases."""

from datetime import datetime, timedelta

import pytest

from state import told
from state.store import Store
from state.told import Claim, Notice
from tests.state.moments import START, later

LEASE = timedelta(minutes=5)
CHANNELS = ("chat", "mail")


def add(store: Store, key: str = "stuck:1", at: datetime = START, channels: tuple[str, ...] = CHANNELS, kind: str = "stuck-run") -> bool:
    with store.write() as session:
        return told.add(session, Notice(key=key, kind=kind, title=f"title of {key}", text="text", seen_at=at), channels)


def claim(store: Store, channel: str = "chat", at: datetime = START, limit: int = 10) -> list[Claim]:
    with store.write() as session:
        return told.claim(session, channel, now=at, lease=LEASE, limit=limit)


def keys(claims: list[Claim]) -> list[str]:
    return [one.notice.key for one in claims]


def test_a_thing_is_noted_once_while_it_is_so_and_again_when_it_is_so_again(store: Store) -> None:
    """However often it is seen; what is over may come again."""
    assert [add(store), add(store, at=later(1))] == [True, False]
    with store.write() as session:
        notice = told.of_key(session, "stuck:1")
        assert notice is not None
        assert told.end(session, notice.id, now=later(2))
        assert not told.end(session, notice.id, now=later(3))
    assert add(store, at=later(4))
    with store.read() as session:
        assert [one.seen_at for one in told.standing(session, ["stuck-run"])] == [later(4)]


def test_each_channel_is_given_each_notice_once(store: Store) -> None:
    """Oldest first; what is claimed is nobody else's until the claim runs out, and then goes once more: its sender may have died."""
    for number in range(3):
        add(store, f"stuck:{number}", later(number))
    assert keys(claim(store, at=later(5), limit=2)) == ["stuck:0", "stuck:1"]
    assert keys(claim(store, at=later(6))) == ["stuck:2"]
    assert keys(claim(store, at=later(7))) == []
    assert keys(claim(store, "mail", later(8))) == ["stuck:0", "stuck:1", "stuck:2"]
    assert keys(claim(store, at=later(5) + LEASE)) == ["stuck:0", "stuck:1"]


def test_what_was_told_is_told_for_good(store: Store) -> None:
    """Also when the claim ran out meanwhile, and when somebody else says later that it failed."""
    add(store, channels=("chat",))
    slow = claim(store)
    other = claim(store, at=START + LEASE)
    with store.write() as session:
        told.told(session, slow, now=later(400))
        told.failed(session, other, "refused", due_at=later(500))
    assert claim(store, at=later(1000)) == []
    with store.read() as session:
        stands = told.how(session, "chat")
    assert (stands.waiting, stands.told_at, stands.problem) == (0, later(400), "")


def test_what_failed_is_due_again_and_says_why(store: Store) -> None:
    """Only whose claim is the newest may say so; what is given up is counted."""
    add(store, channels=("chat",))
    late = claim(store)
    mine = claim(store, at=START + LEASE)
    with store.write() as session:
        told.failed(session, late, "from a claim that ran out", due_at=None)
        told.failed(session, mine, "error=500", due_at=later(1000))
    with store.read() as session:
        stands = told.how(session, "chat")
    assert (stands.waiting, stands.since, stands.problem, stands.given_up) == (1, START, "error=500", 0)
    again = claim(store, at=later(1000))
    assert [one.tries for one in again] == [1]
    with store.write() as session:
        told.failed(session, again, "error=500", due_at=None)
        stands = told.how(session, "chat")
    assert (stands.waiting, stands.given_up) == (0, 1)


def test_no_more_wait_for_a_channel_than_is_bearable(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes then is noted as not told, for that channel alone."""
    monkeypatch.setattr(told, "MOST", 2)
    add(store, "stuck:1")
    add(store, "stuck:2", later(1), channels=("chat",))
    add(store, "stuck:3", later(2))
    assert (keys(claim(store, at=later(3))), keys(claim(store, "mail", later(3)))) == (["stuck:1", "stuck:2"], ["stuck:1", "stuck:3"])
    with store.read() as session:
        assert told.how(session, "chat").given_up == 1


def test_what_a_clock_that_was_ahead_has_noted_is_due_when_it_is_right_again(store: Store) -> None:
    """It would wait for days else."""
    add(store, at=START + timedelta(days=3))
    assert len(claim(store)) == 1


def test_old_notices_go_and_those_that_stand_stay(store: Store) -> None:
    """As do those that wait for a channel."""
    add(store, "stuck:1", channels=())
    add(store, "window:1", channels=(), kind="window-ended")
    add(store, "window:2", kind="window-ended")
    with store.write() as session:
        assert told.remove(session, before=later(10), lasting=["stuck-run"]) == 1
        assert told.of_key(session, "window:1") is None
        assert told.of_key(session, "stuck:1") is not None
        assert told.of_key(session, "window:2") is not None


def test_a_nul_in_a_message_is_kept_by_both_databases(store: Store) -> None:
    """A reason may quote anything."""
    with store.write() as session:
        told.add(session, Notice(key="k", kind="stuck-run", title="a\0b", text="c\0d", seen_at=START), ("chat",))
    assert [(one.notice.title, one.notice.text) for one in claim(store)] == [("a\ufffdb", "c\ufffdd")]
