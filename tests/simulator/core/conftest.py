"""A pool of two hosts with a few rows and no behaviour: what the core of the simulator does by itself."""

import json
import time
import urllib.request
import xmlrpc.client
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server, Settings, member_addresses
from orchestrator.simulator.sessions import User

USERS = {"root": User("secret"), "reader": User("secret", "read-only"), "operator": User("secret", "vm-operator")}


class Clock:
    """Time as an argument: it goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def small_world(seed: int = 1) -> Database:
    """Two hosts, a pool, a network and a VM with a VIF on it."""
    db = Database(seed=seed)
    hosts = [db.create("host", name_label=f"host{n}", address=address) for n, address in enumerate(member_addresses("127.0.0.1", 2), 1)]
    db.create("pool", name_label="pool", master=hosts[0])
    network = db.create("network", name_label="net")
    vm = db.create("VM", name_label="vm", VCPUs_max=1)
    db.create("VIF", VM=vm, network=network, device="0")
    return db


class Client:
    """Calls over the wire, as values or Failure."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = ""

    def raw(self, method: str, *params: Any) -> Any:
        with xmlrpc.client.ServerProxy(self.url, allow_none=True) as proxy:
            answer = getattr(proxy, method)(*params)
        if answer["Status"] == "Success":
            return answer["Value"]
        raise Failure(*answer["ErrorDescription"])

    def login(self, user: str = "root", password: str = "secret", originator: str = "test") -> "Client":
        self.session = self.raw("session.login_with_password", user, password, "1.0", originator)
        return self

    def __call__(self, method: str, *params: Any) -> Any:
        return self.raw(method, self.session, *params)

    def json(self, body: Any, path: str = "/jsonrpc") -> Any:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


def until(condition: Callable[[], Any], patience: float = 10.0) -> Any:
    """What the condition gives once it is true; a real thread is waited for."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"did not come true in {patience} s")


@pytest.fixture
def clock() -> Clock:
    """The server's time."""
    return Clock()


@pytest.fixture
def make_server(clock: Clock) -> Iterator[Callable[..., Server]]:
    """Starts servers over the small world, with more handlers if given, and stops them."""
    started: list[Server] = []

    def make(messages: dict[str, Any] | None = None, **settings: Any) -> Server:
        server = Server(small_world(), [messages or {}], USERS, Settings(**{"clock": clock, **settings}))
        server.start()
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """A running pool without behaviour."""
    return make_server()


@pytest.fixture
def client(server: Server) -> Client:
    """A client of the coordinator, logged in as root."""
    return Client(server.url).login()
