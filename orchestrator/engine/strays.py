"""Runs that only some of the processes know, while two versions of this program work beside each other.

A run at a step that a process does not have is parked with the reason, for a process that has it: nothing is guessed. One that has it does
not leave it to chance whom the next message reaches: it takes such runs itself, in a thread of its own.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from uuid import UUID

from state.claims import Stray
from state.run import Phase, Run
from workflows.workflow import Workflow

logger = logging.getLogger(__name__)

FIRST, LONGEST = timedelta(seconds=5), timedelta(minutes=1)
"""How long such a run is left alone: as long as nobody has known it, within these."""
LEFT = timedelta(seconds=10)  # after it is due it is for those who know it; then it is published for everybody
LOOK = 0.5  # seconds between two looks whether the engine stops


class Strays:
    """What a process with these *workflows* does with such runs."""

    def __init__(self, workflows: Mapping[str, Workflow]) -> None:
        self._workflows = workflows
        self._mine: queue.SimpleQueue[UUID] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._queued: set[UUID] = set()

    def lacks(self, run: Run | Stray) -> str:
        """What this version does not have that the run needs next, in words; "" when it has all."""
        workflow = self._workflows.get(run.workflow)
        if workflow is None:
            return f"no workflow {run.workflow}"
        position = 0 if run.step is None else workflow.position(run.step)
        if position is None:
            return f"no step {run.step} in workflow {run.workflow}"
        if run.phase is Phase.UNDO and workflow.steps[position].undo is None:
            return f"nothing that undoes step {run.step} in workflow {run.workflow}"
        return ""

    def sort(self, found: Iterable[Stray], now: datetime) -> set[UUID]:
        """Take those that are known here; which of them are not to be published now."""
        for run in found:
            if not self.lacks(run):
                self._take(run.id)
        return {run.id for run in found if now - run.due_at < LEFT}

    def run(self, work: Callable[[UUID], None], stopping: threading.Event) -> None:
        """Work on what was taken, until *stopping* is set."""
        while not stopping.is_set():
            try:
                run_id = self._mine.get(timeout=LOOK)
            except queue.Empty:
                continue
            with self._lock:
                self._queued.discard(run_id)
            work(run_id)

    def _take(self, run_id: UUID) -> None:
        with self._lock:
            if run_id in self._queued:
                return
            self._queued.add(run_id)
        self._mine.put(run_id)


def pause(run: Run, now: datetime) -> timedelta:
    """For how long a run that is unknown here is left to others."""
    return min(LONGEST, max(FIRST, now - (run.unknown_since or now)))


def for_others(lacks: str) -> str:
    """Why such a run waits."""
    return f"{_this(lacks)}: it waits for a process of a version that has it; begin one, or take this one back to that version"


def for_a_person(lacks: str, waited: timedelta) -> str:
    """Why such a run is stuck."""
    return f"{_this(lacks)}, and no process has had it for {waited}: begin one of a version that has it, then try the run again"


def _this(lacks: str) -> str:
    return f"this version ({version('vf-orchestrator')}) has {lacks}"
