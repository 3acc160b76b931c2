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

    def load(self, turn: Turn) -> None:
        """Nothing is to be loaded."""

    def advance(self, turn: Turn) -> bool:
        """Wait until it is time, touch the pool, and listen whether that comes back."""
        turn.pause(self._settings.watchdog.total_seconds())
        pool = self._feed.mirror.pool_ref
        if turn.is_over() or pool is None:
            return True
        touched_at, within = time.monotonic(), self._settings.within.total_seconds()
        token = self._client.fetch(str, "event.inject", "pool", pool, timeout=within, line=turn.line)
        if not self._feed.hearing.is_deaf(token, touched_at, within):
            self._meters.lag_seconds = time.monotonic() - touched_at
        elif not turn.is_over():
            log.warning("the event stream is deaf: a touch of the pool did not come back in %.0f s; everything is loaded anew", within)
            self._meters.restarts += 1
            self._restart()
        return True
