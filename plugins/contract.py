"""The contract of plugins, as checks that anybody can run: on a product, or on a plugin that acts around backups.

A check is a function with a sentence for a docstring. It is quiet, or raises `Broken`, or `NotOffered` where the plugin lacks what is
checked. Each begins with a new life of the plugin: a new instance with the same settings and the same directory.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from plugins import bounded
from plugins.errors import GiveUp, RetryLater
from plugins.implementations import Implementation
from plugins.kit import Kit
from plugins.testing import MemoryJobs, Sample
from plugins.values import Progress

Make = Callable[[Kit], Mapping[str, Implementation]]
POOL = "vfo-check"
STATES = ("running", "done", "failed", "lost")
LOOK = 0.02


class Broken(Exception):
    """The plugin does not do what the contract says."""


class NotOffered(Exception):
    """The plugin does not have what is checked; that is allowed."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One check: *ok* is None where it was left out. *message*: what was wrong, or why it was left out."""

    name: str
    ok: bool | None
    message: str = ""


class Bench:
    """Where a plugin is tried. *within*: how long one call may take; *patience*: how long a job."""

    def __init__(self, make: Make, folder: Path, sample: Sample, *, within: timedelta, patience: timedelta) -> None:
        self.sample = sample
        self.patience = patience
        self._make = make
        self._folder = folder
        self._within = within
        self._lives: list[Life] = []

    def live(self, at_once: int = 4) -> "Life":
        """A new life; the one before it is killed."""
        self.kill()
        jobs = MemoryJobs(at_once)
        made = bounded.call(lambda: self._make(Kit("check", self._folder, jobs)), self._within, "making the plugin")
        self._lives.append(Life(made, jobs, self._within, self.patience))
        return self._lives[-1]

    def kill(self) -> None:
        """End the life at hand as a kill of the process would."""
        for life in self._lives:
            life.jobs.kill()
        self._lives.clear()


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a plugin, from its making to its death."""

    hooks: Mapping[str, Implementation]
    jobs: MemoryJobs
    within: timedelta
    patience: timedelta

    def call(self, hook: str, *values: object) -> Any:
        """What the hook gives, or RetryLater or GiveUp that it raised. Raises Broken for anything else, NotOffered where it lacks."""
        if hook not in self.hooks:
            raise NotOffered(f"it has no {hook}")
        implementation = self.hooks[hook]
        try:
            return bounded.call(lambda: implementation(*values), self.within, f"{hook} of a plugin that is checked")
        except (RetryLater, GiveUp):
            raise
        except bounded.Late as error:
            raise Broken(f"{hook}: {error}") from None
        except Exception as error:
            raise Broken(f"{hook} raised {type(error).__name__}: {error}: it may raise RetryLater and GiveUp") from error

    def poll(self, job: str) -> Progress:
        """How the job stands, if that is something that a product may say."""
        progress = self.call("poll_backup", job)
        if not isinstance(progress, Progress) or progress.state not in STATES:
            raise Broken(f"poll_backup gave {progress!r}: it must be a Progress whose state is one of {', '.join(STATES)}")
        if progress.fraction is not None and not 0 <= progress.fraction <= 1:
            raise Broken(f"poll_backup gave fraction = {progress.fraction!r}: it must be from 0 to 1, or None")
        return progress

    def finish(self, job: str) -> Progress:
        """Poll until the job is at its end."""
        ended: Progress = self.wait(lambda: self.poll(job), lambda progress: progress.state != "running", f"job {job!r} to end")
        return ended

    def wait(self, look: Callable[[], Any], enough: Callable[[Any], bool], what: str) -> Any:
        """Look until it is enough. Raises Broken when it never is."""
        ends, pause = time.monotonic() + self.patience.total_seconds(), threading.Event()
        while not enough(seen := look()):
            if time.monotonic() > ends:
                raise Broken(f"waited {self.patience.total_seconds():g} s for {what}: {seen!r}")
            pause.wait(LOOK)
        return seen


def run(checks: Iterable[Callable[[Bench], None]], bench: Bench) -> Iterator[Checked]:
    """Each check with what came of it, as it comes. Whatever a check meets is its own."""
    for check in checks:
        name = (check.__doc__ or check.__name__).rstrip(".")
        try:
            check(bench)
        except NotOffered as error:
            yield Checked(name, None, str(error))
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; what it raised is the finding
            plain = isinstance(error, Broken | bounded.Late)
            yield Checked(name, ok=False, message=str(error) if plain else f"{type(error).__name__}: {error}")
        else:
            yield Checked(name, ok=True)
        finally:
            bench.kill()
