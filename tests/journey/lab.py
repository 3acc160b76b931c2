"""A simulated pool and the daemon as processes of their own, and the judge who compares what both say afterwards."""

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from orchestrator.config.load import load
from orchestrator.demo.actors import OtherClient, Process, SimulatedPool
from state import history, runs
from state.run import Run, Status
from state.store import Store

ALLOWED = '["forget", "power-state-reset", "reinit-port"]'
CONFIGURATION = """
[pools.lab]
url = "{url}"
username = "{user}"
password = "{password}"
patience = "5s"

[reclaim]
grace = "{grace}"
looks = 3
every = "{every}"
allow = {allow}

[listener]
lease = "1s"
watchdog = "2s"

[serve]
lease = "2s"

[console]
enabled = false
"""

BUSY = 3


def wait_until(reached: Callable[[], Any], seconds: float, what: str) -> float:
    """Wait until *reached* is true; after how many seconds it was. Fails, naming *what*, when it never is.

    It should be true within *seconds*; a busy machine may need a multiple of that, which is no fault.
    """
    began = time.monotonic()
    while not reached():
        passed = time.monotonic() - began
        assert passed < BUSY * seconds, f"not within {BUSY} * {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


class Lab:
    """*folder* takes the configuration, the database and the logs."""

    def __init__(self, folder: Path, *options: str, grace: str = "300ms", every: str = "1h", allow: str = ALLOWED) -> None:
        self.folder = folder
        self.pool = SimulatedPool(folder, *options)
        self.config = folder / "vfo.toml"
        self.config.write_text(CONFIGURATION.format_map({**self.pool.said, "grace": grace, "every": every, "allow": allow}))
        self.store = Store(load(self.config).database_url)
        self.client = OtherClient(self.pool.said["url"], self.pool.said["user"], self.pool.said["password"])

    def close(self) -> None:
        self.client.close()
        self.store.close()
        self.pool.stop()

    def serve(self) -> Process:
        """A daemon that says that it serves."""
        daemon = Process(self.folder, "serve", "--config", "vfo.toml")
        assert daemon.first_line(), (self.folder / "serve.log").read_text()
        return daemon

    def control(self, verb: str, **order: Any) -> None:
        """Do something to the pool that no client can."""
        request = urllib.request.Request(
            f"{self.pool.said['control']}/{verb}", json.dumps(order).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30):
            return

    def truth(self) -> Any:
        """What no client can see."""
        return self.asked("state")

    def asked(self, what: str) -> Any:
        """What the control port says."""
        with urllib.request.urlopen(f"{self.pool.said['control']}/{what}", timeout=30) as answer:
            return json.load(answer)

    def delete(self, vms: dict[str, str], threads: int = 4) -> None:
        """Several clients delete the VMs (ref to name) at the same time."""

        def some(refs: list[str]) -> None:
            with closing(OtherClient(self.pool.said["url"], self.pool.said["user"], self.pool.said["password"])) as client:
                for ref in refs:
                    client.delete(ref)

        refs = list(vms)
        with ThreadPoolExecutor(threads) as several:
            list(several.map(some, [refs[number::threads] for number in range(threads)]))

    def runs(self) -> list[Run]:
        with self.store.read() as session:
            return runs.listed(session, statuses=frozenset(Status), limit=100_000)

    def statuses(self) -> Counter[str]:
        return Counter(run.status.value for run in self.runs())

    def known(self) -> int:
        """How many VMs with SR-IOV VIFs the daemon knows of."""
        from state import inventory

        with self.store.read() as session:
            return len(inventory.known(session, "lab"))

    def proofs(self, run: Run) -> int:
        """How often the run recorded that the VF is proven free."""
        with self.store.read() as session:
            return sum(entry.outcome == "finish" and entry.message.startswith("proven") for entry in history.of(session, run.id))

    def said(self) -> list[str]:
        """All that runs recorded, as sentences, oldest first."""
        with self.store.read() as session:
            return [entry.message for entry in history.after(session, 0, limit=1_000_000)]

    def log(self) -> str:
        return (self.folder / "serve.log").read_text()
