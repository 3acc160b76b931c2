"""The feed of tasks: alone in a call of its own, which the server answers without the delay it has for others (xapi: event.from)."""

import threading
from collections.abc import Iterable

from orchestrator.listener.errors import Moved
from orchestrator.listener.events import TaskBatch, TaskEvent
from orchestrator.listener.meters import Meters
from orchestrator.listener.objects import Wake
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.stream import Turn
from orchestrator.xapi.client import Client
from workflows.outcome import wake_on_task

ENDED = frozenset({"success", "failure", "cancelled"})


class TaskFeed:
    """One pool's tasks. *wake* is told the keys of those that ended or are gone: a toolstack restart forgets them all."""

    def __init__(self, client: Client, wake: Wake, settings: ListenerSettings, meters: Meters) -> None:
        self._client = client
        self._wake = wake
        self._settings = settings
        self._meters = meters
        self._working = threading.Lock()
        self._pending: set[str] = set()
        self._all: set[str] = set()
        self._epoch = 0
        self._token = ""

    def load(self, turn: Turn) -> None:
        """Take all tasks (the empty token gives them as one answer), and wake whoever waits for one that ended or went meanwhile."""
        self._client.fetch(list[str], "pool.get_all", line=turn.line)  # logs in where nobody is
        epoch = self._client.epoch
        batch = self._ask(turn, "", 0.0)
        with self._working:
            if turn.is_over():
                return
            if self._client.epoch != epoch:
                raise Moved("the session or the coordinator changed while the tasks were read")
            before, self._all, self._pending = self._pending, set(), set()
            ended = self._take(batch.events)
            self._tell(ended | (before - self._pending))
            self._epoch, self._token = epoch, batch.token

    def advance(self, turn: Turn) -> bool:
        """Wait for the next answer. False: another session or coordinator, or deletions were lost."""
        if self._client.epoch != self._epoch:
            return False
        batch = self._ask(turn, self._token, self._settings.ask.total_seconds())
        with self._working:
            if turn.is_over() or self._client.epoch != self._epoch:
                return False
            self._token = batch.token
            self._tell(self._take(batch.events))
            return batch.valid_ref_counts.get("task", len(self._all)) == len(self._all)

    def _ask(self, turn: Turn, token: str, seconds: float) -> TaskBatch:
        timeout = self._settings.answer.total_seconds()
        return self._client.fetch(TaskBatch, "event.from", ["task"], token, seconds, timeout=timeout, line=turn.line)

    def _take(self, events: Iterable[TaskEvent]) -> set[str]:
        """Note the tasks; those that ended or are gone."""
        ended = set()
        for event in events:
            if event.operation == "del":
                self._all.discard(event.ref)
            elif event.snapshot is not None:
                self._all.add(event.ref)
            if event.operation != "del" and (event.snapshot is None or event.snapshot.status not in ENDED):
                self._pending.add(event.ref)
            else:
                ended.add(event.ref)
                self._pending.discard(event.ref)
        return ended

    def _tell(self, ended: set[str]) -> None:
        self._meters.tasks_ended += len(ended)
        if ended:
            self._wake(sorted(wake_on_task(self._client.name, ref) for ref in ended))
