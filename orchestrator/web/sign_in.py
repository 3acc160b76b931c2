"""Signing in and out of the console: what its pages call. What a browser keeps is a random id; the rows have its hash."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.actions import users as users_action
from orchestrator.web import pool_login
from orchestrator.web.attempts import Busy
from orchestrator.web.office import Office
from orchestrator.web.principal import Principal, Scope
from state import audit, sign_ins, users
from state.audit import Act
from state.sign_ins import SignIn
from state.store import Session

HOW = "console"


class Denied(Exception):
    """The name or the password is wrong; which of them is not said."""


class Unavailable(Denied):
    """Whether they are right is not known now: the pool that knows does not answer, or others are being asked for. The text says which."""


class TooMany(Exception):
    """Too many wrong ones; *wait*: for how long nobody may try."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"too many wrong passwords: try again in {max(1, round(wait.total_seconds() / 60))} minutes")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is signed in. *session_id* is for its cookie alone; *csrf* goes with every form, and tells nothing of the id."""

    session_id: str
    csrf: str
    principal: Principal
    ends_at: datetime


def sign_in(office: Office, name: str, password: str, address: str) -> SignedIn:
    """A new session for who knows the password: always with a new id, whatever was brought. Raises `Denied`, `Unavailable`, `TooMany`."""
    try:
        with office.attempts.turn(name):
            return _try(office, name, password, address)
    except Busy:
        raise Unavailable("somebody signs in by that name at this moment, or many others do: try again") from None


def _try(office: Office, name: str, password: str, address: str) -> SignedIn:
    now = office.clock()
    wait = office.attempts.wait(name, address, now)
    if wait is not None:
        if office.attempts.is_news(name, address, now):
            _note(office, name, "refused", "too many wrong passwords", now)
        raise TooMany(wait)
    try:
        known = _known(office, name, password)
    except pool_login.Silent as error:
        _note(office, name, "failed", str(error), now)
        raise Unavailable(f"who you are cannot be asked: {error}") from None
    if known is None:
        office.attempts.wrong(name, address, now)
        _note(office, name, "refused", "wrong name or password", now)
        raise Denied("the name or the password is wrong")
    office.attempts.right(name)
    principal, hashed = known
    return begin(office, principal, now, rehash=None if hashed is None else (hashed, password))


def _known(office: Office, name: str, password: str) -> tuple[Principal, str | None] | None:
    """Whose password this is, with the hash that it fits where they are a user of ours; None: nobody's.

    A pool is asked of names alone that no user of ours has: nobody becomes one of ours by an account of the same name.
    """
    with office.store.read() as session:
        user = users.get(session, name)
    if user is None and office.loaded.settings.console.login == "pool":
        scope = pool_login.scope(office.loaded, name, password)
        return None if scope is None else (Principal(name, scope, HOW), None)
    if not office.passwords.fits(user.password if user else None, password) or user is None:
        return None
    return Principal(user.name, Scope(user.scope), HOW), user.password


def begin(office: Office, principal: Principal, now: datetime, *, rehash: tuple[str, str] | None = None) -> SignedIn:
    """Sign somebody in who has shown who they are. *rehash*: the hash that fitted, and the password, where it is ours.

    Raises `Denied` where the password was changed since.
    """
    console = office.loaded.settings.console
    session_id, ends_at = secrets.token_urlsafe(32), now + console.session
    row = SignIn(
        digest=sign_ins.digest(session_id), name=principal.name,
        how="local" if rehash else "pool", scope=None if rehash else principal.scope,
        created_at=now, seen_at=now, idle_until=now + console.idle, ends_at=ends_at,
    )  # fmt: skip
    better = office.passwords.better(*rehash) if rehash else None

    def write(session: Session) -> None:
        if rehash and not users.rehash(session, principal.name, before=rehash[0], after=better or rehash[0]):
            raise Denied("the password was changed a moment ago")
        sign_ins.begin(session, SignIn(**row.model_dump()))
        audit.add(session, Act(principal.name, HOW, "sign-in", principal.name), now=now)

    office.store.do(write)
    return SignedIn(session_id, csrf_of(session_id), principal, ends_at)


def signed_in(office: Office, session_id: str | None) -> SignedIn | None:
    """Who the browser with this id is, as of now: a user who was removed is nobody. None: not signed in, or no longer."""
    if not session_id or len(session_id) > 100:
        return None
    now, console = office.clock(), office.loaded.settings.console
    with office.store.read() as session:
        row = sign_ins.get(session, session_id, now=now)
        scope = None if row is None else _scope(session, row)
    if row is None or scope is None:
        return None
    if not sign_ins.is_fresh(row, now):
        office.store.do(lambda session: sign_ins.seen(session, row, now=now, idle=console.idle))
    return SignedIn(session_id, csrf_of(session_id), Principal(row.name, scope, HOW), row.ends_at)


def change_password(office: Office, signed: SignedIn, old: str, new: str, address: str) -> SignedIn:
    """Another password of one's own, for who knows the old one: every sign-in by that name ends, and this browser has a new one.

    Raises `Denied`, `Unavailable`, `TooMany` as `sign_in`, and WrongInput: it is too short, or too long.
    """
    name = signed.principal.name
    users_action.check(new)
    try:
        with office.attempts.turn(name):
            now = office.clock()
            wait = office.attempts.wait(name, address, now)
            if wait is not None:
                raise TooMany(wait)
            with office.store.read() as session:
                user = users.get(session, name)
            if user is None or not office.passwords.fits(user.password, old):
                office.attempts.wrong(name, address, now)
                raise Denied("the old password is not right")
            office.attempts.right(name)
    except Busy:
        raise Unavailable("somebody signs in by that name at this moment, or many others do: try again") from None
    users_action.set_password(office.place(signed.principal), name, new)
    with office.store.read() as session:
        user = users.get(session, name)
    if user is None:
        raise Denied("the user was removed meanwhile")
    return begin(office, Principal(name, Scope(user.scope), HOW), office.clock(), rehash=(user.password, new))


def sign_out(office: Office, session_id: str) -> None:
    """The id counts no more."""
    now = office.clock()

    def write(session: Session) -> None:
        row = sign_ins.get(session, session_id, now=now)
        if row is not None:
            sign_ins.end(session, session_id)
            audit.add(session, Act(row.name, HOW, "sign-out", row.name), now=now)

    office.store.do(write)


def csrf_of(session_id: str) -> str:
    """What every form of this session carries: who knows it was shown a page of the session. It is derived, so that no row has it."""
    return hashlib.sha256(b"vfo csrf\0" + session_id.encode()).hexdigest()


def csrf_fits(signed: SignedIn, given: str | None) -> bool:
    """Whether a form carries what it was given."""
    return given is not None and hmac.compare_digest(signed.csrf.encode(), given.encode())


def _scope(session: Session, row: SignIn) -> Scope | None:
    """A user of ours may do what their row says now; of who came by a pool that is what the pool said."""
    if row.scope is not None:
        return Scope(row.scope)
    user = users.get(session, row.name)
    return None if user is None else Scope(user.scope)


def _note(office: Office, name: str, outcome: str, why: str, now: datetime) -> None:
    office.store.do(lambda session: audit.add(session, Act(name, HOW, "sign-in", name, outcome, {"reason": why}), now=now))
