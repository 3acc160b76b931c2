"""Observers: one that raises, blocks or cannot keep up hurts nobody else."""

import logging
import threading
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from orchestrator.observers import Observers
from plugins import hooks, implementations, log, testing
from plugins.manager import OBSERVERS, Instance
from plugins.values import (
    BackupEnded,
    Ended,
    Happening,
    HostChanged,
    RunEnded,
    VFFreed,
    VFLeaked,
    WindowChanged,
    WindowEnded,
    WindowOpening,
)
from tests.engine.waiting import until

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUN = UUID(int=1)
WINDOW = WindowOpening(RUN, "night", "lab", NOON, None)
ENDED = RunEnded(RUN, "lab", "reclaim-vfs", "VM web-1", "done", "proven", NOON)
HAPPENINGS: tuple[Happening, ...] = (
    ENDED,
    VFFreed(RUN, "lab", "vm-1", "web-1", "host1/eth0", 8, 8, NOON),
    VFLeaked(RUN, "lab", "host1/eth0", 1, {}, NOON),
    BackupEnded(testing.vm(pool="lab"), Ended("failed", "no room"), NOON),
    WindowChanged(WINDOW, None, NOON),
    WindowChanged(WINDOW, WindowEnded(3, 1, 0), NOON),
    HostChanged("lab", "host", "host1", live=True, enabled=False, at=NOON),
)
PATIENCE = timedelta(seconds=0.2)


def observer(name: str, function: Callable[..., Any]) -> Instance:
    return Instance(OBSERVERS, name, name, implementations.of(types.SimpleNamespace(run_ended=hooks.hookimpl(function))))


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Something that an observer waits for; it is there at the latest when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_whoever_announces_waits_until_it_was_told() -> None:
    """So that it is told again after a crash, and not lost."""
    told: list[object] = []

    def hears(ended: object) -> None:
        told.append(ended)

    Observers([observer("a", hears)], patience=timedelta(seconds=20)).announce(ENDED)
    assert told == [ENDED]


@pytest.mark.parametrize("error", [RuntimeError("no network"), SystemExit(1)])
def test_an_observer_that_raises_hurts_nobody_else(caplog: pytest.LogCaptureFixture, error: BaseException) -> None:
    """The others are still told, it is told the next time too, and the failure is logged with its name."""
    told: list[int] = []

    def broken() -> None:
        told.append(0)
        raise error

    observers = Observers([observer("broken", broken), observer("well", lambda: told.append(1))], patience=timedelta(seconds=20))
    observers.announce(ENDED)
    observers.announce(ENDED)
    assert sorted(told) == [0, 0, 1, 1]
    assert "observer broken failed in run_ended" in caplog.text


def test_an_observer_that_blocks_holds_up_nobody(held: threading.Event) -> None:
    """It is waited for once; the others are told meanwhile, and it hears the rest when it has caught up."""
    told: list[str] = []

    def blocks() -> None:
        held.wait()
        told.append("slow")

    observers = Observers([observer("slow", blocks), observer("quick", lambda: told.append("quick"))], patience=PATIENCE)
    for _ in range(3):
        observers.announce(ENDED)
    until(lambda: told == ["quick"] * 3)
    held.set()
    until(lambda: told.count("slow") == 3)


def test_what_does_not_fit_is_dropped_and_counted(held: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    """Memory is bounded, and the log says that something is missing."""

    def blocks() -> None:
        held.wait()

    observers = Observers([observer("slow", blocks)], room=2, patience=PATIENCE)
    for _ in range(8):
        observers.announce(ENDED)
    assert observers.dropped["slow"] >= 4
    assert "observer slow does not keep up" in caplog.text


def test_what_is_left_is_told_at_the_end() -> None:
    """A daemon that stops lets them hear what is waiting."""
    told: list[int] = []
    observers = Observers([observer("a", lambda: told.append(1))], patience=timedelta())
    for _ in range(20):
        observers.announce(ENDED)
    observers.close(timedelta(seconds=20))
    assert len(told) == 20


@pytest.mark.parametrize("happening", HAPPENINGS, ids=lambda one: type(one).__name__)
def test_every_happening_is_a_line_in_the_log(happening: Happening, caplog: pytest.LogCaptureFixture) -> None:
    """The shipped observer uses every hook that there is."""
    caplog.set_level(logging.INFO)
    Observers([Instance(OBSERVERS, "log", "log", implementations.of(log))], patience=timedelta(seconds=20)).announce(happening)
    assert len(caplog.records) == 1
    assert "lab" in caplog.text
