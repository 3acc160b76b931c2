"""Serves the web as a part of `vfo serve`: an own thread with its own event loop, which ends with the process."""

import logging
import socket
import ssl
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded

if TYPE_CHECKING:
    from orchestrator.web.office import Office

logger = logging.getLogger(__name__)

BACKLOG = 128
MOST = 400  # connections: whoever opens more must not use up the files of the process that has the work to do


class Server:
    """Listens from the moment it is made; serves when it is run. Raises ConfigError: that cannot be.

    *office* is made when it runs, for what it needs takes a second to load.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._files = _files(loaded)
        self._socket = _listening(loaded)
        self.office: Office | None = None

    @property
    def url(self) -> str:
        """Where it is served."""
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._files else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def heard(self, keys: list[str]) -> None:
        """Something happened to these things of a pool."""
        if self.office is not None:
            self.office.live.heard(keys)

    def run(self, stop: threading.Event, office: "Office", within: timedelta) -> None:
        """Serve until *stop*; then requests at hand have *within*, and streams end at once."""
        import uvicorn

        from orchestrator.web.app import guarded
        from orchestrator.web.timely import Timely

        class Stoppable(uvicorn.Server):
            """Ends when the process is asked to."""

            async def on_tick(self, counter: int) -> bool:
                """Ten times a second."""
                return stop.is_set() or await super().on_tick(counter)

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                """Streams never end by themselves."""
                office.close()
                await super().shutdown(sockets)

        more: dict[str, Any] = {}
        if self._files:
            more = {"ssl_certfile": self._files[0], "ssl_keyfile": self._files[1]}
        config = uvicorn.Config(
            guarded(office), log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="off", ws="none",
            http=Timely, loop="asyncio", timeout_graceful_shutdown=max(1, int(within.total_seconds())),
            limit_concurrency=MOST, **more,
        )  # fmt: skip
        self.office = office
        try:
            Stoppable(config).run(sockets=[self._socket])
        finally:
            office.close()
            self._socket.close()
        if not stop.is_set():
            raise RuntimeError("the web server has ended by itself")

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


def _listening(loaded: Loaded) -> socket.socket:
    console = loaded.settings.console
    host, port = console.address
    try:
        (family, kind, number, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        made = socket.socket(family, kind, number)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(BACKLOG)
        except OSError:
            made.close()
            raise
    except OSError as error:
        text = f'{loaded.path}: console.listen = "{console.listen}": it cannot be served there: {error.strerror or error}'
        raise ConfigError([f"{text}: give another address, or [console] enabled = false"]) from None
    return made


def _files(loaded: Loaded) -> tuple[Path, Path] | None:
    """The certificate and its key, relative to the configuration. Raises ConfigError when they are of no use."""
    console = loaded.settings.console
    if console.certificate is None or console.key is None:
        return None
    certificate, key = (loaded.path.parent / path.expanduser() for path in (console.certificate, console.key))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        where = loaded.lines.after(loaded.path, "console", "certificate")
        raise ConfigError([f"{where}: console.certificate, console.key: they cannot be used: {error}"]) from None
    return certificate, key
