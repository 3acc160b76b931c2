"""Logged in, once, at the coordinator, wherever it is now."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
import XenAPI

from orchestrator.xapi import decode, errors
from orchestrator.xapi.errors import Unreachable
from orchestrator.xapi.session import API_VERSION, ORIGINATOR, Session
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.tls import Trust
from orchestrator.xapi.transport import Limits, Transport
from workflows.ports import Denied, PoolError, Transient

logger = logging.getLogger(__name__)

DENIED_SECONDS = 10.0
LONGEST_REST = 10.0
QUICK_SEARCH = 0.2
LOCK_SECONDS = 1.0


class _Pool(msgspec.Struct):
    uuid: str


class _Host(msgspec.Struct):
    address: str


@dataclass(frozen=True, slots=True)
class _Failed:
    """A search for the coordinator that failed: when it began and ended (monotonic seconds), and why."""

    began: float
    ended: float
    error: PoolError


class Login:
    """The one session of a pool, shared by all threads.

    `session()` logs in where nobody is; the others wait for that one attempt and share its end. The coordinator is looked for at the
    address where it was last, then at every member's that was learned at the last login, then at the configured one; HOST_IS_SLAVE is
    followed. A server that turns out to belong to another pool (a host that was ejected, say) is left alone.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._trust = Trust(settings)
        self._configured = urlsplit(settings.url)
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._transports: dict[str, Transport] = {}
        self._members: tuple[str, ...] = ()
        self._pool = ""
        self._failed: _Failed | None = None
        self._closed = False
        self._pointed: list[str] = []
        self._home = self._netloc(self._configured.hostname or "")
        self.address = self._home
        self.epoch = 0

    def session(self) -> Session:
        """The session, logged in. Raises `Unreachable` when nobody answers as coordinator, `Denied` for a wrong password or certificate."""
        asked = time.monotonic()
        with self._lock:
            if self._closed:
                raise Transient("CLIENT_CLOSED")
            if self._session is None:
                if self._failed and self._still(self._failed, asked):
                    raise errors.again(self._failed.error)
                self._session = self._log_in()
            return self._session

    def _still(self, failed: _Failed, asked: float) -> bool:
        """Whether that failure answers somebody who asked at *asked*.

        A refused password is not tried again at once: accounts get locked. Nor is a search that took long, as where hosts are silent: it
        is not repeated for as long as it took, so that a thousand runs do not wait in a queue for one search each.
        """
        took = failed.ended - failed.began
        rest = DENIED_SECONDS if isinstance(failed.error, Denied) else min(LONGEST_REST, took) if took > QUICK_SEARCH else 0.0
        return failed.began >= asked or asked < failed.ended + rest

    def leave(self, session: Session) -> None:
        """Somebody found that *session* is dead or its server gone: the next one to ask logs in anew, unless another already did."""
        with self._lock:
            if self._session is session:
                self._session = None

    def leave_any(self) -> None:
        """Whichever session there is, its server does not answer: the next one to ask looks for the coordinator anew."""
        with self._lock:
            self._session = None

    def _log_in(self) -> Session:
        """Try every candidate. A refused password ends the search, and so does what cannot be explained by an election or a restart."""
        began = time.monotonic()
        faults: list[PoolError] = []
        for address in self._candidates():
            try:
                session = self._log_in_at(address)
            except PoolError as error:
                faults.append(error)
                if not isinstance(error, Transient) and not error.code.startswith("TLS_"):
                    break
            else:
                self._failed = None
                return session
        self._failed = _Failed(began, time.monotonic(), _judged(faults))
        raise errors.again(self._failed.error)

    def _candidates(self) -> Iterator[str]:
        """Addresses to try, each once; what HOST_IS_SLAVE names while trying comes next."""
        tried: set[str] = set()
        self._pointed.clear()
        waiting = [self.address, *self._members, self._home]
        while (self._pointed or waiting) and not self._closed:
            address = self._pointed.pop() if self._pointed else waiting.pop(0)
            if address not in tried:
                tried.add(address)
                yield address

    def _log_in_at(self, address: str) -> Session:
        session = Session(self._transport(address))
        fault: PoolError
        try:
            session.login_with_password(self._settings.username, self._settings.password, API_VERSION, ORIGINATOR)
            with self._given_back(session):
                self._learn(session)
        except XenAPI.Failure as failure:
            fault = errors.named(failure.details)
            if fault.code == "HOST_IS_SLAVE" and fault.details:
                self._pointed.append(self._netloc(fault.details[0]))
        else:
            self.epoch += 1
            self.address = address
            logger.info("pool %s: logged in at %s (login %d)", self._settings.name, address, self.epoch)
            return session
        raise fault

    def _learn(self, session: Session) -> None:
        """Which pool this is, and where its members are."""
        limits = Limits(timeout=30.0)
        pools = decode.into(dict[str, _Pool], session.invoke("pool.get_all_records", (), limits))
        uuid = next(iter(pools.values())).uuid if pools else ""
        if self._pool and uuid != self._pool:
            raise Unreachable("OTHER_POOL", (f"{session.transport.url} belongs to pool {uuid}, not {self._pool}",))
        hosts = decode.into(dict[str, _Host], session.invoke("host.get_all_records", (), limits))
        self._pool = uuid
        self._members = tuple(self._netloc(host.address) for host in hosts.values() if host.address)

    def _netloc(self, address: str) -> str:
        """A member's address as part of a URL: with the configured port, since the pool only knows its own."""
        host = f"[{address}]" if ":" in address else address
        return f"{host}:{self._configured.port}" if self._configured.port else host

    def _transport(self, address: str) -> Transport:
        if address not in self._transports:
            self._transports[address] = Transport(f"{self._configured.scheme}://{address}", self._trust)
        return self._transports[address]

    def close(self) -> None:
        """Log out, as far as somebody hears it, and end every call in flight."""
        self._closed = True
        session: Session | None = None
        if self._lock.acquire(timeout=LOCK_SECONDS):  # else somebody is logging in: that is ended below
            session, self._session = self._session, None
            self._lock.release()
        if session is not None:
            self._log_out(session)
        for transport in list(self._transports.values()):
            transport.close()

    @contextlib.contextmanager
    def _given_back(self, session: Session) -> Iterator[None]:
        """A session that an error keeps from being used is logged out: the server keeps few for us, and would drop one that is used."""
        try:
            yield
        except (XenAPI.Failure, PoolError):
            self._log_out(session)
            raise

    def _log_out(self, session: Session) -> None:
        try:
            session.logout()
        except (XenAPI.Failure, PoolError) as error:
            logger.debug("pool %s: not logged out: %s", self._settings.name, type(error).__name__)


def _judged(faults: list[PoolError]) -> PoolError:
    """What a search that found nobody means.

    A member whose certificate is not trusted is passed over while another, perhaps the coordinator, may come back: then it is only
    mentioned, and the search goes on later. It is `Denied` when all that answered were refused by us, or refused us.
    """
    if not faults:
        return Transient("CLIENT_CLOSED")
    last = faults[-1]
    if not isinstance(last, Transient) and not last.code.startswith("TLS_"):
        return last
    denied = [fault for fault in faults if isinstance(fault, Denied)]
    away = [fault for fault in faults if isinstance(fault, Transient) and fault.code != "HOST_IS_SLAVE"]
    if denied and not away:
        return denied[-1]
    first = (away or faults)[0]
    return Unreachable(first.code, (*first.details, *(str(fault) for fault in faults if fault is not first)))
