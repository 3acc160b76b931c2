"""Disks and whole VMs over HTTP: read from a pool, written to it, and never called whole before the pool's own task says so.

Xapi sends its 200 before the work begins, gives no length, and writes what goes wrong later into the body: only the task tells
(`export_raw_vdi.ml`, `export.ml`, `import.ml`). So there is always a task of ours, and the length is counted besides.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import msgspec

from orchestrator import retry
from orchestrator.xapi import blocks
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.tls import Trust
from orchestrator.xapi.transfers_http import Ask, words
from orchestrator.xapi.transfers_streams import Download, Later, Link, Upload
from orchestrator.xapi.turns import Turns
from plugins.errors import SourceError
from plugins.values import Extent
from workflows import restoring

STALLED = 120.0
PATIENCE = 180.0
SERVED_WITHIN = 20.0  # by NBD; there is another way


class PoolTransfers:
    """The transfers of one pool, shared by all threads.

    They have a session of their own, which lasts as long as one of them does. A disk that is in use, a pool that is away for a moment:
    that is waited out for *patience* seconds, before anything was handed out. *stalled*: how many seconds without a byte are borne.
    With *turns* their calls wait for their turn; the streams themselves, which last for hours, do not.
    Every method may raise `SourceError`.
    """

    def __init__(
        self, settings: PoolSettings, *, patience: float = PATIENCE, stalled: float = STALLED, turns: Turns | None = None
    ) -> None:  # fmt: skip
        self.name = settings.name
        self._settings = settings
        self._patience = patience
        self._stalled = stalled
        self._turns = turns
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._users = 0

    @functools.cached_property
    def _trust(self) -> Trust:
        return Trust(self._settings)

    def read_disk(self, vdi: str, size: int) -> Download:
        """The raw contents of the VDI (uuid), exactly *size* bytes."""
        return self._opened(f"disk {vdi}", Ask("GET", "/export_raw_vdi", {"vdi": vdi, "format": "raw"}), size)

    def read_vm(self, uuid: str) -> Download:
        """The halted VM, or the snapshot, as XVA."""
        return self._opened(f"VM {uuid}", Ask("GET", "/export", {"uuid": uuid}), None)

    def changed(self, vdi: str, size: int, since: str) -> tuple[Extent, ...] | None:
        """What of the VDI (uuid) changed since the VDI *since*; None when the pool does not know."""
        with self._session() as client:
            return blocks.changed(client, vdi, size, since)

    def read_extents(self, vdi: str, size: int, extents: Iterable[Extent]) -> Iterator[tuple[Extent, bytes]]:
        """These pieces of the VDI (uuid) by NBD, in order, each of at most 1 MiB."""
        with self._session() as client:
            within = min(SERVED_WITHIN, self._patience)
            once = functools.partial(blocks.opened, client, vdi, size, self._stalled)
            with retry.patiently(once, patience=within, on=Later, stop=self._stop) as connection:
                try:
                    for piece in connection.read(extents):
                        yield piece
                        if self._stop.is_set():
                            raise SourceError(f"disk {vdi}: this process is stopping")
                except OSError as error:
                    raise SourceError(f"disk {vdi}: pool {self.name} broke off while it served it by NBD: {words(error)}") from None

    def write_disk(self, vdi: str, size: int, opened: Callable[[], BinaryIO], told: Callable[[memoryview], None]) -> None:
        """Write exactly *size* bytes into the VDI (uuid) from its beginning; *told* of each piece when it is sent.

        *opened* gives the stream; it is asked again where the VDI was in use and all of it is to be sent anew.
        """
        if size:
            self._sent(f"disk {vdi}", Ask("PUT", "/import_raw_vdi", {"vdi": vdi, "format": "raw"}, size), opened, told)

    def write_vm(self, SR: str, size: int, opened: Callable[[], BinaryIO], told: Callable[[memoryview], None], run: str = "") -> str:
        """Import an XVA of *size* bytes, its disks on the SR (uuid); the uuid of the VM that was made.

        *run*: for which run. The task says so, and the VM bears that run's mark (`workflows.restoring`) afterwards. The task is forgotten
        when the mark is there; where it never comes to that the task stays, and what the import made, or makes yet, is found by it.
        """
        what = f"VM for SR {SR}" + f", run {run}" * bool(run)
        task, made = self._sent(what, Ask("PUT", "/import", {"sr_uuid": SR}, size), opened, told, keeps=bool(run))
        if not made or not isinstance(made[0], str):
            raise SourceError(f"pool {self.name} imported an XVA and does not say which VM that made: look for it by its name")
        with self._session() as client:
            if run:
                client.call("VM.add_to_other_config", made[0], restoring.NOTE, restoring.note_of(run))
                client.call("task.destroy", task)
            return client.fetch(str, "VM.get_uuid", made[0])

    def close(self) -> None:
        """End what waits for a disk or a pool; streams that are open break."""
        self._stop.set()
        with self._lock:
            client = self._client
        if client is not None:
            client.close()

    def _opened(self, what: str, ask: Ask, size: int | None) -> Download:
        def once() -> Download:
            with contextlib.ExitStack() as stack:
                link = Link(stack.enter_context(self._session()), self._settings, self._trust, self._stalled)
                return Download(link, what, ask, size, stack)

        return retry.patiently(once, patience=self._patience, on=Later, stop=self._stop)

    def _sent(
        self, what: str, ask: Ask, opened: Callable[[], BinaryIO], told: Callable[[memoryview], None], *, keeps: bool = False
    ) -> tuple[str, list[str]]:
        def once() -> tuple[str, list[str]]:
            with self._session() as client, contextlib.closing(opened()) as stream:
                link = Link(client, self._settings, self._trust, self._stalled, keeps=keeps)
                task, value = Upload(link, what, ask).send(stream, told)
            return task, msgspec.convert(value, list[str]) if isinstance(value, list) else [str(value)]

        return retry.patiently(once, patience=self._patience, on=Later, stop=self._stop)

    @contextlib.contextmanager
    def _session(self) -> Iterator[Client]:
        """The client of all transfers; the last one that ends logs it out."""
        with self._lock:
            if self._client is None:
                self._client = Client(self._settings, self._turns)
            client = self._client
            self._users += 1
        try:
            yield client
        finally:
            with self._lock:
                self._users -= 1
                over = self._users == 0
                if over:
                    self._client = None
            if over:
                client.close()
