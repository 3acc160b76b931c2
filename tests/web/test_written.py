"""Policies and windows written over HTTP."""

from pathlib import Path
from typing import Any

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

[policies.web]
vms = {{ names = ["web-*"] }}
product = "nas"
"""
DAY = {"schedule": "0 13 * * *", "duration": "2h"}
ALL: dict[str, Any] = {"vms": {"names": ["*"]}, "product": "nas", "window": "day", "mode": "online"}


@pytest.fixture
def web(make_web: Make, pool: SimulatedPool, tmp_path: Path) -> Web:
    """The application over a pool, with a policy of the file."""
    return make_web(pool, TABLES.format(folder=tmp_path))


@pytest.fixture
def alone(make_web: Make, tmp_path: Path) -> Web:
    """The same where the pool does not answer."""
    return make_web(None, TABLES.format(folder=tmp_path))


def put(web: Web, path: str, table: dict[str, Any], **headers: str) -> Any:
    return web.ask("PUT", path, json=table, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_policy_is_written_changed_and_removed(alone: Web) -> None:
    """A new one without If-Match; a change by the tag of what is changed, whichever way it was learned; who comes late is told."""
    assert put(alone, "/windows/day", DAY).status_code == 200
    made = put(alone, "/policies/all", ALL)
    assert (made.status_code, made.json()["created"], made.headers["etag"]) == (200, True, f'"{made.json()["revision"]}"')
    again = put(alone, "/policies/all", ALL)
    assert (again.status_code, again.json()["code"], again.json()["revision"]) == (412, "outdated", made.json()["revision"])
    changed = put(alone, "/policies/all", {**ALL, "priority": 7}, If_Match=made.headers["etag"])
    assert (changed.json()["created"], changed.json()["changed"]) == (False, ["priority"])
    assert put(alone, "/policies/all", ALL, If_Match=made.headers["etag"]).status_code == 412
    assert put(alone, "/policies/all", ALL, If_Match="*").status_code == 200
    rows = {row["name"]: row["written_by"] for row in alone.get("/policies").json()["items"]}
    assert rows == {"web": None, "all": "admin-token"}
    assert "policy all" in alone.ask("DELETE", "/windows/day").json()["detail"]
    assert alone.ask("DELETE", "/policies/all").json() == {"name": "all", "removed": True}
    assert alone.ask("DELETE", "/policies/all").status_code == 404
    assert alone.ask("DELETE", "/windows/day").status_code == 200
    with alone.store.read() as session:
        acts = [(one.what, one.outcome) for one in audit.listed(session)]
    assert ("remove-window", "refused") in acts
    assert ("write-policy", "refused") in acts


def test_the_tag_of_what_is_shown_changes_it(web: Web) -> None:
    """It is another one, too, when the VMs are others; the revision in it is what counts."""
    put(web, "/windows/day", DAY)
    shown = web.get("/windows/day")
    assert shown.headers["etag"].startswith(f'"{shown.json()["revision"]}.')
    assert web.get("/windows/day", headers={"If-None-Match": shown.headers["etag"]}).status_code == 304
    assert put(web, "/windows/day", {**DAY, "duration": "3h"}, If_Match=shown.headers["etag"]).json()["changed"] == ["duration"]
    assert "." not in web.get("/windows/night").headers["etag"]


def test_what_is_asked_again_under_its_key_is_done_once(alone: Web) -> None:
    """Writing and removing."""
    first = put(alone, "/windows/day", DAY, Idempotency_Key="a")
    again = put(alone, "/windows/day", DAY, Idempotency_Key="a")
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, first.json(), first.headers["etag"])
    for _ in range(2):
        assert alone.ask("DELETE", "/windows/day", headers={"Idempotency-Key": "b"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "table", "status", "option"),
    [
        ("/policies/all", {**ALL, "product": "nsa"}, 422, "product"),
        ("/policies/all", {**ALL, "priority": 10**30}, 422, ""),
        ("/policies/web", ALL, 422, "name"),
        ("/policies/a b", ALL, 422, "name"),
        ("/windows/day", {**DAY, "duration": "9" * 400 + "d"}, 422, "duration"),
        ("/windows/day", {"schedule": "soon"}, 422, "schedule"),
    ],
)
def test_a_mistake_is_a_problem_that_names_the_key(alone: Web, path: str, table: dict[str, Any], status: int, option: str) -> None:
    """Proposing and writing alike; every mistake is there for a form."""
    put(alone, "/windows/day", DAY) if "policies" in path else None
    for said in (put(alone, path, table), alone.post(f"{path}/proposal", table, scope="read")):
        assert (said.status_code, said.json()["code"], said.json()["option"]) == (status, "wrong-input", option), said.text


def test_a_proposal_says_whom_it_means_and_how_its_window_would_go(web: Web) -> None:
    """To who may only read; nothing is written."""
    put(web, "/windows/day", {**DAY, "limits": {"pool": 1}})
    said = web.post("/policies/all/proposal", ALL, scope="read").json()
    assert {one["name"] for one in said["meant"]} == {slot["name"] for night in said["nights"] for slot in night["slots"]}
    assert {one["mode"] for one in said["meant"]} == {"online"}
    assert (len(said["meant"]), said["created"], said["unseen"], said["written_by"]) == (3, True, {}, None)
    assert said["opens"] is not None
    assert len(said["plans"][0]["sentences"]) == 3
    night = web.post("/windows/night/proposal", DAY)
    assert night.json()["option"] == "name"
    day = web.post("/windows/day/proposal", {**DAY, "duration": "1h"}, headers={"If-Match": "*"}).json()
    assert (day["changed"], day["created"], day["duration"]) == (["duration", "limits.pool"], False, 3600)
    assert [row["name"] for row in web.get("/policies").json()["items"]] == ["web"]


def test_a_proposal_goes_by_the_pools_that_answer(alone: Web) -> None:
    """Those that do not are named."""
    put(alone, "/windows/day", DAY)
    said = alone.post("/policies/all/proposal", ALL).json()
    assert (said["meant"], list(said["unseen"])) == ([], ["lab"])
