"""Calls the configured plugins for the workflows: every call has its time, and whatever a plugin does comes back as one of few answers."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, BinaryIO, TypeVar

from orchestrator import fence
from plugins import bounded
from plugins.errors import GiveUp, PluginError, Refuse, RetryLater, Skip, SourceError
from plugins.kit import Source
from plugins.manager import Instance, Plugins
from plugins.values import BackupVM, Needs, Progress, RestorePoint, Snapshot, Verified
from workflows.services import Verdict

logger = logging.getLogger(__name__)
T = TypeVar("T")

SourceFor = Callable[[str, Snapshot], Source]
"""Gives the data of a snapshot of a pool."""

SHORT, LONG = timedelta(minutes=5), timedelta(hours=6)
WITHIN = {
    "start_backup": SHORT,
    "poll_backup": timedelta(minutes=1),
    "cancel_backup": SHORT,
    "needs": timedelta(minutes=1),
    "list_backups": timedelta(minutes=30),
    "open_disk": SHORT,
    "open_vm": SHORT,
    "verify_backup": LONG,
    "forget_backups": LONG,
}
"""How long a product may take for a call before its thread is left behind."""
LEFT_BEHIND = 8
"""How many calls of one after-hook may be left behind before it is not called again: those that thaw must not wait for one that hangs."""
ENDS = {Refuse: "refuse", Skip: "skip", RetryLater: "later", GiveUp: "give-up"}


class PluginCalls:
    """`workflows.services.Plugins`, and what restores need besides."""

    def __init__(self, plugins: Plugins, source_for: SourceFor) -> None:
        self._plugins = plugins
        self._source_for = source_for
        self._late = _LeftBehind()

    def act(self, hook: str, names: Sequence[str], *values: object, timeout: timedelta) -> tuple[Verdict, ...]:
        """As `workflows.services.Plugins` says."""
        after = hook.startswith("after_")
        said: list[Verdict] = []
        for name in reversed(names) if after else names:
            verdict = self._acted(hook, name, values, timeout)
            if verdict is not None:
                said.append(verdict)
                if not (verdict.well or after):
                    break
        return tuple(said)

    def needs(self, product: str, vm: BackupVM) -> Needs | None:
        """What the product needs of the VM; None: it does not say."""
        if "needs" not in self._product(product).hooks:
            return None
        answer = self._call(product, "needs", vm)
        return None if answer is None else _of_type(answer, Needs, product, "needs")

    def start(self, product: str, vm: BackupVM, snapshot: Snapshot) -> str:
        """Begin the job; its id."""
        try:
            source = self._source_for(vm.pool, snapshot)
        except SourceError as error:
            raise GiveUp(f"the snapshot of VM {vm.name} cannot be read: {error}") from error
        return _of_type(self._call(product, "start_backup", vm, snapshot, source), str, product, "start_backup")

    def poll(self, product: str, job: str) -> Progress:
        """How the job stands."""
        return _of_type(self._call(product, "poll_backup", job), Progress, product, "poll_backup")

    def cancel(self, product: str, job: str) -> None:
        """End the job. Raises RetryLater while it goes on."""
        if not self._call(product, "cancel_backup", job):
            raise RetryLater(f"[products.{product}] has not ended its job {job} yet")

    def points(self, product: str) -> tuple[RestorePoint, ...]:
        """Every restore point of the product, oldest first."""
        found = self._call(product, "list_backups")
        if not isinstance(found, Sequence):
            raise GiveUp(f"[products.{product}] answered list_backups with {type(found).__name__}: it must be a sequence of RestorePoint")
        points = [_of_type(point, RestorePoint, product, "list_backups") for point in found]
        return tuple(sorted(points, key=lambda point: point.taken_at))

    def verify(self, product: str, point: RestorePoint) -> Verified:
        """Look whether it can be given back."""
        return _of_type(self._call(product, "verify_backup", point), Verified, product, "verify_backup")

    def forget(self, product: str, points: Sequence[RestorePoint]) -> int:
        """Remove these; bytes freed."""
        return _of_type(self._call(product, "forget_backups", tuple(points)), int, product, "forget_backups") if points else 0

    def open_disk(self, product: str, point: RestorePoint, number: int) -> BinaryIO:
        """The raw contents of a disk of a restore point."""
        return _stream(self._call(product, "open_disk", point, number), product, "open_disk")

    def open_vm(self, product: str, point: RestorePoint) -> BinaryIO:
        """The whole VM of a restore point as XVA."""
        return _stream(self._call(product, "open_vm", point), product, "open_vm")

    # -- acting ------------------------------------------------------------------------------------------------

    def _acted(self, hook: str, name: str, values: tuple[object, ...], timeout: timedelta) -> Verdict | None:
        try:
            instance = self._plugins.hook(name)
        except PluginError as error:
            return Verdict(name, "failed", str(error))
        if hook not in instance.hooks:
            return None
        fence.assert_held()
        began = time.monotonic()
        try:
            self._late.call(instance, hook, values, timeout)
        except (Refuse, Skip, RetryLater, GiveUp) as error:
            after = error.after if isinstance(error, RetryLater) else None
            end = next(end for kind, end in ENDS.items() if isinstance(error, kind))
            return Verdict(name, end, str(error), after, time.monotonic() - began)
        except bounded.Late as error:
            return Verdict(name, "late", f"[hooks.{name}]: {error}", seconds=time.monotonic() - began)
        except Exception as error:
            logger.warning("hook %s of [hooks.%s] failed", hook, name, exc_info=True)
            return Verdict(name, "failed", f"{type(error).__name__}: {error}", seconds=time.monotonic() - began)
        return Verdict(name, "ok", seconds=time.monotonic() - began)

    # -- producing ---------------------------------------------------------------------------------------------

    def _product(self, name: str) -> Instance:
        try:
            return self._plugins.product(name)
        except PluginError as error:
            raise GiveUp(str(error)) from None

    def _call(self, name: str, hook: str, *values: object) -> Any:
        instance = self._product(name)
        if hook not in instance.hooks:
            raise GiveUp(f"[products.{name}] (plugin {instance.plugin!r}) has no {hook}")
        fence.assert_held()
        try:
            return self._late.call(instance, hook, values, WITHIN[hook])
        except (RetryLater, GiveUp):
            raise
        except bounded.Late as error:
            raise RetryLater(f"[products.{name}]: {hook}: {error}") from None
        except SourceError as error:
            raise GiveUp(f"[products.{name}]: {hook}: {error}") from error
        except Exception as error:
            logger.warning("%s of [products.%s] failed", hook, name, exc_info=True)
            raise GiveUp(f"[products.{name}] failed in {hook}: {type(error).__name__}: {error}") from error


class _LeftBehind:
    """Makes calls, and knows those that were late and are at work yet: the same thing is not asked again before they are over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._late: dict[tuple[str, str], list[tuple[object, bounded.Call[Any]]]] = {}

    def call(self, instance: Instance, hook: str, values: tuple[object, ...], within: timedelta) -> Any:
        """What the hook gives, or raises; Late when it takes too long, or a call before it has not come to its end."""
        about = values[0] if values else None
        late = self._at_work(instance, hook)
        if any(other == about for other, _ in late) or len(late) >= (LEFT_BEHIND if hook.startswith("after_") else 1):
            raise bounded.Late("an earlier call was late and has not come to its end: it is not called again before that")
        implementation = instance.hooks[hook]
        call = bounded.Call(lambda: implementation(*values), f"{hook} of {instance.label}")
        try:
            return call.result(within)
        except bounded.Late:
            logger.warning(
                "%s of %s has not come back within %g s: its thread is left behind", hook, instance.label, within.total_seconds()
            )
            with self._lock:
                self._late.setdefault((instance.label, hook), []).append((about, call))
            raise

    def _at_work(self, instance: Instance, hook: str) -> list[tuple[object, bounded.Call[Any]]]:
        with self._lock:
            key = (instance.label, hook)
            self._late[key] = [one for one in self._late.get(key, ()) if not one[1].over]
            return list(self._late[key])


def _of_type(answer: Any, kind: type[T], product: str, hook: str) -> T:
    if not isinstance(answer, kind) or isinstance(answer, bool):
        raise GiveUp(f"[products.{product}] answered {hook} with {type(answer).__name__}: it must be {kind.__name__}")
    return answer


def _stream(answer: Any, product: str, hook: str) -> BinaryIO:
    if not hasattr(answer, "read"):
        raise GiveUp(f"[products.{product}] answered {hook} with {type(answer).__name__}: it must be a binary stream")
    stream: BinaryIO = answer
    return stream
