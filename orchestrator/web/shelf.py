"""The products as the web asks them: the plugins of the configuration, made when they are first wanted, and closed at the end."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from orchestrator.actions.files import Bench
from orchestrator.config.load import Loaded
from orchestrator.plugged import Plugged
from orchestrator.web.problems import Problem
from orchestrator.web.spools import Spools
from state.clock import of_machine
from state.store import Store

FETCHES = 2  # disks that are read from repositories at once: each takes room on this machine for as long as it is looked into


class Shelf:
    """For any number of threads."""

    def __init__(self, loaded: Loaded, store: Store) -> None:
        self._loaded = loaded
        self._store = store
        self._lock = threading.Lock()
        self._made: Plugged | None = None
        self._closed = False
        self._fetches = threading.BoundedSemaphore(FETCHES)
        self._spools = Spools()

    @property
    def bench(self) -> Bench:
        """Where disks are put while files are read from them, and for a while after that; what is there has no name."""
        written = self._loaded.settings.console.scratch
        folder = Path(tempfile.gettempdir()) if written is None else self._loaded.path.parent / written.expanduser()
        if not folder.is_dir():
            raise Problem(503, "no-scratch", f"[console] scratch: there is no folder {str(folder)!r} to put a disk into")
        return Bench(folder, self._spools.had)

    def plugged(self) -> Plugged:
        """The plugins. What is wrong with one is said to who asks for it."""
        with self._lock:
            if self._closed:
                raise Problem(503, "stopping", "this process is stopping", headers={"Retry-After": "10"})
            if self._made is None:
                self._made = Plugged(self._loaded, self._store, of_machine, heard=False)
            return self._made

    @contextlib.contextmanager
    def fetch(self) -> Iterator[Plugged]:
        """As `plugged`, to read a disk from a repository. Raises Problem while as many are read as may be."""
        if not self._fetches.acquire(blocking=False):
            text = f"{FETCHES} disks are being read from repositories already: try again when one of them is through"
            raise Problem(503, "busy", text, headers={"Retry-After": "30"})
        try:
            yield self.plugged()
        finally:
            self._fetches.release()

    def close(self) -> None:
        """End the jobs of verifying; each counts as lost then."""
        self._spools.close()
        with self._lock:
            self._closed = True
            made, self._made = self._made, None
        if made is not None:
            made.close()
