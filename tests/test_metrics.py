import threading
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from orchestrator import step_times
from orchestrator.listener.meters import Meters
from orchestrator.metrics import Asks, Metrics
from orchestrator.readings import Answer, Reading, Window
from orchestrator.xapi.tally import Tally
from orchestrator.xapi.turns import Turns
from plugins.values import RunEnded, VFFreed, VFLeaked
from state import standing
from state.told import Standing
from tests.workflows.fakes import look
from workflows.accounts import PortAccount
from workflows.catalogue import WORKFLOWS
from workflows.outcome import DONE, Outcome
from workflows.workflow import Step, Workflow
from workflows.world import World

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUN = UUID(int=1)


def scraped(metrics: Metrics) -> dict[str, float]:
    """What Prometheus reads."""
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}": sample.value
        for family in metrics.collect()
        for sample in family.samples
    }


def test_what_is_announced_is_counted() -> None:
    """VFs that came back, VFs that are leaked, runs that ended: each by its labels."""
    metrics = Metrics()
    metrics.announced(VFFreed(RUN, "lab", "vm-1", "web-1", "host1/eth1", 8, 8, NOON))
    metrics.announced(VFLeaked(RUN, "lab", "host1/eth1", 2, {}, NOON))
    metrics.announced(RunEnded(RUN, "lab", "reclaim-vfs", "VM web-1", "done", "", NOON))
    found = scraped(metrics)
    assert found["vfo_vfs_freed_total{pool=lab,port=host1/eth1}"] == 1
    assert found["vfo_vfs_leaked_total{pool=lab,port=host1/eth1}"] == 2
    assert found["vfo_runs_ended_total{end=done,pool=lab,workflow=reclaim-vfs}"] == 1


def test_the_ports_are_as_at_the_last_account() -> None:
    """A port that is gone is no longer shown; another pool's stay."""
    metrics = Metrics()
    metrics.accounted("lab", [(look("port-1", remaining=7), PortAccount(8, 1, 0))])
    metrics.accounted("attic", [(look("port-9"), PortAccount(8, 0, 0))])
    metrics.accounted("lab", [(look("port-2", remaining=5, users=3), PortAccount(8, 0, 0))])
    found = scraped(metrics)
    assert found["vfo_vfs{pool=lab,port=host1/port-2,state=free}"] == 5
    assert found["vfo_vfs{pool=lab,port=host1/port-2,state=used}"] == 3
    assert found["vfo_vfs{pool=attic,port=host1/port-9,state=free}"] == 8
    assert not any("port-1" in name for name in found)


def asked(**asks: Any) -> dict[str, float]:
    metrics = Metrics()
    metrics.asks = Asks(**asks)
    return scraped(metrics)


def test_runs_are_counted_by_status() -> None:
    """As the rows say, those that ended apart, which may take a while; a database that does not answer costs these figures alone."""
    found = asked(runs=lambda: Answer({"ready": 2}), ended=lambda: Answer({"done": 3}))
    assert (found["vfo_runs{status=ready}"], found["vfo_runs{status=done}"]) == (2, 3)
    assert found["vfo_database_up{}"] == 1
    found = asked(runs=lambda: Answer({"ready": 2}), ended=lambda: Answer(None, "no answer for 2 s"))
    assert (found["vfo_runs{status=ready}"], found["vfo_database_up{}"]) == (2, 1)
    assert "vfo_runs{status=done}" not in found
    found = asked(runs=lambda: Answer(None, "away"), rows=lambda: Answer(None, "away"), meters={"lab": Meters(events=5)})
    assert found["vfo_database_up{}"] == 0
    assert found["vfo_events_total{pool=lab}"] == 5
    assert not any(name.startswith(("vfo_runs{", "vfo_lease", "vfo_run_lag")) for name in found)


def test_the_listeners_figures_are_shown() -> None:
    """Events, loads, the lag of the stream, and who listens."""
    found = asked(meters={"lab": Meters(events=5, active=True, lag_seconds=0.25)})
    assert found["vfo_events_total{pool=lab}"] == 5
    assert found["vfo_listener_active{pool=lab}"] == 1
    assert found["vfo_event_lag_seconds{pool=lab}"] == 0.25


