"""How many XenAPI calls a workflow makes for a VM, beside the least that would do the same with the same care.

The pool is in this process and counts every call but the listener's (event.from) and those of sessions. *least* is what a careful script
needs for one VM, of one host for SR-IOV (`tests/bench/least.py`, with the reason for each call): it looks before and after it acts, leaves
what must be known in the pool before it touches a VM, and destroys its tasks.
*at_once*: calls per VM where several runs of the kind begin together and share readings of whole tables.
"""

import collections
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from orchestrator.config.load import load
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from state import runs
from state.run import ACTIVE, ENDED, Run, Status
from state.store import Store
from tests.bench import programs
from tests.bench.least import HOSTS, LEAST, Calls
from tests.journey import scenes
from tests.journey.scenes import Hands
from workflows import assign, disable, enable, parking, prepare, put_right, release, starting
from workflows.assign import Wish
from workflows.backup_modes import GUARDED
from workflows.objects import VM
from workflows.outcome import Request

SEVERAL = 8
SPEED = 0.02
HOLD = timedelta(seconds=15)
PATIENCE = 120.0
QUIET = 3.0
TARGET = 1.5
BACKGROUND = ("event.", "session.")
CONFIG = """
[pools.lab]
url = "{url}"
username = "{user}"
password = "{password}"

[reclaim]
grace = "2s"

[backup]
fallback_network = "Pool-wide network associated with eth0"

[sriov.fast]
network = "fast"
ports = {{ device = "eth2" }}
"""


class Lab:
    """A pool whose calls are counted, and a daemon that works on it."""

    def __init__(self, pool: SimulatedPool, config: Path) -> None:
        self.pool = pool
        self.config = config
        self.made: collections.Counter[str] = collections.Counter()
        self.client = Client(load(config).pools["lab"])
        self.port = PoolPort(self.client)
        self.store = Store(load(config).database_url)
        meet = pool.server.faults.meet

        def met(method: str, params: list[Any]) -> Any:
            self.made[method] += 1
            return meet(method, params)

        pool.server.faults.meet = met  # type: ignore[method-assign]

    def close(self) -> None:
        self.client.close()
        self.store.close()

    def all_at_once(self, requests: Iterable[Request]) -> Calls:
        """What the runs of these requests call until all have ended."""
        wanted = list(requests)
        self.made.clear()
        with self.store.write() as session:
            ids = {runs.create(session, request, now=datetime.now(UTC))[0].id for request in wanted}
        self.until(lambda found: all(run.status not in ACTIVE for run in found if run.id in ids))
        bad = [f"{run.title}: {run.status}: {run.reason}" for run in self.runs() if run.id in ids and run.status is not Status.DONE]
        assert not bad, bad
        return self.counted()

    def put_right(self, vms: list[VM], method: str, given: list[tuple[str, ...]]) -> Calls:
        """What the daemon's own runs for these VMs call after *method* was called with each of the parameters *given*."""
        known = {run.id for run in self.runs()}
        self.made.clear()
        for parameters in given:
            self.client.call(method, *parameters)
        wanted = {f"vm:{vm.uuid}" for vm in vms}

        def ended(found: list[Run]) -> bool:
            mine = [run for run in found if run.id not in known and run.workflow == put_right.NAME and run.status is Status.DONE]
            return wanted <= {run.subject for run in mine}

        self.until(ended)
        made = self.counted()
        return {**made, method: made[method] - len(given)}

    def counted(self) -> Calls:
        return {method: count for method, count in self.made.items() if not method.startswith(BACKGROUND)}

    def runs(self) -> list[Run]:
        with self.store.read() as session:
            return runs.listed(session, statuses=frozenset(Status), limit=10_000)

    def until(self, so: Callable[[list[Run]], bool]) -> None:
        ends = time.monotonic() + PATIENCE
        while not so(found := self.runs()):
            assert time.monotonic() < ends, [(run.workflow, run.title, run.step, run.status, run.reason) for run in found if run.due_at]
            time.sleep(0.2)

    def vms(self) -> list[VM]:
        """Running VMs that hold a VF."""
        return [vm for vm in self.port.vms() if vm.held]


def run() -> dict[str, Any]:
    """For each workflow: calls for one VM alone, the least, their ratio, calls per VM of several at once, and the methods called most."""
    found = []
    for vms, hosts in ((1, HOSTS), (SEVERAL, SEVERAL)):
        with _lab(vms) as lab:
            figures = dict(_scenes(lab))
        with _lab(vms, hosts) as lab:
            figures |= dict(_scenes_of_hosts(lab))
        with _lab(vms, daemon=False) as lab:
            figures["recover"] = _recovered(lab)
        found.append(figures)
    alone, several = found
    return {name: _beside_least(name, alone[name], several[name]) for name in LEAST} | {"target": TARGET}


def _scenes_of_hosts(lab: Lab) -> Iterator[tuple[str, Calls]]:
    yield "enable-sriov", lab.all_at_once([enable.request("lab", "fast")])
    yield "disable-sriov", lab.all_at_once([disable.request("lab", "fast")])


