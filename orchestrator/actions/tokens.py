"""What programs show to use the REST API."""

import secrets
from datetime import timedelta
from typing import Any

from orchestrator.actions.failures import WrongInput
from orchestrator.actions.place import Place
from orchestrator.actions.users import NAME, WRITE
from state import audit, idempotency, tokens
from state.audit import Act
from state.store import Session
from state.tokens import Token

PREFIX = "vfo_"  # by which people, and programs that look for secrets where none should be, know what it is
BYTES = 32


def create(at: Place, name: str, scope: str, lasts: timedelta | None) -> tuple[str, dict[str, Any]]:
    """A new token: its secret, which nobody can read again, and its row. *lasts* None: until it is revoked. Raises WrongInput."""
    if not NAME.fullmatch(name):
        raise WrongInput(f"token {name!r}: {WRITE}")
    secret, now = PREFIX + secrets.token_urlsafe(BYTES), at.clock()
    expires_at = None if lasts is None else now + lasts

    def write(session: Session) -> dict[str, Any]:
        token = Token(
            name=name, digest=tokens.digest(secret), scope=scope, created_by=at.by, created_at=now, expires_at=expires_at
        )  # fmt: skip
        if not tokens.add(session, token):
            raise WrongInput(f"token {name!r}: there is one of that name: vfo token revoke {name} ends it")
        idempotency.forget(session, name)
        audit.add(session, Act(at.by, at.how, "token-create", name, details={"scope": scope}), now=now)
        return row(token)

    return secret, at.store.do(write)


def listed(at: Place) -> list[dict[str, Any]]:
    """All of them, by name, those whose time is over too."""
    with at.store.read() as session:
        return [row(token) for token in tokens.listed(session)]


def revoke(at: Place, name: str) -> None:
    """It opens nothing from now on. Raises WrongInput."""
    now = at.clock()

    def write(session: Session) -> None:
        if not tokens.revoke(session, name):
            raise WrongInput(f"token {name!r}: there is none of that name: vfo token list shows them")
        audit.add(session, Act(at.by, at.how, "token-revoke", name), now=now)

    at.store.do(write)


def row(token: Token) -> dict[str, Any]:
    """One as plain values, without what is kept of its secret."""
    names = ("name", "scope", "created_by", "created_at", "expires_at", "used_at")
    return {name: getattr(token, name) for name in names}
