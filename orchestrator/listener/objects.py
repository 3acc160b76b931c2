"""The feed of everything but tasks: loads the mirror, keeps it current, and tells the keeper and the waiting runs what changed."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from orchestrator.listener.errors import Moved
from orchestrator.listener.events import Batch
from orchestrator.listener.hearing import Hearing
from orchestrator.listener.keeper import Keeper
from orchestrator.listener.meters import Meters
from orchestrator.listener.mirror import Change, Mirror
from orchestrator.listener.reading import Reader
from orchestrator.listener.recount import Recount
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.stream import Turn
from orchestrator.xapi.client import Client
from orchestrator.xapi.connection import Line
from workflows.outcome import wake_on_object

log = logging.getLogger(__name__)

Wake = Callable[[list[str]], None]


class ObjectFeed:
    """One pool's objects. *wake* is told the keys of what changed; *hearing* where the stream stands."""

    def __init__(self, client: Client, keeper: Keeper, wake: Wake, settings: ListenerSettings, meters: Meters) -> None:
        self.mirror = Mirror()
        self.hearing = Hearing()
        self._client = client
        self._reader = Reader(client, settings, meters)
        self._recount = Recount()
        self._keeper = keeper
        self._wake = wake
        self._settings = settings
        self._meters = meters
        self._working = threading.Lock()
        self._line = Line()
        self._epoch = 0
        self._token = ""
        self._reconcile_at = 0.0

    @property
    def is_outdated(self) -> bool:
        """Whether it waits for an answer under a session, or of a coordinator, that is not the present one."""
        return self.hearing.is_asking and self._client.epoch != self._epoch

    def load(self, turn: Turn) -> None:
        """Load every class and settle the differences to what is known."""
        self.hearing.lost()
        with self._working:  # a thread that lost its turn in the middle of an answer ends that first: what is read here is newer
            self._line = turn.line
        read = self._reader.everything(turn.line, deaf=self.hearing.was_deaf)
        with self._working:
            if turn.is_over():
                return
            if self._client.epoch != read.epoch:
                raise Moved("the session or the coordinator changed while everything was loaded")
            changes = [change for name, table in read.tables.items() for change in self.mirror.load(name, table)]
            changes += self._take(read.batch) if read.batch else []
            self._epoch, self._token = read.epoch, read.batch.token if read.batch else read.token
            self._reconcile_at = time.monotonic() + self._settings.reconcile.total_seconds()
            try:
                self._keeper.open()
                self._keeper.settle_all(self.mirror, self._there_are, sure=read.batch is not None)
            finally:
                self._tell(changes)
            self._meters.loads += 1

    def advance(self, turn: Turn) -> bool:
        """Wait for the next answer. False: another session or coordinator (a token may be of its future), or time to reconcile."""
        if time.monotonic() >= self._reconcile_at or self._client.epoch != self._epoch:
            return False
        with self.hearing.asking(self._token):
            batch = self._reader.since(self._token, self._settings.ask.total_seconds(), turn.line)
        with self._working:
            if turn.is_over() or self._client.epoch != self._epoch:
                return False
            self._token = batch.token
            self.hearing.heard(batch.token)
            changes = self._take(batch)
            try:
                self._keeper.settle(self.mirror, changes, self._there_are)
            finally:  # whatever became of the causes: the mirror has moved on, and these changes are not seen again
                self._tell(changes)
        return True

    def _there_are(self) -> set[str]:
        return self._reader.uuids_of_vms(self._line)

    def _take(self, batch: Batch) -> list[Change]:
        """Apply the batch, and load those classes anew whose number of objects differs: deletions were lost."""
        changes = self.mirror.apply(batch.events)
        for name in self._recount.differing(self.mirror, batch.valid_ref_counts):
            log.warning("%s: the pool has %d, the mirror has not: loaded anew", name, batch.valid_ref_counts[name])
            changes += self.mirror.load(name, self._reader.table(name, self._line))
            self._recount.loaded(name, self.mirror, batch.valid_ref_counts)
            self._meters.class_reloads += 1
        self._meters.objects = self.mirror.counts()
        self._meters.complete_at = datetime.now(UTC)
        return changes

    def _tell(self, changes: Iterable[Change]) -> None:
        keys = {wake_on_object(self._client.name, change.kind, change.uuid) for change in changes}
        if keys:
            self._wake(sorted(keys))