def _recovered(lab: Lab) -> Calls:
    """`vfo recover` with an empty database, where the runs of running VMs are lost in the middle of their backups."""
    at, lost = Hands(lab.client), uuid4()
    at.parking()
    for vm in lab.vms():
        scenes.lose(at, vm, lost)
    lab.made.clear()
    words = [sys.executable, "-m", "orchestrator", "recover", "--config", str(lab.config)]
    subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE)
    return lab.counted()


def _put_right(lab: Lab, vms: list[VM]) -> Iterator[tuple[str, Calls]]:
    """What the daemon does by itself when the last VIF of a VM whose run is lost is parked, and when a VM is reverted to our snapshot."""
    at, lost = Hands(lab.client), uuid4()
    last: list[tuple[str, ...]] = []
    for vm in vms:
        at.port.note(vm.uuid, parking.NOTE, scenes.note(vm, lost, ran=True))
        at.port.block(vm.uuid, GUARDED, starting.reason(lost))
        lab.pool.halt_vm(vm.uuid)
        last.append((at.ref("VIF", vm.vifs[0].uuid), at.ref("network", at.parking())))
    yield "put-right, lost", lab.put_right(vms, "VIF.move", last)
    lab.all_at_once([prepare.request("lab", vm, mode="offline", hold=timedelta(days=1), retention=timedelta()) for vm in vms])
    snapshots = [at.ref("VM", at.port.vm(vm.uuid).snapshots[-1]) for vm in vms]
    yield "put-right, reverted", lab.put_right(vms, "VM.revert", [(ref,) for ref in snapshots])
    with lab.store.write() as session:
        for run in runs.listed(session):
            runs.approve(session, run.id, now=datetime.now(UTC), by="the benchmark")
    lab.until(lambda found: all(run.status in ENDED for run in found))
    for vm in vms:
        lab.client.call("VM.start", at.ref("VM", vm.uuid), False, False)


def _scenes(lab: Lab) -> Iterator[tuple[str, Calls]]:
    vms = lab.vms()
    lab.all_at_once([prepare.request("lab", vms[0], mode="online", hold=timedelta(), retention=timedelta())])  # makes the parking network
    lab.until(lambda found: all(run.status in ENDED for run in found))
    network = next(one.uuid for one in lab.port.networks() if one.name == "SR-IOV")
    for mode in ("online", "offline", "failover"):
        began = [prepare.request("lab", vm, mode=mode, hold=HOLD, retention=timedelta()) for vm in vms]
        yield f"prepare-backup, {mode}", lab.all_at_once(began)
        lab.made.clear()
        lab.until(lambda found: all(run.status in ENDED for run in found))
        if mode != "online":
            yield f"release-backup, {mode}", lab.counted()
    yield from _put_right(lab, vms)
    vms = [lab.port.vm(vm.uuid) for vm in vms]
    yield "release-vf, running", lab.all_at_once(release.request("lab", vm, (), "now") for vm in vms)
    yield "assign-vf, running", lab.all_at_once(_assign(vm, network) for vm in vms)
    for vm in vms:
        lab.pool.halt_vm(vm.uuid)
    halted = [lab.port.vm(vm.uuid) for vm in vms]
    yield "release-vf, halted", lab.all_at_once(release.request("lab", vm, (), "now") for vm in halted)
    yield "assign-vf, halted", lab.all_at_once(_assign(vm, network) for vm in halted)
    lab.made.clear()
    for vm in vms:
        lab.pool.destroy_vm(vm.uuid)
    gone = {f"vm:{vm.uuid}" for vm in vms}
    lab.until(
        lambda found: sum(one.workflow == "reclaim-vfs" and one.subject in gone and one.status in ENDED for one in found) == len(gone)
    )
    yield "reclaim-vfs", lab.counted()


def _assign(vm: VM, network: str) -> Request:
    return assign.request("lab", vm.uuid, vm.name, Wish(network, "SR-IOV", when="now"))


def _beside_least(name: str, alone: Calls, several: Calls) -> dict[str, Any]:
    least = sum(part.calls * part.times for part in LEAST[name])
    calls = sum(alone.values())
    most = sorted(alone.items(), key=lambda pair: -pair[1])[:8]
    return {
        "calls": calls,
        "least": least,
        "ratio": round(calls / least, 2),
        "at_once": round(sum(several.values()) / SEVERAL, 1),
        "most": dict(most),
    }


@contextlib.contextmanager
def _lab(vms: int, hosts: int = HOSTS, *, daemon: bool = True) -> Iterator[Lab]:
    """Twice as many VMs, half of which run with a VF."""
    pool = SimulatedPool(hosts=hosts, vfs=16, vms=2 * vms, speed=SPEED)
    with pool, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "vfo.toml")
        config.write_text(CONFIG.format(url=pool.url, user=pool.user, password=pool.password))
        config.chmod(0o600)
        with _serving(config) if daemon else contextlib.nullcontext():
            lab = Lab(pool, config)
            try:
                yield lab
            finally:
                lab.close()


@contextlib.contextmanager
def _serving(config: Path) -> Iterator[None]:
    with programs.running("orchestrator", "serve", "--config", str(config)) as process:
        assert process.stdout
        assert process.stdout.readline(), "vfo serve did not start"
        time.sleep(QUIET)  # what a daemon looks at when it starts is no run's
        yield


if __name__ == "__main__":
    for scene, figures in run().items():
        print(f"{scene}: {json.dumps(figures)}")
