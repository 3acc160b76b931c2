"""Any vendor with a command line: commands around windows, VMs and jobs, and commands that are a product. No shell reads them.

What a command is told is in its environment ("VFO_...") and, as JSON, in its input; what it says is its exit code, the last line of its
output, and lines that begin with "vfo ". All of it stands in plugins/README.md.
"""

import json
import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from plugins import command_jobs, points
from plugins.command_jobs import Answer, judged
from plugins.commands import Came, CommandLine
from plugins.errors import GiveUp
from plugins.hooks import hookimpl
from plugins.kit import Kit, Source
from plugins.settings import Settings
from plugins.spans import Span
from plugins.telling import in_environment, plain
from plugins.values import BackupVM, Ended, Needs, Progress, RestorePoint, Snapshot, Verified, WindowEnded, WindowOpening

logger = logging.getLogger(__name__)

SOUND, UNSOUND = 0, 1


def _words(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError('write a list of words, such as ["/usr/local/bin/freeze", "--all"]: no shell reads it')  # noqa: TRY004 - pydantic's way
    return value


Words = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_words)]
HOOKS = (
    "before_window", "after_window", "before_vm", "before_snapshot", "after_snapshot", "before_job", "after_job", "after_vm",
)  # fmt: skip
OF_JOB = ("start_backup", "poll_backup", "cancel_backup", "needs")
OTHERS = {"list_backups": "list", "verify_backup": "verify", "forget_backups": "forget"}


class CommandSettings(Settings):
    """`[hooks.NAME]` or `[products.NAME]` with `plugin = "command"`: each key is the command for what bears its name."""

    before_window: Words | None = None
    after_window: Words | None = None
    before_vm: Words | None = None
    before_snapshot: Words | None = None
    after_snapshot: Words | None = None
    before_job: Words | None = None
    after_job: Words | None = None
    after_vm: Words | None = None
    job: Words | None = None
    """Saves the snapshot, and ends when that is done. This makes it a product."""
    cancel: Words | None = None
    """Ends a job that goes on elsewhere; the job's own command has been ended by then."""
    list: Words | None = None
    """Prints the manifest of each restore point, one a line."""
    verify: Words | None = None
    forget: Words | None = None
    needs: Literal["nothing", "snapshot", "job"] = "snapshot"
    """During what the product needs the VM to hold no VF."""
    timeout: Span = timedelta(minutes=4)
    """How long a command may take, all but `job`; below the policy's timeouts.hook, so that it is ended and not left behind."""
    environment: dict[str, str] = Field(default_factory=dict)
    """More variables, as they are."""
    pass_on: tuple[str, ...] = ()
    """Variables of the daemon that are handed on besides PATH, HOME and LANG; what is in them is masked in all output."""

    @model_validator(mode="after")
    def _does_something(self) -> "CommandSettings":
        if not any(getattr(self, name) for name in (*HOOKS, "job")):
            raise ValueError(f"it runs no command: give job, or at least one of {', '.join(HOOKS)}")
        return self