def test_leases_and_windows_are_shown() -> None:
    """How often each lease was taken and whether somebody has it; how far each open window is, and when it closes."""
    held = standing.Held("scheduler", "host:1:ab", 4, NOON, is_held=True)
    night = Window("lab", "night", NOON, {"waiting": 7, "at_work": 2, "saved": 1, "failed": 0, "missed": 0})
    found = asked(rows=lambda: Answer(Reading([held], [night], 3, 1.5)))
    assert found["vfo_lease_changes_total{lease=scheduler}"] == 4
    assert found["vfo_lease_held{lease=scheduler}"] == 1
    assert found["vfo_window_vms{pool=lab,state=waiting,window=night}"] == 7
    assert found["vfo_window_closes_timestamp_seconds{pool=lab,window=night}"] == NOON.timestamp()
    assert (found["vfo_runs_due{}"], found["vfo_run_lag_seconds{}"]) == (3, 1.5)


def test_a_broker_that_is_away_is_shown() -> None:
    """With the messages that wait for a worker."""
    found = asked(broker=lambda: "away", pending=lambda: 12)
    assert (found["vfo_broker_up{}"], found["vfo_broker_messages{}"]) == (0, 12)
    assert asked()["vfo_broker_up{}"] == 1


def test_channels_are_shown() -> None:
    """What waits for each, whether it takes what it is given, and what it never took."""
    metrics = Metrics()
    stands = {"chat": Standing(3, NOON, None, 2, "error=500"), "mail": Standing(0, None, NOON, 0, "")}
    metrics.asks = Asks(channels=lambda: Answer(stands))
    said = scraped(metrics)
    assert [said[f"vfo_notify_{name}{{channel=chat}}"] for name in ("waiting", "up", "given_up")] == [3, 0, 2]
    assert [said[f"vfo_notify_{name}{{channel=mail}}"] for name in ("waiting", "up", "given_up")] == [0, 1, 0]
    assert metrics.asks.ailing_channels() == {"chat": "error=500", "mail": ""}


def test_calls_and_errors_are_counted_by_pool() -> None:
    """Calls by method, errors by code; a server's endless own words are told apart up to a bound."""
    tally = Tally()
    tally.called("VM.start")
    tally.called("VM.start")
    tally.failed("HOST_OFFLINE")
    tally.failed("what a server says\nin a sentence")
    for number in range(300):
        tally.failed(f"CODE_{number}")
    found = asked(tallies={"lab": tally})
    assert found["vfo_xenapi_calls_total{method=VM.start,pool=lab}"] == 2
    assert found["vfo_xenapi_errors_total{code=HOST_OFFLINE,pool=lab}"] == 1
    assert found["vfo_xenapi_errors_total{code=other,pool=lab}"] > 100
    assert sum(name.startswith("vfo_xenapi_errors_total") for name in found) <= 200


def test_calls_that_have_a_turn_and_that_wait_are_shown_by_pool() -> None:
    """With how many this process may have; one without workers has none of them."""
    turns, stop = Turns("lab", 3), threading.Event()
    turns.take(0, stop)
    found = asked(turns={"lab": turns})
    shown = {name: found[f"vfo_xenapi_calls_{name}{{pool=lab}}"] for name in ("in_flight", "waiting", "at_once")}
    assert shown == {"in_flight": 1, "waiting": 0, "at_once": 3}
    assert not any("vfo_xenapi_calls_at_once" in name for name in asked())


def test_steps_are_timed_whatever_comes_of_them() -> None:
    """Each time that a step, or its undo, was at work counts, under its own name; what it returns or raises is left as it is."""
    seen: list[tuple[str, str, str]] = []

    def look(_world: Any, _data: Any) -> Outcome:
        """Look."""
        return DONE

    def fail(_world: Any, _data: Any) -> Outcome:
        """Fail."""
        raise ValueError("no")

    made = Workflow("toy", "A toy", (Step(look, undo=fail), Step(fail)))
    timed = step_times.timed({"toy": made}, lambda *what: seen.append(what[:3]))["toy"]
    assert [step.name for step in timed.steps] == ["look", "fail"]
    assert [step.summary for step in timed.steps] == ["Look.", "Fail."]
    world = cast("World", None)
    assert timed.steps[0].action(world, {}) is DONE
    for action in (timed.steps[0].undo, timed.steps[1].action):
        assert action is not None
        with pytest.raises(ValueError, match="no"):
            action(world, {})
    assert seen == [("toy", "look", "forward"), ("toy", "look", "undo"), ("toy", "fail", "forward")]


def test_the_real_workflows_stay_what_they_are() -> None:
    """With a watch on each step every table has the same steps, undos, times and joins."""
    for name, timed in step_times.timed(WORKFLOWS, lambda *_: None).items():
        shape = [(step.name, step.undo and step.undo.__name__, step.timeout, step.joined) for step in WORKFLOWS[name].steps]
        assert [(step.name, step.undo and step.undo.__name__, step.timeout, step.joined) for step in timed.steps] == shape
