"""Two processes of each role on PostgreSQL and RabbitMQ, 500 VMs deleted and 100 backed up, while everything is killed again and again.

`VFO_STORM_SEED` gives the first of the seeds (1), `VFO_STORM_ROUNDS` how many rounds there are (1). It fails where anything is not as it
should be: see `tests/journey/storm.py`.
"""

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from tests.journey.cluster import Shared
from tests.journey.storm import MORE, Plan, Storm
from tests.services import postgres, rabbit
from tests.services.postgres import OwnPostgres
from tests.services.rabbit import OwnRabbit

DELETIONS, BACKUPS, SPARE = 500, 100, 20
HOSTS, VFS = 10, 64
OVER, LONGEST = 120.0, 1200.0
STOPS = (signal.SIGQUIT, signal.SIGKILL)


def run() -> dict[str, Any]:
    """The figures of each round, by seed."""
    first, rounds = int(os.environ.get("VFO_STORM_SEED", "1")), int(os.environ.get("VFO_STORM_ROUNDS", "1"))
    return {f"seed {seed}": round_of(seed) for seed in range(first, first + rounds)}


def round_of(seed: int) -> dict[str, Any]:
    """One storm, with services and a pool of its own."""
    server, node = postgres.server(), rabbit.node()
    assert isinstance(server, OwnPostgres), "PostgreSQL must be ours to kill"
    assert isinstance(node, OwnRabbit), "RabbitMQ must be ours to kill"
    plan = Plan(DELETIONS, BACKUPS, seed, OVER, rabbit=2, postgres=(STOPS[seed % len(STOPS)],), longest=LONGEST)
    options = ("--hosts", str(HOSTS), "--vfs", str(VFS), "--vms", str(2 * (DELETIONS + BACKUPS + SPARE)), "--speed", "0.02")
    try:
        with server.database() as database, tempfile.TemporaryDirectory() as folder:
            lab = Shared(Path(folder), database, node.url, *options, more=MORE, every="30s")
            try:
                storm = Storm(lab, server, node, plan)
                storm.rage()
                found = storm.complaints()
                assert not found, "\n".join(found)
                return storm.came.figures(lab)
            finally:
                lab.close()
    finally:
        node.close()
        server.close()
