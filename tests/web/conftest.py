import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from orchestrator import bootstrap
from orchestrator.actions import tokens, users
from orchestrator.actions.place import Place
from orchestrator.config.load import load
from orchestrator.simulator import SimulatedPool
from orchestrator.web.app import guarded
from orchestrator.web.office import Office
from state.store import Store
from tests.plugins import shelves
from tests.services import programs

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
TABLE = '\n[products.shelf]\nplugin = "shelf"\n'
CONFIGURATION = """
[pools.lab]
url = "{url}"
username = "{user}"
password = "{password}"
patience = "2s"

[sriov.fast]
network = "SR-IOV"
ports = {{ device = "eth1" }}

[console]
enabled = true
"""


@dataclass
class Web:
    """The application over a simulated pool, asked as a program asks it; *now* is its time."""

    office: Office
    client: TestClient
    pool: SimulatedPool | None
    now: datetime = NOON
    published: list[Any] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.office.store

    @property
    def place(self) -> Place:
        return Place(self.office.store, "tests", "cli", lambda: self.now)

    def token(self, scope: str = "admin", lasts: timedelta | None = None) -> str:
        """A token's secret, made when it is first asked for."""
        if scope not in self.secrets:
            self.secrets[scope] = tokens.create(self.place, f"{scope}-token", scope, lasts)[0]
        return self.secrets[scope]

    def user(self, name: str = "ann", scope: str = "operate") -> None:
        users.add(self.place, users.Wanted(name, PASSWORD, scope))

    def ask(
        self, method: str, path: str, *, scope: str | None = "admin", headers: dict[str, str] | None = None, **more: Any
    ) -> httpx2.Response:
        sent = dict(headers or {})
        if scope is not None:
            sent.setdefault("Authorization", f"Bearer {self.token(scope)}")
        return self.client.request(method, path if path.startswith("/api/") else f"/api/v1{path}", headers=sent, **more)

    def get(self, path: str, **more: Any) -> httpx2.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> httpx2.Response:
        return self.ask("POST", path, json=json, **more)


Make = Callable[..., Web]


@pytest.fixture(scope="module")
def pool() -> Iterator[SimulatedPool]:
    """A pool that tests only look at."""
    started = SimulatedPool(hosts=1, vms=3).start()
    yield started
    started.stop()


@pytest.fixture
def make_web(tmp_path: Path) -> Iterator[Make]:
    """Makes the application over *pool*, or over none that answers; with *more* at the end of the configuration."""
    closes: list[Callable[[], None]] = []

    def make(pool: SimulatedPool | None = None, more: str = "") -> Web:
        path = tmp_path / "vfo.toml"
        where = {"url": "http://127.0.0.1:9", "user": "root", "password": "nobody"}
        if pool is not None:
            where = {"url": pool.url, "user": pool.user, "password": pool.password}
        path.write_text(CONFIGURATION.format_map(where) + more)
        loaded = load(path)
        store = bootstrap.store(loaded)
        pools = {name: bootstrap.access(loaded, store, name) for name in loaded.pools}
        published: list[Any] = []
        office = Office(loaded, store, pools, lambda: made.now, published.extend)
        client = TestClient(guarded(office), base_url="http://localhost", raise_server_exceptions=False)
        made = Web(office, client, pool, published=published)
        closes.extend([client.close, office.close, *(access.client.close for access in pools.values()), store.close])
        return made

    yield make
    for close in closes:
        close()


@pytest.fixture
def web(make_web: Make) -> Web:
    """The application where no pool answers: for what is of the rows alone."""
    return make_web()


@pytest.fixture
def shelf(make_web: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Web]:
    """The application with the product, where its package is installed."""

    def make(pool: SimulatedPool | None = None, more: str = "", console: str = "", **how: Any) -> Web:
        shelves.installed(tmp_path, monkeypatch, **how)
        return make_web(pool, console + TABLE + more)

    return make


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ext4 filesystem with files in it, one of whose names is no good one."""
    folder = tmp_path_factory.mktemp("ext4")
    (folder / "source" / "etc").mkdir(parents=True)
    (folder / "source" / "etc" / "hostname").write_text("web-01\n")
    (folder / "source" / '<b>owned"; filename="x.html').write_text("text")
    (folder / "source" / "to-it").symlink_to("etc/hostname")
    (folder / "source" / "same").mkdir()
    (folder / "source" / "same" / "same").write_text("same")
    (folder / "source" / "ümlaut x").write_bytes(os.urandom(1 << 20))
    command = [programs.needed("mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-d", str(folder / "source"), str(folder / "image"), "16M"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "image"
