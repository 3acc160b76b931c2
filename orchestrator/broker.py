"""The messages between those who find a run due and those who work on it. A message is a hint, the row is the truth."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

Acknowledge = Callable[[], None]
Callback = Callable[[UUID, Acknowledge], None]
"""Is told a run's id, and calls the other when it has committed its claim."""


class Unusable(Exception):
    """The broker cannot be used; the text says why, for the person who runs the program."""


class Messages(Protocol):
    """What every kind of broker does; see `Broker` for what each is."""

    def publish(self, run_ids: Iterable[UUID]) -> None:
        """Say that these runs are due."""

    def consume(self, callback: Callback, stop: threading.Event) -> None:
        """Call back for each message until *stop* is set."""

    def nudge(self) -> None:
        """Make the consumers look at their *stop*."""

    def pending(self) -> int:
        """How many messages wait."""

    def problem(self) -> str:
        """Why no message goes by it now; "" when they do."""

    def close(self) -> None:
        """End it."""


class Broker:
    """Publishes and consumes the ids of runs that are due. Threads may publish at the same time; each consumer is a thread of its own.

    *url*: embedded:// (within this process) or amqp(s)://USER:PASSWORD@HOST/VHOST (RabbitMQ); *ca_file*: the authority of amqps, None:
    the system's. Raises `Unusable` for any other. RabbitMQ may be away, at the beginning too: see `orchestrator.amqp`.
    """

    def __init__(self, url: str = "embedded://", *, ca_file: Path | None = None) -> None:
        self._messages = _of_kind(url, ca_file)

    def publish(self, run_ids: Iterable[UUID]) -> None:
        """Say that these runs are due; returns soon, whatever ails the broker. A message may be lost or doubled: neither harms."""
        self._messages.publish(run_ids)

    def consume(self, callback: Callback, stop: threading.Event) -> None:
        """Call *callback(run_id, acknowledge)* for each message, one at a time, in this thread, until *stop* is set (see `nudge`).

        A message that was not acknowledged when this returns goes to somebody else.
        """
        self._messages.consume(callback, stop)

    def nudge(self) -> None:
        """Make the consumers look at their *stop* now, or within a second."""
        self._messages.nudge()

    def pending(self) -> int:
        """How many messages wait for a consumer, as far as is known: a second old where the broker is another process."""
        return self._messages.pending()

    def problem(self) -> str:
        """Why messages do not go by the broker now, since when, and what follows; "" when they do."""
        return self._messages.problem()

    def check(self) -> None:
        """The broker answers; raises `Unusable` else."""
        if problem := self.problem():
            raise Unusable(problem)

    def close(self) -> None:
        """Close what publishes; consumers end by their *stop*."""
        self._messages.close()


def _of_kind(url: str, ca_file: Path | None) -> Messages:
    scheme = urlsplit(url).scheme
    if scheme == "embedded":
        from orchestrator import embedded

        return embedded.Messages()
    if scheme in ("amqp", "amqps"):
        from orchestrator import amqp

        return amqp.Messages(url, ca_file)
    raise Unusable(f"there is no broker of kind {scheme!r}: there are embedded:// and amqp://USER@HOST/VHOST")
