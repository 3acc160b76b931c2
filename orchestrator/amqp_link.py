"""One connection to RabbitMQ: its queues made, messages sent until they are confirmed, and taken one at a time."""

# Most of kombu has no types.
# mypy: disable-error-code="no-untyped-call"

import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from kombu.connection import Connection
from kombu.transport import pyamqp

logger = logging.getLogger(__name__)

QUEUE = "vfo.runs.1"  # a queue cannot be declared anew with other arguments: a change of them is a new number
DEAD = "vfo.dead.1"
LONGEST_QUEUE = 100_000
DELIVERIES = 20
CONNECT, ANSWER, HEARTBEAT = 5.0, 5.0, 20  # seconds
BEATS = 3  # that are sent in the time of one heartbeat: two that come late end nothing
RENEW = 5.0  # seconds without a message, after which it is asked for anew: RabbitMQ forgets who consumes from a queue that is made anew
TAG = "vfo"
ARGUMENTS = {
    DEAD: {"x-queue-type": "quorum", "x-max-length": LONGEST_QUEUE},
    QUEUE: {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERIES,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD,
        "x-dead-letter-strategy": "at-least-once",
        "x-max-length": LONGEST_QUEUE,
        "x-overflow": "reject-publish",
    },
}


class _Wire(pyamqp.Connection):
    """Closes its socket when the server took the connection and then said nothing: the library leaves it open."""

    def connect(self, callback: Any = None) -> Any:
        """As the library has it."""
        try:
            return super().connect(callback)
        except BaseException:
            if self._transport is not None:
                self._transport.close()
            raise


class _Transport(pyamqp.Transport):
    Connection = _Wire


class _SSLTransport(pyamqp.SSLTransport):
    Connection = _Wire


class NotTaken(Exception):
    """RabbitMQ answers and does not take messages; the text says why."""


ERRORS: tuple[type[Exception], ...] = (*pyamqp.Transport.connection_errors, *pyamqp.Transport.channel_errors, OSError, NotTaken)
"""What a link raises when the server is away, does not do what is asked, or cannot be talked to."""


def in_words(error: Exception) -> str:
    """In a line; these errors hold no password."""
    return " ".join(str(error).split()) or type(error).__name__


class Server:
    """The RabbitMQ at *url*. With amqps its certificate must be valid, by *ca_file* or the system's authorities."""

    def __init__(self, url: str, ca_file: Path | None = None) -> None:
        parts = urlsplit(url)
        self._url = url
        self._tls: Any = None
        if parts.scheme == "amqps":
            self._tls = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": ca_file and str(ca_file), "server_hostname": parts.hostname}
        self.name = f"{parts.hostname}:{parts.port or (5671 if self._tls else 5672)}"

    def link(self) -> "Link":
        """A connection with both queues there. Raises one of `ERRORS`."""
        connection = Connection(
            self._url, transport=_SSLTransport if self._tls else _Transport, ssl=self._tls, connect_timeout=CONNECT, heartbeat=HEARTBEAT,
            transport_options={"read_timeout": ANSWER, "write_timeout": ANSWER},
        )  # fmt: skip
        try:
            return Link(connection.connect())
        except BaseException:
            connection.collect(socket_timeout=1)
            raise


