"""How long guests are down for an offline backup, over what the pool's own operations take: shutdown, snapshot and start.

100 VMs that hold a VF, 10 at a time, on a pool whose operations take a tenth of a real host's time (a second and a half in all), so that
what the product adds weighs ten times what it would. The pool is in this process and times its own operations; `vfo serve` is another.
"""

import contextlib
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, func, select

from orchestrator.config.load import load
from orchestrator.simulator import SimulatedPool, operations
from orchestrator.simulator.call import Call
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from state import runs
from state.run import ACTIVE, Run, Status
from state.store import Store
from tests.bench import programs
from workflows import prepare
from workflows.objects import VM

VMS = 100
AT_ONCE = 10
SPEED = 0.1
PATIENCE = 300.0
TARGETS = {"median": 1.05, "p99": 1.15}
DOWN = {"clean_shutdown": "shutdown", "snapshot": "snapshot", "start": "start", "start_on": "start"}
CONFIG = """
[pools.lab]
url = "{url}"
username = "{user}"
password = "{password}"

[serve]
workers = 16
"""

Span = tuple[float, float]


def run() -> dict[str, Any]:
    """The ratio at the median and at p99, and what a guest was down for, in milliseconds."""
    pool = SimulatedPool(hosts=4, vfs=64, vms=2 * VMS, speed=SPEED)
    with pool, _timed() as spans, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "vfo.toml")
        config.write_text(CONFIG.format(url=pool.url, user=pool.user, password=pool.password))
        config.chmod(0o600)
        with programs.running("orchestrator", "serve", "--config", str(config)) as process:
            assert process.stdout
            assert process.stdout.readline(), "vfo serve did not start"
            vms = _vms(config)
            _prepare(config, vms)
        refs = {row["uuid"]: ref for ref, row in pool.database.rows("VM")}
    return _figures([spans[refs[vm.uuid]] for vm in vms])


def _figures(found: list[dict[str, Span]]) -> dict[str, Any]:
    down = [one["start"][1] - one["shutdown"][0] for one in found]
    own = [sum(end - begin for begin, end in one.values()) for one in found]
    ratios = [whole / part for whole, part in zip(down, own, strict=True)]
    gaps = {
        "shutdown to snapshot": [one["snapshot"][0] - one["shutdown"][1] for one in found],
        "snapshot to start": [one["start"][0] - one["snapshot"][1] for one in found],
    }
    return {
        "vms": len(found),
        "ratio": _summary(ratios, 3),
        "targets": TARGETS,
        "down_ms": _summary([1000 * seconds for seconds in down]),
        "own_ms": _summary([1000 * seconds for seconds in own]),
        **{f"{name}_ms": _summary([1000 * seconds for seconds in gap]) for name, gap in gaps.items()},
    }


def _summary(figures: list[float], digits: int = 1) -> dict[str, float]:
    return {"median": round(statistics.median(figures), digits), "p99": round(statistics.quantiles(figures, n=100)[98], digits)}


@contextlib.contextmanager
def _timed() -> Iterator[dict[str, dict[str, Span]]]:
    """When each operation of each VM began and ended in the pool itself, by the VM's ref."""
    spans: dict[str, dict[str, Span]] = defaultdict(dict)
    during = operations.during

    @contextlib.contextmanager
    def timed(call: Call, vm: str, operation: str) -> Iterator[None]:
        with during(call, vm, operation):
            began = time.monotonic()
            yield
        if operation in DOWN:
            spans[vm][DOWN[operation]] = (began, time.monotonic())

    operations.during = timed
    try:
        yield spans
    finally:
        operations.during = during


def _vms(config: Path) -> list[VM]:
    client = Client(load(config).pools["lab"])
    try:
        return [vm for vm in PoolPort(client).vms() if vm.held][:VMS]
    finally:
        client.close()


def _prepare(config: Path, vms: list[VM]) -> None:
    """So many at once, the next as soon as one has ended."""
    store = Store(load(config).database_url, migrate=False)
    waiting, ends = list(vms), time.monotonic() + PATIENCE
    try:
        while (active := _active(store)) or waiting:
            for vm in waiting[: AT_ONCE - active]:
                wish = prepare.request("lab", vm, mode="offline", hold=timedelta(hours=1), retention=timedelta())
                with store.write() as session:
                    runs.create(session, wish, now=datetime.now(UTC))
                waiting.remove(vm)
            assert time.monotonic() < ends, f"{active} runs are at work, {len(waiting)} have not begun"
            time.sleep(0.2)  # it shares an interpreter with the pool
        bad = [f"{one.title}: {one.status}: {one.reason}" for one in _runs(store) if one.status is not Status.DONE]
        assert not bad, bad
    finally:
        store.close()


def _active(store: Store) -> int:
    """Counted by the database: to load the rows would take the pool's time."""
    with store.read() as session:
        query = select(func.count()).select_from(Run).where(col(Run.workflow) == prepare.NAME, col(Run.status).in_(ACTIVE))
        return session.exec(query).one()


def _runs(store: Store) -> list[Run]:
    with store.read() as session:
        return [one for one in runs.listed(session, statuses=frozenset(Status), limit=10_000) if one.workflow == prepare.NAME]


if __name__ == "__main__":
    print(json.dumps(run()))
