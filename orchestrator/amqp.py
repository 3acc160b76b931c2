"""Messages by RabbitMQ, and without it while it is away: then this process works on what it found due by itself.

One thread owns the connection that publishes, and is the one who finds out whether RabbitMQ is there. What is to be published waits in
memory until RabbitMQ has confirmed it; while RabbitMQ is away the consumers of this process take it from there. Nobody who publishes waits.
"""

# Most of kombu has no types.
# mypy: disable-error-code="no-untyped-call"

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from orchestrator import amqp_link
from orchestrator.amqp_link import ERRORS, Link, Server

logger = logging.getLogger(__name__)

LOOK_UP = 1.0  # seconds after which everybody looks whether to stop, and whether RabbitMQ is there
AT_ONCE = 100  # messages that are on their way unconfirmed
KEPT = 10_000  # that wait to be published; of more the oldest are left to the next look for due runs
LONGEST_PAUSE = 5.0  # between two tries to reach a server that is away

Callback = Callable[[UUID, Callable[[], None]], None]


class Messages:
    """`orchestrator.broker.Messages` by the RabbitMQ at *url*; it may be away at any time, and at the beginning."""

    def __init__(self, url: str, ca_file: Path | None = None) -> None:
        self._server = Server(url, ca_file)
        self._changed = threading.Condition()
        self._unsent: dict[UUID, None] = {}
        self._waiting = 0
        self._problem = f"RabbitMQ at {self._server.name} is not reached yet"
        self._is_there = False
        self._closed = threading.Event()
        self._links: set[Link] = set()
        self._publisher = threading.Thread(target=self._publish_for_ever, name="publisher", daemon=True)
        self._publisher.start()
        threading.Thread(target=self._beat_for_ever, name="heartbeats", daemon=True).start()

    def publish(self, run_ids: Iterable[UUID]) -> None:
        """Say that these runs are due: they are published as soon as RabbitMQ takes them, or worked on here."""
        with self._changed:
            for run_id in run_ids:
                self._unsent[run_id] = None
            while len(self._unsent) > KEPT:
                del self._unsent[next(iter(self._unsent))]
            self._changed.notify_all()

    def consume(self, callback: Callback, stop: threading.Event) -> None:
        """Call back for each message until *stop* is set. What *callback* raises ends it, and its message goes to somebody else."""
        link: Link | None = None
        try:
            while not stop.is_set() and not self._closed.is_set():
                if not self._is_there:
                    self._cut(link)
                    link = None
                    self._work_alone(callback, stop)
                    continue
                try:
                    link = link or self._linked()
                    run_id = link.receive(LOOK_UP)
                except ERRORS as error:  # whether the server is there is found out by who publishes
                    logger.info("the messages of RabbitMQ at %s could not be read: %s", self._server.name, amqp_link.in_words(error))
                    self._cut(link)
                    link = None
                    stop.wait(LOOK_UP / 4)
                    continue
                if run_id is not None:
                    callback(run_id, link.acknowledge)
                    link.done()
        finally:
            if link is not None:
                self._links.discard(link)
                link.close()

    def nudge(self) -> None:
        """Make the consumers look at their *stop*; who reads from RabbitMQ does that within a second."""
        with self._changed:
            self._changed.notify_all()

    def pending(self) -> int:
        """How many messages wait, here or there, as it was known a second ago."""
        with self._changed:
            return self._waiting + len(self._unsent)

    def problem(self) -> str:
        """Why no message goes by RabbitMQ now, and since when."""
        if self._closed.is_set():
            return "the connection to the broker is closed"
        return "" if self._is_there else self._problem

    def dead(self) -> int:
        """How many messages were given up: each was taken again and again by workers that died of it. Raises one of `amqp_link.ERRORS`."""
        with contextlib.closing(self._server.link()) as link:
            return link.count(amqp_link.DEAD)

    def revive(self) -> int:
        """Publish the messages that were given up again; says how many. Raises as `dead` does."""
        with contextlib.closing(self._server.link()) as link:
            found = link.take_dead()
            link.publish(found, LOOK_UP * 5)
            link.acknowledge_all()
            return len(found)

    def close(self) -> None:
        """Publish what can be published at once, and end."""
        self._closed.set()
        self.nudge()
        self._publisher.join(LOOK_UP * 5)

    # -- who publishes -----------------------------------------------------------------------------------------

    def _publish_for_ever(self) -> None:
        failures = 0
        while not self._closed.is_set():
            try:
                link = self._server.link()
                try:
                    self._waiting = link.count(amqp_link.QUEUE)
                    self._note_back()
                    failures = 0
                    self._publish_by(link)
                    link.close()
                finally:
                    link.cut()
            except ERRORS as error:
                self._note_away(amqp_link.in_words(error))
            except Exception as error:  # a mistake of ours must not end all publishing
                logger.exception("messages could not be published")
                self._note_away(type(error).__name__)
            failures += 1
            self._closed.wait(min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 10)))

    def _publish_by(self, link: Link) -> None:
        """Publish what there is as long as the link lasts; raises one of `ERRORS` when it does not."""
        while True:
            closing = self._closed.is_set()
            some = self._next(0 if closing else LOOK_UP)
            if closing and not some:
                return
            try:
                link.publish(some, LOOK_UP * 5)
            except BaseException:
                self._put_back(some)
                raise
            self._waiting = link.count(amqp_link.QUEUE)

    def _next(self, seconds: float) -> list[UUID]:
        with self._changed:
            if not self._unsent:
                self._changed.wait(seconds)
            some = list(self._unsent)[:AT_ONCE]
            for run_id in some:
                del self._unsent[run_id]
            self._waiting += len(some)  # they are on their way, and counted there next
            return some

    def _put_back(self, some: list[UUID]) -> None:
        with self._changed:
            self._unsent = dict.fromkeys(some) | self._unsent
            self._waiting = 0
            self._changed.notify_all()

    def _note_away(self, why: str) -> None:
        if self._is_there or not self._problem.endswith(why):
            since = f"{datetime.now(UTC):%H:%M:%S} UTC"
            self._problem = f"RabbitMQ at {self._server.name} is away since {since}, and due runs are found in the database alone: {why}"
            logger.warning("%s", self._problem)
        with self._changed:
            self._is_there, self._waiting = False, 0
            self._changed.notify_all()

    def _note_back(self) -> None:
        if not self._is_there:
            logger.info("RabbitMQ at %s is there", self._server.name)
        with self._changed:
            self._is_there = True
            self._changed.notify_all()

    # -- who consumes ------------------------------------------------------------------------------------------

    def _linked(self) -> Link:
        link = self._server.link()
        self._links.add(link)
        return link

    def _cut(self, link: Link | None) -> None:
        if link is not None:
            self._links.discard(link)
            link.cut()

    def _beat_for_ever(self) -> None:
        """Keep the connections of consumers whose steps take long."""
        while not self._closed.wait(LOOK_UP / 2):
            for link in list(self._links):
                try:
                    link.beat()
                except Exception:  # a mistake of ours must not end the beats of the others
                    logger.exception("RabbitMQ could not be told that a consumer lives")
                    self._links.discard(link)

    def _work_alone(self, callback: Callback, stop: threading.Event) -> None:
        """RabbitMQ is away: work on what was to be published, for at most a moment without any."""
        until = time.monotonic() + LOOK_UP
        with self._changed:
            while not self._unsent and not self._is_there and not stop.is_set() and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            if self._is_there or stop.is_set() or not self._unsent:
                return
            run_id = next(iter(self._unsent))
            del self._unsent[run_id]
        try:
            callback(run_id, lambda: None)
        except BaseException:
            self.publish([run_id])
            raise
