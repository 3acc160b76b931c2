"""A client that speaks raw JSON-RPC, so that what is tested is what is on the wire, and pools to point it at."""

import contextlib
import http.client
import itertools
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from orchestrator.simulator import SimulatedPool
from orchestrator.simulator.fixtures import make_simulated_pool, simulated_pool

__all__ = ["make_simulated_pool", "simulated_pool"]

NULL = "OpaqueRef:NULL"
NETWORK = "SR-IOV"
PATIENCE = 60.0


class Refused(Exception):
    """The server answered with a failure; `details` is [code, *params]."""

    def __init__(self, details: list[str]) -> None:
        super().__init__(*details)
        self.details = details


class Client:
    """Calls with a session of its own; a new connection for each call."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._address = urllib.parse.urlsplit(url).netloc
        self._ids = itertools.count(1)
        self.session = ""
        self.session = self.raw("session.login_with_password", user, password, "1.0", "tests")

    def raw(self, method: str, *params: Any) -> Any:
        """The value of a call, without the session put in; Refused, or OSError when the connection dies."""
        body = orjson.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)})
        with contextlib.closing(http.client.HTTPConnection(self._address, timeout=60)) as connection:
            connection.request("POST", "/jsonrpc", body, {"Content-Type": "application/json"})
            answer = orjson.loads(connection.getresponse().read())
        if "error" in answer:
            raise Refused([answer["error"]["message"], *answer["error"]["data"]])
        return answer["result"]

    def __call__(self, method: str, *params: Any) -> Any:
        """The value of a call."""
        return self.raw(method, self.session, *params)

    def refusal(self, method: str, *params: Any) -> list[str]:
        """What the call fails with; a failed test when it succeeds."""
        try:
            value = self(method, *params)
        except Refused as refused:
            return refused.details
        raise AssertionError(f"{method} succeeded with {value!r}")

    def find(self, cls: str, name: str) -> str:
        """The one object with this name."""
        (ref,) = self(f"{cls}.get_by_name_label", name)
        return str(ref)

    def until(self, method: str, *params: Any, gives: Any) -> None:
        """Wait until the call gives the value."""
        wait_until(lambda: self(method, *params) == gives)

    def finish(self, task: str) -> dict[str, Any]:
        """Wait until the task is over; its record."""
        wait_until(lambda: self("task.get_status", task) != "pending")
        return dict(self("task.get_record", task))

    def vif(self, vm: str, network: str, device: str = "0", **more: Any) -> str:
        """A new VIF of the VM."""
        record = {"VM": vm, "network": network, "device": device, "MAC": "", "MTU": 1500, "other_config": {}}
        return str(self("VIF.create", {**record, "qos_algorithm_type": "", "qos_algorithm_params": {}, **more}))


def wait_until(holds: Callable[[], bool], limit: float = PATIENCE) -> None:
    """Look again and again until it holds; a failed test when it does not within the limit."""
    end = time.monotonic() + limit
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        pause.wait(0.01)


def client_of(pool: SimulatedPool) -> Client:
    """A client of the pool's present coordinator, logged in as its administrator."""
    return Client(pool.url, pool.user, pool.password)


class Setting:
    """A started pool with a client, and short names for what most tests look at."""

    def __init__(self, pool: SimulatedPool) -> None:
        self.pool = pool
        self.client = client_of(pool)
        self.network = self.client.find("network", NETWORK) if self.client("network.get_by_name_label", NETWORK) else ""

    def comes_back(self) -> bool:
        """Whether one can log in now; the setting has the new session then."""
        try:
            self.client = client_of(self.pool)
        except (Refused, OSError, http.client.HTTPException):
            return False
        return True

    def host(self, number: int) -> str:
        """The ref of host1, host2, ..."""
        return self.client.find("host", f"host{number}")

    def port(self, number: int) -> str:
        """The network_sriov that serves the SR-IOV network on host1, host2, ..."""
        port = self.pool.network_sriov_on(f"host{number}")
        assert port is not None
        return port

    def free(self, number: int) -> int:
        """The remaining capacity of that port."""
        return int(self.client("network_sriov.get_remaining_capacity", self.port(number)))

    def logical(self, number: int) -> str:
        """The logical PIF of that port."""
        return str(self.client("network_sriov.get_logical_PIF", self.port(number)))


Make = Callable[..., Setting]


@pytest.fixture
def setting(make_simulated_pool: Callable[..., SimulatedPool]) -> Make:
    """Make settings: `setting(hosts=2, speed=0.01)`; without VMs unless they are asked for."""

    def make(**fields: Any) -> Setting:
        return Setting(make_simulated_pool(**{"vms": 0, "vfs": 4, **fields}))

    return make
