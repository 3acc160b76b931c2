"""`vfo serve` and a simulated pool as processes of their own, asked over a socket as a program asks."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from orchestrator.demo.actors import Process
from orchestrator.web.server import MOST
from tests.engine.waiting import until
from tests.journey.lab import Lab
from tests.services import typist
from tests.services.programs import free_port
from tests.web.certificates import certificate

PATIENCE = 120.0
README = Path(__file__).parents[2] / "README.md"


@dataclass
class Served:
    """A pool, a daemon that serves the API, and a token for it."""

    lab: Lab
    url: str
    token: str
    daemon: Process
    context: ssl.SSLContext | None = None
    streams: list[HTTPResponse] = field(default_factory=list)

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
        sent = {"Authorization": f"Bearer {self.token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.url}{path}", data, sent, method=method)
        opened: HTTPResponse = urllib.request.urlopen(request, timeout=PATIENCE, context=self.context)
        return opened

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON."""
        try:
            with self.open(method, f"/api/v1{path}", body, **headers) as said:
                return said.status, json.load(said)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def ask_plainly(self, path: str) -> int:
        """The status alone."""
        try:
            with self.open("GET", path) as said:
                return said.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def listen(self, last: str = "") -> list[dict[str, Any]]:
        """Events as they come, by a thread that ends with the stream; the last is {} then."""
        found: list[dict[str, Any]] = []
        stream = self.open("GET", "/api/v1/events", **({"Last_Event_ID": last} if last else {}))
        self.streams.append(stream)
        threading.Thread(target=_read, args=(stream, found), daemon=True).start()
        return found

    def serve(self) -> None:
        self.daemon = serving(self.lab)

    def running(self) -> list[str]:
        """Names of VMs that hold a VF."""
        return sorted(self.lab.client.running_with_a_vf().values())


def _read(stream: HTTPResponse, found: list[dict[str, Any]]) -> None:
    event: dict[str, Any] = {}
    try:
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name in ("id", "event", "data"):
                event[name] = json.loads(value) if name == "data" else value
            elif not line.strip() and event:
                found.append(event)
                event = {}
    except (OSError, ValueError, AttributeError):
        pass  # the stream was cut: a daemon that is killed says no good-bye
    found.append({})


def serving(lab: Lab) -> Process:
    """A daemon that says where its API is."""
    daemon = Process(lab.folder, "serve", "--config", "vfo.toml")
    assert daemon.first_line(), lab.log()
    assert daemon.first_line().startswith("console and REST API: "), lab.log()
    return daemon


Make = Callable[..., Served]


@pytest.fixture
def make_served(tmp_path: Path) -> Iterator[Make]:
    made: list[Served] = []

    def make(more: str = "", scheme: str = "http", context: ssl.SSLContext | None = None) -> Served:
        lab, port = Lab(tmp_path), free_port()
        console = f'[console]\nlisten = "127.0.0.1:{port}"\n{more}'
        lab.config.write_text(lab.config.read_text().replace("[console]\nenabled = false\n", console))
        said = typist.run(["token", "create", "script", "--scope", "operate"], tmp_path)
        one = Served(lab, f"{scheme}://127.0.0.1:{port}", said.stdout.strip(), serving(lab), context)
        made.append(one)
        return one

    yield make
    for one in made:
        one.daemon.stop()
        for stream in one.streams:
            stream.close()
        one.lab.close()


def test_a_vf_is_assigned_by_a_program(make_served: Make) -> None:
    """The answer comes when the pool is so; whoever listened saw it happen, step by step, and can take it up again from any event."""
    served = make_served()
    heard = served.listen()
    name = served.running()[0]
    until(lambda: served.ask("GET", "/me")[0] == 200, PATIENCE)
    status, said = served.ask("POST", f"/assign?wait={PATIENCE}", {"vms": [name], "network": "SR-IOV", "device": "3", "when": "now"})
    assert (status, [row["status"] for row in said["runs"]]) == (200, ["done"]), (said, served.lab.log())
    run_id = said["runs"][0]["run"]
    _, vfs = served.ask("GET", "/vfs")
    assert [user["device"] for row in vfs for user in row["users"] if user["name"] == name] == ["0", "3"]

    def mine() -> list[dict[str, Any]]:
        return [one for one in heard if one and one["event"] == "run" and one["data"]["id"] == run_id]

    until(lambda: any(one["data"]["status"] == "done" for one in mine()), PATIENCE)
    steps = [one["data"]["entry"]["step"] for one in mine() if one["data"]["entry"]]
    assert len(steps) > 3
    assert any(one and one["event"] == "object" and one["data"]["class"] == "vm" for one in heard)
    middle = next(one for one in mine() if one["data"]["entry"])
    again = served.listen(last=middle["id"])
    until(
        lambda: [one["data"]["entry"]["step"] for one in again if one and one["event"] == "run" and one["data"]["entry"]] == steps[1:],
        PATIENCE,
    )
    _, page = served.ask("GET", "/runs?status=done")
    assert run_id in [row["id"] for row in page["items"]]
    served.daemon.stop()
    until(lambda: heard[-1] == {} == again[-1], PATIENCE)


