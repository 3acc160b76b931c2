"""People who may sign in to the console: a name, the hash of a password, and how far their word goes."""

from datetime import datetime

from sqlalchemy import delete, update
from sqlmodel import Field, Session, col, select

from state import upsert
from state.columns import Row, UtcDateTime, table


class User(Row, table=True):
    """One person. *password*: argon2's hash with its salt and costs. *scope*: "read", "operate" or "admin"."""

    __tablename__ = "web_user"

    name: str = Field(primary_key=True)
    password: str
    scope: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime)


USER = table(User)


def add(session: Session, user: User) -> bool:
    """Write a new user; False when there is one of that name, who stays as they are."""
    row = {column.name: getattr(user, column.name) for column in USER.columns}
    added = upsert.insert(session, USER).values(row).on_conflict_do_nothing().returning(USER.c.name)
    return session.connection().execute(added).first() is not None


def get(session: Session, name: str) -> User | None:
    """The user of this name."""
    return session.get(User, name, populate_existing=True)


def listed(session: Session) -> list[User]:
    """All of them, by name."""
    return list(session.exec(select(User).order_by(col(User.name)).execution_options(populate_existing=True)))


def set_password(session: Session, name: str, hashed: str, *, now: datetime) -> bool:
    """Another password from now on; False when there is no such user. Who changes it ends the user's sign-ins too."""
    changed = update(USER).where(USER.c.name == name).values(password=hashed, changed_at=now).returning(USER.c.name)
    return session.connection().execute(changed).first() is not None


def set_scope(session: Session, name: str, scope: str) -> bool:
    """How far the user's word goes from now on; False when there is no such user. Who changes it ends the user's sign-ins too."""
    changed = update(USER).where(USER.c.name == name).values(scope=scope).returning(USER.c.name)
    return session.connection().execute(changed).first() is not None


def rehash(session: Session, name: str, *, before: str, after: str) -> bool:
    """The same password, perhaps by today's costs; False, and nothing, when it was changed meanwhile, or there is no such user any more.

    Until the end of the transaction nobody changes it: whoever does, and ends their sign-ins, finds what this transaction began.
    """
    same = update(USER).where(USER.c.name == name, USER.c.password == before).values(password=after).returning(USER.c.name)
    return session.connection().execute(same).first() is not None


def remove(session: Session, name: str) -> bool:
    """Forget the user; False when there is none. Their sign-ins end with it: see `sign_ins.end_of`."""
    return session.connection().execute(delete(USER).where(USER.c.name == name).returning(USER.c.name)).first() is not None
