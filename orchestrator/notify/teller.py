"""Tells people: notes each thing once, in the one process that has the lease, and has every channel send what waits for it.

Never in the path of a run: all it goes by are rows, so what happened while nobody was there is told when somebody is.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from orchestrator.config.notify import Channel as Wanted
from orchestrator.notify import looking
from orchestrator.notify.courier import Courier
from orchestrator.notify.kinds import DIGEST, LASTING
from orchestrator.notify.looking import Seen, Watched
from orchestrator.notify.news import News
from state import leases, told
from state.leases import Lease
from state.store import Session, Store
from state.told import Notice
from workflows.windows import Window

logger = logging.getLogger(__name__)

LEASE = "notify"
LASTS = timedelta(seconds=30)
FIRST, EVERY = timedelta(seconds=1), timedelta(seconds=5)
LETTERS_EVERY = 60.0  # seconds between two questions to RabbitMQ
BEGAN = "began"
KEPT = timedelta(days=30)
"""For how long what was told is kept; `vfo notify list` shows the last of it."""
AT_ONCE = 200  # things that stand so and are noted at one look: nobody else writes meanwhile, and the next look has the others
CLOSING = 2.0


@dataclass(frozen=True, slots=True)
class Means:
    """What it tells by, and what of.

    *wanted*: the channels of the configuration, *couriers*: who sends by each. *watched*: what is looked at, given since when this process
    looks and the number of dead letters. *console*: its address, "" for none. *dead*: asks for that number; None: it is not known now.
    """

    wanted: Mapping[str, Wanted]
    couriers: Mapping[str, Courier]
    watched: Callable[[datetime, int | None], Watched]
    console: str
    dead: Callable[[], int | None]


class Teller:
    """*clock*: the moment, in UTC."""

    def __init__(self, store: Store, means: Means, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._means = means
        self._clock = clock
        self._mornings = {name: mornings for name, one in means.wanted.items() if (mornings := one.mornings()) is not None}
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._lease: Lease | None = None
        self._since = clock()
        self._letters: tuple[float, int | None] | None = None

    @property
    def couriers(self) -> Mapping[str, Courier]:
        """Who sends, by channel."""
        return self._means.couriers

    def run(self, stop: threading.Event) -> None:
        """Look now and then until *stop* is set; without channels there is nobody to tell."""
        pause = FIRST
        while self._means.wanted and not stop.wait(pause.total_seconds()):
            pause = EVERY
            self.look()
        ends = time.monotonic() + CLOSING
        for courier in self._means.couriers.values():
            courier.close(ends - time.monotonic())
        if self._lease is not None:
            self._release(self._lease)

    def look(self) -> None:
        """Note what is new, where the lease is ours, and begin to send what is due. Never raises, never waits for a channel."""
        try:
            dead = self._dead()
            now = self._clock()
            noted = self._store.do(lambda session: self._note(session, now, dead))
            if noted:
                logger.info("%d things to tell people: %s", len(noted), "; ".join(noted))
        except Exception:  # the database may be away for a moment; what is so then is seen at the next look
            logger.exception("it could not be seen what people are to be told")
        for name, courier in self._means.couriers.items():
            try:
                courier.look()
            except Exception:  # as above
                logger.exception("channel %s could not be looked after", name)

    def _dead(self) -> int | None:
        if self._letters is None or time.monotonic() - self._letters[0] > LETTERS_EVERY:
            self._letters = (time.monotonic(), self._means.dead())
        return self._letters[1]

    def _note(self, session: Session, now: datetime, dead: int | None) -> list[str]:
        if not self._has_lease(session, now):
            return []
        first = told.of_key(session, BEGAN)
        if first is None:
            told.add(session, Notice(key=BEGAN, kind=BEGAN, seen_at=now), ())
        began = now if first is None else first.seen_at
        seen = looking.look(session, self._means.watched(self._since, dead), began=began, now=now)
        noted = list(self._noted(session, seen, now))
        self._digests(session, began, now)
        told.remove(session, before=now - KEPT, lasting=LASTING | {BEGAN})
        return noted

    def _noted(self, session: Session, seen: Seen, now: datetime) -> Iterable[str]:
        for notice in seen.over:
            told.end(session, notice.id, now=now)
        for news in (*seen.happened, *seen.stands[:AT_ONCE]):
            if told.add(session, self._notice(news, now), self._channels(news)):
                yield news.happened

    def _notice(self, news: News, now: datetime) -> Notice:
        return Notice(
            key=news.key, kind=news.kind, pool=news.pool, level=news.level, title=news.happened, text=news.text(self._means.console),
            seen_at=now, over_at=now if news.is_over else None,
        )  # fmt: skip

    def _channels(self, news: News) -> list[str]:
        return [
            name
            for name, wanted in self._means.wanted.items()
            if not news.is_known and news.kind in wanted.events and (not news.pool or not wanted.pools or news.pool in wanted.pools)
        ]

    def _digests(self, session: Session, began: datetime, now: datetime) -> None:
        """One a channel and morning; none for a morning before anybody looked, or before the channel wanted them."""
        self._begin(session, now)
        for name, mornings in self._mornings.items():
            due = mornings.opened(now)
            if due is not None and due >= began and self._wanted(session, name, due):
                data = {"since": _before(mornings, due).isoformat(), "until": due.isoformat()}
                key = _key(name, due)
                told.add(session, Notice(key=key, kind=DIGEST, title=f"digest of {due:%Y-%m-%d}", data=data, seen_at=now), [name])

    def _begin(self, session: Session, now: datetime) -> None:
        """Note since when each channel wants digests; of one that wants none any more it is over."""
        for name in self._mornings:
            told.add(session, Notice(key=_since(name), kind=BEGAN, seen_at=now), ())
        wanted = {BEGAN, *map(_since, self._mornings)}
        for notice in told.standing(session, {BEGAN}):
            if notice.key not in wanted:
                told.end(session, notice.id, now=now)

    def _wanted(self, session: Session, name: str, due: datetime) -> bool:
        """Whether the channel wanted that morning's: it did where it had the one before, from a version that noted no more."""
        noted = told.of_key(session, _since(name))
        before = _before(self._mornings[name], due)
        return (noted is not None and noted.seen_at <= due) or told.of_key(session, _key(name, before)) is not None

    def _has_lease(self, session: Session, now: datetime) -> bool:
        if self._lease is not None and leases.renew(session, self._lease, now=now, duration=LASTS):
            return True
        self._lease = leases.acquire(session, LEASE, self._holder, now=now, duration=LASTS)
        return self._lease is not None

    def _release(self, lease: Lease) -> None:
        try:
            self._store.do(lambda session: leases.release(session, lease, now=self._clock()), within=timedelta())
        except Exception:  # it ends by itself in seconds
            logger.exception("the lease of who tells people could not be given back")


def _since(channel: str) -> str:
    return f"{BEGAN}:{channel}"


def _key(channel: str, due: datetime) -> str:
    return f"{DIGEST}:{channel}:{due.isoformat()}"


def _before(mornings: Window, due: datetime) -> datetime:
    """The morning before, a day earlier whatever the clocks did."""
    return next(mornings.openings_before(due - timedelta(seconds=1), due - timedelta(days=3)), due - timedelta(days=1))
