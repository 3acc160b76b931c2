"""A kombu transport within one process: queues in memory, and consumers that wait at a condition instead of polling.

kombu's own memory transport looks every second (or costs CPU to look more often), and its queues belong to the whole process; these
belong to the broker that made them. Messages end with the process, which is fine: they are hints, and due runs are published again.
"""

# Most of kombu has no types.
# mypy: disable-error-code="no-untyped-call"

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty
from typing import Any
from uuid import UUID

from kombu.connection import Connection
from kombu.entity import Queue
from kombu.message import Message
from kombu.messaging import Consumer, Producer
from kombu.transport import virtual

logger = logging.getLogger(__name__)

QUEUE = "vfo.runs.1"
LOOK_UP = 5.0  # seconds after which a consumer looks whether it should stop, should nobody have nudged it


class Queues:
    """The messages of one broker, shared by all its connections. All its consumers take from the same queues."""

    def __init__(self) -> None:
        self._messages: dict[str, deque[Any]] = {}
        self._changed = threading.Condition()
        self._puts = 0

    def put(self, queue: str, message: object) -> None:
        """Add a message and wake one consumer."""
        with self._changed:
            self._messages.setdefault(queue, deque()).append(message)
            self._puts += 1
            self._changed.notify()

    def get(self, queue: str) -> Any:
        """Take the oldest message; raises `queue.Empty`."""
        try:
            return self._messages[queue].popleft()
        except (KeyError, IndexError):
            raise Empty from None

    def puts(self) -> int:
        """How many messages were ever put: to be read before a look, and given to `wait`."""
        return self._puts

    def wait(self, seen: int, seconds: float | None) -> bool:
        """Wait until a message was put after *seen* was read; False when the time was over first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._puts != seen, seconds)

    def nudge(self) -> None:
        """Make every waiting consumer look up though there is no message."""
        with self._changed:
            self._puts += 1
            self._changed.notify_all()

    def size(self, queue: str) -> int:
        """How many messages wait in the queue."""
        return len(self._messages.get(queue, ()))

    def purge(self, queue: str) -> int:
        """Throw the queue's messages away; says how many there were."""
        with self._changed:
            return len(self._messages.pop(queue, ()))


class Channel(virtual.Channel):
    """kombu's side of the queues; a message that was not acknowledged goes back when its channel closes."""

    body_encoding = None  # type: ignore[assignment] # kombu's way to say: as it is, without base64

    @property
    def _queues(self) -> Queues:
        queues: Queues = self.connection.client.transport_options["queues"]
        return queues

    def _put(self, queue: str, message: object, **_: object) -> None:
        self._queues.put(queue, message)

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - kombu's signature
        return self._queues.get(queue)

    def _size(self, queue: str) -> int:
        return self._queues.size(queue)

    def _purge(self, queue: str) -> int:
        return self._queues.purge(queue)


class Transport(virtual.Transport):
    """Drains the channels of one connection, sleeping until a message was put."""

    Channel = Channel
    driver_type = "embedded"
    driver_name = "embedded"

    def driver_version(self) -> str:
        """There is no driver to have a version."""
        return "N/A"

    def drain_events(self, connection: object, timeout: float | None = None, **_: object) -> None:
        """Deliver one message; raises `TimeoutError` when none came in *timeout* seconds, or earlier when nudged."""
        queues: Queues = connection.client.transport_options["queues"]  # type: ignore[attr-defined]
        seen = queues.puts()
        if self._deliver_one() or (queues.wait(seen, timeout) and self._deliver_one()):
            return
        raise TimeoutError

    def _deliver_one(self) -> bool:
        try:
            self.cycle.get(self._deliver)  # type: ignore[union-attr] # kombu's constructor has set it
        except Empty:
            return False
        return True


def connect(queues: Queues) -> Connection:
    """A connection of one thread to these queues."""
    return Connection(transport=Transport, transport_options={"queues": queues})


class Messages:
    """`orchestrator.broker.Messages` within one process."""

    def __init__(self) -> None:
        self._queues = Queues()
        self._publishing = threading.Lock()
        self._connection = connect(self._queues)
        self._producer = Producer(self._connection.default_channel, serializer="json")

    def publish(self, run_ids: Iterable[UUID]) -> None:
        """Say that these runs are due."""
        with self._publishing:
            for run_id in run_ids:
                self._producer.publish(str(run_id), exchange="", routing_key=QUEUE)

    def consume(self, callback: Callable[[UUID, Callable[[], None]], None], stop: threading.Event) -> None:
        """Call back for each message until *stop* is set."""

        def received(body: object, message: Message) -> None:
            try:
                run_id = UUID(str(body))
            except ValueError:
                logger.warning("a message that holds no run's id was thrown away")
                message.ack()
                return
            callback(run_id, message.ack)

        with connect(self._queues) as connection, Consumer(connection, [Queue(QUEUE)], callbacks=[received], prefetch_count=1):
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=LOOK_UP)

    def nudge(self) -> None:
        """Make the consumers look at their *stop* now."""
        self._queues.nudge()

    def pending(self) -> int:
        """How many messages wait for a consumer."""
        return self._queues.size(QUEUE)

    def problem(self) -> str:
        """Why no message goes by it now."""
        return "" if self._connection.connected else "the connection to the broker is closed"

    def close(self) -> None:
        """Close the connection that publishes."""
        with self._publishing:
            self._connection.close()
