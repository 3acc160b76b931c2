"""One pool's listener: follows the pool while it holds the lease "listener:POOL", and stands by otherwise."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from orchestrator.listener import displaced
from orchestrator.listener.follower import Follower
from orchestrator.listener.host_news import HostNews
from orchestrator.listener.keeper import Keeper
from orchestrator.listener.meters import Meters
from orchestrator.listener.notebook import StoreNotebook
from orchestrator.listener.objects import Wake
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.tagged import StoreDesk, Tagged
from orchestrator.xapi.client import Client
from plugins.values import Happening
from state import leases
from state.leases import Lease
from state.store import Store

log = logging.getLogger(__name__)

Publish = Callable[[UUID], None]
Announce = Callable[[Happening], None]


class Listener:
    """*publish* is told the id of each run it creates; *wake* the keys of what changed, for the runs that wait for it.

    *announce* is told of hosts that come into service and go out of it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - whom it follows, whom it tells of what, and how
        self,
        client: Client,
        store: Store,
        publish: Publish,
        wake: Wake,
        settings: ListenerSettings,
        clock: Callable[[], datetime],
        announce: Announce = lambda _: None,
    ) -> None:
        self.meters = Meters()
        self._client = client
        self._store = store
        self._publish = publish
        self._wake = wake
        self._settings = settings
        self._clock = clock
        self._host_news = HostNews(client.name, announce, clock)
        self._name = f"listener:{client.name}"
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"

    def run(self, stop: threading.Event) -> None:
        """Listen until *stop* is set; then the lease is given back, so that another listener need not wait for its end."""
        while not stop.is_set():
            lease = self._acquire()
            if lease is None:
                stop.wait(self._beat)
                continue
            log.info("pool %s: this process listens (lease %d)", self._client.name, lease.epoch)
            self._follow(lease, stop)

    @property
    def _beat(self) -> float:
        return self._settings.lease.total_seconds() / 3

    def _follow(self, lease: Lease, stop: threading.Event) -> None:
        notebook = StoreNotebook(self._store, self._client.name, lease, self._settings.lease, self._publish)
        desk = StoreDesk(self._store, self._client.name, lease, self._settings.lease, self._publish)
        tagged = Tagged(self._client.name, self._settings.rules, desk, self._clock)
        parked = displaced.Displaced(
            self._client.name, displaced.StoreDesk(self._store, lease, self._settings.lease, self._publish), self._clock
        )
        keeper = Keeper(notebook, self._clock, self.meters, (tagged, parked, self._host_news))
        follower = Follower(self._client, keeper, self._wake, self._settings, self.meters)
        follower.start()
        self.meters.active = True
        try:
            self._keep(lease, stop)
        finally:
            self.meters.active = False
            follower.stop()
            self._release(lease)

    def _keep(self, lease: Lease, stop: threading.Event) -> None:
        """Renew the lease until *stop*, or until it is lost: another has it, or the store could not be asked for as long as it lasts."""
        renewed_at = time.monotonic()
        while not stop.wait(self._beat):
            held = self._renew(lease)
            if held:
                renewed_at = time.monotonic()
            if held is False or time.monotonic() - renewed_at > self._settings.lease.total_seconds():
                log.warning("pool %s: the lease is lost, this process stands by", self._client.name)
                return

    def _acquire(self) -> Lease | None:
        try:
            lasts = self._settings.lease
            return self._store.do(
                lambda session: leases.acquire(session, self._name, self._holder, now=self._clock(), duration=lasts), within=lasts / 3
            )
        except Exception:  # whatever ails the store: without it nobody can listen, and it is asked again soon
            log.exception("pool %s: the store cannot be asked for the lease", self._client.name)
            return None

    def _renew(self, lease: Lease) -> bool | None:
        """Whether the lease is still held; None when the store could not be asked."""
        try:
            lasts = self._settings.lease
            return self._store.do(lambda session: leases.renew(session, lease, now=self._clock(), duration=lasts), within=lasts / 3)
        except Exception:  # as above
            log.exception("pool %s: the store cannot be asked for the lease", self._client.name)
            return None

    def _release(self, lease: Lease) -> None:
        try:
            self._store.do(lambda session: leases.release(session, lease, now=self._clock()), within=timedelta())
        except Exception:  # it ends by itself in seconds
            log.exception("pool %s: the lease could not be given back", self._client.name)
