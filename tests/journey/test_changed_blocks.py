"""A policy with changed blocks, from the command line to the repository: real daemon, real borg, a real NBD server beside the pool."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.demo.actors import Process
from orchestrator.simulator import SimulatedPool
from plugins import streams
from plugins.composing import COMPOSED
from tests.plugins.products.kinds import BORG, needed
from tests.services import typist
from tests.xapi.nbd_serving import Serving

MIB = 1 << 20
SIZE = 16 * MIB
READY = ".ready"
CONFIGURATION = """
[pools.lab]
url = "{url}"
username = "{user}"
password = "{password}"

[products.nas]
plugin = "borg"
repository = "repository"
passphrase = "correct horse"
changed_blocks = "always"

[hooks.served]
plugin = "command"
before_job = ["{python}", "{script}"]

[policies.all]
vms = {{ names = ["*"] }}
product = "nas"
hooks = ["served"]
changed_blocks = true
"""
SCRIPT = """
import json, os, sys, threading
disks = [disk["uuid"] for disk in json.loads(os.environ["VFO_DISKS"])]
while not all(os.path.exists(os.path.join({folder!r}, disk + {ready!r})) for disk in disks):
    threading.Event().wait(0.1)
"""


class Site:
    """A pool of one VM whose snapshots are served by NBD as soon as they are there, and the configuration of its daemon."""

    def __init__(self, pool: SimulatedPool, folder: Path) -> None:
        self.folder = folder
        self.pool = pool
        self.disk = next(row["uuid"] for _, row in pool.database.rows("VDI"))
        self.serving = Serving(pool, folder)
        self.serving.announce()
        script = folder / "served.py"
        script.write_text(SCRIPT.format(folder=str(self.serving.folder), ready=READY))
        said = {"url": pool.url, "user": pool.user, "password": pool.password, "python": sys.executable, "script": script}
        (folder / "vfo.toml").write_text(CONFIGURATION.format_map(said))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over.wait(0.1):
            for _, row in list(self.pool.database.rows("VDI")):
                ready = self.serving.folder / f"{row['uuid']}{READY}"
                if row["is_a_snapshot"] and row["type"] == "user" and not ready.exists():
                    self.serving.copy(row["uuid"])
                    ready.touch()

    def close(self) -> None:
        self._over.set()
        self._thread.join(60)
        self.serving.stop()

    def typed(self, *words: str) -> Any:
        """What a command says as JSON; it must be well."""
        done = typist.run([*words, "--json"], self.folder, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def checksum(self) -> str:
        """Of the disk as it is."""
        sha = streams.Piecewise()
        sha.update(memoryview(self.serving.copy(self.disk).read_bytes()))
        return sha.hexdigest()


@pytest.fixture
def site(make_simulated_pool: Callable[..., SimulatedPool], tmp_path: Path) -> Iterator[Site]:
    """The site, without its daemon."""
    needed(BORG)
    made = Site(make_simulated_pool(hosts=1, vms=1, disk=SIZE), tmp_path)
    yield made
    made.close()


def test_the_second_backup_reads_what_changed_and_is_the_whole_disk(site: Site) -> None:
    """The report says which way it was and what was read; the restore point has the checksum of the disk as it is."""
    site.pool.control.fill_disk(site.disk)
    daemon = Process(site.folder, "serve")
    assert daemon.first_line()
    try:
        site.typed("policy", "run", "all", "--wait")
        changed = site.pool.control.change_disk(site.disk, fraction=0.05)["bytes"]
        site.typed("policy", "run", "all", "--wait")
    finally:
        daemon.stop()
    first, second = sorted(site.typed("report")["backups"], key=lambda row: row["began_at"])
    assert (first["read"], second["read"]) == (SIZE, changed)
    assert second["details"]["way"] == COMPOSED
    assert second["stored"] < 2 * changed
    assert sum(length for _, length in site.serving.read()) == changed
    newest = site.typed("backup", "list")[-1]
    assert newest["disks"][0]["sha256"] == site.checksum()
    site.typed("backup", "verify", newest["id"])
