"""Four steps to a policy, as forms: what each finds wrong, what is written at the end, and who may."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from orchestrator.actions import policies, windows, writing
from orchestrator.web.console.models import wizard as model
from orchestrator.web.console.models.wizard import Answers
from orchestrator.web.principal import Principal, Scope
from state import audit
from tests.console.test_door import signed_in
from tests.web.conftest import Web

MORE = '\n[windows.dark]\nschedule = "0 22 * * *"\nduration = "8h"\n\n[policies.old]\nvms = { names = ["db-*"] }\nproduct = "shelf"\n'
TABLE: dict[str, Any] = {
    "vms": {"names": ["web-*", "a, b"], "tags": ["gold", " odd "],
            "power_state": ["Running"], "exclude": {"names": ["web-9"], "tags": ["no"]}},
    "product": "shelf", "window": "dark", "mode": "offline", "retention": {"last": 3, "daily": 7}, "priority": 5, "retries": 0,
    "on_vf_gone": ["wait", "elsewhere"], "shutdown": "hard", "changed_blocks": True, "timeouts": {"hook": "1m"},
}  # fmt: skip
GOOD = {"name": "web", "names": "web-*", "product": "shelf", "window": "dark"}
NEW = GOOD | {"window": "+", "window_name": "evening", "days": "1", "time": "22:05", "duration": "2h", "timezone": "Europe/Berlin"}


@pytest.fixture
def desk(shelf: Callable[..., Web]) -> Web:
    """The application with a product, a window and a policy in its configuration; no pool answers."""
    return shelf(more=MORE)


def rows(web: Web) -> dict[str, Any]:
    """The policies that somebody wrote, by name."""
    at = web.office.desk(Principal("ann", Scope.ADMIN, "console"))
    return {row["name"]: writing.table(at, "policy", row["name"]) for row in policies.listed(at) if row["revision"]}


def sends(web: Web, csrf: str, said: dict[str, Any], **more: str) -> Any:
    form = {"csrf": csrf, "said": urlencode(said, doseq=True), **more}
    return web.client.post("/backup/wizard", data=form, follow_redirects=False)


def asked(web: Web, step: str, said: dict[str, Any]) -> Any:
    return web.client.get(f"/backup/wizard/{step}", params=said)


def wrong_fields(text: str) -> set[str]:
    return set(re.findall(r'id="(\w+)-wrong"', text))


def test_a_table_comes_out_of_its_answers_again() -> None:
    """What a policy says is in the fields, with what has commas in it, and what no step asks for stays."""
    answers = model.filled("web", TABLE, "r1")
    again = Answers.written(answers.query())
    assert model.policy(again, TABLE) == TABLE
    assert (again.is_change, again.one("name")) == (True, "web")
    assert Answers.written("name=a&name=b&evil=c&names=x%00y").values == {"name": ("a", "b"), "names": ("xy",)}


def test_every_field_belongs_to_the_step_that_asks_for_it() -> None:
    """A mistake is told there; what no step asks for at the end."""
    where = {key: model.step_of(model.field_of(key)) for key in ("vms", "vms.tags.0", "product", "retention", "timeouts.hook")}
    assert where == {"vms": "which", "vms.tags.0": "which", "product": "where", "retention": "when", "timeouts.hook": "summary"}
    assert model.field_of("vms.exclude.tags.1") == "exclude_tags"
    assert model.field_of_window("schedule") == "time"
    assert model.earliest(["retries", "product"], "summary") == "where"
    assert model.earliest(["retries"], "when") is None


def test_a_step_with_a_mistake_is_shown_again(desk: Web) -> None:
    """The first one that has any, with each at its field, told once more at the top; an address by hand skips none."""
    signed_in(desk, "admin")
    assert wrong_fields(asked(desk, "which", {}).text) == set()
    found = asked(desk, "where", {"name": "old"})
    assert (found.status_code, wrong_fields(found.text)) == (422, {"name", "names"})
    assert 'role="alert"' in found.text
    assert 'href="#f-names"' in found.text
    assert wrong_fields(asked(desk, "summary", {"name": "web", "names": "*"}).text) == {"product"}
    bad = NEW | {
        "window_name": "dark",
        "time": "25:00",
        "duration": "x",
        "timezone": "Mars",
        "days": "",
        "last": "many",
        "priority": "9999",
    }
    wrong = wrong_fields(asked(desk, "summary", bad).text)
    assert wrong == {"window_name", "time", "duration", "timezone", "days", "last", "priority"}
    assert "write a whole number" in asked(desk, "summary", GOOD | {"last": "many"}).text
    assert asked(desk, "nowhere", {}).status_code == 404


def test_what_was_answered_goes_from_step_to_step_as_text(desk: Web) -> None:
    """In fields that are not seen, whatever letters it has; a pool that does not answer is said, and hinders nobody."""
    signed_in(desk, "admin")
    text = asked(desk, "where", {"name": "web", "names": '"><script>alert(1)</script>'}).text
    assert '<input type="hidden" name="names" value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">' in text
    assert "<script>alert" not in text
    assert "Pool lab does not answer now" in asked(desk, "meant", {"names": "*"}).text
    assert "Nobody yet" in asked(desk, "meant", {}).text
    assert "It wants" not in asked(desk, "when", GOOD).text
    assert "evening" not in asked(desk, "when", GOOD).text


def test_a_policy_is_written_with_its_window_by_consent(desk: Web) -> None:
    """The summary has written nothing; the consent writes both, in one line of the audit each, and leads to the policy's page."""
    csrf = signed_in(desk, "admin")
    text = asked(desk, "summary", NEW).text
    assert "Mon at 22:05 by the clock of Europe/Berlin, for 2h" in text
    assert "Pool lab does not answer now" in text
    assert rows(desk) == {}
    answer = sends(desk, csrf, NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, "/backup/policies/web?written=yes")
    assert rows(desk) == {"web": {"vms": {"names": ["web-*"]}, "product": "shelf", "window": "evening"}}
    with desk.store.read() as session:
        acts = [(one.what, one.thing, one.outcome) for one in audit.listed(session, audit.Asked(who="admin", how="console"))]
    assert acts[:2] == [("write-policy", "policy web", "done"), ("write-window", "window evening", "done")]
    page = desk.client.get("/backup/policies/web?written=yes").text
    assert "It is written." in page
    assert "/backup/wizard/change?name=web" in page
    assert "in vfo.toml" not in page
    at = desk.office.desk(Principal("ann", Scope.ADMIN, "console"))
    assert at.policy.backups.windows["evening"].window.schedule == "5 22 * * 1"