class Command:
    """Runs what its table names, and has the hooks of that alone."""

    Settings = CommandSettings

    def __init__(self, settings: CommandSettings, kit: Kit) -> None:
        self._settings = settings
        self._kit = kit
        within = settings.timeout if settings.cancel else None
        self._jobs = command_jobs.CommandJobs(kit, self._prepared("job"), self._prepared("cancel"), within)
        absent = [hook for hook in HOOKS if not getattr(settings, hook)]
        absent += [] if settings.job else [*OF_JOB, *OTHERS]
        absent += [hook for hook, name in OTHERS.items() if not getattr(settings, name)]
        for hook in absent:
            setattr(self, hook, None)

    # -- around windows, VMs and jobs --------------------------------------------------------------------------

    @hookimpl
    def before_window(self, window: WindowOpening) -> None:
        """Run its command; the exit code says whether the window is kept."""
        self._act("before_window", window=window)

    @hookimpl
    def after_window(self, window: WindowOpening, result: WindowEnded) -> None:
        """Run its command."""
        self._act("after_window", window=window, result=result)

    @hookimpl
    def before_vm(self, vm: BackupVM) -> None:
        """Run its command; the exit code says whether the VM is backed up."""
        self._act("before_vm", vm=vm)

    @hookimpl
    def before_snapshot(self, vm: BackupVM) -> None:
        """Run its command: freeze."""
        self._act("before_snapshot", vm=vm)

    @hookimpl
    def after_snapshot(self, vm: BackupVM, result: Ended) -> None:
        """Run its command: thaw."""
        self._act("after_snapshot", vm=vm, result=result)

    @hookimpl
    def before_job(self, vm: BackupVM, snapshot: Snapshot) -> None:
        """Run its command; the exit code says whether the product begins."""
        self._act("before_job", vm=vm, snapshot=snapshot)

    @hookimpl
    def after_job(self, vm: BackupVM, result: Ended) -> None:
        """Run its command."""
        self._act("after_job", vm=vm, result=result)

    @hookimpl
    def after_vm(self, vm: BackupVM, result: Ended) -> None:
        """Run its command."""
        self._act("after_vm", vm=vm, result=result)

    # -- as a product ------------------------------------------------------------------------------------------

    @hookimpl
    def needs(self) -> Needs:
        """What its table says; the data it reads by itself."""
        return Needs(no_vf_during=self._settings.needs, disks=False)

    @hookimpl
    def start_backup(self, vm: BackupVM, snapshot: Snapshot, source: Source) -> str:  # noqa: ARG002 - it reads by itself
        """Run the command of the job, as a job."""
        return self._jobs.start(vm, snapshot)

    @hookimpl
    def poll_backup(self, job: str) -> Progress:
        """How the job stands."""
        return self._jobs.look(job)

    @hookimpl
    def cancel_backup(self, job: str) -> bool:
        """End the command, and run the one that cancels; True once both have ended."""
        return self._jobs.cancel(job)

    @hookimpl
    def list_backups(self) -> Sequence[RestorePoint]:
        """What the command prints."""
        came = self._run("list", {}, apart=True)
        judged(came, self._words("list"))
        found = []
        for number, line in enumerate(came.whole.splitlines(), 1):
            if line.strip():
                try:
                    found.append(points.read(line))
                except ValueError as error:
                    raise GiveUp(f"{self._words('list')[0]}: line {number} of its output: {error}") from None
        return sorted(found, key=lambda point: point.taken_at)

    @hookimpl
    def verify_backup(self, point: RestorePoint) -> Verified:
        """Exit code 0: sound; 1: it is not."""
        came = self._run("verify", {"point": point})
        if came.code not in (SOUND, UNSOUND):
            judged(came, self._words("verify"))
        return Verified(sound=came.code == SOUND, message=came.message or f"exit code {came.code}")

    @hookimpl
    def forget_backups(self, points: Sequence[RestorePoint]) -> int:
        """One command a restore point."""
        freed = 0
        for point in points:
            answer = Answer()
            judged(self._run("forget", {"point": point}, answer), self._words("forget"))
            freed += answer.freed
        return freed

    # -- inside ------------------------------------------------------------------------------------------------

    def _act(self, hook: str, **values: object) -> None:
        answer = Answer()
        came = self._run(hook, values, answer)
        logger.info("[hooks.%s] %s: exit code %d%s", self._kit.name, hook, came.code, f": {came.message}" if came.message else "")
        judged(came, self._words(hook), answer.later)

    def _run(self, key: str, values: command_jobs.Values, answer: Answer | None = None, *, apart: bool = False) -> Came:
        heard = (answer or Answer()).hear
        return self._prepared(key)(values).run(within=self._settings.timeout, heard=heard, apart=apart)

    def _prepared(self, key: str) -> command_jobs.Prepare:
        """Makes the command of that key, given the values that it is told."""

        def prepare(values: command_jobs.Values) -> CommandLine:
            passed = {name: os.environ[name] for name in self._settings.pass_on if name in os.environ}
            said = {"VFO_HOOK": key, "VFO_NAME": self._kit.name, **in_environment(values)}
            given = json.dumps({"hook": key, "name": self._kit.name, **plain(values)}).encode()
            environment = {**passed, **self._settings.environment, **said}
            return CommandLine(self._words(key), environment, given, self._kit.folder, tuple(passed.values()))

        return prepare

    def _words(self, key: str) -> tuple[str, ...]:
        words: tuple[str, ...] = getattr(self._settings, key) or ()
        return words
