"""What somebody may try against the web, and that nothing comes of it. Scopes: test_scopes.py; passwords: test_sign_in.py."""

import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import extract_parameters

from orchestrator.actions import passwords, tokens
from orchestrator.simulator import SimulatedPool
from orchestrator.web import headers, sign_in
from state import audit, idempotency
from tests.web.conftest import PASSWORD, Make, Web


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "localhost:80:80", "a b", "@localhost"]
)
def test_a_name_that_is_not_ours_is_refused(web: Web, host: str) -> None:
    """So that a page elsewhere whose name was pointed to us (DNS rebinding) speaks to nobody; before anything else is looked at."""
    for path in ("/api/v1/me", "/api/openapi.json", "/"):
        said = web.ask("GET", path, headers={"Host": host})
        assert (said.status_code, said.json()["code"]) == (421, "wrong-host"), path


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8643", "127.0.0.1:8643", "[::1]:8643", "vfo.example.org", "vfo.example.org."])
def test_our_names_are_answered(make_web: Make, host: str) -> None:
    """In any writing, with any port."""
    web = make_web(more='url = "https://vfo.example.org:8443"\n')
    assert web.get("/me", headers={"Host": host}).status_code == 200


def test_what_a_proxy_would_say_is_not_believed(web: Web) -> None:
    """Anybody can write these headers: none changes who asks or what host is asked."""
    tricks = {
        "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "127.0.0.1", "X-Original-URL": "/api/v1/audit",
        "X-Rewrite-URL": "/api/v1/audit",
        "X-HTTP-Method-Override": "POST", "X-User": "admin", "Forwarded": "for=127.0.0.1;host=evil",
    }  # fmt: skip
    assert web.get("/me", scope="read", headers=tricks).json()["name"] == "read-token"
    assert web.ask("GET", "/me", scope=None, headers=tricks).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/api/v1/../v1/me", "/api/v1//me", "//api/v1/me", "/api/v1/%2e%2e/openapi.json", "/api/v1/me/", "/api/V1/me", "/api/v1/me%00",
     "/api/v1/me;x=1",      "/api/v1/..%2fopenapi.json", "/api/v1/\\me", "/api/v1/"],
)  # fmt: skip
def test_no_writing_of_a_path_gets_past_the_guard(web: Web, path: str) -> None:
    """Without a token there is nothing but 401, or a 404 for what is no path of the API."""
    said = web.client.request("GET", path)
    assert said.status_code in (401, 404), (path, said.status_code)
    assert "token" not in said.headers


@pytest.mark.parametrize("name", ["token", "access_token", "API_KEY", "password", "secret"])
def test_a_secret_in_an_address_is_refused(web: Web, name: str) -> None:
    """It stands in logs and histories by then: it is said to be revoked; it opens nothing either."""
    said = web.ask("GET", "/me", scope=None, params={name: web.token()})
    assert (said.status_code, said.json()["code"], web.token() in said.text) == (400, "secret-in-address", False)


def test_a_body_has_its_limit(web: Web) -> None:
    """Whether its length is said or not, and whatever it says; nothing of it is kept."""
    large = b'{"vms": ["' + b"x" * headers.LARGEST + b'"]}'
    json = {"Content-Type": "application/json"}
    said = web.ask("POST", "/assign", content=large, headers=json)
    assert (said.status_code, said.json()["code"]) == (413, "too-large")

    def pieces() -> Any:
        yield from (large[start : start + 65536] for start in range(0, len(large), 65536))

    chunked = web.ask("POST", "/assign", content=pieces(), headers=json)
    assert (chunked.status_code, chunked.json()["code"]) == (413, "too-large"), chunked.text
    assert web.ask("POST", "/assign", content=b"{}", headers={**json, "Content-Length": "-1"}).status_code == 413


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"null", b'{"vms": {"$gt": ""}}', b"[" * 100_000])
def test_a_body_that_is_none_is_a_problem_of_who_sent_it(web: Web, content: bytes) -> None:
    """Never of ours."""
    said = web.ask("POST", "/assign", content=content, headers={"Content-Type": "application/json"})
    assert said.status_code in (400, 422), said.text
    assert said.headers["content-type"] == "application/problem+json"


