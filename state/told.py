"""What there is to tell people, each once, and how far each channel is with it: a row before anything is sent, a mark after it.

Who sends claims the rows first. One that dies between sending and marking lets the claim run out, and the message goes once more: a page
in the night is rather doubled than lost.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, ColumnElement, Index, and_, bindparam, delete, exists, func, or_, text, update
from sqlalchemy import select as columns
from sqlmodel import Field, Session, col, select

from state import upsert
from state.columns import Row, UtcDateTime, table
from state.history import plain
from state.leases import FAR

MOST = 1000
"""Messages that wait for one channel; what comes then is noted as not told."""
TOO_MANY = f"not told: {MOST} messages waited for the channel already"


class Notice(Row, table=True):
    """One thing to tell. *key* names it: while it is not over (*over_at*), nothing of the same key is told again.

    *level*: "info", "warning" or "failure". *title*, *text*: the message. *data*: what a message that is written when it is sent needs.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("uq_notice_key", "key", unique=True, sqlite_where=text("over_at IS NULL"), postgresql_where=text("over_at IS NULL")),
        Index("ix_notice_seen_at", "seen_at"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    key: str
    kind: str
    pool: str = ""
    level: str = "info"
    title: str = ""
    text: str = ""
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    over_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Telling(Row, table=True):
    """A notice on its way to a channel. *due_at*: from when somebody may send it (a retry, the end of a claim); None: it is dealt with.

    *told_at*: when the channel took it. *problem*: why it did not, the last time.
    """

    __tablename__ = "telling"
    __table_args__ = (
        Index("ix_telling_due", "channel", "due_at", sqlite_where=text("due_at IS NOT NULL"), postgresql_where=text("due_at IS NOT NULL")),
        Index(
            "ix_telling_told", "channel", "told_at", sqlite_where=text("told_at IS NOT NULL"), postgresql_where=text("told_at IS NOT NULL")
        ),
    )

    notice_id: UUID = Field(primary_key=True, foreign_key="notice.id")
    channel: str = Field(primary_key=True)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    claim: int = 0
    tries: int = 0
    told_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    problem: str = ""


NOTICE, TELLING = table(Notice), table(Telling)


@dataclass(frozen=True, slots=True)
class Claim:
    """A notice that is ours to send by a channel; *claim* and *tries* are shown to mark it."""

    notice: Notice
    channel: str
    claim: int
    tries: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a channel stands: messages that wait, since when the first of them, the last one it took, those it never took, what ails it."""

    waiting: int
    since: datetime | None
    told_at: datetime | None
    given_up: int
    problem: str


def add(session: Session, notice: Notice, channels: Collection[str]) -> bool:
    """Note it for the channels; False when it was noted already, and is not over."""
    row = {column.name: getattr(notice, column.name) for column in NOTICE.columns}
    row |= {"title": plain(notice.title), "text": plain(notice.text)}
    new = upsert.insert(session, NOTICE).values(row).on_conflict_do_nothing().returning(NOTICE.c.id)
    if session.connection().execute(new).first() is None:
        return False
    for channel in channels:
        full = _waiting(session, channel) >= MOST
        session.connection().execute(
            TELLING.insert(),
            {"notice_id": notice.id, "channel": channel, "due_at": None if full else notice.seen_at, "claim": 0, "tries": 0,
             "told_at": None, "problem": TOO_MANY if full else ""},
        )  # fmt: skip
    return True


def _waiting(session: Session, channel: str) -> int:
    mine = columns(func.count()).select_from(TELLING).where(TELLING.c.channel == channel, TELLING.c.due_at.is_not(None))
    return int(session.connection().execute(mine).scalar_one())


def of_key(session: Session, key: str) -> Notice | None:
    """The notice of this key that is not over."""
    return session.exec(select(Notice).where(Notice.key == key, col(Notice.over_at).is_(None))).first()


def last(session: Session, prefix: str) -> Notice | None:
    """The newest notice whose key begins so, over or not."""
    mine = select(Notice).where(col(Notice.key).startswith(prefix, autoescape=True))
    return session.exec(mine.order_by(col(Notice.seen_at).desc()).limit(1)).first()


def standing(session: Session, kinds: Collection[str]) -> list[Notice]:
    """The notices of these kinds that are not over, oldest first."""
    mine = select(Notice).where(col(Notice.kind).in_(sorted(kinds)), col(Notice.over_at).is_(None))
    return list(session.exec(mine.order_by(col(Notice.seen_at))))


def end(session: Session, notice_id: UUID, *, now: datetime) -> bool:
    """What it told of is over: the same may be told again when it is so again. False when it was over already."""
    over = update(NOTICE).where(NOTICE.c.id == notice_id, NOTICE.c.over_at.is_(None)).values(over_at=now)
    return bool(session.connection().execute(over.returning(NOTICE.c.id)).first())


def claim(session: Session, channel: str, *, now: datetime, lease: timedelta, limit: int) -> list[Claim]:
    """Take what is due for the channel, oldest first, for as long as *lease*; nobody else has it meanwhile.

    What is due in the far future was noted by a clock that was ahead, and is due too.
    """
    due = or_(TELLING.c.due_at <= now, TELLING.c.due_at > now + FAR + lease)
    some = columns(TELLING.c.notice_id).join(NOTICE, NOTICE.c.id == TELLING.c.notice_id).where(TELLING.c.channel == channel, due)
    ids = list(session.connection().execute(some.order_by(NOTICE.c.seen_at).limit(limit)).scalars())
    if not ids:
        return []
    mine = update(TELLING).where(TELLING.c.channel == channel, TELLING.c.notice_id.in_(ids), due)
    taken = session.connection().execute(
        mine.values(due_at=now + lease, claim=TELLING.c.claim + 1).returning(TELLING.c.notice_id, TELLING.c.claim, TELLING.c.tries)
    )
    held = {row.notice_id: row for row in taken}
    notices = session.exec(select(Notice).where(col(Notice.id).in_(list(held))).order_by(col(Notice.seen_at))).all()
    return [Claim(notice, channel, held[notice.id].claim, held[notice.id].tries) for notice in notices]


def is_told(session: Session, claims: Sequence[Claim]) -> bool:
    """Whether the channel has taken all of these meanwhile."""
    ids = [one.notice.id for one in claims]
    waits = columns(TELLING.c.notice_id).where(TELLING.c.notice_id.in_(ids), TELLING.c.channel == claims[0].channel)
    return session.connection().execute(waits.where(TELLING.c.told_at.is_(None)).limit(1)).first() is None


def told(session: Session, claims: Sequence[Claim], *, now: datetime) -> None:
    """The channel took them. Of a claim that ran out the rest is another's, but what is told is told."""
    mine = _mine(claims)
    session.connection().execute(mine.values(due_at=None, told_at=now, problem=""), [_key(one) for one in claims])


def failed(session: Session, claims: Sequence[Claim], problem: str, *, due_at: datetime | None) -> None:
    """The channel did not take them: they are due again then; None: they are given up. Nothing where somebody else has them by now."""
    mine = _mine(claims).where(TELLING.c.claim == bindparam("held"), TELLING.c.told_at.is_(None))
    failing = mine.values(due_at=due_at, tries=TELLING.c.tries + 1, problem=plain(problem))
    session.connection().execute(failing, [_key(one) | {"held": one.claim} for one in claims])


def _mine(claims: Sequence[Claim]) -> Any:
    assert claims  # noqa: S101 - an execution without parameters would be of every row
    return update(TELLING).where(TELLING.c.notice_id == bindparam("of_notice"), TELLING.c.channel == bindparam("by_channel"))


def _key(one: Claim) -> dict[str, Any]:
    return {"of_notice": one.notice.id, "by_channel": one.channel}


def how(session: Session, channel: str) -> Standing:
    """How the channel stands."""
    mine = TELLING.c.channel == channel
    waits = columns(func.count(), func.min(NOTICE.c.seen_at)).join(NOTICE, NOTICE.c.id == TELLING.c.notice_id)
    waiting, since = session.connection().execute(waits.where(mine, TELLING.c.due_at.is_not(None))).one()
    told_at = session.connection().execute(columns(func.max(TELLING.c.told_at)).where(mine, TELLING.c.told_at.is_not(None))).scalar()
    left = columns(func.count()).select_from(TELLING).where(mine, TELLING.c.due_at.is_(None), TELLING.c.told_at.is_(None))
    given_up = int(session.connection().execute(left).scalar_one())
    ails = columns(TELLING.c.problem).where(mine, TELLING.c.due_at.is_not(None), TELLING.c.problem != "").limit(1)
    problem = session.connection().execute(ails.order_by(TELLING.c.due_at.desc())).scalar() or ""
    return Standing(waiting, since, told_at, given_up, problem)


def remove(session: Session, *, before: datetime, lasting: Collection[str]) -> int:
    """Remove what was seen before that moment and waits for no channel; of the *lasting* kinds only what is over. How many there were."""
    over: ColumnElement[bool] = or_(NOTICE.c.over_at.is_not(None), NOTICE.c.kind.not_in(sorted(lasting)))
    waits = exists().where(TELLING.c.notice_id == NOTICE.c.id, TELLING.c.due_at.is_not(None))
    old = columns(NOTICE.c.id).where(and_(NOTICE.c.seen_at < before, over, ~waits)).limit(500)
    ids = list(session.connection().execute(old).scalars())
    if not ids:
        return 0
    session.connection().execute(delete(TELLING).where(TELLING.c.notice_id.in_(ids)))
    session.connection().execute(delete(NOTICE).where(NOTICE.c.id.in_(ids)))
    return len(ids)
