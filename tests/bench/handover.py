"""Seconds from kill -9 of the active listener to the next event handled by the one that stood by, with two leases at the same time.

Real processes (`vfo serve --role listener`, twice) on PostgreSQL and RabbitMQ, and a simulated pool. The event is the deletion of a VM
that holds a VF, right after the kill; it is handled when the run that follows it is in the database.
"""

import contextlib
import random
import re
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.config.load import load
from orchestrator.demo.actors import Process
from state import standing
from state.clock import Clock
from state.store import Store
from tests.bench import durable, targets
from tests.journey.lab import Lab, wait_until
from tests.services import rabbit

KILLS = 10
LEASES = {"default": 15.0, "short": 3.0}
LATE = 4 / 3
"""Who stands by asks for the lease three times while it lasts: it has it so many leases after the last renewal at most."""
REST = 3.0  # seconds to log in, load the pool and write down what it missed
VMS = 24


def run() -> dict[str, Any]:
    """Of each lease the median and the worst, beside what the lease allows."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(durable.server())
        node = rabbit.node()
        stack.callback(node.close)
        labs = {}
        for name, broker_url in zip(LEASES, (node.urls[0], node.urls[-1]), strict=True):  # a schema is made by one thread at a time
            labs[name] = Lab(Path(stack.enter_context(tempfile.TemporaryDirectory())), "--vms", str(VMS), "--vfs", "64")
            stack.callback(labs[name].close)
            _configure(labs[name], stack.enter_context(server.database()), broker_url, None if name == "default" else LEASES[name])
        with ThreadPoolExecutor(len(labs)) as several:
            asked = {name: several.submit(_killed, lab, LEASES[name], random.Random(name)) for name, lab in labs.items()}
            took = {name: future.result() for name, future in asked.items()}
    figures = {name: {"lease_s": LEASES[name], "median_s": round(statistics.median(some), 2), "worst_s": round(max(some), 2),
                      "kills": len(some)} for name, some in took.items()}  # fmt: skip
    return {
        **figures,
        **targets.judged({f"{name}_worst_s": (max(some), LEASES[name] * LATE + REST) for name, some in took.items()}, most=True),
    }


def _killed(lab: Lab, lease: float, chance: random.Random) -> list[float]:
    """Seconds of each kill, which comes at any moment between two renewals."""
    with contextlib.ExitStack() as stack:
        there = [_listener(lab, stack)]
        wait_until(lambda: lab.known() >= KILLS, 60, "the pool is known")
        there.append(_listener(lab, stack))
        vms = list(lab.client.running_with_a_vf())
        took = []
        for number, vm in enumerate(vms[:KILLS]):
            time.sleep(1 + chance.uniform(0, lease / 3))
            active = next(process for process in there if _is_active(lab, process))
            active.kill()
            began = time.monotonic()
            lab.client.delete(vm)
            wait_until(partial(_has_runs, lab, number + 1), 120, "the deletion is written down")
            took.append(time.monotonic() - began)
            print(f"lease {lease:.0f} s, kill {number + 1}: {took[-1]:.2f} s", flush=True)
            there.remove(active)
            there.append(_listener(lab, stack))
        return took


def _configure(lab: Lab, url: str, broker_url: str, lease: float | None) -> None:
    """On the services; *lease*: None for the product's own."""
    written = re.sub(r"\[listener\]\n(.+\n)+", f'[listener]\nlease = "{lease:.0f}s"\n' if lease else "", lab.config.read_text())
    lab.config.write_text(f'{written}\n[database]\nurl = "{url}"\n[broker]\nurl = "{broker_url}"\n')
    lab.store.close()
    loaded = load(lab.config)
    assert loaded.settings.listener.lease.total_seconds() in LEASES.values()
    lab.store = Store(loaded.database_url)


def _listener(lab: Lab, stack: contextlib.ExitStack) -> Process:
    """A listener that says that it serves."""
    process = Process(lab.folder, "serve", "--role", "listener")
    stack.callback(process.stop)
    assert process.first_line(), lab.log()
    return process


def _has_runs(lab: Lab, count: int) -> bool:
    return len(lab.runs()) == count


def _is_active(lab: Lab, process: Process) -> bool:
    """Whether the process holds the pool's lease."""
    with lab.store.read() as session:
        return any(
            held.name == "listener:lab" and held.is_held and held.holder.split(":")[1] == str(process.pid)
            for held in standing.held(session, now=Clock(lab.store)())
        )
