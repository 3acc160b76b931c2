"""What is served by HTTP for those who watch a process: /metrics, /healthz, /readyz."""

import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
from prometheus_client import CollectorRegistry, make_wsgi_app

from orchestrator.health import Health, Report, State

logger = logging.getLogger(__name__)

JSON = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
TEXT = [("Content-Type", "text/plain; charset=utf-8")]
# They are handed on as copies: the library adds to the list that it is given.


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread a request, none of which keeps the process from ending."""

    daemon_threads = True

    def server_bind(self) -> None:
        """As the library's, which also asks the resolver for this machine's name: that may take half a minute."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = 10.0  # whoever connects and says nothing does not keep a thread

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """A line in the log for each scrape would be all there is in it."""


def serve(registry: CollectorRegistry, health: Health, host: str, port: int) -> tuple[int, Callable[[], None]]:
    """Serve (port 0: on a free one); the port, and what stops it. Raises OSError when the port cannot be had."""
    (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    kind = type("Server", (_Server,), {"address_family": family})
    server: WSGIServer = make_server(host, port, _app(registry, health), server_class=kind, handler_class=_Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="probes", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


def _app(registry: CollectorRegistry, health: Health) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    metrics: Any = make_wsgi_app(registry)
    reports: dict[str, Callable[[], Report]] = {"/healthz": health.alive, "/readyz": health.ready}

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start("405 Method Not Allowed", [*TEXT])
            return [b"GET only\n"]
        if path == "/metrics":
            said: Iterable[bytes] = metrics(environ, start)
            return said
        if path not in reports:
            start("404 Not Found", [*TEXT])
            return [b"there are /metrics, /healthz and /readyz\n"]
        report = reports[path]()
        start("503 Service Unavailable" if report.state is State.FAILED else "200 OK", [*JSON])
        return [orjson.dumps(report.as_data(), option=orjson.OPT_APPEND_NEWLINE)]

    return app
