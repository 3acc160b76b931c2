import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.config.load import Loaded, load
from orchestrator.notify import setup
from orchestrator.notify.teller import Teller
from orchestrator.written import InRows
from state.store import Store
from tests.engine.waiting import until
from tests.plugins.vendor_server import Answer, Got, Vendor, serving

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Ear(Vendor):
    """A service that hears. It answers with *status*, and only when *open* is set."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.open = threading.Event()
        self.open.set()

    def answer(self, got: Got) -> Answer:
        self.got.append(got)
        self.open.wait(60)
        return Answer(self.status)

    @property
    def titles(self) -> list[str]:
        return [one.said["title"] for one in self.got]

    @property
    def texts(self) -> list[str]:
        return [one.said["message"] for one in self.got]

    @property
    def notify_url(self) -> str:
        """As apprise has it: it waits for an answer for as long as a test lasts."""
        return self.url.replace("http://", "json://") + "/t0ken?rto=60"


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear()
    with ExitStack() as stack:
        stack.enter_context(serving(made))
        yield made
        made.open.set()


@pytest.fixture
def other_ear() -> Iterator[Ear]:
    made = Ear()
    with ExitStack() as stack:
        stack.enter_context(serving(made))
        yield made
        made.open.set()


@pytest.fixture
def clock() -> Clock:
    """It is noon."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'vfo.sqlite3'}")
    yield opened
    opened.close()


POOLS = '[pools.lab]\nurl = "https://127.0.0.1:9"\npassword = "hunter2"\n'


class Office:
    """The part of a process that tells people, its looks done by hand."""

    def __init__(self, folder: Path, store: Store, clock: Clock) -> None:
        self.folder = folder
        self.store = store
        self.clock = clock
        self.teller: Teller | None = None

    def loaded(self, text: str) -> Loaded:
        path = self.folder / "vfo.toml"
        path.write_text(POOLS + text)
        return load(path)

    def opens(self, text: str) -> Teller:
        """A process begins, by this configuration."""
        loaded = self.loaded(text)
        self.teller = setup.teller(loaded, self.store, {"lab": None}, self.clock, InRows(loaded, self.store))  # type: ignore[dict-item]
        return self.teller

    def look(self, minutes: float = 0) -> None:
        """So much later, a look; returns when all that was begun is through."""
        self.clock.now += timedelta(minutes=minutes)
        self.begin()
        self.settle()

    def begin(self) -> None:
        """A look, without waiting for channels."""
        assert self.teller is not None
        self.teller.look()

    def settle(self) -> None:
        """Wait until all that was begun is through."""
        assert self.teller is not None
        couriers = self.teller.couriers.values()
        until(lambda: not any(courier.is_busy for courier in couriers))


@pytest.fixture
def office(tmp_path: Path, store: Store, clock: Clock) -> Office:
    return Office(tmp_path, store, clock)


def channel(ear: Ear, name: str = "chat", more: str = "") -> str:
    """The table of a channel to this service."""
    return f'[notify.{name}]\nurl = "{ear.notify_url}"\n{more}\n'
