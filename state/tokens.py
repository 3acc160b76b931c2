"""Tokens of programs that use the REST API: what is kept of the secret is its SHA-256, which is enough to know it by."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, update
from sqlmodel import Field, Session, col, select

from state import upsert
from state.columns import Row, UtcDateTime, table

USED_FRESH = timedelta(minutes=1)
"""How exactly it is known when a token was used last: more would be a write for each request."""


class Token(Row, table=True):
    """One token. *digest*: of the secret, in hexadecimal. *scope*: "read", "operate" or "admin". *expires_at* None: never."""

    __tablename__ = "api_token"

    name: str = Field(primary_key=True)
    digest: str = Field(unique=True)
    scope: str
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


TOKEN = table(Token)


def digest(secret: str) -> str:
    """What is kept of a secret, which is random and so long that nobody finds it by trying: a fast hash is a good one here."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add(session: Session, token: Token) -> bool:
    """Write a new token; False when there is one of that name, which stays as it is."""
    row = {column.name: getattr(token, column.name) for column in TOKEN.columns}
    added = upsert.insert(session, TOKEN).values(row).on_conflict_do_nothing().returning(TOKEN.c.name)
    return session.connection().execute(added).first() is not None


def known(session: Session, secret: str, *, now: datetime) -> Token | None:
    """The token with this secret; None when there is none, or its time is over.

    It is looked for by its digest: how long that takes says nothing about a secret.
    """
    query = select(Token).where(Token.digest == digest(secret), or_(col(Token.expires_at).is_(None), col(Token.expires_at) > now))
    return session.exec(query).first()


def is_fresh(token: Token, now: datetime) -> bool:
    """Whether it is noted already that the token is in use."""
    return token.used_at is not None and abs(now - token.used_at) < USED_FRESH


def note_use(session: Session, name: str, *, now: datetime) -> None:
    """It was used."""
    session.connection().execute(update(TOKEN).where(TOKEN.c.name == name).values(used_at=now))


def listed(session: Session) -> list[Token]:
    """All of them, by name, those whose time is over too."""
    return list(session.exec(select(Token).order_by(col(Token.name)).execution_options(populate_existing=True)))


def revoke(session: Session, name: str) -> bool:
    """The token opens nothing from now on; False when there is none of that name."""
    return session.connection().execute(delete(TOKEN).where(TOKEN.c.name == name).returning(TOKEN.c.name)).first() is not None
