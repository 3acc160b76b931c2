"""Being told by the real process: what it was killed over is told all the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.demo.actors import Process
from orchestrator.notify.courier import LEASE
from state import told
from state.store import Store
from tests.journey.lab import wait_until
from tests.notify import scenes
from tests.notify.conftest import POOLS, Ear, channel, ear, other_ear

__all__ = ["ear", "other_ear"]

pytest.importorskip("apprise", reason='pip install "vf-orchestrator[notify]"')

MORE = 'insecure = true\npatience = "1s"\n[console]\nenabled = false\n'
STUCK = 'events = ["stuck-run"]'


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Store]:
    """The database of the processes."""
    store = Store(f"sqlite:///{tmp_path / 'vfo.sqlite3'}")
    yield store
    store.close()


def test_a_process_that_is_killed_between_sending_and_noting_tells_it_once_more(
    tmp_path: Path, rows: Store, ear: Ear, other_ear: Ear
) -> None:
    """By that channel alone, when its claim has run out; then it is told for good, whoever starts again."""
    (tmp_path / "vfo.toml").write_text(POOLS + MORE + channel(ear, more=STUCK) + channel(other_ear, "mail", STUCK))
    now = datetime.now(UTC)
    scenes.ends(rows, scenes.run(rows, now), now)
    ear.open.clear()
    daemon = serve(tmp_path)
    wait_until(lambda: ear.got and how(rows, "mail").told_at, 60, "one channel hangs over it, the other has it")
    assert how(rows, "chat").waiting == 1
    daemon.kill()
    ear.open.set()
    with rows.write() as session:  # its claim runs out
        session.connection().execute(told.TELLING.update().where(told.TELLING.c.channel == "chat").values(due_at=now - LEASE))
    daemon = serve(tmp_path)
    wait_until(lambda: how(rows, "chat").told_at, 60, "it is told once more")
    daemon.stop()
    assert (len(ear.got), len(other_ear.got)) == (2, 1)
    assert ear.titles[0] == ear.titles[1] == "vfo: assign-vf of VM web is stuck (pool lab)"
    with rows.write() as session:
        assert told.claim(session, "chat", now=now + timedelta(days=1), lease=LEASE, limit=9) == []
    assert "t0ken" not in (tmp_path / "serve.log").read_text()


def how(rows: Store, name: str) -> told.Standing:
    with rows.read() as session:
        return told.how(session, name)


def serve(folder: Path) -> Process:
    daemon = Process(folder, "serve", "--config", "vfo.toml")
    assert daemon.first_line(), (folder / "serve.log").read_text()
    return daemon
