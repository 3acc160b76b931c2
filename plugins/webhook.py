"""Any service that speaks HTTP: told of hooks and asked for its word, and told to save; every message signed, both ways.

What is sent, what may be answered, and how a job tells of itself stands in plugins/README.md.
"""

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import NAMESPACE_URL, uuid5

from plugins import asking, callbacks, points, signing
from plugins.asking import Answer, Server, Unreachable
from plugins.callbacks import Desk, Listener, Unknown
from plugins.errors import GiveUp, Refuse, RetryLater, Skip
from plugins.hooks import hookimpl
from plugins.kit import Kit, Source
from plugins.telling import plain
from plugins.values import (
    BackupEnded,
    BackupVM,
    Ended,
    HostChanged,
    Needs,
    Progress,
    RunEnded,
    Snapshot,
    VFFreed,
    VFLeaked,
    WindowChanged,
    WindowEnded,
    WindowOpening,
)
from plugins.webhook_settings import TOLD, WebhookSettings, address_of

logger = logging.getLogger(__name__)

REFUSED, GONE, NOT_FOUND, ACCEPTED = 403, 410, 404, 202
LATER = (409, 425, 429, 503)
AGAIN = timedelta(minutes=1)


class Webhook:
    """One service."""

    Settings = WebhookSettings

    def __init__(self, settings: WebhookSettings, kit: Kit) -> None:
        self._settings = settings
        self._kit = kit
        self._url = settings.url.get_secret_value()
        self._secret = settings.secret.get_secret_value().encode()
        self._server = Server(settings.ca_file, settings.timeout, settings.tries)
        self._desk = Desk(kit.folder / "jobs", self._secret)
        self._listener = Listener(address_of(settings.listen), self._desk) if settings.listen else None
        for hook in TOLD:
            if hook not in settings.which:
                setattr(self, hook, None)

    def close(self) -> None:
        """Listen for no call-backs any more."""
        if self._listener is not None:
            self._listener.close()

    # -- acting ------------------------------------------------------------------------------------------------

    @hookimpl
    def before_window(self, window: WindowOpening) -> None:
        """Ask whether the window is kept."""
        self._ask("before_window", window=window)

    @hookimpl
    def after_window(self, window: WindowOpening, result: WindowEnded) -> None:
        """Tell what came of it."""
        self._ask("after_window", window=window, result=result)

    @hookimpl
    def before_vm(self, vm: BackupVM) -> None:
        """Ask whether the VM is backed up."""
        self._ask("before_vm", vm=vm)

    @hookimpl
    def before_snapshot(self, vm: BackupVM) -> None:
        """Have it frozen."""
        self._ask("before_snapshot", vm=vm)

    @hookimpl
    def after_snapshot(self, vm: BackupVM, result: Ended) -> None:
        """Have it thawed."""
        self._ask("after_snapshot", vm=vm, result=result)

    @hookimpl
    def before_job(self, vm: BackupVM, snapshot: Snapshot) -> None:
        """Ask whether the product begins."""
        self._ask("before_job", vm=vm, snapshot=snapshot)

    @hookimpl
    def after_job(self, vm: BackupVM, result: Ended) -> None:
        """Tell how the job ended."""
        self._ask("after_job", vm=vm, result=result)

    @hookimpl
    def after_vm(self, vm: BackupVM, result: Ended) -> None:
        """Tell how the backup ended."""
        self._ask("after_vm", vm=vm, result=result)

    # -- observing ---------------------------------------------------------------------------------------------

    @hookimpl
    def vf_freed(self, freed: VFFreed) -> None:
        """Tell it."""
        self._tell("vf_freed", freed=freed)

    @hookimpl
    def vf_leaked(self, leaked: VFLeaked) -> None:
        """Tell it."""
        self._tell("vf_leaked", leaked=leaked)

    @hookimpl
    def run_ended(self, ended: RunEnded) -> None:
        """Tell it."""
        self._tell("run_ended", ended=ended)

    @hookimpl
    def backup_ended(self, backup: BackupEnded) -> None:
        """Tell it."""
        self._tell("backup_ended", backup=backup)

    @hookimpl
    def window_changed(self, change: WindowChanged) -> None:
        """Tell it."""
        self._tell("window_changed", change=change)

    @hookimpl
    def host_changed(self, change: HostChanged) -> None:
        """Tell it."""
        self._tell("host_changed", change=change)

    # -- as a product ------------------------------------------------------------------------------------------

    @hookimpl
    def needs(self) -> Needs:
        """What its table says; the data it reads by itself."""
        return Needs(no_vf_during=self._settings.needs, disks=False)

    @hookimpl
    def start_backup(self, vm: BackupVM, snapshot: Snapshot, source: Source) -> str:  # noqa: ARG002 - it reads by itself
        """Have the service begin; our id of the job is the run's."""
        job, listens = str(vm.run_id), self._listens()
        try:
            if self._desk.read(job).get("said", {}).get("state") != "failed":
                return job
        except Unknown:
            self._desk.tidy()
        manifest = json.loads(points.written(points.made(vm, snapshot, {})))
        told = {"vm": vm, "snapshot": snapshot, "manifest": manifest, "callback": self._callback(job) if listens else None}
        answer = _produced(self._sent("start_backup", told), self._url)
        said = answer.said
        begun = {"status": self._own(said.get("status")), "cancel": self._own(said.get("cancel")), "said": {}}
        if not begun["status"] and not listens:
            raise GiveUp(f"{asking.shown(self._url)} began and says no URL to ask for its status: let it answer one, or give listen")
        self._desk.write(job, begun)
        return job

    @hookimpl
    def poll_backup(self, job: str) -> Progress:
        """What was called back, or what the service says when it is asked."""
        self._listens()
        try:
            known = self._desk.read(job)
        except Unknown as error:
            return Progress("lost", message=str(error))
        seen = callbacks.progress({"state": "running", **known["said"]}, job)
        if seen.state in callbacks.OVER or not known.get("status"):
            return seen
        return self._asked(job, known["status"], seen)

    @hookimpl
    def cancel_backup(self, job: str) -> bool:
        """Have the service end it; 202 is "not yet"."""
        try:
            known = self._desk.read(job)
        except Unknown:
            return True
        if known["said"].get("state") in callbacks.OVER:
            return True
        answer = self._sent("cancel_backup", {"job": job}, known.get("cancel") or self._url)
        if answer.status not in (NOT_FOUND, GONE):
            _produced(answer, self._url)
        if answer.status == ACCEPTED:
            return False
        self._desk.learn(job, {"state": "failed", "message": "it was cancelled"})
        return True

    # -- inside ------------------------------------------------------------------------------------------------

    def _asked(self, job: str, status: str, seen: Progress) -> Progress:
        try:
            answer = self._server.ask(status, None, signing.headers(self._secret, b"", job))
        except Unreachable as error:
            return Progress("running", seen.fraction, seen.read, seen.stored, message=str(error))
        if answer.status in (NOT_FOUND, GONE):
            self._desk.forget(job)
            return Progress("lost", message=f"{asking.shown(status)} knows nothing of it")
        if not answer.well:
            message = f"{asking.shown(status)} answers {answer.status} to whoever asks for the job's status"
            return Progress("running", seen.fraction, seen.read, seen.stored, message=message)
        try:
            return self._desk.learn(job, answer.said)
        except ValueError as error:
            raise GiveUp(f"{asking.shown(status)} tells of the job what makes no sense: {error}") from None

    def _listens(self) -> bool:
        if self._listener is None:
            return False
        self._listener.listen()
        return True

    def _callback(self, job: str) -> dict[str, str]:
        where = self._settings.callback_url or f"http://{self._settings.listen}"
        return {"url": f"{where.rstrip('/')}/{job}", "key": signing.key_of_job(self._secret, job)}

    def _own(self, given: Any) -> str:
        """A URL that the service gave: only of its own does it get what we sign."""
        if not given:
            return ""
        url = urljoin(self._url, str(given))
        if urlsplit(url)[:2] != urlsplit(self._url)[:2]:
            raise GiveUp(f"{asking.shown(self._url)} answers with a URL of {asking.shown(url)}: it must be one of its own")
        return url

    def _ask(self, hook: str, **values: object) -> None:
        try:
            _judged(self._sent(hook, values), self._url)
        except RetryLater as error:
            if not isinstance(error.__cause__, Unreachable) or self._settings.when_unreachable == "later":
                raise
            if self._settings.when_unreachable == "give-up":
                raise GiveUp(str(error)) from None
            logger.warning("[hooks.%s] %s: %s: it goes on without", self._kit.name, hook, error)

    def _tell(self, hook: str, **values: object) -> None:
        _judged(self._sent(hook, values), self._url)

    def _sent(self, event: str, values: Mapping[str, object], url: str = "") -> Answer:
        """What is answered. Raises RetryLater, from Unreachable, when nothing is."""
        body = json.dumps({"event": event, "name": self._kit.name, **plain(values)}, sort_keys=True).encode()
        delivery, number = str(uuid5(NAMESPACE_URL, body.decode())), 0
        while True:
            number += 1
            try:
                answer = self._server.ask(url or self._url, body, {"Content-Type": "application/json", **self._signed(body, delivery)})
                if answer.status < 500 or answer.status in LATER:
                    return answer
                error = Unreachable(f"{asking.shown(self._url)} answers {answer.status}{f': {answer.message}' if answer.message else ''}")
            except Unreachable as unreachable:
                error = unreachable
            if not self._server.again(number):
                raise RetryLater(str(error), after=AGAIN) from error

    def _signed(self, body: bytes, delivery: str) -> dict[str, str]:
        return signing.headers(self._secret, body, delivery)


def _judged(answer: Answer, url: str) -> Answer:
    """Raise what the status says; the answer when it is a 2xx."""
    said = answer.message or f"{asking.shown(url)} answers {answer.status}"
    if answer.well:
        return answer
    if answer.status == REFUSED:
        raise Refuse(said)
    if answer.status == GONE:
        raise Skip(said)
    if answer.status in LATER:
        raise RetryLater(said, after=answer.after)
    if 300 <= answer.status < 400:
        raise GiveUp(f"{asking.shown(url)} answers {answer.status}: redirects are not followed: write where it leads")
    raise GiveUp(f"{asking.shown(url)} answers {answer.status}{f': {answer.message}' if answer.message else ''}")


def _produced(answer: Answer, url: str) -> Answer:
    """As above, for a product, which can only be busy or unable."""
    try:
        return _judged(answer, url)
    except (Refuse, Skip) as no:
        raise GiveUp(f"{asking.shown(url)} will not: {no}") from None
