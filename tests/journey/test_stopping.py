"""The daemon ends when it is told to, whatever hangs."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.journey.lab import Lab, wait_until


@pytest.mark.timeout(200)
def test_sigterm_is_followed_within_ten_seconds_whatever_hangs(lab: Callable[..., Lab]) -> None:
    """The pool is silent and another program has locked the database: what cannot be finished is left, and taken up at the next start."""
    here = lab("--hosts", "1", "--vms", "4")
    deleted = here.client.running_with_a_vf()
    daemon = here.serve()
    wait_until(lambda: here.known() >= len(deleted), 30, "the daemon knows the pool")
    here.control("delay", method="PCI.get_all_records", seconds=60)
    here.delete(deleted)
    wait_until(lambda: here.statuses()["running"], 20, "a step that waits for the pool")
    with closing(sqlite3.connect(here.folder / "vfo.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 20  # ten, on a machine that does nothing else; after twenty it is killed
    here.control("clear")
    daemon = here.serve()
    wait_until(lambda: here.statuses()["done"] >= len(deleted), 60, "all runs are done")
    daemon.stop()
