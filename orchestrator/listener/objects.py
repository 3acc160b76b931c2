"""The feed of everything but tasks: loads the mirror, keeps it current, and tells the keeper and the waiting runs what changed."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.listener import records
from orchestrator.listener.errors import Moved
from orchestrator.listener.events import Batch
from orchestrator.listener.hearing import Hearing
from orchestrator.listener.keeper import Keeper
from orchestrator.listener.meters import Meters
from orchestrator.listener.mirror import Change, Mirror
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.stream import Turn
from orchestrator.xapi.client import Client
from orchestrator.xapi.connection import Line
from workflows.outcome import wake_on_object
from workflows.ports import Transient

log = logging.getLogger(__name__)

Wake = Callable[[list[str]], None]


@dataclass(frozen=True, slots=True)
class _Read:
    """A whole pool as it was read: under which login, from which token on, and what happened meanwhile (None: nobody said)."""

    epoch: int
    token: str
    tables: dict[str, dict[str, Any]]
    batch: Batch | None


class ObjectFeed:
    """One pool's objects. *wake* is told the keys of what changed; *hearing* where the stream stands."""

    def __init__(self, client: Client, keeper: Keeper, wake: Wake, settings: ListenerSettings, meters: Meters) -> None:
        self.mirror = Mirror()
        self.hearing = Hearing()
        self._client = client
        self._keeper = keeper
        self._wake = wake
        self._settings = settings
        self._meters = meters
        self._working = threading.Lock()
        self._line = Line()
        self._epoch = 0
        self._token = ""
        self._reconcile_at = 0.0

    def load(self, turn: Turn) -> None:
        """Load every class and settle the differences to what is known.

        The token is taken before the classes are read, by an event.inject (it returns one just before it): the stream goes on from
        there, so nothing that happens in between is lost, and what is read twice is only a state. No event.from is needed for the
        bulk, which also makes the load work while event.from answers nobody.
        """
        self.hearing.lost()
        with self._working:  # a thread that lost its turn in the middle of an answer ends that first: what is read here is newer
            self._line = turn.line
        read = self._read(turn)
        with self._working:
            if turn.is_over():
                return
            if self._client.epoch != read.epoch:
                raise Moved("the session or the coordinator changed while everything was loaded")
            changes = [change for name, table in read.tables.items() for change in self.mirror.load(name, table)]
            changes += self._take(read.batch) if read.batch else []
            if read.batch:
                self._meters.complete_at = datetime.now(UTC)
            self._epoch, self._token = read.epoch, read.batch.token if read.batch else read.token
            self._reconcile_at = time.monotonic() + self._settings.reconcile.total_seconds()
            try:
                self._keeper.open()
                self._keeper.settle_all(self.mirror, self._uuids_of_vms, sure=read.batch is not None)
            finally:
                self._tell(changes)
            self._meters.loads += 1

    def advance(self, turn: Turn) -> bool:
        """Wait for the next answer. False: another session or coordinator (a token may be of its future), or time to reconcile."""
        if time.monotonic() >= self._reconcile_at:
            return False
        with self.hearing.asking(self._token):
            batch = self._ask(turn, self._token, self._settings.ask.total_seconds())
        with self._working:
            if turn.is_over() or self._client.epoch != self._epoch:
                return False
            self._token = batch.token
            self.hearing.heard(batch.token)
            changes = self._take(batch)
            try:
                self._keeper.settle(self.mirror, changes, self._uuids_of_vms)
            finally:  # whatever became of the causes: the mirror has moved on, and these changes are not seen again
                self._tell(changes)
        return True

    def _read(self, turn: Turn) -> _Read:
        pool = self._client.fetch(list[str], "pool.get_all", line=turn.line)[0]
        epoch = self._client.epoch
        token = self._client.fetch(str, "event.inject", "pool", pool, line=turn.line)
        tables = {name: self._client.fetch(kind.table, kind.call, line=turn.line) for name, kind in records.KINDS.items()}
        return _Read(epoch, token, tables, self._catch_up(turn, token))

    def _uuids_of_vms(self) -> set[str]:
        """The VMs that are in the pool at this moment, asked anew."""
        vms = self._client.fetch(dict[str, records.Record], records.KINDS["vm"].call, line=self._line)
        return {vm.uuid for vm in vms.values()}

    def _ask(self, turn: Turn, token: str, seconds: float) -> Batch:
        classes = list(records.KINDS)
        batch = self._client.fetch(
            Batch, "event.from", classes, token, seconds, timeout=self._settings.answer.total_seconds(), line=turn.line
        )
        self._meters.last_answer_at = datetime.now(UTC)
        self._meters.batches += 1
        self._meters.events += len(batch.events)
        return batch

    def _catch_up(self, turn: Turn, token: str) -> Batch | None:
        """What happened while everything was loaded, with the pool's counts; None when event.from does not answer."""
        given_up = threading.Event()

        def give_up() -> None:
            given_up.set()
            turn.line.drop()

        limit = threading.Timer(self._settings.within.total_seconds(), give_up)
        limit.start()
        try:
            return self._ask(turn, token, 0.0)
        except Transient:
            if not given_up.is_set():
                raise
            log.warning("event.from does not answer: what is loaded cannot be checked against the pool's own counts")
            return None
        finally:
            limit.cancel()

    def _take(self, batch: Batch) -> list[Change]:
        """Apply the batch, and load those classes anew whose number of objects differs: deletions were lost."""
        changes = self.mirror.apply(batch.events)
        for name in self.mirror.differing(batch.valid_ref_counts):
            table: dict[str, Any] = self._client.fetch(records.KINDS[name].table, records.KINDS[name].call, line=self._line)
            log.warning("%s: the pool counts %d, the mirror differs: loaded anew", name, batch.valid_ref_counts[name])
            changes += self.mirror.load(name, table)
            self._meters.class_reloads += 1
        self._meters.objects = self.mirror.counts()
        return changes

    def _tell(self, changes: Iterable[Change]) -> None:
        keys = {wake_on_object(self._client.name, change.kind, change.uuid) for change in changes}
        if keys:
            self._wake(sorted(keys))
