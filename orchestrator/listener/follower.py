"""All that follows one pool while the lease is held: the keeper, the two feeds, and the watchdog, each in a thread of its own."""

import time

from orchestrator.listener.keeper import Keeper
from orchestrator.listener.meters import Meters
from orchestrator.listener.objects import ObjectFeed, Wake
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.stream import Stream
from orchestrator.listener.tasks import TaskFeed
from orchestrator.listener.watchdog import Watchdog
from orchestrator.xapi.client import Client

STOP_SECONDS = 3.0


class Follower:
    """Follows the client's pool from `start` to `stop`; once."""

    def __init__(self, client: Client, keeper: Keeper, wake: Wake, settings: ListenerSettings, meters: Meters) -> None:
        objects = ObjectFeed(client, keeper, wake, settings, meters)
        tasks = TaskFeed(client, wake, settings, meters)
        watchdog = Watchdog(client, objects, self._restart, settings, meters)
        self._hearing = objects.hearing
        self._objects = Stream(f"objects of {client.name}", objects, settings, meters)
        self._tasks = Stream(f"tasks of {client.name}", tasks, settings, meters)
        self._watchdog = Stream(f"watchdog of {client.name}", watchdog, settings, meters)

    def start(self) -> None:
        """Begin, with a full load."""
        for stream in (self._objects, self._tasks, self._watchdog):
            stream.start()

    def stop(self) -> None:
        """End, within seconds: calls in flight are cut."""
        ends = time.monotonic() + STOP_SECONDS
        self._hearing.lost()
        for stream in (self._watchdog, self._objects, self._tasks):
            stream.stop(max(0.1, ends - time.monotonic()))

    def _restart(self) -> None:
        self._objects.start()
        self._tasks.start()