def test_a_daemon_that_dies_in_the_middle_begins_it_once(make_served: Make) -> None:
    """Killed right after it was asked, and asked again under the same key by one that was begun anew: one run, one VIF more."""
    served = make_served()
    name, key = served.running()[0], "once"
    asked = {"vms": [name], "network": "SR-IOV", "device": "3", "when": "now"}
    until(lambda: served.ask("GET", "/me")[0] == 200, PATIENCE)
    answered = threading.Event()

    def ask() -> None:
        try:
            served.ask("POST", "/assign", asked, Idempotency_Key=key)
        except (OSError, ValueError):
            pass
        finally:
            answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    until(lambda: bool(served.lab.runs()) or answered.is_set(), PATIENCE)
    served.daemon.kill()
    thread.join()
    served.serve()
    until(lambda: served.ask("GET", "/me")[0] == 200, PATIENCE)
    status, said = served.ask("POST", f"/assign?wait={PATIENCE}", asked, Idempotency_Key=key)
    assert (status, len(said["runs"])) == (200, 1), (said, served.lab.log())
    assert [str(run.id) for run in served.lab.runs() if run.workflow == "assign-vf"] == [said["runs"][0]["run"]]
    _, vfs = served.ask("GET", "/vfs")
    assert sum(user["name"] == name for row in vfs for user in row["users"]) == 2


def test_connections_without_end_are_bounded(make_served: Make) -> None:
    """Who opens ever more, and asks for nothing, takes the web from the others and nothing from the work; it comes back."""
    served = make_served()
    address = served.url.removeprefix("http://").split(":")
    idle = [socket.create_connection((address[0], int(address[1])), timeout=PATIENCE) for _ in range(MOST)]
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            served.open("GET", "/api/v1/me")
        with refused.value as answer:
            assert answer.code == 503
    finally:
        for one in idle:
            one.close()
    until(lambda: served.ask_plainly("/api/v1/me") == 200)


def test_it_is_served_by_tls(make_served: Make, tmp_path: Path) -> None:
    """With the certificate of the configuration, which a client verifies."""
    certificate(tmp_path / "vfo.pem", tmp_path / "vfo.key")
    context = ssl.create_default_context(cafile=str(tmp_path / "vfo.pem"))
    served = make_served('certificate = "vfo.pem"\nkey = "vfo.key"\n', "https", context)
    until(lambda: served.ask("GET", "/me")[0] == 200, PATIENCE)
    with served.open("GET", "/api/v1/me") as said:
        assert "max-age" in said.headers["strict-transport-security"]


def test_an_address_that_another_has_is_said_at_once(make_served: Make) -> None:
    """With exit code 2, where the configuration names it."""
    served = make_served()
    words = [sys.executable, "-m", "orchestrator", "serve"]
    said = subprocess.run(words, cwd=served.lab.folder, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (said.returncode, "it cannot be served there" in said.stderr) == (2, True), said.stderr


def test_the_calls_of_the_readme_work_as_typed(make_served: Make) -> None:
    """The token's file, and what a backup product's scripts call before and after: each says by its exit code that it is so."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    served = make_served()
    section = README.read_text().partition("## The REST API")[2].partition("\n## ")[0]
    typed = re.findall(r"^    (\S(?:.*\\\n)*.*)", section, re.MULTILINE)
    assert [line.split()[0] for line in typed] == ["(umask", "curl", "curl", "curl"]
    where = served.url.removeprefix("http://")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    until(lambda: served.ask("GET", "/me")[0] == 200, PATIENCE)
    said = []
    for line in typed:
        command = ["sh", "-c", line.replace("127.0.0.1:8643", where)]
        environment = {**os.environ, "PATH": path}
        done = subprocess.run(
            command, cwd=served.lab.folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr, served.lab.log())
        said.append(done.stdout)
    assert (served.lab.folder / "api.header").stat().st_mode & 0o077 == 0
    assert [row["name"] for row in json.loads(said[1])] == ["host1/eth1", "host2/eth1", "host3/eth1"]
    assert [json.loads(one)["runs"][0]["status"] for one in said[2:]] == ["done", "done"]
    again = typed[2].replace("web-01", "nobody").replace("127.0.0.1:8643", where)
    refused = subprocess.run(["sh", "-c", again], cwd=served.lab.folder, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (22, "wrong-name")
