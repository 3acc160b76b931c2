"""One channel's: sends what waits for it in the rows, in a thread of its own, so that a channel that hangs holds up nobody else."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from orchestrator.notify import news
from orchestrator.notify.channels import Channel, NotTaken, Unusable
from orchestrator.notify.kinds import DIGEST
from orchestrator.notify.news import Message, Said
from state import told
from state.store import Session, Store
from state.told import Claim, Notice

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
"""A process that died while it was sending keeps others from sending the same for so long."""
PATIENCE = 60.0
"""Seconds after which a channel that does not answer is said not to, and is tried again later."""
FIRST, LONGEST = timedelta(seconds=30), timedelta(minutes=30)
"""The pauses before a message is tried again: doubled each time."""
GIVEN_UP = timedelta(hours=24)
"""After that a message is not worth sending any more."""
AT_ONCE = 200
HANGING = 3
"""Threads of a channel that never came back; with so many nothing more is tried by it in this process."""

Compose = Callable[[Notice], Message | None]


class Courier:
    """*compose*: writes a message that is made when it is sent (a digest); None: there is nothing worth a message."""

    def __init__(
        self, channel: Channel, store: Store, clock: Callable[[], datetime], compose: Compose, *, patience: float = PATIENCE
    ) -> None:
        self.channel = channel
        self._store = store
        self._clock = clock
        self._compose = compose
        self._patience = patience
        self._lock = threading.Lock()
        self._sending: tuple[list[Claim], float] | None = None
        self._hanging: list[threading.Thread] = []
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way."""
        return self._sending is not None

    def look(self) -> None:
        """Begin to send what is due, unless something is on its way; see whether that takes too long. Does not wait for the channel."""
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if self._sending is not None:
            self._see_how_long()
            return
        if len(self._hanging) >= HANGING:
            return
        now = self._clock()
        claims = self._store.do(lambda session: told.claim(session, self.channel.name, now=now, lease=LEASE, limit=AT_ONCE))
        if claims:
            self._send(claims)

    def close(self, within: float) -> None:
        """Wait so many seconds for what is on its way; what is not through then goes once more when its claim has run out."""
        if self._thread is not None:
            self._thread.join(max(0.0, within))

    def _send(self, claims: list[Claim]) -> None:
        self._sending = (claims, time.monotonic())
        self._thread = threading.Thread(target=self._live, args=(claims,), name=f"notify {self.channel.name}", daemon=True)
        self._thread.start()

    def _live(self, claims: list[Claim]) -> None:
        try:
            for some in _groups(claims):
                self._mark(some, self._told(some))
        except Exception:  # the database may be away: the claim runs out, and it is sent once more
            logger.exception("channel %s: what came of %d messages could not be noted", self.channel.name, len(claims))
        with self._lock:
            if self._sending is not None and self._sending[0] is claims:
                self._sending = None

    def _told(self, claims: Sequence[Claim]) -> str:
        """Send them as one message; why it was not taken, "" when it was."""
        first = claims[0].notice
        try:
            message = self._compose(first) if first.kind == DIGEST else news.together([_said(one.notice) for one in claims])
            if message is not None and not self._is_told(claims):
                self.channel.send(message)
        except (NotTaken, Unusable) as error:
            return str(error)
        except Exception as error:
            logger.exception("channel %s: a message could not be made", self.channel.name)
            return f"the message could not be made: {error}"
        return ""

    def _is_told(self, claims: Sequence[Claim]) -> bool:
        """Whether another thread was through sooner: a digest takes long to write while pools are away."""
        with self._store.read() as session:
            return told.is_told(session, claims)

    def _mark(self, claims: Sequence[Claim], problem: str) -> None:
        now = self._clock()
        if not problem:
            self._store.do(lambda session: told.told(session, claims, now=now))
            return
        logger.warning("channel %s did not take %d messages: %s", self.channel.name, len(claims), problem)
        old = [one for one in claims if now - one.notice.seen_at > GIVEN_UP]
        fresh = [one for one in claims if now - one.notice.seen_at <= GIVEN_UP]

        def mark(session: Session) -> None:
            if old:
                told.failed(session, old, problem, due_at=None)
            if fresh:
                told.failed(session, fresh, problem, due_at=now + _pause(min(one.tries for one in fresh)))

        self._store.do(mark)

    def _see_how_long(self) -> None:
        """One that does not answer is left alone: its thread may come back yet, and what it sent is then marked."""
        with self._lock:
            if self._sending is None or time.monotonic() - self._sending[1] < self._patience:
                return
            claims, _ = self._sending
            self._sending = None
        if self._thread is not None:
            self._hanging.append(self._thread)
        self._mark(claims, f"no answer for {self._patience:.0f} s")


def _groups(claims: Sequence[Claim]) -> list[list[Claim]]:
    """What goes as one message: each digest alone, the rest together."""
    rest = [one for one in claims if one.notice.kind != DIGEST]
    return [*([rest] if rest else []), *([one] for one in claims if one.notice.kind == DIGEST)]


def _pause(tries: int) -> timedelta:
    return min(FIRST * (1 << min(tries, 10)), LONGEST)


def _said(notice: Notice) -> Said:
    level: news.Level = next((one for one in news.LEVELS if one == notice.level), "warning")
    return Said(notice.title, notice.text, level)
