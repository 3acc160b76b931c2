"""The pool as a process: one database, a listener for each host, and everything that runs on them."""

import dataclasses
import functools
import ipaddress
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.simulator import certificates, events, messages, roles, sessions, tasks
from orchestrator.simulator.crowds import Crowds
from orchestrator.simulator.database import Database
from orchestrator.simulator.dispatch import Dispatcher
from orchestrator.simulator.effects import Effects
from orchestrator.simulator.errors import Interrupted
from orchestrator.simulator.faults import Faults
from orchestrator.simulator.registry import Messages, Registry
from orchestrator.simulator.running import RunningCalls
from orchestrator.simulator.wire import endpoint, http
from orchestrator.simulator.wire.listener import Listener

log = logging.getLogger(__name__)

STOP_PATIENCE = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How the server runs.

    The coordinator listens on `address`:`port` (0: any free port); when `address` is in 127.0.0.0/8 each other host listens on the
    `address` of its own row at the same port. `speed` scales durations (0: at once, 1: as on real hosts). `clock` gives seconds since 1970.
    """

    address: str = "127.0.0.1"
    port: int = 0
    tls: bool = False
    speed: float = 0.0
    seed: int = 1
    clock: Callable[[], float] = time.time


def numeric(address: str) -> ipaddress.IPv4Address:
    """The IPv4 address of an address or name; OSError when the name is unknown."""
    return ipaddress.IPv4Address(socket.gethostbyname(address))


def member_addresses(first: str, count: int) -> list[str]:
    """Addresses for the hosts of a pool whose coordinator listens on *first*: those that follow it, or follow 127.0.0.1 for any."""
    start = numeric(first)
    if start.is_unspecified:
        start = ipaddress.IPv4Address("127.0.0.1")
    return [str(start + number) for number in range(count)]


class Server:
    """A pool that answers.

    `faults` may be ordered at any time; `on_toolstack_start` is called with a host's ref whenever its toolstack starts again.
    """

    def __init__(self, db: Database, behaviour: Iterable[Messages], users: Mapping[str, sessions.User], settings: Settings) -> None:
        self.db = db
        self.settings = settings
        self.speed = settings.speed
        self.clock = settings.clock
        self.random = random.Random(settings.seed)
        self.faults = Faults(db)
        self.sessions = sessions.Sessions(db, users, settings.clock)
        self.calls = RunningCalls()
        self.effects = Effects(db)
        self.crowds = Crowds()
        self.registry = Registry(db.schema, sessions.MESSAGES, tasks.MESSAGES, events.MESSAGES, messages.MESSAGES, *behaviour)
        self.routes: dict[tuple[str, str], http.Route] = {}
        self.on_toolstack_start: list[Callable[[str], None]] = []
        self._dispatcher = Dispatcher(self)
        self._listeners: dict[str, Listener] = {}
        self._certificates: dict[str, certificates.Certificate] = {}
        self._threads: set[threading.Thread] = set()
        self._spawning = threading.Lock()
        self._stopping = threading.Event()
        self._port = settings.port
        self._next_sweep = settings.clock() + tasks.SWEEP
        db.later = self.later
        roles.populate(db)

    # -- who and where ---------------------------------------------------------------------------------------

    @property
    def coordinator(self) -> str:
        """The ref of the host that is the coordinator now."""
        return str(next(self.db.rows("pool"))[1]["master"])

    @property
    def url(self) -> str:
        """Where the present coordinator answers."""
        return f"{'https' if self.settings.tls else 'http'}://{self._address(self.coordinator)}:{self._port}"

    def secure_url(self, host: str) -> str:
        """Where the host answers by TLS, as one host tells a client of another: the address that XenAPI says it has."""
        return f"https://{self.db.get('host', host)['address']}:{self._port}"

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the coordinator's certificate, None without TLS."""
        return self.certificate(self.coordinator).fingerprint if self.settings.tls else None

    def certificate(self, host: str) -> certificates.Certificate:
        """The host's certificate, made when first wanted."""
        if host not in self._certificates:
            self._certificates[host] = certificates.make(self._address(host))
        return self._certificates[host]

    def _address(self, host: str) -> str:
        """Where the host listens: the first coordinator where it was told, the others at the address of their row."""
        return self.settings.address if host == self._first else str(self.db.get("host", host)["address"])

    @functools.cached_property
    def _first(self) -> str:
        """The coordinator at the start, which has the address of the settings whoever is coordinator later."""
        return self.coordinator

    # -- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen. OSError when the coordinator's address is not to be had; members that cannot listen are not served."""
        self._open(self._first)
        if numeric(self.settings.address).is_loopback:
            for host in self.db.refs("host"):
                if host != self._first:
                    self._open_member(host)

    def _open(self, host: str) -> None:
        context = functools.cache(lambda: self.certificate(host).context())
        respond = functools.partial(self._respond, host)
        listener = Listener(self._address(host), self._port, respond, context, plain=not self.settings.tls)
        self._port = listener.port
        self._listeners[host] = listener

    def _open_member(self, host: str) -> None:
        try:
            self._open(host)
        except OSError as error:
            log.warning("host %s cannot be served: %s", self._address(host), error)

    def _respond(self, host: str, request: http.Request) -> http.Response | http.Transfer:
        return endpoint.handle(request, host, self._dispatcher.answer, self.routes)

    def stop(self) -> None:
        """Close everything; waiting calls end unanswered. Quick, and no thread is left."""
        self._stopping.set()
        self.calls.close()
        listeners = list(self._listeners.values())
        for listener in listeners:
            listener.close()
        self._interrupt()
        deadline = time.monotonic() + STOP_PATIENCE
        for listener in listeners:
            listener.join(max(0.0, deadline - time.monotonic()))
        with self._spawning:
            working = list(self._threads)
        for thread in working:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._listeners.clear()

    def _interrupt(self) -> None:
        self.calls.interrupt_all()
        with self.db.changed:
            self.db.changed.notify_all()

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Run something in a thread that ends with the server, if it uses `pause` or a Call for waiting."""

        def run() -> None:
            try:
                function(*args)
            except Interrupted:
                log.debug("%s ended with the server", function)
            finally:
                with self._spawning:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name="simulator work", daemon=True)
        with self._spawning:  # whoever sees it in the set may join it
            thread.start()
            self._threads.add(thread)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something *seconds* of a real host's time later, scaled by the speed: at speed 0 at once, in this thread."""

        def after_a_while() -> None:
            self.pause(seconds * self.speed)
            work()

        if self.speed > 0:
            self.spawn(after_a_while)
        else:
            work()

    def pause(self, seconds: float) -> None:
        """Wait *seconds* on the wall, in a spawned thread; Interrupted when the server stops meanwhile."""
        if self._stopping.wait(seconds):
            raise Interrupted("the server stops")

    def housekeeping(self) -> None:
        """Let old tasks go; called at every call, does something once a minute of the clock."""
        now = self.clock()
        if now >= self._next_sweep:
            self._next_sweep = now + tasks.SWEEP
            tasks.sweep(self)

    # -- what goes wrong on purpose ------------------------------------------------------------------------------

    def restart_toolstack(self, host: str | None = None, seconds: float = 0.0) -> None:
        """Xapi on the host (None: the coordinator) goes down and comes back *seconds* later; answers at once.

        On the coordinator running calls, tasks and sessions are lost, and what event.from remembers of deletions; guests run on.
        """
        chosen = host or self.coordinator
        self.power(chosen, on=False)
        self.spawn(self._come_back, chosen, seconds)

    def _come_back(self, host: str, seconds: float) -> None:
        self.pause(seconds)
        for hook in self.on_toolstack_start:
            hook(host)
        self.power(host, on=True)

    def _forget_all(self, behind: int = 0) -> None:
        self._interrupt()
        with self.db.lock:
            self.sessions.end_all()
            for task in self.db.refs("task"):
                self.db.destroy("task", task)
            self.db.reload(behind)

    def power(self, host: str, *, on: bool) -> None:
        """Whether the host's toolstack answers; a coordinator that goes down forgets what it forgets at a restart.

        What it means for the host's VMs is not decided here.
        """
        listener = self._listeners.get(host)
        if on and listener is None and not self._stopping.is_set():
            self._open_member(host)
        elif not on and listener is not None:
            del self._listeners[host]
            listener.close()
            if host == self.coordinator:
                self._forget_all()

    def failover(self, host: str, *, old_answers: bool = True, behind: int = 0) -> None:
        """The host becomes coordinator; the old one answers HOST_IS_SLAVE or, with *old_answers* false, not at all.

        Connections, sessions and tasks are lost. With *behind* the new coordinator's database is so many generations old that
        tokens of before are of the future: event.from stays silent until it has caught up.
        """
        old = self.coordinator
        pool, _ = next(self.db.rows("pool"))
        self._forget_all(behind)
        self.db.set("pool", pool, master=host)
        for listener in list(self._listeners.values()):
            listener.drop()
        if not old_answers:
            self.power(old, on=False)
        for hook in self.on_toolstack_start:
            hook(host)
