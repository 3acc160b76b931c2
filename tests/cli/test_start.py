import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator.broker import Broker
from orchestrator.cli import start
from orchestrator.engine.engine import Engine
from orchestrator.engine.timing import Timing
from state.run import Run, Status
from state.store import Store
from tests.engine.machine import Act, step, workflow, world_of
from tests.services import sqlite
from workflows.outcome import DONE, Request, Stuck, Wait
from workflows.plan import Plan

REQUEST = Request("work", "lab", "vm:1", "VM web-01")
Serving = Callable[..., Store]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """A daemon's engine that works on runs of one workflow; its rows."""
    store = sqlite.store(tmp_path / "vfo.db")
    made: list[Engine] = []

    def serve(*actions: Act) -> Store:
        flow = workflow(*(step(f"step{number}", action) for number, action in enumerate(actions)))
        timing = Timing(poll=timedelta(milliseconds=50))
        made.append(Engine(store, Broker(), {"work": flow}, world_of, lambda _: None, lambda: datetime.now(UTC), timing=timing))
        made[-1].start(1)
        return store

    yield serve
    for engine in made:
        engine.stop()
    store.close()


def test_the_ids_are_printed_and_nothing_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a daemon too; a second start on the same subject names the run that is there."""
    store = sqlite.store(tmp_path / "vfo.db")
    start.start(store, [REQUEST], wait=False, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["created"], row["status"], row["title"]) == (True, "ready", "VM web-01")
    start.start(store, [REQUEST], wait=False, as_json=False)
    assert f"run {row['run']}: work of VM web-01 (at work already)" in capsys.readouterr().out
    store.close()


def test_waiting_shows_what_is_recorded_and_how_it_ended(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each entry of the history, then the end; done is exit code 0."""
    store = serving(lambda *_: DONE, lambda *_: DONE)
    start.start(store, [REQUEST], wait=True, as_json=False)
    said = capsys.readouterr().out
    assert [line for line in ("step0: done", "step1: done", "VM web-01: done") if line not in said] == []


def test_an_end_that_is_not_done_is_exit_code_1_with_the_next_command(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that waits sees it, and so does a person."""
    store = serving(lambda *_: Stuck("the VF is gone", "vfo vfs"))
    with pytest.raises(typer.Exit) as ended:
        start.start(store, [REQUEST], wait=True, as_json=False)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().out
    assert "VM web-01: stuck: the VF is gone" in said
    assert "next: vfo vfs" in said


def test_json_says_how_each_run_ended_and_nothing_else(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """One document, at the end."""
    store = serving(lambda *_: DONE)
    start.start(store, [REQUEST, Request("work", "lab", "vm:2", "VM web-02")], wait=True, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["title"], row["status"]) for row in rows] == [("VM web-01", "done"), ("VM web-02", "done")]


def test_a_run_that_is_far_enough_is_waited_for_no_longer(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    """What waits on purpose (a VM that is prepared) is well, exit code 0."""

    def prepared(run: Run) -> bool:
        return run.status is Status.WAITING and run.step == "step1"

    store = serving(lambda *_: DONE, lambda *_: Wait("until it is released", at_most=timedelta(hours=1)))
    start.start(store, [REQUEST], wait=True, as_json=False, reached=prepared)
    assert "VM web-01: waiting: until it is released" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [True, False])
def test_a_plan_is_printed_and_a_refusal_in_it_is_exit_code_1(*, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """As the run itself would end."""
    good = Plan("assign-vf of VM web-01", ("a VF of host1/eth1",), ("VIF.create",))
    start.show([good], as_json=as_json)
    bad: Any = Plan("assign-vf of VM web-02", (), (), ("it is protected by HA",))
    with pytest.raises(typer.Exit) as ended:
        start.show([good, bad], as_json=as_json)
    said = capsys.readouterr().out
    assert ended.value.exit_code == 1
    assert [part for part in ("VIF.create", "it is protected by HA", "a VF of host1/eth1") if part not in said] == []
