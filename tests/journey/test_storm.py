"""A small storm, for every change: the large one is `python -m tests.bench storm`."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey.cluster import Shared
from tests.journey.storm import MORE, Plan, Storm
from tests.services.postgres import OwnPostgres
from tests.services.rabbit import OwnRabbit

DELETIONS, BACKUPS = 30, 8


@pytest.fixture
def lab(tmp_path: Path, own_postgres: OwnPostgres, own_rabbit: OwnRabbit) -> Iterator[Shared]:
    """A lab with just enough VMs that hold VFs."""
    options = ("--hosts", "2", "--vfs", "32", "--vms", str(2 * (DELETIONS + BACKUPS)), "--speed", "0.02")
    with own_postgres.database() as database:
        made = Shared(tmp_path, database, own_rabbit.url, *options, more=MORE, every="20s")
        yield made
        made.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGKILL], ids=["SIGQUIT", "SIGKILL"])
def test_in_a_storm_everything_is_done_once(
    lab: Shared, own_postgres: OwnPostgres, own_rabbit: OwnRabbit, number: signal.Signals
) -> None:  # fmt: skip
    """Processes die every few seconds, RabbitMQ and PostgreSQL crash: each deletion and each backup takes effect once, nothing is left."""
    storm = Storm(lab, own_postgres, own_rabbit, Plan(DELETIONS, BACKUPS, seed=int(number), over=12, postgres=(number,)))
    storm.rage()
    assert storm.complaints() == []
