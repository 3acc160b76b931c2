"""What 1,000 runs that wait at once cost the process that has them: memory above idle, and threads.

The runs are release-vf `--when next-halt` of 1,000 running VMs that hold VFs: each has looked at its VM over the wire and
noted its VIFs, and waits for somebody to halt it, as long as that takes.
"""

import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.config.load import load
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from orchestrator.xapi.settings import PoolSettings
from state import runs
from state.run import ENDED, Run, Status
from state.store import Store
from tests.bench import programs
from workflows import release

RUNS = 1000
PATIENCE = 300.0
REST = 20.0
TARGET_MB = 50.0
CONFIG = """
[pools.lab]
url = "{url}"
username = "{user}"
password = "{password}"
"""


def run() -> dict[str, Any]:
    """Resident memory (MB) and threads of `vfo serve` idle and with all runs parked, and what it costs to keep them so."""
    with tempfile.TemporaryDirectory() as folder, programs.simulator(vms=2 * RUNS, hosts=16, vfs=64) as said:
        config = Path(folder, "vfo.toml")
        config.write_text(CONFIG.format_map(said))
        store = Store(load(config).database_url)
        with programs.running("orchestrator", "serve", "--config", str(config)) as daemon:
            assert daemon.stdout
            daemon.stdout.readline()
            time.sleep(REST)
            idle = _weight(daemon.pid)
            asked = _ask(store, load(config).pools["lab"])
            took = _until_parked(store, asked)
            full = _weight(daemon.pid)
            before, began = _cpu(daemon.pid), time.monotonic()
            time.sleep(REST)
            at_rest = (_cpu(daemon.pid) - before) / (time.monotonic() - began)
            most = _weight(daemon.pid)
        store.close()
    more = max(full["peak_mb"], most["peak_mb"]) - idle["mb"]
    return {
        "runs": asked, "idle_mb": idle["mb"], "idle_peak_mb": idle["peak_mb"], "parked_mb": most["mb"], "peak_mb": most["peak_mb"],
        "more_mb": round(more, 1), "target_mb": TARGET_MB, "threads": [idle["threads"], full["threads"], most["threads"]],
        "parked_after_s": round(took, 1), "cpu_fraction_parked": round(at_rest, 4),
    }  # fmt: skip


def _ask(store: Store, settings: PoolSettings) -> int:
    """A run for each VM that holds a VF, at most RUNS."""
    client = Client(settings)
    chosen = [vm for vm in PoolPort(client).vms() if vm.held][:RUNS]
    client.close()
    with store.write() as session:
        for vm in chosen:
            runs.create(session, release.request("lab", vm, ()), now=datetime.now(UTC))
    return len(chosen)


def _until_parked(store: Store, asked: int) -> float:
    """Seconds until every run waits; fails when one ended."""
    began = time.monotonic()
    while True:
        with store.read() as session:
            counts = runs.counts(session)
        ended = {status: count for status, count in counts.items() if count and status in ENDED}
        assert not ended, (ended, _why(store))
        if counts[Status.WAITING] == asked:
            return time.monotonic() - began
        assert time.monotonic() - began < PATIENCE, counts
        time.sleep(0.2)


def _why(store: Store) -> str:
    with store.read() as session:
        found: list[Run] = runs.listed(session, statuses=frozenset(Status), limit=5000)
    return next((run.reason for run in found if run.due_at is None), "")


def _weight(pid: int) -> dict[str, Any]:
    lines = (line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    status = {name: value.strip() for name, value in lines if name in ("VmRSS", "VmHWM", "Threads")}
    rss, peak = (round(int(status[name].split()[0]) / 1024, 1) for name in ("VmRSS", "VmHWM"))
    return {"mb": rss, "peak_mb": peak, "threads": int(status["Threads"])}


def _cpu(pid: int) -> float:
    from tests.bench.idle import TICKS

    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    print(json.dumps(run()))
