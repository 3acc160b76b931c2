"""Requests that nobody thought of, made from the schema: no 500, and every answer is as the schema says. So many of each, no more."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from orchestrator.simulator import SimulatedPool
from orchestrator.web.app import guarded
from tests.plugins import shelves
from tests.web.conftest import Make, Web

REQUESTS = 8  # of each operation
HOST = {"Host": "localhost"}
SETTINGS = hypothesis.settings(
    max_examples=REQUESTS, deadline=None, database=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)  # fmt: skip
AWAY = (503, 504)  # a pool that is away, runs that go on: these are answers


def nothing_broke(_context: Any, response: Any, _case: Any) -> None:
    """Schemathesis' own check takes every 5xx for a failure."""
    assert response.status_code < 500 or response.status_code in AWAY, response.text


CHECKS = [nothing_broke, status_code_conformance, content_type_conformance, response_schema_conformance]


BACKUPS = """
[products.shelf]
plugin = "shelf"

[windows.fast]
schedule = "0 22 * * *"
duration = "8h"

[policies.fast]
vms = { names = ["*"] }
product = "shelf"
window = "fast"
"""
POINT = {"product": "shelf", "point_id": "abc-1", "disk": "0"}


@pytest.fixture
def web(make_web: Make, make_simulated_pool: Callable[..., SimulatedPool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Web:
    """A small pool and a product; streams end at once and nobody is waited for, as in a process that stops."""
    shelves.installed(tmp_path, monkeypatch)
    made = make_web(make_simulated_pool(hosts=1, vms=2), BACKUPS)
    made.office.live.close()
    return made


def real(web: Web) -> dict[str, Any]:
    """Names that there are, by the field that takes them: what is made up names nothing."""
    vm = web.get("/vms?with_vfs=true").json()["items"][0]
    run = web.post("/release", {"vms": [vm["name"]]}).json()["runs"][0]["run"]
    return {"vms": [vm["name"]], "uuid": vm["uuid"], "network": "SR-IOV", "pool": "lab", "run_id": run, "name": "fast", **POINT}


def put_in(case: Any, there: dict[str, Any]) -> None:
    """Of what the request names, that which is there."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            part.update({name: value for name, value in there.items() if name in part})


def test_no_request_is_too_strange(web: Web) -> None:
    """Whatever is asked with a token that may do everything, of every operation."""
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", guarded(web.office), headers=HOST)
    sent = {**HOST, "Authorization": f"Bearer {web.token()}"}
    there = real(web)
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @SETTINGS
        @hypothesis.given(case=operation.as_strategy(), is_real=strategies.booleans())
        def ask(case: Any, *, is_real: bool) -> None:
            nonlocal asked
            asked += 1
            if is_real:
                put_in(case, there)
            case.call_and_validate(headers=sent, checks=CHECKS)

        ask()
    assert asked > 100
