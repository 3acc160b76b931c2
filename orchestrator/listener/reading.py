"""The calls that a mirror is made of: all classes with a token to go on from, one class, and what happened since a token."""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.listener import records
from orchestrator.listener.events import Batch
from orchestrator.listener.meters import Meters
from orchestrator.listener.settings import ListenerSettings
from orchestrator.xapi.client import Client
from orchestrator.xapi.connection import Line
from workflows.ports import Transient

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole pool as it was read: under which login, from which token on, and what happened meanwhile (None: nobody said)."""

    epoch: int
    token: str
    tables: dict[str, dict[str, Any]]
    batch: Batch | None


class Reader:
    """Reads one pool. Every call can be cut by its *line*, and is then `Transient`; none is repeated here."""

    def __init__(self, client: Client, settings: ListenerSettings, meters: Meters) -> None:
        self._client = client
        self._settings = settings
        self._meters = meters

    def everything(self, line: Line, *, deaf: bool) -> Reading:
        """Read every class.

        The token is taken before, by an event.inject (it returns one just before it): the stream goes on from there, so nothing that
        happens in between is lost, and what is read twice is only a state. No event.from is needed for the bulk, which also makes the
        load work while event.from answers nobody; when it is known to be *deaf*, it is not even asked what happened meanwhile.
        """
        pool = self._client.fetch(list[str], "pool.get_all", line=line)[0]
        epoch = self._client.epoch
        token = self._client.fetch(str, "event.inject", "pool", pool, line=line)
        tables = {name: self.table(name, line) for name in records.KINDS}
        return Reading(epoch, token, tables, None if deaf else self._meanwhile(token, line))

    def table(self, name: str, line: Line) -> dict[str, Any]:
        """All records of one class, by reference."""
        kind = records.KINDS[name]
        table: dict[str, Any] = self._client.fetch(kind.table, kind.call, line=line)
        return table

    def uuids_of_vms(self, line: Line) -> set[str]:
        """The VMs that are in the pool at this moment."""
        vms = self._client.fetch(dict[str, records.Record], records.KINDS["vm"].call, line=line)
        return {vm.uuid for vm in vms.values()}

    def since(self, token: str, seconds: float, line: Line) -> Batch:
        """What happened since *token*; waits for so many *seconds* for something to happen."""
        timeout = self._settings.answer.total_seconds()
        batch = self._client.fetch(Batch, "event.from", list(records.KINDS), token, seconds, timeout=timeout, line=line)
        self._meters.last_answer_at = datetime.now(UTC)
        self._meters.batches += 1
        self._meters.events += len(batch.events)
        return batch

    def _meanwhile(self, token: str, line: Line) -> Batch | None:
        given_up = threading.Event()

        def give_up() -> None:
            given_up.set()
            line.drop()

        limit = threading.Timer(self._settings.within.total_seconds(), give_up)
        limit.daemon = True
        limit.start()
        try:
            return self.since(token, 0.0, line)
        except Transient:
            if not given_up.is_set():
                raise
            log.warning("event.from does not answer: what is loaded cannot be checked against the pool's own counts")
            return None
        finally:
            limit.cancel()
