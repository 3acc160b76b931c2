"""How long it takes to plan a window over 10,000 VMs, and what its run costs.

*plan_s*: from the VMs, sizes, ports and earlier backups as values to everybody's place in the night (two policies by name and tag, default
limits but for a pool that lets 100 work at once): choosing, estimating, ordering, and the whole timeline. *worst_s*: without any limit.
*history_s*: what 7 nights of the catalogue teach, read from SQLite. *row_kb*, *step_s*: the run's row with 10,000 who wait, and one look
at it with 100 at work: read, judged and written as the engine does. All of these are seconds of one processor.
*pool_s*: the same plan from a simulated pool of this many VMs over the wire, where reading the pool is nearly all; by the clock, for
information.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import orjson
from sqlalchemy import insert

from orchestrator.config.load import load
from orchestrator.ledger import PoolLedger
from orchestrator.services import Lines
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from state import backups
from state.store import Store
from tests.bench import programs
from tests.workflows import fakes
from workflows import choosing, planning, waiting_list
from workflows.accounts import Ledger
from workflows.objects import VM
from workflows.policies import BackupPlan, Backups, Limits, Selection
from workflows.policy import Policy
from workflows.ports import Pool
from workflows.services import Catalogue, Known

VMS, HOSTS, SRS, NIGHTS = 10_000, 64, 40, 7
WIRE_VMS, WIRE_HOSTS = 5_000, 32
TARGET_S = 2.0
TRIES = 5
NOW = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
CLOSES = NOW + timedelta(hours=8)
LIMITS = Limits(100, 4, 8, 1)
POLICY = Policy(
    backups=Backups(
        {
            "gold": BackupPlan("gold", "nas", vms=Selection(tags=frozenset({"gold"})), window="night", priority=10),
            "rest": BackupPlan("rest", "nas", vms=Selection(names=("web-*", "db-*"), exclude_tags=frozenset({"gold"})), window="night"),
        }
    )
)
CONFIG = '[pools.lab]\nurl = "{url}"\nusername = "{user}"\npassword = "{password}"\n'


def _uuid(kind: int, number: int) -> str:
    return str(UUID(int=kind << 96 | number))


@dataclass
class Values:
    """A pool, a ledger and a catalogue that have everything at hand already."""

    machines: tuple[VM, ...]
    sizes: Mapping[str, Mapping[str, int]]
    past: Mapping[str, Known]
    name: str = "lab"

    def vms(self) -> tuple[VM, ...]:
        return self.machines

    def disk_sizes(self) -> Mapping[str, Mapping[str, int]]:
        return self.sizes

    def last_ports(self) -> Mapping[str, tuple[str, ...]]:
        return {vm.uuid: (_uuid(3, number % (2 * HOSTS)),) for number, vm in enumerate(self.machines)}

    def known(self, policy: str) -> Mapping[str, Known]:
        return self.past

    def paused(self) -> Mapping[str, str]:
        return {}


def _values() -> Values:
    """VMs with a disk or two; every tenth is gold, half of them run with a VF, and nearly all were saved before."""
    machines = tuple(
        fakes.vm(
            _uuid(1, number), name=f"{'web' if number % 3 else 'db'}-{number:05}", tags=("gold",) if number % 10 == 0 else (),
            power_state="Running" if number % 2 else "Halted", resident_on=_uuid(2, number % HOSTS) if number % 2 else None,
        )
        for number in range(VMS)
    )  # fmt: skip
    sizes = {vm.uuid: {_uuid(4, number % SRS): (1 + number % 200) << 30} for number, vm in enumerate(machines)}
    past = {
        vm.uuid: Known(NOW - timedelta(hours=20 + number % 50), tuple(timedelta(minutes=3 + (number + turn) % 60) for turn in range(5)))
        for number, vm in enumerate(machines)
        if number % 20
    }
    return Values(machines, sizes, past)


def _best(work: Callable[[], Any]) -> float:
    """Seconds of the processor in the quickest of some tries."""
    took = []
    for _ in range(TRIES):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return round(min(took), 3)


def run() -> dict[str, Any]:
    """All of it."""
    values = _values()
    at_hand = cast("Pool", values), cast("Ledger", values), cast("Catalogue", values)

    def chosen() -> choosing.Chosen:
        return choosing.choose(*at_hand, POLICY, ["gold", "rest"])

    slots = planning.timeline(chosen().candidates, LIMITS, NOW, CLOSES)
    return {
        "vms": VMS,
        "plan_s": _best(lambda: planning.timeline(chosen().candidates, LIMITS, NOW, CLOSES)),
        "target_s": TARGET_S,
        "begin": sum(slot.begins is not None for slot in slots),
        "worst_s": _best(lambda: planning.timeline(chosen().candidates, Limits(None, None, None, None), NOW, None)),
        "choose_s": _best(chosen),
        **_history(values),
        **_row(chosen().candidates),
        **_over_the_wire(),
    }


def _history(values: Values) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/vfo.db")
        for night in range(NIGHTS):
            with store.write() as session:
                session.connection().execute(insert(backups.BACKUP), [_line(vm, night) for vm in values.machines])
        took = _best(lambda: Lines(store, "lab").known("rest"))
        store.close()
    return {"history_lines": NIGHTS * VMS, "history_s": took}


def _line(vm: VM, night: int) -> dict[str, Any]:
    began = NOW - timedelta(days=night + 1)
    return {
        "id": uuid4(), "pool": "lab", "vm": vm.uuid, "vm_name": vm.name, "policy": "rest", "product": "nas", "window": "night",
        "opened_at": began, "status": "saved", "reason": "", "began_at": began, "ended_at": began + timedelta(minutes=5), "downtime": 0.0,
        "size": 0, "read": 0, "stored": 0, "point": "", "mode": "", "details": {},
    }  # fmt: skip


def _row(candidates: tuple[planning.Candidate, ...]) -> dict[str, Any]:
    written = orjson.dumps(waiting_list.written(candidates))

    def look() -> bytes:
        found = orjson.loads(written)
        entries = waiting_list.read(found)
        loads = [one.load for one in candidates[:100]]
        begun, _ = planning.startable([one.candidate for one in entries], loads, Limits(101, None, None, None), NOW, CLOSES)
        gone = {one.priority for one in begun}
        return orjson.dumps(waiting_list.without(found, [one for one in entries if one.candidate.priority in gone]))

    return {"row_kb": round(len(written) / 1000), "step_s": _best(look)}


def _over_the_wire() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, programs.simulator(vms=WIRE_VMS, hosts=WIRE_HOSTS, vfs=64) as said:
        config = Path(folder, "vfo.toml")
        config.write_text(CONFIG.format_map(said))
        config.chmod(0o600)
        store, client = Store(load(config).database_url), Client(load(config).pools["lab"])
        everybody = Policy(backups=Backups({"all": BackupPlan("all", "nas", vms=Selection(names=("*",)), window="night")}))
        began = time.perf_counter()
        found = choosing.choose(PoolPort(client), PoolLedger(store, "lab"), Lines(store, "lab"), everybody, ["all"])
        read = time.perf_counter() - began
        slots = planning.timeline(found.candidates, LIMITS, NOW, CLOSES)
        took = time.perf_counter() - began
        client.close()
        store.close()
    assert len(slots) >= WIRE_VMS
    return {"pool_vms": WIRE_VMS, "pool_s": round(took, 2), "pool_read_s": round(read, 2)}


if __name__ == "__main__":
    print(json.dumps(run()))
