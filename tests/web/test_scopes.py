"""Every route of the API wants a token, and one that goes far enough."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute

from orchestrator.actions import tokens
from orchestrator.web.api import PREFIX, ROUTERS
from orchestrator.web.principal import Scope
from state import audit
from tests.web.conftest import Web

SOME = "6c1f0b5e-0000-4000-8000-000000000001"
LESS = {"operate": "read", "admin": "operate"}


def routes() -> Iterator[tuple[str, str, str]]:
    """Method, path and the scope that it wants."""
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = route.path.replace("{run_id}", SOME).replace("{verb}", "approve")
            for method in sorted(route.methods or ()):
                yield method, PREFIX + re.sub(r"\{[^}]*\}", "x", path), _scope(route)


def _scope(route: APIRoute) -> str:
    """What the closure of its dependency was made with; no dependency, no scope."""
    for dependant in route.dependant.dependencies:
        closure = getattr(dependant.call, "__closure__", None) or ()
        for cell in closure:
            if isinstance(cell.cell_contents, Scope):
                return cell.cell_contents.value
    return "none"


ALL = list(routes())


@pytest.mark.parametrize(("method", "path", "scope"), ALL, ids=[f"{method} {path}" for method, path, _ in ALL])
def test_a_route_refuses_who_may_not(web: Web, method: str, path: str, scope: str) -> None:
    """Without a token, with a wrong one, with one whose scope is too small; and what changes something wants more than to read."""
    assert scope in ("read", "operate", "admin")
    assert scope != "read" or method == "GET" or path.endswith("/proposal")
    for headers in ({}, {"Authorization": "Bearer vfo_wrong"}, {"Authorization": f"Basic {web.token()}"}, {"Authorization": "Bearer"}):
        said = web.ask(method, path, scope=None, headers=headers)
        assert (said.status_code, said.json()["code"]) == (401, "unauthorized"), headers
        assert said.headers["www-authenticate"].startswith("Bearer")
    if scope in LESS:
        said = web.ask(method, path, scope=LESS[scope], json={"vms": ["x"], "network": "x", "name": "x"})
        assert (said.status_code, said.json()["code"]) == (403, "scope"), said.text


def test_there_are_routes(web: Web) -> None:
    """The test above has something to hold."""
    assert len(ALL) > 20
    assert {scope for _, _, scope in ALL} == {"read", "operate", "admin"}


def test_a_refused_act_is_written_down(web: Web) -> None:
    """With who tried what."""
    web.ask("POST", "/assign", scope="read", json={"vms": ["x"], "network": "x"})
    with web.store.read() as session:
        (act, *_) = audit.listed(session)
    assert (act.who, act.thing, act.outcome) == ("read-token", "POST /api/v1/assign", "refused")


def test_a_token_opens_nothing_once_it_is_revoked_or_over(web: Web) -> None:
    """From that moment on."""
    web.token("read", timedelta(hours=1))
    web.token("operate")
    assert web.get("/me", scope="read").json() == {"name": "read-token", "scope": "read"}
    web.now += timedelta(hours=1)
    assert web.get("/me", scope="read").status_code == 401
    assert web.get("/me", scope="operate").status_code == 200
    tokens.revoke(web.place, "operate-token")
    assert web.get("/me", scope="operate").status_code == 401


def test_a_use_is_noted(web: Web) -> None:
    """So that people see which tokens nobody needs any more."""
    web.get("/me", scope="read")
    assert [row["used_at"] for row in tokens.listed(web.place) if row["name"] == "read-token"] == [web.now]


def test_the_schema_says_who_may(web: Web) -> None:
    """Anybody may read it: it says nothing of this installation; it names the scheme of every route."""
    said: Any = web.client.get("/api/openapi.json")
    assert said.status_code == 200
    for path, methods in said.json()["paths"].items():
        if path.startswith(PREFIX):
            assert all(one["security"] == [{"token": []}] for one in methods.values()), path