def test_a_change_meanwhile_is_told_and_nothing_is_written(desk: Web) -> None:
    """By the revision that the first step had; the new window does not stay behind; who goes on begins with what it says now."""
    csrf = signed_in(desk, "admin")
    sends(desk, csrf, GOOD)
    filled = desk.client.get("/backup/wizard/change?name=web", follow_redirects=False).headers["location"]
    revision = Answers.written(filled.partition("?")[2]).one("revision")
    assert revision
    assert sends(desk, csrf, GOOD | {"revision": revision, "retries": "3"}).status_code == 303
    late = sends(desk, csrf, NEW | {"revision": revision, "retries": "4"})
    assert (late.status_code, "was changed meanwhile" in late.text, "/backup/wizard/change?name=web" in late.text) == (412, True, True)
    assert rows(desk)["web"]["retries"] == 3
    at = desk.office.desk(Principal("ann", Scope.ADMIN, "console"))
    assert [row["name"] for row in windows.listed(at)] == ["dark"]
    again = sends(desk, csrf, GOOD)
    assert (again.status_code, wrong_fields(again.text)) == (422, {"name"})


def test_a_policy_that_was_written_is_removed_by_consent(desk: Web) -> None:
    """One of the configuration file is not; a stale page removes nothing."""
    csrf = signed_in(desk, "admin")
    sends(desk, csrf, GOOD)
    for path in ("/backup/policies/old/remove", "/backup/wizard/change?name=old", "/backup/policies/none"):
        assert desk.client.get(path).status_code == 404, path
    assert "in vfo.toml" in desk.client.get("/backup/policies/old").text
    found = re.search(r'name="revision" value="([^"]+)"', desk.client.get("/backup/policies/web/remove").text)
    assert found is not None
    sends(desk, csrf, GOOD | {"revision": found[1], "retries": "3"})
    stale = desk.client.post("/backup/policies/web/remove", data={"csrf": csrf, "revision": found[1]})
    assert (stale.status_code, "It was changed meanwhile" in stale.text, "web" in rows(desk)) == (412, True, True)
    found = re.search(r'name="revision" value="([^"]+)"', desk.client.get("/backup/policies/web/remove").text)
    assert found is not None
    gone = desk.client.post("/backup/policies/web/remove", data={"csrf": csrf, "revision": found[1]}, follow_redirects=False)
    assert (gone.headers["location"], rows(desk)) == ("/backup", {})


def test_a_window_is_removed_once_no_policy_uses_it(desk: Web) -> None:
    """Until then its page offers nothing, and says who does."""
    csrf = signed_in(desk, "admin")
    sends(desk, csrf, NEW)
    here = "/backup/windows/evening/remove"
    assert (desk.client.get(here).status_code, desk.client.post(here, data={"csrf": csrf}).status_code) == (409, 409)
    assert here not in desk.client.get("/backup/windows/evening").text
    desk.client.post("/backup/policies/web/remove", data={"csrf": csrf})
    assert here in desk.client.get("/backup/windows/evening").text
    assert "No policy uses it." in desk.client.get(here).text
    desk.client.post(here, data={"csrf": csrf})
    assert desk.client.get("/backup/windows/evening").status_code == 404
    assert desk.client.get("/backup/windows/dark/remove").status_code == 404


def test_who_may_not_write_policies_sees_no_step(desk: Web) -> None:
    """Who operates runs and pauses them, and looks at one; the form wants the session's secret too."""
    csrf = signed_in(desk)
    for path in (
        "/backup/wizard",
        "/backup/wizard/which",
        "/backup/wizard/meant",
        "/backup/wizard/change?name=old",
        "/backup/policies/old/remove",
    ):
        assert desk.client.get(path).status_code == 403, path
    assert sends(desk, csrf, GOOD).status_code == 403
    assert desk.client.post("/backup/policies/old/remove", data={"csrf": csrf}).status_code == 403
    for path in ("/backup", "/backup/policies/old"):
        text = desk.client.get(path).text
        assert ("/backup/wizard" in text, "/run" in text) == (False, True), path
    desk.client.cookies.clear()
    signed_in(desk, "admin")
    assert sends(desk, "", GOOD).status_code == 403
    assert rows(desk) == {}


def test_without_products_the_second_step_says_how_to_write_one(web: Web) -> None:
    """In the configuration file, with an example."""
    signed_in(web, "admin")
    text = asked(web, "where", {"name": "web", "names": "*"}).text
    assert "There is no product yet." in text
    assert "[products.nas]" in text
