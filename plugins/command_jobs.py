"""The jobs of commands: what their exit codes and their output say, and how one that goes on elsewhere is cancelled, after a crash too."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from plugins import commands, points
from plugins.commands import SAID, Came, CommandLine
from plugins.errors import GiveUp, Refuse, RetryLater, Skip
from plugins.kit import Job, Kit, Result
from plugins.telling import plain
from plugins.values import BackupVM, Progress, Snapshot

logger = logging.getLogger(__name__)

LATER, SKIP, REFUSE = 75, 76, 77
"""75 is EX_TEMPFAIL of sysexits.h."""
AGAIN = timedelta(minutes=1)
MARK = "VFO_JOB"
KEPT = 4096
"""How much of a job's output is kept for the report, in characters."""

Values = Mapping[str, Any]
Prepare = Callable[[Values], CommandLine]


class Answer:
    """What a command says in lines of its own: "vfo progress 0.42 read=9 stored=3 point=x", "vfo later 600", "vfo freed 123".

    A line that is none of these, or is written wrongly, is output as any other.
    """

    def __init__(self) -> None:
        self.fraction: float | None = None
        self.read = self.stored = self.freed = 0
        self.point = self.message = ""
        self.later: timedelta | None = None

    def hear(self, line: str) -> None:
        """A line of the output."""
        words = line.split()
        try:
            if line.startswith(SAID) and len(words) > 1:
                self._take(words[1], words[2:])
            elif words:
                self.message = line
        except (ValueError, OverflowError):
            self.message = line

    def say(self, job: Job) -> None:
        """Hand it on."""
        job.say(read=self.read, stored=self.stored, fraction=self.fraction, message=self.message[-200:])

    def _take(self, what: str, words: list[str]) -> None:
        if what == "later":
            self.later = timedelta(seconds=max(1.0, float(words[0])))
        elif what == "freed":
            self.freed += max(0, int(words[0]))
        elif what == "progress":
            for word in words:
                name, given, value = word.partition("=")
                if not given:
                    self.fraction = min(1.0, max(0.0, float(name)))
                elif name == "point":
                    self.point = value
                elif name in ("read", "stored"):
                    setattr(self, name, max(0, int(value)))


def judged(came: Came, words: tuple[str, ...], later: timedelta | None = None) -> None:
    """Raise what the exit code says; quiet for 0."""
    said = came.message or f"exit code {came.code}"
    if came.code == LATER:
        raise RetryLater(said, after=later)
    if came.code == SKIP:
        raise Skip(said)
    if came.code == REFUSE:
        raise Refuse(said)
    if came.code != 0:
        how = f"exit code {came.code}" if came.code > 0 else f"signal {-came.code}"
        raise GiveUp(f"{Path(words[0]).name} failed ({how})" + (f": {came.message}" if came.message else ""))


@dataclass(frozen=True, slots=True)
class CommandJobs:
    """*job* and *cancelling* make the commands; *within*: how long the one that cancels may take, None: there is none."""

    kit: Kit
    job: Prepare
    cancelling: Prepare
    within: timedelta | None

    def start(self, vm: BackupVM, snapshot: Snapshot) -> str:
        """Begin; the job's id. Whose it is is noted, so that what goes on elsewhere can be cancelled after a crash too."""
        manifest = json.loads(points.written(points.made(vm, snapshot, {})))
        values = {"vm": vm, "snapshot": snapshot, "manifest": manifest}
        job = self.kit.jobs.start(vm.run_id, lambda at_work: self._work(at_work, vm, values))
        if self.within is not None and self.kit.jobs.look(job).state == "running":
            self._note(job).write_text(json.dumps(plain(vm)))
        return job

    def look(self, job: str) -> Progress:
        """How it stands; of one that has ended nothing is left to cancel."""
        seen = self.kit.jobs.look(job)
        if seen.state in ("done", "failed"):
            self._note(job).unlink(missing_ok=True)
        return seen

    def cancel(self, job: str) -> bool:
        """End the job's command, and then run the one that cancels, unless the job has ended by itself. Raises RetryLater, GiveUp."""
        before = self.kit.jobs.look(job).state
        self.kit.jobs.cancel(job)
        if self.kit.jobs.look(job).state == "running":
            return False
        note = self._note(job)
        if before != "done" and note.exists():
            vm = _vm(json.loads(note.read_text()))
            command, answer = self.cancelling({"vm": vm}), Answer()
            judged(command.run(within=self.within, heard=answer.hear), command.words, answer.later)
        note.unlink(missing_ok=True)
        return True

    def _note(self, job: str) -> Path:
        folder = self.kit.folder / "begun"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / quote(job, safe="")

    def _work(self, job: Job, vm: BackupVM, values: Values) -> Result:
        mark = f"{self.kit.name}:{vm.run_id}"
        if ended := commands.end_marked(MARK, mark):
            logger.warning("[products.%s]: %d processes that an earlier job of run %s had left were ended", self.kit.name, ended, vm.run_id)
        made = self.job(values)
        command = replace(made, environment={**made.environment, MARK: mark})
        while True:
            answer = Answer()
            came = command.run(heard=answer.hear, told=partial(answer.say, job))
            if came.code != LATER:
                break
            self._wait(job, answer, came.message)
        try:
            judged(came, command.words)
        except (Skip, Refuse) as no:
            raise GiveUp(f"{Path(command.words[0]).name} will not: {no}") from None
        details = {"output": came.output[-KEPT:]} if came.output else {}
        return Result(answer.point or str(vm.run_id), answer.read, answer.stored, came.message, details)

    def _wait(self, job: Job, answer: Answer, message: str) -> None:
        """Not now: the same command again after a while. It says so once: the policy's patience with a silent job goes on."""
        after = answer.later or AGAIN
        ends, pause = time.monotonic() + after.total_seconds(), threading.Event()
        while time.monotonic() < ends:
            job.say(message=f"not now: {message or 'it does not say why'}")
            pause.wait(min(commands.LOOKS_EVERY, after.total_seconds()))


def _vm(noted: dict[str, Any]) -> BackupVM:
    return BackupVM(**{**noted, "run_id": UUID(noted["run_id"]), "tags": tuple(noted["tags"])})