class Link:
    """For one thread at a time. Every method raises one of `ERRORS` when the connection is of no use any more, except where it is said.

    While that thread works on what it received it neither reads nor writes, and RabbitMQ, which hears nothing, would end the connection
    after two heartbeats: `beat`, by another thread, sends them meanwhile. What RabbitMQ sends then is a few bytes, read afterwards.
    """

    def __init__(self, wire: Any) -> None:
        self._wire = wire
        self._flying: dict[int, UUID] = {}
        self._sent = 0
        self._refused = 0
        self._returned: list[UUID] = []
        self._got: list[Any] = []
        self._at_hand: Any = None
        self._writing = threading.Lock()
        self._is_at_work = False
        self._beaten_at = 0.0
        self._open()

    def _open(self) -> None:
        self._channel: Any = self._wire.channel()
        self._asks, self._asked_at = False, 0.0
        for name in ARGUMENTS:
            self._declare(name)
        self._channel.basic_qos(0, prefetch_count=1, a_global=False)
        for event, heard in (("basic_ack", self._confirmed), ("basic_nack", self._not_taken), ("basic_return", self._came_back)):
            self._channel.events[event].add(heard)

    def count(self, queue: str) -> int:
        """How many messages wait in the queue; one that is gone is made anew."""
        return int(self._declare(queue).message_count)

    def close(self) -> None:
        """End the connection as the protocol has it; never raises. What was received and not acknowledged goes to somebody else."""
        self._is_back()
        with contextlib.suppress(*ERRORS):
            self._wire.close()
        self.cut()

    def cut(self) -> None:
        """End the connection without a word: the server may not be listening. Never raises."""
        self._is_back()
        with contextlib.suppress(*ERRORS):
            self._wire.collect()

    # -- sending -----------------------------------------------------------------------------------------------

    def publish(self, run_ids: Iterable[UUID], seconds: float) -> None:
        """Send messages and wait until all are confirmed, at most so long. A queue that is gone meanwhile is made anew."""
        if not self._sent:
            self._channel.confirm_select()
        left = list(run_ids)
        deadline = time.monotonic() + seconds
        while left:
            self._send(left, deadline)
            left, self._returned = self._returned, []
            for name in ARGUMENTS if left else ():
                self._declare(name)
        self._wire.heartbeat_tick()

    def _send(self, run_ids: Iterable[UUID], deadline: float) -> None:
        for run_id in run_ids:
            text = self._channel.prepare_message(
                str(run_id), content_type="text/plain", content_encoding="utf-8", properties={"delivery_mode": 2}
            )
            self._sent += 1
            self._flying[self._sent] = run_id
            self._channel.basic_publish(text, exchange="", routing_key=QUEUE, mandatory=True)
        while self._flying:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotTaken("it does not confirm messages in time")
            self._wire.drain_events(timeout=left)
        if self._refused:
            self._refused = 0
            raise NotTaken("it takes no more messages: its queue is full")

    def _confirmed(self, tag: int, multiple: bool) -> None:
        for one in [sent for sent in self._flying if sent == tag or (multiple and sent < tag)]:
            del self._flying[one]

    def _not_taken(self, tag: int, multiple: bool) -> None:
        self._refused += 1
        self._confirmed(tag, multiple)

    def _came_back(self, _why: object, _exchange: object, _queue: object, message: Any) -> None:
        self._returned.append(UUID(_text(message)))

    # -- receiving ---------------------------------------------------------------------------------------------

    def receive(self, seconds: float) -> UUID | None:
        """The run of the next message; None when none came in that time. Between two calls no message waits here for us."""
        if self._asks and time.monotonic() - self._asked_at > RENEW:
            self._channel.close()
            self._open()
        if not self._asks:
            self._channel.basic_consume(QUEUE, consumer_tag=TAG, callback=self._got.append, on_cancel=self._cancelled, nowait=True)
            self._asks, self._asked_at = True, time.monotonic()
        with contextlib.suppress(TimeoutError):
            while not self._got:
                self._wire.drain_events(timeout=seconds)
        self._wire.heartbeat_tick()
        if not self._got:
            return None
        # Whoever works on a run for long must not have the next one lying here: nothing more comes until it is asked for again.
        self._channel.basic_cancel(TAG, nowait=True)
        self._asks = False
        self._at_hand = self._got.pop()
        try:
            run_id = UUID(_text(self._at_hand))
        except ValueError:
            logger.warning("a message that holds no run's id was thrown away")
            self.acknowledge()
            return None
        with self._writing:
            self._is_at_work, self._beaten_at = True, time.monotonic()
        return run_id

    def beat(self) -> None:
        """Have RabbitMQ hear of us while the link's thread works; nothing while it does not, or when it is not time. Never raises.

        For any thread, about once a second. A connection that is lost is found out by the link's own thread.
        """
        with self._writing:
            every = self._wire.heartbeat / BEATS
            if self._is_at_work and every and time.monotonic() - self._beaten_at >= every:
                self._beaten_at = time.monotonic()
                with contextlib.suppress(*ERRORS):
                    self._wire.send_heartbeat()

    def _is_back(self) -> None:
        with self._writing:
            self._is_at_work = False

    def acknowledge(self) -> None:
        """The message at hand is done with. Never raises: where it cannot be said, somebody else gets it, and finds the run taken."""
        message, self._at_hand = self._at_hand, None
        if message is not None:
            with self._writing, contextlib.suppress(*ERRORS):
                self._channel.basic_ack(message.delivery_tag)

    def done(self) -> None:
        """The message at hand was worked on; where it was not acknowledged, it goes to somebody else."""
        self._is_back()
        message, self._at_hand = self._at_hand, None
        if message is not None:
            with contextlib.suppress(*ERRORS):
                self._channel.basic_reject(message.delivery_tag, requeue=True)

    def take_dead(self) -> list[UUID]:
        """The runs of all messages that were given up. They go back there unless `acknowledge_all` follows."""
        found = []
        while (message := self._channel.basic_get(DEAD, no_ack=False)) is not None:
            self._at_hand = message
            with contextlib.suppress(ValueError):
                found.append(UUID(_text(message)))
        return found

    def acknowledge_all(self) -> None:
        """All messages that were taken so far are done with."""
        message, self._at_hand = self._at_hand, None
        if message is not None:
            self._channel.basic_ack(message.delivery_tag, multiple=True)

    def _cancelled(self, _tag: object) -> None:
        raise NotTaken("its queue was deleted")

    def _declare(self, name: str) -> Any:
        return self._channel.queue_declare(name, durable=True, auto_delete=False, arguments=ARGUMENTS[name])


def _text(message: Any) -> str:
    body = message.body
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)
