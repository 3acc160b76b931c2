"""From connecting to a complete mirror of 5,000 VMs, against the bare calls that would fetch the same classes."""

import http.client
import statistics
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from pydantic import SecretStr

from orchestrator.listener import records
from orchestrator.listener.holdings import Holding
from orchestrator.listener.keeper import Keeper
from orchestrator.listener.meters import Meters
from orchestrator.listener.objects import ObjectFeed
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.settlement import Settlement
from orchestrator.listener.stream import Turn
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from tests.bench import programs

VMS = 5000
TIMES = 9
TARGET = 1.5


class Nothing:
    """A notebook that knows nothing and keeps nothing: the store is not measured here."""

    def read(self) -> dict[str, Holding]:
        """Nothing is known."""
        return {}

    def write(self, found: Settlement, *, now: datetime) -> None:
        """Nothing is kept."""


def run() -> dict[str, Any]:
    """Medians of interleaved runs, in seconds, and their ratio; each from its own connection and login on."""
    with programs.simulator(vms=VMS) as pool:
        pairs = [(_bare(pool), _mirror(pool)) for _ in range(TIMES + 1)][1:]  # the first one warms the simulator's caches
    bare, mirror = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    return {
        "vms": VMS,
        "bare_seconds": round(bare, 4),
        "mirror_seconds": round(mirror, 4),
        "ratio": round(mirror / bare, 3),
        "target": TARGET,
    }


def _mirror(pool: dict[str, Any]) -> float:
    """Ours: a client, its login, the load, what happened meanwhile, and every class checked against the pool's counts."""
    began = time.perf_counter()
    client = Client(PoolSettings("lab", pool["url"], pool["user"], SecretStr(pool["password"])))
    try:
        meters = Meters()
        feed = ObjectFeed(client, Keeper(Nothing(), _now, meters), lambda _keys: None, ListenerSettings(), meters)
        feed.load(Turn())
        seconds = time.perf_counter() - began
        assert meters.complete_at
        assert meters.objects["vm"] > VMS
        return seconds
    finally:
        client.close()


def _bare(pool: dict[str, Any]) -> float:
    """The floor: one connection, one login, the same get_all_records, orjson, and nothing else."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(pool["url"]).netloc)

    def call(method: str, *params: str) -> Any:
        connection.request("POST", "/jsonrpc", orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
        return orjson.loads(connection.getresponse().read())["result"]

    session = call("session.login_with_password", pool["user"], pool["password"])
    kept = {name: call(kind.call, session) for name, kind in records.KINDS.items()}
    seconds = time.perf_counter() - began
    assert len(kept["vm"]) > VMS
    call("session.logout", session)
    connection.close()
    return seconds


def _now() -> datetime:
    return datetime.now(UTC)
