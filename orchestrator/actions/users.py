"""Who may sign in to the console."""

import re
from dataclasses import dataclass
from typing import Any

from orchestrator.actions import passwords
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.actions.passwords import Passwords
from orchestrator.actions.place import Place
from state import alone, audit, sign_ins, users
from state.audit import Act
from state.store import Session
from state.users import User

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
ADMIN = "admin"
WRITE = "write letters, digits and . _ @ -, 64 at most, a letter or digit first"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A user to be added. *scope*: "read", "operate" or "admin"."""

    name: str
    password: str
    scope: str


def add(at: Place, wanted: Wanted) -> dict[str, Any]:
    """A new user. Raises WrongInput."""
    if not NAME.fullmatch(wanted.name):
        raise WrongInput(f"user {wanted.name!r}: {WRITE}")
    check(wanted.password)
    hashed, now = Passwords().hash(wanted.password), at.clock()

    def write(session: Session) -> dict[str, Any]:
        user = User(name=wanted.name, password=hashed, scope=wanted.scope, created_at=now, changed_at=now)
        if not users.add(session, user):
            raise WrongInput(
                f"user {wanted.name!r}: there is one of that name: vfo user password changes the password, remove removes them"
            )
        audit.add(session, Act(at.by, at.how, "user-add", wanted.name, details={"scope": wanted.scope}), now=now)
        return row(user)

    return at.store.do(write)


def set_password(at: Place, name: str, password: str) -> None:
    """Another password; whoever is signed in by that name is signed out. Raises WrongInput."""
    check(password)
    hashed, now = Passwords().hash(password), at.clock()

    def write(session: Session) -> None:
        if not users.set_password(session, name, hashed, now=now):
            raise _nobody(name)
        sign_ins.end_of(session, name)
        audit.add(session, Act(at.by, at.how, "user-password", name), now=now)

    at.store.do(write)


def set_scope(at: Place, name: str, scope: str) -> None:
    """How far the user's word goes from now on; they are signed out. Raises WrongInput, and NotSo as `remove`."""
    now = at.clock()

    def write(session: Session) -> None:
        if scope != ADMIN:
            _assert_another(session, at, name)
        if not users.set_scope(session, name, scope):
            raise _nobody(name)
        sign_ins.end_of(session, name)
        audit.add(session, Act(at.by, at.how, "user-scope", name, details={"scope": scope}), now=now)

    at.store.do(write)


def remove(at: Place, name: str) -> None:
    """The user is none any more, and signed out. Raises WrongInput.

    NotSo: the last administrator, who is removed by the command line alone; there another one can be added.
    """
    now = at.clock()

    def write(session: Session) -> None:
        _assert_another(session, at, name)
        if not users.remove(session, name):
            raise _nobody(name)
        sign_ins.end_of(session, name)
        audit.add(session, Act(at.by, at.how, "user-remove", name), now=now)

    at.store.do(write)


def listed(at: Place) -> list[dict[str, Any]]:
    """All of them, by name."""
    with at.store.read() as session:
        return [row(user) for user in users.listed(session)]


def row(user: User) -> dict[str, Any]:
    """One as plain values, without the hash."""
    return {"name": user.name, "scope": user.scope, "created_at": user.created_at, "changed_at": user.changed_at}


def check(password: str) -> None:
    """WrongInput when it is too short to be one, or too long to be hashed."""
    if len(password) < passwords.SHORTEST:
        raise WrongInput(f"the password is too short: {passwords.SHORTEST} characters at least")
    if len(password) > passwords.LONGEST:
        raise WrongInput(f"the password is too long: {passwords.LONGEST} characters at most")


def _assert_another(session: Session, at: Place, name: str) -> None:
    """NotSo where nobody else could let anybody in any more. Of two who take it from each other at once the second one is refused."""
    if at.how == "cli":
        return
    alone.at(session, "administrators")
    admins = {user.name for user in users.listed(session) if user.scope == ADMIN}
    if admins == {name}:
        raise NotSo(f"user {name!r} is the last administrator: make somebody else one first")


def _nobody(name: str) -> WrongInput:
    return WrongInput(f"user {name!r}: there is none of that name: vfo user list shows them")
