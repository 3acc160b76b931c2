"""The channels as people and programs are shown them: never with a URL."""

from collections.abc import Mapping
from typing import Any

from orchestrator.config.load import Loaded
from orchestrator.notify.channels import Channel, NotTaken, Unusable
from orchestrator.notify.news import Message
from orchestrator.notify.setup import channels as made
from state.told import Standing


def channels(loaded: Loaded, standings: Mapping[str, Standing]) -> list[dict[str, Any]]:
    """Each channel: what it tells and how it stands; *problem*: why nothing goes by it, "" when all is well."""
    return [_row(loaded, channel, standings[name]) for name, channel in made(loaded).items()]


def _row(loaded: Loaded, channel: Channel, stands: Standing) -> dict[str, Any]:
    written = loaded.settings.notify[channel.name]
    problem = stands.problem
    try:
        channel.check()
    except Unusable as error:
        problem = str(error)
    return {
        "channel": channel.name,
        "service": channel.service,
        "events": [kind.value for kind in written.events],
        "pools": list(written.pools),
        "digest": written.digest,
        "timezone": written.timezone,
        "told_at": stands.told_at,
        "waiting": stands.waiting,
        "waiting_since": stands.since,
        "given_up": stands.given_up,
        "problem": problem,
    }


def tried(channel: Channel, loaded: Loaded) -> dict[str, Any]:
    """Send a message that says that it is a test; *problem*: why it was not taken, "" when it was."""
    text = f"This is a test of [notify.{channel.name}] in {loaded.path.name}. Messages by it arrive, and there is nothing to do."
    return {"channel": channel.name, "service": channel.service, "problem": sent(channel, Message("vfo: a test", text))}


def sent(channel: Channel, message: Message) -> str:
    """Send a message now; why it was not taken, "" when it was."""
    try:
        channel.send(message)
    except (NotTaken, Unusable) as error:
        return str(error)
    return ""
