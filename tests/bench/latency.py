"""From VM.destroy answered to the run recorded done, against a bare event.from loop that only sees the deletion. Of the same deletions."""

import contextlib
import http.client
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from state import runs
from state.run import Run, Status
from state.store import Store
from tests.bench import programs

VMS = 240
VFS = 64
DELETIONS = 100
TARGET_MS = 100.0
PATIENCE = 30.0
CONFIG = """
[pools.lab]
url = "{url}"
username = "{user}"
password = "{password}"

[reclaim]
grace = "0s"
"""


class Plain:
    """The least there can be of a client: one connection, JSON-RPC, no retries."""

    def __init__(self, pool: dict[str, Any]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(pool["url"]).netloc)
        self._numbers = itertools.count(1)
        self._session = self.bare("session.login_with_password", pool["user"], pool["password"])

    def bare(self, method: str, *params: Any) -> Any:
        """A call without a session."""
        body = orjson.dumps({"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params})
        self._connection.request("POST", "/jsonrpc", body, {"Content-Type": "application/json"})
        answer = orjson.loads(self._connection.getresponse().read())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def call(self, method: str, *params: Any) -> Any:
        """A call under the session."""
        return self.bare(method, self._session, *params)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Loop:
    """The bare loop: sees deletions of VMs, and when."""

    def __init__(self, pool: dict[str, Any]) -> None:
        self._client = Plain(pool)
        self.seen: dict[str, datetime] = {}
        self._token = self._client.call("event.from", ["vm"], "", 0.0)["token"]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._stop.is_set():
            batch = self._client.call("event.from", ["vm"], self._token, 1.0)
            at, self._token = _now(), batch["token"]
            self.seen.update((event["ref"], at) for event in batch["events"] if event["operation"] == "del")

    def stop(self) -> None:
        """End with the answer at hand."""
        self._stop.set()
        self._thread.join()
        self._client.close()


def run() -> dict[str, Any]:
    """Milliseconds from the answer of VM.destroy until the run is recorded done (*noticed*: created), and until the bare loop saw it."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(programs.simulator(vms=VMS, vfs=VFS))
        store = stack.enter_context(_serving(pool))
        loop = Loop(pool)
        stack.callback(loop.stop)
        ours, noticed, bare = _delete_some(Plain(pool), store, loop)
    difference = statistics.median(ours) - statistics.median(bare)
    return {
        "deletions": len(ours),
        "done_ms": _summary(ours),
        "noticed_ms": _summary(noticed),
        "bare_del_ms": _summary(bare),
        "median_difference_ms": round(difference, 1),
        "target_ms": TARGET_MS,
    }


@contextlib.contextmanager
def _serving(pool: dict[str, Any]) -> Iterator[Store]:
    """`vfo serve` on the pool, and its database."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "vfo.toml")
        config.write_text(CONFIG.format_map(pool))
        config.chmod(0o600)
        with programs.running("orchestrator", "serve", "--config", str(config)) as process:
            assert process.stdout
            assert process.stdout.readline(), "vfo serve did not start"
            store = Store(f"sqlite:///{folder}/vfo.sqlite3", migrate=False)
            try:
                yield store
            finally:
                store.close()


def _delete_some(client: Plain, store: Store, loop: Loop) -> tuple[list[float], ...]:
    """Running VMs with a VF, one after the other; the first one is deleted until the daemon is at work, and not counted."""
    network = client.call("network.get_by_name_label", "SR-IOV")[0]
    vifs = client.call("VIF.get_all_records").values()
    refs = [vif["VM"] for vif in vifs if vif["network"] == network and vif["currently_attached"]][: DELETIONS + 1]
    ours, noticed, bare = [], [], []
    for ref in refs:
        uuid = client.call("VM.get_uuid", ref)
        client.call("VM.hard_shutdown", ref)
        time.sleep(0.1)  # the shutdown's own events are over
        client.call("VM.destroy", ref)
        answered = _now()
        run = _wait(lambda uuid=uuid: _done(store, uuid), f"the run about VM {uuid}")  # type: ignore[misc]
        seen = _wait(lambda ref=ref: loop.seen.get(ref), f"the deletion of {ref}")  # type: ignore[misc]
        for moments, moment in ((ours, run.finished_at), (noticed, run.created_at), (bare, seen)):
            moments.append((moment - answered).total_seconds() * 1000)
    client.close()
    return ours[1:], noticed[1:], bare[1:]


def _done(store: Store, uuid: str) -> Run | None:
    with store.read() as session:
        found = [run for run in runs.listed(session, statuses=set(Status)) if run.subject == f"vm:{uuid}"]
    ended = [run for run in found if run.finished_at is not None]
    assert all(run.status is Status.DONE for run in ended), f"{ended[0].status}: {ended[0].reason}"
    return ended[0] if ended else None


def _wait(what: Callable[[], Any], name: str) -> Any:
    ends = time.monotonic() + PATIENCE
    while (found := what()) is None:
        assert time.monotonic() < ends, f"{name} did not come within {PATIENCE} s"
        time.sleep(0.02)
    return found


def _summary(milliseconds: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(milliseconds), 1), "p99": round(statistics.quantiles(milliseconds, n=100)[98], 1)}


def _now() -> datetime:
    return datetime.now(UTC)
