"""Policies and windows over HTTP."""

from pathlib import Path

import pytest

from orchestrator.simulator import SimulatedPool
from state import audit
from tests.web.conftest import Make, Web

TABLES = """
[products.nas]
plugin = "xva"
directory = "{folder}/nas"

[windows.night]
schedule = "0 22 * * *"
duration = "8h"
timezone = "Europe/Berlin"

[policies.web]
vms = {{ names = ["*"] }}
product = "nas"
window = "night"
mode = "online"

[policies.none]
vms = {{ names = ["nobody"] }}
product = "nas"
"""


@pytest.fixture
def backups(make_web: Make, pool: SimulatedPool, tmp_path: Path) -> Web:
    """The application with windows and policies, over a pool."""
    return make_web(pool, TABLES.format(folder=tmp_path))


@pytest.fixture
def alone(make_web: Make, tmp_path: Path) -> Web:
    """The same where the pool does not answer."""
    return make_web(None, TABLES.format(folder=tmp_path))


def test_policies_are_listed_and_shown_with_whom_they_mean(backups: Web) -> None:
    """As the configuration has them."""
    listed = backups.get("/policies", scope="read").json()["items"]
    assert [(one["name"], one["window"], one["paused_by"]) for one in listed] == [("web", "night", None), ("none", None, None)]
    shown = backups.get("/policies/web").json()
    assert len(shown["meant"]) == 3
    assert all(one["pool"] == "lab" and one["saved_at"] is None for one in shown["meant"])
    assert backups.get("/policies/none").json()["meant"] == []


def test_a_policy_is_paused_and_goes_on(alone: Web) -> None:
    """By whom and since when; while it is paused it is not run by hand either. Each word is written down."""
    paused = alone.post("/policies/web/pause").json()
    assert (paused["policy"], paused["paused"], paused["by"]) == ("web", True, "admin-token")
    said = alone.post("/policies/web/run", {})
    assert (said.status_code, said.json()["code"]) == (409, "not-so")
    assert "vfo policy resume web" in said.json()["detail"]
    assert alone.get("/policies").json()["items"][0]["paused_by"] == "admin-token"
    for _ in range(2):
        assert alone.post("/policies/web/resume").json() == {"policy": "web", "paused": False, "by": None, "at": None}
    with alone.store.read() as session:
        acts = [(one.what, one.thing, one.outcome) for one in audit.listed(session)]
    assert acts[:3] == [
        ("resume-policy", "policy web", "done"),
        ("run-policy", "policy web", "refused"),
        ("pause-policy", "policy web", "done"),
    ]


def test_a_policy_that_was_removed_may_be_resumed(alone: Web) -> None:
    """Its pause is all that is left of it; of one that never was there is nothing to resume."""
    from state import backups as rows

    with alone.store.write() as session:
        rows.pause(session, "old", by="ann", now=alone.now)
    assert alone.post("/policies/old/resume").status_code == 200
    assert alone.post("/policies/old/resume").json()["code"] == "no-such-policy"


def test_a_policy_is_run_by_hand(backups: Web) -> None:
    """Its plan says whom it would save; then there is one run for the pool, narrowed to who was named."""
    planned = backups.post("/policies/web/run?dry_run=true", {}).json()
    assert len(planned["plans"][0]["sentences"]) == 3
    name = backups.get("/policies/web").json()["meant"][0]["name"]
    begun = backups.post("/policies/web/run", {"vms": [name]}, scope="operate")
    assert begun.status_code == 202, begun.text
    (run,) = begun.json()["runs"]
    assert (run["workflow"], run["subject"]) == ("keep-window", "policy:web")
    assert backups.post("/policies/none/run", {}).json()["code"] == "not-so"
    assert backups.post("/policies/web/run", {"vms": ["nobody"]}).json()["code"] == "wrong-name"


def test_windows_are_listed_and_shown(alone: Web) -> None:
    """With their next openings, for a calendar too."""
    (row,) = alone.get("/windows", scope="read").json()["items"]
    assert (row["name"], row["policies"], row["duration"], row["open_until"]) == ("night", ["web"], 8 * 3600.0, None)
    assert alone.get("/windows/night").json()["next"][0]["opens"] == "2026-11-22T21:00:00Z"
    assert len(alone.get("/openings?count=3").json()["items"]) == 3
    calendar = alone.get("/windows/night/calendar")
    assert (calendar.headers["content-type"].partition(";")[0], calendar.text.count("BEGIN:VEVENT")) == ("text/calendar", 100)


def test_the_plan_of_a_night_says_whose_turn_comes_when(backups: Web) -> None:
    """Of the opening that was asked for, by the clock of the window's zone."""
    (night,) = backups.get("/windows/night/plan", params={"at": "2027-03-01T12:00"}).json()["items"]
    assert (night["begins"], len(night["slots"]), night["pool"]) == ("2027-03-01T21:00:00Z", 3, "lab")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/policies/nope", 404, "no-such-policy"),
        ("/policies/web?pool=nope", 422, "wrong-input"),
        ("/windows/nope", 404, "no-such-window"),
        ("/windows/nope/plan", 404, "no-such-window"),
        ("/windows/nope/calendar", 404, "no-such-window"),
        ("/windows/night/plan?at=soon", 422, "wrong-input"),
        ("/windows/night/plan?at=9999-12-31T23:59:59", 422, "wrong-input"),
        ("/windows/night/plan?at=0001-01-01", 422, "wrong-input"),
    ],
)
def test_what_there_is_none_of_is_a_problem(alone: Web, path: str, status: int, code: str) -> None:
    """Each with its code."""
    said = alone.get(path)
    assert (said.status_code, said.json()["code"]) == (status, code), said.text
