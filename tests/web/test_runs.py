from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from state import audit, claims, history, runs
from state.claims import Change
from state.run import Phase, Run, Status
from tests.web.conftest import NOON, Web
from workflows.outcome import Request


def a_run(web: Web, number: int = 1, workflow: str = "reclaim-vfs", pool: str = "lab") -> Run:
    with web.store.write() as session:
        return runs.create(session, Request(workflow, pool, f"vm:{number}", f"VM {number}"), now=NOON + timedelta(seconds=number))[0]


def end(web: Web, run: Run, status: Status = Status.STUCK) -> None:
    with web.store.write() as session:
        taken = claims.claim(session, run.id, now=NOON + timedelta(hours=1), lease=timedelta(seconds=9))
        assert taken is not None
        change = Change(status, Phase.FORWARD, "look", NOON, None, {}, reason="because")
        claims.record(session, taken, change, None, now=NOON)


def titles(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["title"] for row in answer.json()["items"]]


def test_runs_come_page_by_page(web: Web) -> None:
    """Newest first; what is begun between two pages moves nothing."""
    for number in range(5):
        a_run(web, number)
    first = web.get("/runs?limit=2")
    assert titles(first) == ["VM 4", "VM 3"]
    a_run(web, 9)
    second = web.get(f"/runs?limit=2&cursor={first.json()['next']}")
    assert titles(second) == ["VM 2", "VM 1"]
    third = web.get("/runs", params={"limit": 2, "cursor": second.json()["next"]})
    assert (titles(third), third.json()["next"]) == (["VM 0"], None)


def test_runs_are_found_by_what_they_are(web: Web) -> None:
    """By status, pool, workflow and subject; without one those that are active or need a person."""
    a_run(web, 1)
    end(web, a_run(web, 2), Status.DONE)
    end(web, a_run(web, 3, "assign-vf", "other"), Status.STUCK)
    assert titles(web.get("/runs")) == ["VM 3", "VM 1"]
    assert titles(web.get("/runs?status=done&status=stuck")) == ["VM 3", "VM 2"]
    assert titles(web.get("/runs?pool=other")) == titles(web.get("/runs?workflow=assign-vf")) == ["VM 3"]
    assert titles(web.get("/runs?subject=vm:1")) == ["VM 1"]


@pytest.mark.parametrize("cursor", ["x", "e30=", "MjAyNg==", "%00", "ä"])
def test_a_cursor_that_is_none_is_said_to_be_so(web: Web, cursor: str) -> None:
    """With the code for it."""
    said = web.get("/runs", params={"cursor": cursor})
    assert (said.status_code, said.json()["code"]) == (422, "bad-cursor")


def test_a_run_is_shown_with_its_history(web: Web) -> None:
    """As `vfo run ID --json` shows it; one that there is not is a 404 of ours."""
    run = a_run(web)
    web.post(f"/runs/{run.id}/cancel")
    shown = web.get(f"/runs/{run.id}").json()
    assert (shown["title"], [entry["outcome"] for entry in shown["history"]]) == ("VM 1", ["cancel"])
    assert "admin-token" in shown["history"][0]["message"]
    missing = web.get(f"/runs/{uuid4()}")
    assert (missing.status_code, missing.json()["code"], missing.headers["content-type"]) == (
        404,
        "no-such-run",
        "application/problem+json",
    )


def test_a_runs_calls_are_shown(web: Web) -> None:
    """Those of each entry, as `vfo run ID --calls --json` has them."""
    run = a_run(web)
    packed = {"lines": [["VM.start", str(run.id), 12.5, "VM_BAD_POWER_STATE", 1], ["VM.get_record", None, 0.5, None, 3]], "more": 2}
    with web.store.write() as session:
        history.add(session, run.id, history.Entry("start", "done", calls=packed), now=NOON)
        history.add(session, run.id, history.Entry("look", "done"), now=NOON)
    (step,) = web.get(f"/runs/{run.id}/calls").json()
    assert (step["step"], step["outcome"], step["count"], step["milliseconds"], step["more"]) == ("start", "done", 6, 13.0, 2)
    assert step["calls"][0] == {
        "call": "VM.start", "subject": str(run.id), "milliseconds": 12.5, "error": "VM_BAD_POWER_STATE", "times": 1,
    }  # fmt: skip
    assert step["entry"] == web.get(f"/runs/{run.id}").json()["history"][0]["seq"]
    assert web.get(f"/runs/{uuid4()}/calls").status_code == 404


def test_a_word_on_a_run_is_written_down(web: Web) -> None:
    """Who said it, by what, on which run; those that were refused with the reason; and workers are told of it."""
    run = a_run(web)
    assert web.post(f"/runs/{run.id}/approve").json()["approved_by"] == "admin-token"
    refused = web.post(f"/runs/{run.id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong-input")
    with web.store.read() as session:
        acts = [(act.who, act.how, act.what, act.outcome) for act in audit.listed(session)[:2]]
    assert acts == [("admin-token", "api", "retry", "refused"), ("admin-token", "api", "approve", "done")]
    assert web.published == [run.id]


def test_a_verb_under_a_key_is_done_once(web: Web) -> None:
    """Asked again it is answered as before, though a retry of what was retried would be refused."""
    run = a_run(web)
    end(web, run)
    headers = {"Idempotency-Key": "k1"}
    first = web.post(f"/runs/{run.id}/retry", headers=headers)
    again = web.post(f"/runs/{run.id}/retry", headers=headers)
    assert (first.status_code, again.status_code, first.json()) == (200, 200, again.json())
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    other = web.post(f"/runs/{run.id}/cancel", headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")
    with web.store.read() as session:
        assert [entry.outcome for entry in history.of(session, run.id)].count("retry") == 1


def test_what_has_not_changed_is_not_sent_again(web: Web) -> None:
    """By its ETag; a change has another one."""
    run: UUID = a_run(web).id
    first = web.get(f"/runs/{run}")
    same = web.get(f"/runs/{run}", headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert web.get(f"/runs/{run}", headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'}).status_code == 304
    web.post(f"/runs/{run}/cancel")
    changed = web.get(f"/runs/{run}", headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, changed.headers["etag"] != first.headers["etag"]) == (200, True)
