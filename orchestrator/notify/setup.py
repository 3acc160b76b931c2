"""Joins what tells people: the channels of the configuration, the rows, the pools that a digest asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from orchestrator import queues
from orchestrator.actions.desk import Desk
from orchestrator.bootstrap import PoolAccess
from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded
from orchestrator.notify.channels import Channel, Unusable
from orchestrator.notify.courier import Courier
from orchestrator.notify.digest import Digest
from orchestrator.notify.looking import Watched
from orchestrator.notify.teller import Means, Teller
from orchestrator.written import InRows
from state import told
from state.store import Store
from state.told import Standing

BY = "vfo"
"""Who asks for the report of a digest."""


@dataclass(frozen=True, slots=True)
class Told:
    """How the channels of a configuration stand, by the rows; and what people call them."""

    store: Store
    channels: Mapping[str, Channel]

    def standings(self) -> dict[str, Standing]:
        """Each channel's, by name."""
        with self.store.read() as session:
            return {name: told.how(session, name) for name in self.channels}


def channels(loaded: Loaded) -> dict[str, Channel]:
    """The channels of the configuration, unchecked."""
    return {name: Channel(name, url) for name, url in loaded.channels.items()}


def checked(loaded: Loaded) -> dict[str, Channel]:
    """The channels of the configuration. Raises ConfigError with a line for each by which nothing can be sent."""
    found, problems = channels(loaded), []
    for name, channel in found.items():
        try:
            channel.check()
        except Unusable as error:
            problems.append(f"{loaded.lines.after(loaded.path, 'notify', name)}: notify.{name}: {error}")
    if problems:
        raise ConfigError(problems)
    return found


def teller(loaded: Loaded, store: Store, pools: Mapping[str, PoolAccess], clock: Callable[[], datetime], written: InRows) -> Teller:
    """Who tells people. Raises ConfigError when a channel cannot be used."""
    settings = loaded.settings
    digest = Digest(lambda: Desk(loaded, store, list(pools.values()), BY, clock, written=written))
    couriers = {
        name: Courier(channel, store, clock, partial(digest, settings.notify[name])) for name, channel in checked(loaded).items()
    }  # fmt: skip

    seen: dict[str, dict[str, None]] = {"windows": {}, "policies": {}}  # what is removed while it is kept is told too when it is over

    def watched(since: datetime, dead: int | None) -> Watched:
        held = written.recent().policy.backups
        seen["windows"] |= dict.fromkeys(held.windows)
        seen["policies"] |= dict.fromkeys(held.policies)
        return Watched(tuple(pools), tuple(seen["windows"]), tuple(seen["policies"]), since, dead)

    return Teller(store, Means(settings.notify, couriers, watched, console_of(loaded), lambda: queues.depths(loaded).dead), clock)


def console_of(loaded: Loaded) -> str:
    """The console's address as people reach it; "" where the configuration does not say it, or there is none."""
    console = loaded.settings.console
    return console.url or "" if console.enabled else ""
