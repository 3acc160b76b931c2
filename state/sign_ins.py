"""Who is signed in by a browser: the SHA-256 of the random id that its cookie has, and until when that counts."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, update
from sqlmodel import Field, Session

from state.columns import Row, UtcDateTime, table

SEEN_FRESH = timedelta(minutes=1)
"""How exactly it is known when somebody was seen last: more would be a write for each click."""


class SignIn(Row, table=True):
    """One browser. *digest*: of its id, in hexadecimal. *scope*: None for a user of ours, whose own counts at each look."""

    __tablename__ = "sign_in"

    digest: str = Field(primary_key=True)
    name: str = Field(index=True)
    how: str
    scope: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    idle_until: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime, index=True)


SIGN_IN = table(SignIn)


def digest(session_id: str) -> str:
    """What is kept of an id."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def begin(session: Session, sign_in: SignIn) -> None:
    """Write it, and forget those whose time is over."""
    over(session, now=sign_in.created_at)
    session.add(sign_in)
    session.flush()


def get(session: Session, session_id: str, *, now: datetime) -> SignIn | None:
    """The sign-in of this id; None when there is none, or it was idle for too long, or its time is over."""
    found = session.get(SignIn, digest(session_id), populate_existing=True)
    return found if found is not None and now < min(found.idle_until, found.ends_at) else None


def is_fresh(sign_in: SignIn, now: datetime) -> bool:
    """Whether it is noted already that they were seen."""
    return now - sign_in.seen_at < SEEN_FRESH


def seen(session: Session, sign_in: SignIn, *, now: datetime, idle: timedelta) -> None:
    """They are there: the time of being idle begins anew. One that ended meanwhile stays ended."""
    session.connection().execute(update(SIGN_IN).where(SIGN_IN.c.digest == sign_in.digest).values(seen_at=now, idle_until=now + idle))


def end(session: Session, session_id: str) -> None:
    """Signed out."""
    session.connection().execute(delete(SIGN_IN).where(SIGN_IN.c.digest == digest(session_id)))


def end_of(session: Session, name: str, *, how: str = "local") -> int:
    """Sign somebody out wherever they are; from how many browsers."""
    ended = session.connection().execute(delete(SIGN_IN).where(SIGN_IN.c.name == name, SIGN_IN.c.how == how).returning(SIGN_IN.c.digest))
    return len(ended.all())


def over(session: Session, *, now: datetime) -> None:
    """Forget those whose time is over."""
    session.connection().execute(delete(SIGN_IN).where(or_(SIGN_IN.c.ends_at <= now, SIGN_IN.c.idle_until <= now)))
