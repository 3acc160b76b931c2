"""The messages between those who find a run due and those who work on it. A message is a hint, the row is the truth."""

# Most of kombu has no types.
# mypy: disable-error-code="no-untyped-call"

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit
from uuid import UUID

from kombu.connection import Connection
from kombu.entity import Queue
from kombu.message import Message
from kombu.messaging import Consumer, Producer

from orchestrator import embedded

logger = logging.getLogger(__name__)

QUEUE = "vfo.runs.1"  # a queue cannot be declared anew with other arguments: a change of them is a new number
LOOK_UP = 5.0  # seconds after which a consumer looks whether it should stop, should nobody have nudged it

Acknowledge = Callable[[], None]
Callback = Callable[[UUID, Acknowledge], None]


class Unusable(Exception):
    """The broker cannot be used; the text says why, for the person who runs the program."""


class Broker:
    """Publishes and consumes the ids of runs that are due. Threads may publish at the same time; each consumer is a thread of its own."""

    def __init__(self, url: str = "embedded://") -> None:
        scheme = urlsplit(url).scheme
        if scheme != "embedded":
            raise Unusable(f"there is no broker of kind {scheme!r}: this version has embedded://")
        self._queues = embedded.Queues()
        self._publishing = threading.Lock()
        self._connection = self._connect()
        self._producer = Producer(self._connection.default_channel, serializer="json")

    def publish(self, run_ids: Iterable[UUID]) -> None:
        """Say that these runs are due. A message may be lost or doubled: neither harms."""
        with self._publishing:
            for run_id in run_ids:
                self._producer.publish(str(run_id), exchange="", routing_key=QUEUE)

    def consume(self, callback: Callback, stop: threading.Event) -> None:
        """Call *callback(run_id, acknowledge)* for each message, one at a time, in this thread, until *stop* is set (see `nudge`).

        A message that was not acknowledged when this returns goes to somebody else.
        """

        def received(body: object, message: Message) -> None:
            try:
                run_id = UUID(str(body))
            except ValueError:
                logger.warning("a message that holds no run's id was thrown away")
                message.ack()
                return
            callback(run_id, message.ack)

        with self._connect() as connection, Consumer(connection, [Queue(QUEUE)], callbacks=[received], prefetch_count=1):
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=LOOK_UP)

    def nudge(self) -> None:
        """Make the consumers look at their *stop* now."""
        self._queues.nudge()

    def pending(self) -> int:
        """How many messages wait for a consumer."""
        return self._queues.size(QUEUE)

    def check(self) -> None:
        """The broker answers; raises `Unusable` else."""
        if not self._connection.connected:
            raise Unusable("the connection to the broker is closed")

    def close(self) -> None:
        """Close the connection that publishes; consumers end by their *stop*."""
        with self._publishing:
            self._connection.close()

    def _connect(self) -> Connection:
        return embedded.connect(self._queues)
