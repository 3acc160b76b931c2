"""What begins runs, over a simulated pool: planned, begun once, written down."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.simulator import SimulatedPool
from state import audit, claims, runs
from state.claims import Change
from state.run import Phase, Run, Status
from tests.engine.waiting import until
from tests.web.conftest import Make, Web


@pytest.fixture
def web(make_web: Make, make_simulated_pool: Callable[..., SimulatedPool]) -> Web:
    """Three hosts, twelve VMs, six with a VF."""
    return make_web(make_simulated_pool())


def names(web: Web) -> list[str]:
    """VMs that run with a VF."""
    return sorted({user["name"] for row in web.get("/vfs").json() for user in row["users"]})


def all_runs(web: Web) -> list[Run]:
    with web.store.read() as session:
        return runs.listed(session, statuses=frozenset(Status))


def body(name: str, **more: Any) -> dict[str, Any]:
    return {"vms": [name], "network": "SR-IOV", "device": "3", **more}


def test_a_plan_changes_nothing(web: Web) -> None:
    """It is that of `vfo assign --dry-run`, with the reasons against it."""
    name = names(web)[0]
    said = web.post("/assign?dry_run=true", body(name, when="now"))
    assert said.status_code == 200
    (plan,) = said.json()["plans"]
    assert (plan["title"], plan["calls"][1:3]) == (f"assign-vf of VM {name}", ["VM.clean_shutdown", "VIF.create"])
    (against,) = web.post("/assign?dry_run=true", body(name, device="0", mac="02:00:00:00:00:51")).json()["plans"]
    assert against["refusals"][0].startswith("device 0")
    assert all_runs(web) == []


def test_runs_are_begun_and_written_down(web: Web) -> None:
    """A run for each VM; asked again they are at work already; workers are told of the new ones."""
    first, second = names(web)[:2]
    said = web.post("/assign", {"vms": [first, second], "network": "SR-IOV", "device": "3"}, scope="operate")
    assert said.status_code == 202
    rows = said.json()["runs"]
    assert [(row["title"], row["created"], row["status"]) for row in rows] == [
        (f"VM {first}", True, "ready"),
        (f"VM {second}", True, "ready"),
    ]
    assert [str(run_id) for run_id in web.published] == [row["run"] for row in rows]
    again = web.post("/assign", {"vms": [first, second], "network": "SR-IOV", "device": "3"}).json()["runs"]
    assert [(row["run"], row["created"]) for row in again] == [(row["run"], False) for row in rows]
    with web.store.read() as session:
        acts = audit.listed(session, audit.Asked(who="operate-token"))
    assert [(act.how, act.what, act.thing, act.outcome) for act in acts] == [
        ("api", "assign-vf", f"VM {name}", "done") for name in (second, first)
    ]
    assert acts[0].details["run"] == rows[1]["run"]


def test_under_one_key_there_is_one_run(web: Web) -> None:
    """Whoever asks again, also in other writing, gets the same answer; for something else it is refused; another token's key is another."""
    name = names(web)[0]
    key = {"Idempotency-Key": "night-1"}
    first = web.post("/assign", body(name), headers=key)
    other_writing = dict(reversed(body(name).items()))
    again = web.post("/assign?wait=0", other_writing, headers=key)
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (202, first.json(), "true")
    other = web.post("/assign", body(name, device="4"), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")
    elsewhere = web.post("/release", {"vms": [name]}, headers=key)
    assert elsewhere.json()["code"] == "key-reused"
    assert web.post("/assign", body(name), headers=key, scope="operate").json()["runs"][0]["created"] is False
    assert len(all_runs(web)) == 1


def test_of_many_that_ask_at_once_under_one_key_one_begins_it(web: Web) -> None:
    """All get the same answer."""
    name = names(web)[0]
    web.token()

    def ask(_: int) -> Any:
        return web.post("/assign", body(name), headers={"Idempotency-Key": "k"})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert (len(all_runs(web)), sum("idempotency-replayed" not in answer.headers for answer in answers)) == (1, 1)


def test_a_refusal_keeps_no_key(web: Web) -> None:
    """What was refused may be asked for again when it can be: nothing was done under the key."""
    name, key = names(web)[0], {"Idempotency-Key": "k"}
    refused = web.post("/assign", body(name, device="0", mac="02:00:00:00:00:51"), headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "not-so")
    assert web.post("/assign", body(name), headers=key).status_code == 202


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
def test_a_key_that_is_none_is_refused(web: Web, key: str) -> None:
    """Rather than left out of account."""
    said = web.post("/assign", body("x"), headers={"Idempotency-Key": key})
    assert (said.status_code, said.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    ("path", "asked", "status", "code", "says"),
    [
        ("/assign", {"vms": ["nobody"], "network": "SR-IOV"}, 422, "wrong-name", "VM 'nobody': there is none"),
        ("/assign", {"vms": ["VM"], "network": "SR-IOV", "mac": "02:00"}, 422, "wrong-input", "write six pairs"),
        ("/assign", {"vms": ["VM"], "network": "SR-IOV", "when": "soon"}, 422, "wrong-input", "write now, next-halt"),
        ("/assign?pool=nix", {"vms": ["VM"], "network": "SR-IOV"}, 422, "wrong-input", "there is no pool of that name"),
        ("/assign", {"vms": [], "network": "SR-IOV"}, 422, "invalid", "shape"),
        ("/assign", {"vms": ["VM"], "network": "SR-IOV", "colour": "red"}, 422, "invalid", "shape"),
        ("/release", {"vms": ["VM"], "vifs": ["zz"]}, 422, "wrong-input", "has no VIF zz"),
        ("/sriov/enable", {"name": "slow"}, 422, "wrong-input", "has no table [sriov.slow]"),
        ("/backups/release", {"vms": ["VM"]}, 409, "not-so", "nothing of it is held"),
        ("/backups/prepare", {"vms": ["VM"], "hold": "soon"}, 422, "wrong-input", "write a duration"),
    ],
)
def test_what_is_refused_says_why_and_is_written_down(
    web: Web, path: str, asked: dict[str, Any], status: int, code: str, says: str
) -> None:  # fmt: skip
    """By code and in words; no run is made."""
    asked = {**asked, "vms": [names(web)[0] if name == "VM" else name for name in asked["vms"]]} if "vms" in asked else asked
    said = web.post(path, asked)
    assert (said.status_code, said.json()["code"], said.json()["status"]) == (status, code, status), said.text
    assert says in said.json()["detail"] + str(said.json().get("option", ""))
    assert said.json()["type"] == f"urn:vfo:problem:{code}"
    assert all_runs(web) == []
    if code != "invalid":
        with web.store.read() as session:
            assert audit.listed(session)[0].outcome == "refused"


def test_everything_that_the_command_line_begins_can_be_begun(web: Web) -> None:
    """Release, reclaim, SR-IOV, preparing; each with its plan first."""
    name = names(web)[0]
    for path, asked, workflow in (
        ("/release", {"vms": [name]}, "release-vf"),
        ("/reclaim", {}, "reclaim-vfs"),
        ("/sriov/enable", {}, "enable-sriov"),
        ("/sriov/disable", {"name": "fast"}, "disable-sriov"),
        ("/backups/prepare", {"vms": [name], "mode": "online"}, "prepare-backup"),
    ):
        planned = web.post(f"{path}?dry_run=true", asked)
        assert (planned.status_code, planned.json()["runs"]) == (200, []), planned.text
        assert planned.json()["plans"][0]["title"]
        begun = web.post(path, asked)
        assert (begun.status_code, {row["workflow"] for row in begun.json()["runs"]}) == (202, {workflow}), begun.text


def test_who_waits_is_answered_when_the_time_is_over(web: Web) -> None:
    """Nobody works here: the runs go on, and the answer says so in a way that no script takes for done."""
    said = web.post("/assign?wait=0.2", body(names(web)[0]))
    assert (said.status_code, said.json()["code"], said.json()["runs"][0]["status"]) == (504, "not-yet", "ready")


def test_who_waits_for_what_is_refused_is_told_so(web: Web) -> None:
    """By a code that no script takes for done, with the reason and the run."""
    web.token()
    said: list[Any] = []
    asking = threading.Thread(target=lambda: said.append(web.post("/assign?wait=60", body(names(web)[0]))))
    asking.start()
    until(lambda: len(all_runs(web)) == 1)
    with web.store.write() as session:
        taken = claims.claim(session, all_runs(web)[0].id, now=web.now, lease=timedelta(seconds=9))
        assert taken is not None
        claims.record(
            session, taken, Change(Status.REFUSED, Phase.FORWARD, "look", web.now, None, {}, reason="it is full"), None, now=web.now
        )
    asking.join()
    assert (said[0].status_code, said[0].json()["code"], said[0].json()["runs"][0]["status"]) == (409, "not-done", "refused")
    assert "it is full" in said[0].json()["detail"]
