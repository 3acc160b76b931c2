"""Proves again and again that the event stream hears: what is touched must come back through it."""

import logging
import time
from collections.abc import Callable

from orchestrator.listener.meters import Meters
from orchestrator.listener.objects import ObjectFeed
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.stream import Turn
from orchestrator.xapi.client import Client

log = logging.getLogger(__name__)


class Watchdog:
    """A feed of its own kind: follows the feed of objects, and calls *restart* when that is deaf.

    Silence alone proves nothing: a token from the future, as after a restored database, is accepted and never answered (xapi: event.from).
    """

    def __init__(self, client: Client, feed: ObjectFeed, restart: Callable[[], None], settings: ListenerSettings, meters: Meters) -> None:
        self._client = client
        self._feed = feed
        self._restart = restart
        self._settings = settings
        self._meters = meters
        self._due_at = 0.0

    def load(self, turn: Turn) -> None:  # noqa: ARG002 - a feed's signature
        """Nothing is to be loaded; the first touch is an interval away."""
        self._due_at = time.monotonic() + self._settings.watchdog.total_seconds()

    def advance(self, turn: Turn) -> bool:
        """Look whether the stream still waits for the right server, and when it is time, touch the pool and listen for that."""
        turn.pause(min(1.0, self._settings.watchdog.total_seconds()))
        pool = self._feed.mirror.pool_ref
        if turn.is_over() or pool is None:
            return True
        if self._feed.is_outdated:
            self._begin_anew("it waits for an answer to an old session")
        elif time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + self._settings.watchdog.total_seconds()
            self._touch(pool, turn)
        return True

    def _touch(self, pool: str, turn: Turn) -> None:
        touched_at, within = time.monotonic(), self._settings.within.total_seconds()
        token = self._client.fetch(str, "event.inject", "pool", pool, timeout=within, line=turn.line)
        deaf = self._feed.hearing.is_deaf(token, touched_at, within)
        if self._feed.hearing.is_past(token):
            self._meters.lag_seconds = time.monotonic() - touched_at
        elif deaf and not turn.is_over():
            self._begin_anew(f"a touch of the pool did not come back in {within:.0f} s")

    def _begin_anew(self, reason: str) -> None:
        log.warning("the event stream is deaf: %s; everything is loaded anew", reason)
        self._meters.restarts += 1
        self._restart()
