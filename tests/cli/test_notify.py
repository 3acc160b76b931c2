"""`vfo notify` and `vfo report --mail`: whether channels work, without showing what they are."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from state import told
from state.store import Store
from state.told import Notice
from tests.cli.conftest import Vfo
from tests.notify.conftest import NOON, Ear, channel, ear

__all__ = ["ear"]

pytest.importorskip("apprise", reason='pip install "vf-orchestrator[notify]"')


@pytest.fixture
def with_chat(tmp_path: Path, configured: dict[str, Any], ear: Ear) -> Path:
    """A configuration with a channel that works."""
    with (tmp_path / "vfo.toml").open("a") as file:
        file.write(channel(ear, more='digest = "07:30"'))
    return tmp_path


def test_a_channel_is_tried(vfo: Vfo, with_chat: Path, ear: Ear) -> None:
    """It hears a message that says that it is a test; exit code 1 and the reason when it does not take it."""
    done = vfo("notify", "test")
    assert (done.code, done.out) == (0, "chat (json) took it\n"), done.err
    assert ear.titles == ["vfo: a test"]
    ear.status = 401
    refused = vfo("notify", "test", "chat", "--json")
    assert refused.code == 1
    assert refused.json[0]["channel"] == "chat"
    assert "error=401" in refused.json[0]["problem"]
    assert "t0ken" not in refused.out + refused.err + done.out + done.err


def test_a_channel_that_there_is_not_is_wrong_input(vfo: Vfo, with_chat: Path) -> None:
    """The answer names those there are."""
    done = vfo("notify", "test", "mail")
    assert done.code == 2
    assert "there is no channel 'mail': vfo.toml has of [notify.NAME]: chat" in done.err
    assert vfo("report", "--mail", "mail").code == 2


def test_channels_are_listed_with_what_ails_them(vfo: Vfo, with_chat: Path) -> None:
    """What they took last, what waits and why: exit code 1 then."""
    fresh = vfo("notify", "list", "--json")
    assert fresh.code == 0
    assert fresh.json == [
        {
            "channel": "chat", "service": "json", "events": fresh.json[0]["events"], "pools": [], "digest": "07:30", "timezone": "UTC",
            "told_at": None, "waiting": 0, "waiting_since": None, "given_up": 0, "problem": "",
        }
    ]  # fmt: skip
    store = Store(f"sqlite:///{with_chat / 'vfo.sqlite3'}")
    with store.write() as session:
        told.add(session, Notice(id=uuid4(), key="k", kind="stuck-run", title="t", text="x", seen_at=NOON), ["chat"])
        claims = told.claim(session, "chat", now=NOON, lease=NOON - NOON, limit=9)
        told.failed(session, claims, "error=500", due_at=NOON)
    store.close()
    done = vfo("notify", "list")
    assert done.code == 1
    assert "error=500" in done.out
    assert "t0ken" not in done.out + done.err


def test_without_channels_it_says_so(vfo: Vfo, configured: dict[str, Any]) -> None:
    """Nobody is told then; there is nothing to try."""
    assert "has no [notify.NAME]" in vfo("notify", "list").out
    assert vfo("notify", "test").code == 2


def test_the_report_goes_by_a_channel(vfo: Vfo, with_chat: Path, ear: Ear) -> None:
    """With its page; exit code 1 when it is not taken, and not a word of the URL."""
    done = vfo("report", "--mail", "chat")
    assert done.code == 0, done.err
    assert ear.titles == ["vfo: all is well"]
    assert [one["filename"] for one in ear.got[0].said["attachments"]] == ["report.html"]
    ear.status = 500
    refused = vfo("report", "--mail", "chat")
    assert refused.code == 1
    assert "channel chat did not take the report" in refused.err
    assert "t0ken" not in refused.err
