"""Whether a restore point can be given back, as the console asks and shows it."""

import re
from collections.abc import Callable
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from orchestrator.simulator import SimulatedPool
from state import runs
from state.run import Status
from tests.console.test_door import signed_in
from tests.console.test_files import POINT, acts
from tests.engine.waiting import until
from tests.plugins import shelves
from tests.web.conftest import Web

PAGE = "/backup/point?" + urlencode(POINT)


@pytest.mark.parametrize(("sha", "said"), [(shelves.ABC, "It is sound"), ("0" * 64, "It is not sound")], ids=["sound", "differs"])
def test_a_restore_point_is_verified_once(shelf: Callable[..., Web], sha: str, said: str) -> None:
    """By a form, which begins it once however often it is sent; the page follows until it ends, and says what each check found."""
    web = shelf(sha=sha)
    csrf = signed_in(web)
    found = re.search(r'name="number" value="([^"]+)"', web.client.get(PAGE).text)
    assert found is not None
    sent = POINT | {"csrf": csrf, "number": found[1]}
    first, again = (web.client.post("/backup/verify", data=sent, follow_redirects=False) for _ in range(2))
    assert (first.status_code, first.headers["location"]) == (303, again.headers["location"])
    there = first.headers["location"]
    until(lambda: 'hx-trigger="every 2s"' not in web.client.get(there).text)
    text = web.client.get(there).text
    assert f">{said}</h2>" in text
    assert "it is on the shelf" in text
    assert f">{said}</h2>" in web.client.get(there.replace("/verification?", "/verification/shown?")).text
    assert acts(web, "verify") == [("operate", "console", "restore point shelf/abc-1", "done")]
    assert web.client.get(there.replace("abc-1", "abd-2")).status_code == 404


def test_a_verification_is_begun_by_our_own_form_alone(shelf: Callable[..., Web]) -> None:
    """Not without the session's secret, not by who may look, and not under what is no number; of one that there is not a page says so."""
    web, number = shelf(), str(uuid4())
    csrf = signed_in(web)
    assert web.client.post("/backup/verify", data=POINT | {"number": number, "csrf": ""}).status_code == 403
    for wrong in ({"number": "1"}, {"number": ""}, {"id": "abc"}, {"product": "nas"}):
        assert web.client.post("/backup/verify", data=POINT | {"number": number, "csrf": csrf} | wrong).status_code == 404, wrong
        assert web.client.get("/backup/verification?" + urlencode(POINT | {"number": number} | wrong)).status_code == 404, wrong
    shown = web.client.get("/backup/verification/shown?" + urlencode(POINT | {"number": number, "size": "x"}))
    assert (shown.status_code, "There is no such verification" in shown.text) == (404, True)
    web.client.cookies.clear()
    csrf = signed_in(web, "read")
    assert web.client.post("/backup/verify", data=POINT | {"number": number, "csrf": csrf}).status_code == 403
    assert acts(web, "verify") == []


def test_a_restore_point_is_booted_beside_by_plan(shelf: Callable[..., Web]) -> None:
    """The plan says that all of it goes again and changes nothing; consent begins a run, which the browser is taken to."""
    pool = SimulatedPool(hosts=1, vms=1).start()
    try:
        web = shelf(pool)
        csrf = signed_in(web)
        planned = web.client.get("/backup/boot?" + urlencode(POINT)).text
        assert "VM.destroy" in planned
        assert 'action="/backup/boot"' in planned
        answer = web.client.post("/backup/boot", data=POINT | {"csrf": csrf, "sr": ""}, follow_redirects=False)
        with web.store.read() as session:
            (run,) = runs.listed(session, statuses=frozenset(Status))
        assert (run.workflow, answer.headers["location"]) == ("verify-boot", f"/runs/{run.id}")
        assert acts(web, "verify-boot")[0][:2] == ("operate", "console")
        refused = web.client.get("/backup/boot?" + urlencode(POINT | {"sr": "nowhere"}))
        assert (refused.status_code, "SRs for disks of pool" in refused.text) == (422, True)
    finally:
        pool.stop()


def test_a_plan_that_has_changed_is_shown_and_asked_for_again(
    shelf: Callable[..., Web], make_simulated_pool: Callable[..., SimulatedPool]
) -> None:
    """Nothing is begun by a consent to another plan; the one to what is shown then begins it."""
    pool = make_simulated_pool(hosts=1, vms=1)
    web = shelf(pool)
    csrf = signed_in(web)
    address = "/backup/restore?" + urlencode(POINT | {"name": "again"})
    (before,) = re.findall(r'name="seen" value="([0-9a-f]{64})"', web.client.get(address).text)
    sent = POINT | {"name": "again", "csrf": csrf, "seen": before}
    pool.database.set("SR", next(iter(pool.database.refs("SR"))), name_label="another name")
    asked = web.client.post("/backup/restore", data=sent, follow_redirects=False)
    assert (asked.status_code, "It is not as it was shown to you" in asked.text, "another name" in asked.text) == (409, True, True)
    assert web.get("/runs?workflow=restore-vm").json()["items"] == []
    (now,) = re.findall(r'name="seen" value="([0-9a-f]{64})"', asked.text)
    assert re.search(r'name="name" value="again"', asked.text)
    begun = web.client.post("/backup/restore", data=sent | {"seen": now}, follow_redirects=False)
    assert begun.status_code == 303, begun.text
    assert len(web.get("/runs?workflow=restore-vm").json()["items"]) == 1
