"""Users and tokens in the console, and one's own password."""

import re

from starlette.testclient import TestClient

from orchestrator.actions import users
from orchestrator.web.app import guarded
from state import audit
from state.audit import Asked
from tests.console.test_door import signed_in
from tests.web.conftest import PASSWORD, Web

OTHER = "another long password"


def acts(web: Web) -> list[tuple[str, str, str]]:
    """What was done to whom and what came of it, by the console, but for signing in; oldest first."""
    with web.store.read() as session:
        found = audit.listed(session, Asked(how="console"), limit=100)
    return [(act.what, act.thing, act.outcome) for act in reversed(found) if act.what != "sign-in"]


def browser(web: Web, name: str, password: str = PASSWORD) -> TestClient:
    """Somebody at another browser, who has signed in, or tried to."""
    client = TestClient(guarded(web.office), base_url="http://localhost", raise_server_exceptions=False)
    client.post("/login", data={"name": name, "password": password}, follow_redirects=False)
    return client


def is_in(client: TestClient) -> bool:
    return bool(client.get("/account", follow_redirects=False).status_code == 200)


def test_users_are_added_changed_and_removed(web: Web) -> None:
    """Whoever is changed is signed out; what is wrong with what was typed is said, and nothing done; each act is written down."""
    csrf = signed_in(web, "admin")

    def post(path: str, **fields: str) -> int:
        return web.client.post(f"/people/users{path}", data={"csrf": csrf, **fields}, follow_redirects=False).status_code

    assert post("", name="ann", scope="read", password=PASSWORD, again=OTHER) == 422
    assert post("", name="ann", scope="everything", password=PASSWORD, again=PASSWORD) == 422
    assert post("", name="ann", scope="read", password=PASSWORD, again=PASSWORD) == 303
    assert post("", name="ann", scope="read", password=PASSWORD, again=PASSWORD) == 422
    ann = browser(web, "ann")
    assert is_in(ann)
    assert post("/ann/scope", scope="operate") == 303
    assert not is_in(ann)
    assert [row["scope"] for row in users.listed(web.place)] == ["admin", "operate"]
    ann = browser(web, "ann")
    assert post("/ann/password", password="short", again="short") == 422
    assert post("/ann/password", password=OTHER, again=OTHER) == 303
    assert not is_in(ann)
    assert is_in(browser(web, "ann", OTHER))
    assert post("/ann/remove") == 422
    assert post("/ann/remove", consent="yes") == 303
    assert post("/ann/remove", consent="yes") == 404
    done = [act[:2] for act in acts(web) if act[2] == "done" and act[0] != "sign-out"]
    assert done == [("user-add", "ann"), ("user-scope", "ann"), ("user-password", "ann"), ("user-remove", "ann")]
    assert sum(act[2] == "refused" for act in acts(web)) == 6
    with web.store.read() as session:
        said = str([act.details for act in audit.listed(session, Asked(), limit=100)])
    assert PASSWORD not in said
    assert OTHER not in said


def test_the_last_administrator_stays(web: Web) -> None:
    """They neither remove themselves nor become less; with another one they may, and are signed out."""
    csrf = signed_in(web, "admin")
    sent = {"csrf": csrf, "consent": "yes", "scope": "read"}
    for verb in ("remove", "scope"):
        answer = web.client.post(f"/people/users/admin/{verb}", data=sent, follow_redirects=False)
        assert (answer.status_code, "last administrator" in answer.text) == (409, True)
    web.user("second", "admin")
    assert web.client.post("/people/users/admin/scope", data=sent, follow_redirects=False).status_code == 303
    assert not is_in(web.client)


def test_a_token_is_shown_once(web: Web) -> None:
    """It opens the API until it is revoked, which is to be said twice; no page has its secret again."""
    csrf = signed_in(web, "admin")
    made = web.client.post("/people/tokens", data={"csrf": csrf, "name": "cron", "scope": "read", "lasts": "30d"})
    found = re.search(r"vfo_[\w-]{40,}", made.text)
    assert (made.status_code, made.headers["cache-control"]) == (200, "no-store")
    assert found is not None
    header = {"Authorization": f"Bearer {found[0]}"}
    assert web.ask("GET", "/me", scope=None, headers=header).json() == {"name": "cron", "scope": "read"}
    for path in ("/people", "/people/tokens/cron", "/audit"):
        assert found[0] not in web.client.get(path).text
    assert web.client.post("/people/tokens", data={"csrf": csrf, "name": "cron", "scope": "read", "lasts": "30d"}).status_code == 422
    assert web.client.post("/people/tokens", data={"csrf": csrf, "name": "x", "scope": "read", "lasts": "long"}).status_code == 422
    assert web.client.post("/people/tokens/cron/revoke", data={"csrf": csrf}).status_code == 422
    assert web.ask("GET", "/me", scope=None, headers=header).status_code == 200
    assert web.client.post("/people/tokens/cron/revoke", data={"csrf": csrf, "consent": "yes"}, follow_redirects=False).status_code == 303
    assert web.ask("GET", "/me", scope=None, headers=header).status_code == 401


def test_people_are_for_administrators(web: Web) -> None:
    """Nobody else sees them or changes anything; nor does a page that was opened before signing in."""
    csrf = signed_in(web, "operate")
    assert web.client.get("/people").status_code == 403
    assert 'href="/people"' not in web.client.get("/account").text
    for path in ("/people/users", "/people/tokens", "/people/users/operate/scope", "/people/tokens/x/revoke"):
        assert web.client.post(path, data={"csrf": csrf, "scope": "admin", "consent": "yes"}).status_code == 403
    admin = signed_in(web, "admin")
    assert web.client.post("/people/users/operate/remove", data={"csrf": csrf, "consent": "yes"}).status_code == 403
    assert (
        web.client.post("/people/users/operate/remove", data={"csrf": admin, "consent": "yes"}, follow_redirects=False).status_code == 303
    )


def test_everybody_changes_their_own_password(web: Web) -> None:
    """Who knows the old one: this browser stays signed in, by a new id, all others are signed out. Who guesses has to wait."""
    csrf = signed_in(web, "read")
    elsewhere, before = browser(web, "read"), web.client.cookies["vfo"]

    def change(old: str, new: str, again: str | None = None) -> int:
        sent = {"csrf": csrf, "old": old, "password": new, "again": new if again is None else again}
        return web.client.post("/account/password", data=sent, follow_redirects=False).status_code

    assert change(PASSWORD, OTHER, "no") == 422
    assert change(PASSWORD, "short") == 422
    assert change("guessed wrong", OTHER) == 422
    assert is_in(elsewhere)
    assert change(PASSWORD, OTHER) == 303
    assert (is_in(web.client), is_in(elsewhere)) == (True, False)
    assert web.client.cookies["vfo"] != before
    assert is_in(browser(web, "read", OTHER))
    assert change(OTHER, PASSWORD) == 403
