import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator import probes
from orchestrator.health import Health, Report, State, Watched
from orchestrator.listener.meters import Meters
from orchestrator.metrics import Metrics
from orchestrator.parts import Part
from orchestrator.readings import Asked
from orchestrator.roles import ALL, Role
from state.engines import Unusable
from tests.engine.waiting import until

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WELL = Watched(ALL, (), lambda: None, lambda: "", lambda: True, {"lab": Meters(active=True, complete_at=NOON)}, threading.Event())


def amiss(report: Report) -> dict[str, State]:
    return {check.name: check.state for check in report.checks if check.state is not State.OK}


def reason(report: Report, name: str) -> str:
    return next(check.reason for check in report.checks if check.name == name)


def died() -> Part:
    """A part that has died."""

    def fail(_stop: threading.Event) -> None:
        raise ValueError("a mistake")

    part = Part("listener lab", fail)
    part.start(threading.Event())
    until(lambda: not part.is_well())
    return part


def test_a_process_that_has_all_it_needs_is_ready() -> None:
    """The report names what was looked at and the roles."""
    report = Health(WELL).ready()
    assert amiss(report) == {}
    assert report.state is State.OK
    assert report.as_data()["roles"] == ["listener", "scheduler", "worker", "console"]
    assert [check["check"] for check in report.as_data()["checks"]] == ["database", "broker", "pool lab"]


def test_a_part_that_died_is_neither_alive_nor_ready() -> None:
    """It is named, with what to do."""
    health = Health(replace(WELL, parts=[died()]))
    assert amiss(health.alive()) == amiss(health.ready()) == {"listener lab": State.FAILED}
    assert "to be started anew" in reason(health.alive(), "listener lab")


def test_workers_that_died_are_seen_where_there_are_to_be_some() -> None:
    """A process without the role of a worker has none; one that stops ends them itself."""
    assert amiss(Health(replace(WELL, workers_live=lambda: False)).alive()) == {"engine": State.FAILED}
    assert amiss(Health(replace(WELL, workers_live=None, roles={Role.LISTENER})).alive()) == {}
    stopping = threading.Event()
    stopping.set()
    assert amiss(Health(replace(WELL, workers_live=lambda: False, stopping=stopping)).alive()) == {}


def test_a_database_that_cannot_be_used_makes_not_ready_and_alive() -> None:
    """Starting the process anew would not mend it. The reason is the database's own."""

    def check() -> None:
        raise Unusable("the database has schema 0001, this version needs 0006")

    health = Health(replace(WELL, database=check))
    assert amiss(health.ready()) == {"database": State.FAILED}
    assert "schema 0001" in reason(health.ready(), "database")
    assert amiss(health.alive()) == {}


def test_a_broker_that_is_away_is_degraded() -> None:
    """The sweeper carries on from the rows: it is ready, and says so."""
    report = Health(replace(WELL, broker=lambda: "RabbitMQ is away; runs that are due are found in the database, later")).ready()
    assert amiss(report) == {"broker": State.DEGRADED}
    assert report.state is State.DEGRADED
    assert "later" in reason(report, "broker")


@pytest.mark.parametrize(
    ("meters", "state", "says"),
    [
        (Meters(active=False), State.OK, "stands by"),
        (Meters(active=True), State.FAILED, "has not seen the whole pool yet"),
        (Meters(active=True, complete_at=NOON), State.OK, "2026-11-22 12:00:00 UTC"),
    ],
)
def test_a_pool_is_followed_or_stood_by_for(meters: Meters, state: State, says: str) -> None:
    """Who listens is ready once it has seen the whole pool; who stands by is ready to take over."""
    report = Health(replace(WELL, meters={"lab": meters})).ready()
    assert amiss(report).get("pool lab", State.OK) is state
    assert says in reason(report, "pool lab")


def test_a_process_that_stops_is_not_ready() -> None:
    """It lives as long as its steps at hand need, and gets nothing new."""
    stopping = threading.Event()
    stopping.set()
    health = Health(replace(WELL, stopping=stopping))
    assert amiss(health.ready()) == {"process": State.FAILED}
    assert amiss(health.alive()) == {}


def test_who_asks_is_not_kept_by_what_hangs() -> None:
    """One thread asks at a time, and who wants to know is told how long it has been at it; the answer comes when it comes."""
    asked, go = threading.Semaphore(0), threading.Event()
    times: list[int] = []

    def ask() -> str:
        times.append(1)
        asked.release()
        go.wait(20)
        return "here"

    question = Asked(ask, fresh=60)
    assert question.get(within=0.01).problem.startswith("no answer for")
    assert asked.acquire(timeout=60)
    assert question.get(within=0.01).value is None
    go.set()
    until(lambda: question.get(within=0.1).value == "here")
    assert len(times) == 1


def test_an_answer_holds_for_a_while_alone() -> None:
    """Within its time nothing is asked anew; after it the next one is."""
    times: list[int] = []
    question = Asked(lambda: times.append(1) or len(times), fresh=60)
    assert [question.get().value for _ in range(3)] == [1, 1, 1]
    anew = Asked(lambda: times.append(1) or len(times), fresh=0)
    assert [anew.get().value for _ in range(2)] == [2, 3]


@pytest.fixture
def served() -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a process that is well, and its broker's problem, to be changed."""
    ails = {"broker": "", "database": ""}

    def check() -> None:
        if ails["database"]:
            raise Unusable(ails["database"])

    health = Health(replace(WELL, database=check, broker=lambda: ails["broker"]))
    port, stop = probes.serve(Metrics().registry, health, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}", ails
    stop()


def get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code, error.read().decode()


def test_probes_answer_by_code_and_json(served: tuple[str, dict[str, Any]]) -> None:
    """200 while it works, also without the broker; 503 with the reason when it does not. Metrics are beside them."""
    url, ails = served
    assert get(f"{url}/healthz")[0] == 200
    ails["broker"] = "away"
    status, said = get(f"{url}/readyz")
    assert (status, json.loads(said)["status"]) == (200, "degraded")
    ails["database"] = "gone"

    def fails() -> bool:
        status, said = get(f"{url}/readyz")
        return status == 503 and json.loads(said)["checks"][0] == {"check": "database", "status": "failed", "reason": "gone"}

    until(fails)
    assert get(f"{url}/healthz")[0] == 200
    status, said = get(f"{url}/metrics")
    assert status == 200
    assert "vfo_database_up 1.0" in said
    assert get(f"{url}/")[0] == 404


def test_probes_answer_while_others_keep_silent(served: tuple[str, dict[str, Any]]) -> None:
    """Clients that connect and say nothing are in nobody's way."""
    url, _ = served
    host, port = url.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(20)]
    try:
        assert get(f"{url}/healthz")[0] == 200
    finally:
        for one in silent:
            one.close()


def test_a_port_that_is_taken_is_an_error() -> None:
    """It is the caller's to say which setting names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        probes.serve(Metrics().registry, Health(WELL), "127.0.0.1", taken.getsockname()[1])


def test_a_channel_that_takes_nothing_is_seen_and_stops_nobody() -> None:
    """What ails it is the reason; the process can do its work."""
    report = Health(replace(WELL, channels=lambda: {"chat": "error=500", "mail": ""})).ready()
    assert amiss(report) == {"channel chat": State.DEGRADED}
    assert reason(report, "channel chat") == "error=500"
    assert reason(report, "channel mail") == "takes what it is given"
