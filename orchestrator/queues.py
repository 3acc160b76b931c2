"""The broker's queues as a person asks for them: how many messages wait, how many were given up, and those published again."""

import contextlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from orchestrator.config.load import Loaded


class Away(Exception):
    """The broker does not answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Depths:
    """*waiting*, *dead*: messages; None where they are not known. *problem*: why; "" when they are, or when there is nothing to know."""

    kind: str
    waiting: int | None = None
    dead: int | None = None
    problem: str = ""


def depths(loaded: Loaded) -> Depths:
    """How the queues stand. A broker inside of processes is not asked: its messages are theirs, and none is ever given up."""
    if not _is_shared(loaded):
        return Depths("embedded", dead=0)
    from orchestrator import amqp_link

    try:
        with contextlib.closing(amqp_link.Server(loaded.broker_url, loaded.broker_ca_file).link()) as link:
            return Depths("rabbitmq", link.count(amqp_link.QUEUE), link.count(amqp_link.DEAD))
    except amqp_link.ERRORS as error:
        return Depths("rabbitmq", problem=f"RabbitMQ does not answer: {amqp_link.in_words(error)}")


def requeue(loaded: Loaded) -> int:
    """Publish the messages again that were given up; says how many. Raises `Away`."""
    if not _is_shared(loaded):
        return 0
    from orchestrator import amqp, amqp_link

    try:
        with contextlib.closing(amqp.Messages(loaded.broker_url, loaded.broker_ca_file)) as messages:
            return messages.revive()
    except amqp_link.ERRORS as error:
        raise Away(f"RabbitMQ does not answer: {amqp_link.in_words(error)}") from None


def _is_shared(loaded: Loaded) -> bool:
    return urlsplit(loaded.broker_url).scheme in ("amqp", "amqps")