def test_a_form_of_another_site_begins_nothing(web: Web) -> None:
    """A browser sends no token by itself, and a form cannot send JSON; the API takes no cookie."""
    web.user()
    signed = sign_in.sign_in(web.office, "ann", PASSWORD, "192.0.2.1")
    for name in ("session", "vfo", "vfo_session", "__Host-vfo"):
        said = web.client.post("/api/v1/assign", data={"vms": "x"}, headers={"Cookie": f"{name}={signed.session_id}"})
        assert said.status_code == 401
    assert web.ask("POST", "/assign", content=b'{"vms":["x"],"network":"n"}', headers={"Content-Type": "text/plain"}).status_code == 422


def test_no_other_site_may_read_an_answer(web: Web) -> None:
    """There is no word of CORS in any; frames, scripts and styles are our own; nothing is kept on the way."""
    for said in (
        web.get("/me", headers={"Origin": "https://evil.example"}),
        web.ask("OPTIONS", "/me", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}),
        web.client.get("/api/v1/me"),
        web.client.get("/nowhere"),
    ):
        assert not [name for name in said.headers if name.startswith("access-control")]
        assert "default-src 'none'" in said.headers["content-security-policy"]
        assert "unsafe" not in said.headers["content-security-policy"]
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.headers["referrer-policy"] == "no-referrer"
        assert "server" not in said.headers
        assert said.headers["cache-control"] in ("no-store", "private, no-cache")


def test_a_name_from_a_pool_is_no_markup(make_web: Make, make_simulated_pool: Callable[..., SimulatedPool]) -> None:
    """What is asked for comes back as JSON, which no browser takes for a page."""
    web = make_web(make_simulated_pool())
    said = web.post("/assign", {"vms": ["<script>alert(1)</script>"], "network": "SR-IOV"})
    assert said.headers["content-type"] == "application/problem+json"
    assert said.status_code == 422


def test_nothing_secret_is_logged_or_written_down(web: Web, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Neither tokens nor passwords, right or wrong, nor the id of a browser: in no log, no act, no file of the database."""
    caplog.set_level(logging.DEBUG)
    web.user()
    wrong = "vfo_" + secrets.token_urlsafe(32)
    signed = sign_in.sign_in(web.office, "ann", PASSWORD, "192.0.2.1")
    with pytest.raises(sign_in.Denied):
        sign_in.sign_in(web.office, "ann", "a password gone wrong", "192.0.2.1")
    web.ask("GET", "/me", scope=None, headers={"Authorization": f"Bearer {wrong}"})
    web.get("/me")
    web.post("/assign", {"vms": "wrong shape", "network": web.token()})
    with web.store.read() as session:
        written = str([(act.thing, act.details) for act in audit.listed(session)])
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if "sqlite3" in path.name)
    for secret in (web.token(), wrong, PASSWORD, "a password gone wrong", signed.session_id, signed.csrf):
        assert secret not in caplog.text
        assert secret not in written
        assert secret.encode() not in files


def test_an_error_of_ours_tells_nothing(web: Web, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says what it was."""

    def fails(*_: Any) -> Any:
        raise RuntimeError("the inner life of vfo")

    monkeypatch.setattr(type(web.office), "chosen", fails)
    said = web.get("/vfs")
    assert (said.status_code, said.json()["code"]) == (500, "internal")
    assert "inner life" not in said.text
    assert "inner life" in caplog.text


def test_a_name_that_nobody_has_costs_as_much_as_one_that_somebody_has() -> None:
    """The hash that is tried then has the same costs, so that the time of an answer tells no names."""
    one = passwords.Passwords()
    assert extract_parameters(one._nobodys) == extract_parameters(one.hash(PASSWORD))


@pytest.mark.parametrize("path", ["/audit?who=a%00b", "/runs?pool=%00", "/restore-points?vm=%00"])
def test_a_nul_is_refused_before_it_reaches_the_rows(web: Web, path: str) -> None:
    """PostgreSQL has it in no text: that is the asker's mistake, none of ours; in a body and in a form too."""
    assert web.get(path).status_code == 422
    assert web.post("/assign", {"vms": ["a\0"], "network": "b"}).json()["detail"] == "no name and no text has a NUL"
    assert web.client.post("/login", data={"name": "a\0", "password": "b"}, follow_redirects=False).headers["location"] == "/login"


def test_a_token_of_the_same_name_is_another_one(web: Web) -> None:
    """What was answered under the keys of the one that was revoked is nobody's: a program that begins anew is not told it was done."""
    for secret in ("1", "2"):
        tokens.create(web.place, "script", "operate", None)
        with web.store.write() as session:
            assert idempotency.take(session, "script", "night", "asked", now=web.now) is None, secret
            idempotency.keep(session, "script", "night", status=202, answer={"runs": [secret]})
        tokens.revoke(web.place, "script")
