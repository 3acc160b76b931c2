"""Backups as a script has them that knows nothing but HTTP: a policy run, what it saved found, verified and restored."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.journey import round_trip
from tests.journey.lab import Lab, wait_until
from tests.journey.round_trip import MIB, TABLES, Guest, told

WAIT = "wait=120"
BROKEN = """
[products.broken]
plugin = "command"
job = ["/bin/false"]

[policies.broken]
vms = { names = ["*"] }
mode = "online"
product = "broken"
"""


@dataclass
class Script:
    """Asks a served process."""

    url: str
    token: str

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and answer."""
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}", None if body is None else json.dumps(body).encode(), sent, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=150) as answer:
                said = answer.read()
                return answer.status, json.loads(said) if answer.headers["content-type"] == "application/json" else said
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@dataclass
class Served:
    """A daemon over a pool with one guest, and who asks it."""

    lab: Lab
    guest: Guest
    script: Script


@pytest.fixture
def served(lab: Callable[..., Lab]) -> Iterator[Served]:
    """It stops as it should, in the middle of whatever it is at, and its log tells nobody the token."""
    if lacking := round_trip.missing():
        assert "CI" not in os.environ, f"{lacking} must be there in CI"
        pytest.skip(f"{lacking}: not installed")
    here = lab("--hosts", "1", "--vms", "1", "--vfs", "4")
    (guest,) = round_trip.furnished(here, 1, 24 * MIB)
    text = here.config.read_text().replace("[console]\nenabled = false", '[console]\nlisten = "127.0.0.1:0"')
    here.config.write_text(text + TABLES.format(name="borg", folder=here.folder) + BROKEN)
    token = told(here, "token", "create", "script", "--scope", "operate")["token"]
    daemon = here.serve()
    try:
        said = daemon.first_line()
        assert said.startswith("console and REST API: http://127.0.0.1:"), said
        yield Served(here, guest, Script(said.rpartition(" ")[2].strip(), token))
    finally:
        daemon.stop()
    assert token not in here.log()
    assert "Traceback" not in here.log()


@pytest.mark.timeout(300)
def test_a_vm_is_saved_verified_and_restored_by_http_alone(served: Served) -> None:
    """Each call says when it is done; who asks again under the same key begins nothing."""
    ask, key = served.script.ask, {"Idempotency-Key": "tonight"}
    status, run = ask("POST", f"/policies/borg/run?{WAIT}", {}, **key)
    assert (status, [one["status"] for one in run["runs"]]) == (200, ["done"]), run
    assert ask("POST", f"/policies/borg/run?{WAIT}", {}, **key)[1]["runs"][0]["run"] == run["runs"][0]["run"]
    _, report = ask("GET", "/reports")
    assert [(one["status"], one["policy"]) for one in report["backups"]] == [("saved", "borg")], report
    status, failed = ask("POST", f"/policies/broken/run?{WAIT}", {})
    assert (status, failed["code"]) == (409, "not-saved"), failed
    assert failed["detail"].startswith(f"{served.guest.vm.name}: failed: "), failed
    (point,) = ask("GET", "/restore-points")[1]["items"]
    path = f"/restore-points/borg/{point['id']}"
    status, begun = ask("POST", f"{path}/verifications")
    assert status == 202, begun
    ended: dict[str, Any] = {}

    def is_verified() -> bool:
        ended.update(ask("GET", f"{path}/verifications/{begun['id']}")[1])
        return ended["state"] != "running"

    wait_until(is_verified, 100, "it is verified")
    assert (ended["state"], ended["sound"]) == ("done", True), ended
    assert ask("GET", f"{path}/disks/0/content?path=/etc/hostname") == (200, f"{served.guest.vm.name}\n".encode())
    status, made = ask("POST", f"{path}/restore?{WAIT}", {"name": "web-again", "new_macs": True})
    assert (status, [one["status"] for one in made["runs"]]) == (200, ["done"]), made
    assert len(served.lab.client.call("VM.get_by_name_label", "web-again")) == 1
    assert ask("POST", f"{path}/restore?{WAIT}", {"name": "web-again"})[1]["code"] == "wrong-input"
    assert ask("POST", f"{path}/verifications")[0] == 202  # which is at work when the daemon stops
