"""Sessions: who logged in, when a session ends, and the messages of class session."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping

from orchestrator.simulator import roles
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.registry import Messages
from orchestrator.simulator.schema import Date

# The oldest go when an originator, or a user name, has more (xapi_globs.ml: max_sessions); an idle session ends after a day.
MOST = 500
IDLE = 24 * 3600.0
# How long PAM takes to refuse, on a real host.
REFUSAL = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in, with one of the six roles."""

    password: str = dataclasses.field(repr=False)
    role: str = "pool-admin"


@dataclasses.dataclass(slots=True)
class Session:
    """A live session; `last_active` is the server's clock.

    `registered` are the classes it follows by event.next (None: it never registered), `told` is the id of the last event it was told.
    """

    user: str
    role: str
    originator: str
    last_active: float
    registered: frozenset[str] | None = None
    told: int = 0


def wire_date(moment: float) -> Date:
    """Seconds since 1970 as XenAPI writes a date."""
    return Date(datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y%m%dT%H:%M:%SZ"))


class Sessions:
    """All live sessions, oldest use first. What must be atomic is done under the database's lock."""

    def __init__(self, db: Database, users: Mapping[str, User], clock: Callable[[], float]) -> None:
        self._db = db
        self._users = users
        self._clock = clock
        self._live: dict[str, Session] = {}

    def login(self, user: str, password: str, originator: str, host: str) -> str:
        """A new session; SESSION_AUTHENTICATION_FAILED [user, PAM's text]."""
        known = self._users.get(user)
        if known is None or known.password != password:
            raise Failure("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        now = self._clock()
        superuser = known.role == "pool-admin"
        with self._db.lock:
            ref = self._db.create(
                "session",
                this_host=host,
                last_active=wire_date(now),
                validation_time=wire_date(now),
                is_local_superuser=superuser,
                auth_user_name=user,
                rbac_permissions=[] if superuser else roles.permissions(self._db.schema, known.role),
                originator=originator,
            )
            self._live[ref] = Session(user, known.role, originator, now)
            self._limit(lambda one: one.originator == originator)
            self._limit(lambda one: one.user == user)
        return ref

    def _limit(self, chosen: Callable[[Session], bool]) -> None:
        refs = [ref for ref, session in self._live.items() if chosen(session)]
        for ref in sorted(refs, key=lambda one: self._live[one].last_active)[: max(0, len(refs) - MOST)]:
            self.end(ref)

    def check(self, ref: str) -> Session:
        """The live session, which was used just now; SESSION_INVALID [ref]."""
        session = self.live(ref)
        now = self._clock()
        if now - session.last_active > IDLE:
            self.end(ref)
            raise Failure("SESSION_INVALID", ref)
        session.last_active = now
        return session

    def live(self, ref: str) -> Session:
        """The live session, without using it; SESSION_INVALID [ref]."""
        session = self._live.get(ref)
        if session is None:
            raise Failure("SESSION_INVALID", ref)
        return session

    def end(self, ref: str) -> None:
        """The session is over, its waiting calls too; ending it again does nothing."""
        with self._db.lock:
            if self._live.pop(ref, None) is not None:
                self._db.destroy("session", ref)

    def end_all(self, of_user: str | None = None) -> None:
        """All sessions end (a toolstack restart), or all of one user."""
        with self._db.lock:
            for ref in [ref for ref, session in self._live.items() if of_user in {None, session.user}]:
                self.end(ref)


def logout(call: Call) -> None:
    """session.logout."""
    call.server.sessions.end(call.session)


def get_all_subject_identifiers(call: Call) -> list[str]:
    """Users of an external directory that are logged in: the simulator knows local users only."""
    return []


def logout_subject_identifier(call: Call, subject: str) -> None:
    """Ends the sessions of a user of an external directory."""
    call.server.sessions.end_all(of_user=subject)


MESSAGES: Messages = {
    "session.logout": logout,
    "session.local_logout": logout,
    "session.get_all_subject_identifiers": get_all_subject_identifiers,
    "session.logout_subject_identifier": logout_subject_identifier,
}
