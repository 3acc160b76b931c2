"""Recovering over HTTP."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from orchestrator.demo.actors import OtherClient
from orchestrator.simulator import SimulatedPool
from state import audit, claims, runs
from state.claims import Change
from state.run import Phase, Status
from tests.web.conftest import NOON, Make
from workflows.outcome import Request


@pytest.fixture
def pool() -> Iterator[SimulatedPool]:
    """A pool with a VM that a run of ours left blocked."""
    started = SimulatedPool(hosts=1, vms=2).start()
    with closing(OtherClient(started.url, started.user, started.password)) as client:
        vms = client.call("VM.get_all_records")
        vm = next(ref for ref, row in vms.items() if not (row["is_a_template"] or row["is_control_domain"]))
        client.call("VM.add_to_blocked_operations", vm, "start", f"vfo: run {'0' * 8}-0000-4000-8000-{'0' * 12}: being prepared")
    yield started
    started.stop()


def test_what_shows_a_mark_of_ours_is_put_right(make_web: Make, pool: SimulatedPool) -> None:
    """Its plan first; then a run for it, once; and a run that was stuck is tried again. Each is written down."""
    web = make_web(pool)
    planned = web.post("/recover?dry_run=true").json()
    assert (len(planned["plans"]), planned["runs"]) == (1, [])
    with web.store.write() as session:
        runs.create(session, Request("put-right", "lab", "vm:gone", "VM gone", {"vm": "gone"}), now=NOON)
        taken = claims.claim(session, runs.listed(session, statuses=frozenset(Status))[0].id, now=NOON, lease=timedelta(seconds=9))
        assert taken is not None
        claims.record(session, taken, Change(Status.STUCK, Phase.FORWARD, "look", NOON, None, {"vm": "gone"}, reason="why"), None, now=NOON)
    assert web.post("/recover", scope="read").status_code == 403
    begun = web.post("/recover", scope="operate")
    assert begun.status_code == 202, begun.text
    assert sorted((run["workflow"], run["created"], run["status"]) for run in begun.json()["runs"]) == [
        ("put-right", False, "ready"),
        ("put-right", True, "ready"),
    ]
    again = web.post("/recover").json()["runs"]
    assert {run["run"] for run in again} == {run["run"] for run in begun.json()["runs"]}
    assert not any(run["created"] for run in again)
    with web.store.read() as session:
        acts = [one.what for one in audit.listed(session)]
    assert acts.count("recover") >= 2
    assert acts.count("put-right") == 1


def test_nothing_is_put_right_where_nothing_of_ours_is(make_web: Make) -> None:
    """And a pool that does not answer is a problem, in words."""
    assert make_web().post("/recover").json()["code"] == "pool-away"
