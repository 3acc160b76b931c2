"""The plugins of this process with all that they are handed and all that is told of them: made once, closed at the end."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from orchestrator.config import plugins as config
from orchestrator.config.load import Loaded
from orchestrator.jobs import Jobs
from orchestrator.observers import Observers
from orchestrator.plugin_calls import PluginCalls, SourceFor
from plugins import manager
from plugins.errors import SourceError
from plugins.kit import Kit, Source
from plugins.manager import Instance
from plugins.values import Happening, Snapshot
from state.store import Store

logger = logging.getLogger(__name__)

TIDY = timedelta(hours=1)
STOPS = timedelta(seconds=2)


def no_source(pool: str, _snapshot: Snapshot) -> Source:
    """For a process that reaches no pool's data."""
    raise SourceError(f"the disks of pool {pool} cannot be read from here")


class Plugged:
    """*clock*: the time of the leases of jobs. *source_for*: gives products the pool's data. *heard*: what is left out is logged."""

    def __init__(
        self, loaded: Loaded, store: Store, clock: Callable[[], datetime], source_for: SourceFor = no_source, *, heard: bool = True
    ) -> None:
        self._loaded = loaded
        self._folder = config.folder(loaded.settings.plugins, loaded.path, loaded.database_url)
        self.jobs = Jobs(store, clock, at_once=loaded.settings.serve.jobs)
        tables = config.tables(loaded.settings.products, loaded.settings.hooks)
        self.plugins = manager.load(tables, loaded.path.absolute().parent, self._kit)
        for line in self.complaints if heard else ():
            logger.error("a plugin is left out: %s", line)
        self.calls = PluginCalls(self.plugins, source_for)
        self._observers = Observers(self.plugins.observers)

    @property
    def complaints(self) -> list[str]:
        """What is wrong with plugins that cannot be used, a line each."""
        return [line for one in self.plugins.failed for line in self.complaints_about(one)]

    def announce(self, happening: Happening) -> None:
        """Tell the observers; never raises."""
        self._observers.announce(happening)

    def run(self, stop: threading.Event) -> None:
        """Remove the rows of jobs whose runs are over, now and then, until *stop* is set."""
        pause = timedelta()
        while not stop.wait(pause.total_seconds()):
            pause = TIDY
            try:
                self.jobs.tidy()
            except Exception:  # the database may be away for a moment
                logger.exception("the rows of jobs that are over could not be removed")

    def close(self, within: timedelta = STOPS) -> None:
        """End the jobs (they are begun anew by whoever wants them next) and let the observers hear what is left."""
        self.jobs.stop(within / 2)
        self._observers.close(within / 2)

    def _kit(self, section: str, name: str) -> Kit:
        folder = self._folder / section / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Kit(name, folder, self.jobs.of(f"{section}.{name}"))

    def complaints_about(self, instance: Instance) -> list[str]:
        """What is wrong with one of them, a line each, as the errors of the configuration are told."""
        return config.complaints(instance, self._loaded.path, self._loaded.lines)
