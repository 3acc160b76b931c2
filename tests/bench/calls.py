"""How many XenAPI calls a workflow makes for a VM, beside the least that would do the same with the same care.

The pool is in this process and counts every call but the listener's (event.from) and those of sessions. *least* is what a careful script
needs for one VM: it looks before and after it acts, leaves what must be known in the pool before it touches a VM, and destroys its tasks.
*at_once*: calls per VM where several runs of the kind begin together and share readings of whole tables.
"""

import collections
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.config.load import load
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from state import runs
from state.run import ACTIVE, ENDED, Run, Status
from state.store import Store
from tests.bench import programs
from workflows import assign, prepare, release
from workflows.assign import Wish
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
"""

Calls = dict[str, int]

# Parts of the least. A VM here has one VIF that takes a VF and one disk; a halted one holds no device.
VM_RUNS, VM_HALTED, VM_BARE = 4, 3, 1  # its record; its VIF and that one's network; its device
OPERATION = {"look": 1, "begin": 1, "read and destroy the task": 2, "look again": 1}
BLOCK = {"look at the blocks": 1, "block start and start_on": 2}
UNBLOCK = {"look at the blocks again": 1, "unblock both": 2, "have the allowed operations computed": 1}
MOVE = {"look at the VIF and its VM": 2, "VIF.move": 1}
# The pool as a whole: sriovs, PIFs, VLANs, VIFs, networks, hosts, their metrics, PCIs, the pool, the time; each port's capacity, twice.
PORTS = 10 + 2 * 2
TABLES = {"pool": 1, "networks": 3, "all VMs": 7}

LEAST: dict[str, tuple[Calls, Calls]] = {
    "prepare-backup, online": (
        {
            "the VM": VM_RUNS, "its disk and SR": 4, "snapshot": sum(OPERATION.values()), "the snapshot's name": 1, "tag it": 1,
            "note on it": 2, "its VIF": VM_HALTED, "note where it belongs": 2, "move": sum(MOVE.values()),
        },
        {"pool": TABLES["pool"], "networks": TABLES["networks"]},
    ),
    "prepare-backup, offline": (
        {
            "the VM": VM_RUNS, "its disk and SR": 4, "note in the pool": 2, "block": sum(BLOCK.values()),
            "shutdown": sum(OPERATION.values()), "park": sum(MOVE.values()), "snapshot": sum(OPERATION.values()), "the snapshot's name": 1,
            "back": sum(MOVE.values()), "unblock": sum(UNBLOCK.values()), "start": sum(OPERATION.values()), "tag it": 1, "note on it": 2,
            "unblock the snapshot": sum(UNBLOCK.values()), "its VIF": VM_HALTED, "verify": VM_RUNS, "erase the note": 1,
        },
        {"pool": TABLES["pool"], "networks": TABLES["networks"], "ports": PORTS},
    ),
    "release-backup": ({"the snapshot": 1, "its disk": 2, "destroy both": 2}, {}),
    "release-vf, running": (
        {
            "the VM": VM_RUNS, "block": sum(BLOCK.values()), "look, now that nobody else starts it": VM_RUNS,
            "shutdown": sum(OPERATION.values()), "destroy": 1, "look": VM_BARE,
            "unblock": sum(UNBLOCK.values()), "start": sum(OPERATION.values()), "verify": VM_BARE,
        },
        {},
    ),
    "assign-vf, running": (
        {
            "the VM": VM_BARE, "block": sum(BLOCK.values()), "shutdown": sum(OPERATION.values()), "MTU, create, uuid": 3,
            "look": VM_HALTED, "unblock": sum(UNBLOCK.values()), "start": sum(OPERATION.values()), "verify": VM_RUNS,
        },
        {"pool": TABLES["pool"], "networks": TABLES["networks"], "all VMs": TABLES["all VMs"], "ports before and after": 2 * PORTS},
    ),
    "release-vf, halted": (
        {
            "the VM": VM_HALTED, "block": sum(BLOCK.values()), "look, now that nobody else starts it": VM_HALTED, "destroy": 1,
            "look": VM_BARE, "unblock": sum(UNBLOCK.values()),
        },
        {},
    ),
    "assign-vf, halted": (
        {
            "the VM": VM_BARE, "where it could start": 1, "block": sum(BLOCK.values()), "MTU, create, uuid": 3, "look": VM_HALTED,
            "unblock": sum(UNBLOCK.values()),
        },
        {"pool": TABLES["pool"], "networks": TABLES["networks"], "all VMs": TABLES["all VMs"], "ports": PORTS},
    ),
    "reclaim-vfs": (
        {"whether the VM is there, before and after the grace period": 2},
        {"ports: whether anything is in flight, and then whether the sum is right": 2 * PORTS},
    ),
}  # fmt: skip


class Lab:
    """A pool whose calls are counted, and a daemon that works on it."""

    def __init__(self, pool: SimulatedPool, config: Path) -> None:
        self.pool = pool
        self.made: collections.Counter[str] = collections.Counter()
        self.client = Client(load(config).pools["lab"])
        self.port = PoolPort(self.client)
        self.store = Store(load(config).database_url, migrate=False)
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
    with _lab(1) as lab:
        alone = dict(_scenes(lab))
    with _lab(SEVERAL) as lab:
        several = dict(_scenes(lab))
    return {name: _beside_least(name, alone[name], several[name]) for name in LEAST} | {"target": TARGET}


def _scenes(lab: Lab) -> Iterator[tuple[str, Calls]]:
    vms = lab.vms()
    lab.all_at_once([prepare.request("lab", vms[0], mode="online", hold=timedelta(), retention=timedelta())])  # makes the parking network
    lab.until(lambda found: all(run.status in ENDED for run in found))
    network = next(one.uuid for one in lab.port.networks() if one.name == "SR-IOV")
    for mode in ("online", "offline"):
        began = [prepare.request("lab", vm, mode=mode, hold=HOLD, retention=timedelta()) for vm in vms]
        yield f"prepare-backup, {mode}", lab.all_at_once(began)
        lab.made.clear()
        lab.until(lambda found: all(run.status in ENDED for run in found))
        if mode == "offline":
            yield "release-backup", lab.counted()
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
    least = sum(sum(part.values()) for part in LEAST[name])
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
def _lab(vms: int) -> Iterator[Lab]:
    """Twice as many VMs, half of which run with a VF."""
    pool = SimulatedPool(hosts=2, vfs=16, vms=2 * vms, speed=SPEED)
    with pool, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "vfo.toml")
        config.write_text(CONFIG.format(url=pool.url, user=pool.user, password=pool.password))
        config.chmod(0o600)
        with programs.running("orchestrator", "serve", "--config", str(config)) as process:
            assert process.stdout
            assert process.stdout.readline(), "vfo serve did not start"
            time.sleep(QUIET)  # what a daemon looks at when it starts is no run's
            lab = Lab(pool, config)
            try:
                yield lab
            finally:
                lab.close()


if __name__ == "__main__":
    for scene, figures in run().items():
        print(f"{scene}: {json.dumps(figures)}")
