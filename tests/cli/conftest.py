import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.demo.actors import SimulatedPool
from tests.services import sqlite, typist


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in (0, 1), self.err
        return json.loads(self.out)


Vfo = Callable[..., Answer]


@pytest.fixture
def vfo(tmp_path: Path) -> Vfo:
    """Types a command, in a folder of its own, without a terminal."""

    def typed(*words: str, **environment: str) -> Answer:
        done = typist.run(words, tmp_path, environment)
        return Answer(done.returncode, done.stdout, done.stderr)

    return typed


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A pool with a certificate for each host; what it said when it started."""
    started = SimulatedPool(tmp_path_factory.mktemp("pool"), "--tls")
    yield started.said
    started.stop()


@pytest.fixture
def configured(tmp_path: Path, pool: dict[str, Any]) -> dict[str, Any]:
    """A configuration for the pool, in the folder where commands are typed."""
    text = f'[pools.lab]\nurl = "{pool["url"]}"\npassword = "{pool["password"]}"\ninsecure = true\npatience = "2s"\n'
    (tmp_path / "vfo.toml").write_text(text)
    sqlite.database(tmp_path / "vfo.sqlite3")
    return pool
