"""A server that says exactly what a test tells it to, for the faults that no faithful pool shows on demand."""

import contextlib
import json
import socket
import ssl
import threading
import xmlrpc.client
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from orchestrator.xapi.settings import PoolSettings

PASSWORD = "correct horse"
POOL = {"OpaqueRef:pool": {"uuid": "pool-1", "master": "OpaqueRef:host1"}}


class Failure(Exception):
    """The server answers with this failure."""

    def __init__(self, *details: str) -> None:
        super().__init__(*details)
        self.details = list(details)


class Cut(Exception):
    """The server has heard the call and closes the connection without an answer."""


class Half(Exception):
    """The server closes the connection in the middle of its answer."""


class Silence(Exception):
    """The server does not answer until it stops."""


class Page(Exception):
    """The server answers with an HTML page of this status."""


class Server:
    """Serves HTTP on a free port of *host*.

    *script* gets (method, params with the session left out) and returns a value or raises one of the above.

    Whoever logs in gets a new session; every call under another one than the last is SESSION_INVALID. `calls` holds what was heard.
    """

    def __init__(self, script: Callable[[str, list[Any]], Any] | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.script = script or (lambda _method, _params: "")
        self.calls: list[tuple[str, list[Any]]] = []
        self.connections = 0
        self.paths: list[str] = []
        self.logins = 0
        self.session = ""
        self.speaks_json = True
        self.closes_idle = False
        self.tls: ssl.SSLContext | None = None
        self.hosts: list[str] = []
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._address = (host, port)

    def __enter__(self) -> "Server":
        server = self

        class Handler(_Handler):
            scripted = server

        self._http = _HTTPServer(self._address, Handler)
        self._http.scripted = self
        self._address = self._http.server_address[:2]  # type: ignore[assignment]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self.stopping.clear()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections and cut those that are open."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._http.shutdown()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._http.server_close()
        self._thread.join()

    @property
    def netloc(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    @property
    def port(self) -> int:
        return self._address[1]

    def settings(self, **changes: Any) -> PoolSettings:
        """Settings for a client of this server; little patience unless the test says otherwise."""
        scheme = "https" if self.tls else "http"
        values: dict[str, Any] = {
            "name": "pool",
            "url": f"{scheme}://{self.netloc}",
            "username": "root",
            "password": SecretStr(PASSWORD),
            "patience": timedelta(seconds=10),
        }
        return PoolSettings(**(values | changes))

    def heard(self, method: str) -> int:
        """How often the method was heard."""
        return sum(1 for name, _ in self.calls if name == method)

    def answer(self, method: str, params: list[Any]) -> Any:
        """What is said to one call."""
        self.calls.append((method, params))
        if method == "session.login_with_password":
            self.script(method, params)
            if params[:2] != ["root", PASSWORD]:
                raise Failure("SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure")
            self.logins += 1
            self.session = f"OpaqueRef:session-{self.netloc}-{self.logins}"
            return self.session
        if params[:1] != [self.session]:
            raise Failure("SESSION_INVALID", *params[:1])
        said = self.script(method, params[1:])
        if method == "pool.get_all_records" and not said:
            return POOL
        if method == "host.get_all_records" and not said:
            return {f"OpaqueRef:{address}": {"address": address} for address in self.hosts}
        return said


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64
    scripted: Server

    def get_request(self) -> tuple[Any, Any]:
        sock, address = super().get_request()
        self.scripted.connections += 1
        if self.scripted.tls:
            try:
                sock = self.scripted.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            except OSError:  # the client went away between connecting and this line
                sock.close()
                raise
        self.scripted._open.add(sock)
        return sock, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or does not trust us, is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    scripted: Server

    def finish(self) -> None:
        super().finish()
        self.scripted._open.discard(self.connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.scripted.paths.append(self.path)
        if self.path == "/jsonrpc":
            if not self.scripted.speaks_json:
                self._say(404, "text/html", b"<html><body>404</body></html>")
                return
            request = json.loads(body)
            self._answer(request["method"], request["params"], self._json)
        else:
            params, method = xmlrpc.client.loads(body)
            self._answer(str(method), list(params), self._xml)

    def _answer(self, method: str, params: list[Any], write: Callable[[Any, list[str] | None], bytes]) -> None:
        kind = "application/json" if self.path == "/jsonrpc" else "text/xml"
        try:
            value = self.scripted.answer(method, params)
        except Failure as failure:
            self._say(200, kind, write(None, failure.details))
        except Page as page:
            self._say(page.args[0], "text/html", b"<html>no</html>")
        except Cut:
            self.close_connection = True
        except Half:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
            self.close_connection = True
        except Silence:
            self.scripted.stopping.wait()
            self.close_connection = True
        else:
            self._say(200, kind, write(value, None))
            self.close_connection = self.close_connection or self.scripted.closes_idle

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _json(self, value: Any, failure: list[str] | None) -> bytes:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": 1}
        if failure is None:
            answer["result"] = value
        else:
            answer["error"] = {"code": 1, "message": failure[0], "data": failure[1:]}
        return json.dumps(answer).encode()

    def _xml(self, value: Any, failure: list[str] | None) -> bytes:
        answer = {"Status": "Success", "Value": value} if failure is None else {"Status": "Failure", "ErrorDescription": failure}
        return xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=True).encode()

    def log_message(self, *_: Any) -> None:
        """Tests say what they saw themselves."""


def certificate_context(cert_file: str, key_file: str) -> ssl.SSLContext:
    """A server's TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return context
