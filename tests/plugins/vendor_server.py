"""A service as a vendor might write one against webhook: checks what is signed, answers as it is told to, and keeps jobs."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from plugins import signing

SECRET = "correct horse battery staple"


@dataclass
class Answer:
    status: int = 200
    body: dict[str, Any] | str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Got:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Vendor:
    """*answers* are given in turn, then *always*; with neither it is a product whose jobs are done when somebody has asked twice."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.unsigned: list[str] = []
        self.answers: list[Answer] = []
        self.always: Callable[[Got], Answer] = self._as_product
        self.jobs: dict[str, dict[str, Any]] = {}
        self.url = ""

    @property
    def events(self) -> list[str]:
        return [one.said["event"] for one in self.got if one.body]

    def answer(self, got: Got) -> Answer:
        self.got.append(got)
        try:
            signing.verified(SECRET.encode(), got.headers, got.body)
        except signing.Wrong as error:
            self.unsigned.append(str(error))
            return Answer(401, str(error))
        return self.answers.pop(0) if self.answers else self.always(got)

    def _as_product(self, got: Got) -> Answer:
        if got.method == "GET":
            job = self.jobs.get(got.path.rsplit("/", 1)[-1])
            if job is None:
                return Answer(404, "no such job")
            job["asked"] += 1
            state = "failed" if job["cancelled"] else "done" if job["asked"] > 1 else "running"
            return Answer(200, {"state": state, "fraction": 0.5, "read": 7, "stored": 3, "message": "copying"})
        if got.said["event"] == "start_backup":
            run = got.said["vm"]["run_id"]
            self.jobs.setdefault(run, {"asked": 0, "cancelled": False})
            return Answer(202, {"job": run, "status": f"/jobs/{run}", "cancel": f"/jobs/{run}/cancel"})
        if got.said["event"] == "cancel_backup":
            self.jobs[got.said["job"]]["cancelled"] = True
        return Answer()


@contextmanager
def serving(vendor: Vendor, certificate: tuple[Path, Path] | None = None) -> Iterator[Vendor]:
    """The vendor on a port of this machine; with TLS where it has a certificate and a key."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            names = {name.lower(): name for name in (signing.TIMESTAMP, signing.SIGNATURE, signing.DELIVERY)}
            headers = {names.get(name.lower(), name): value for name, value in self.headers.items()}
            answer = vendor.answer(Got(self.command, self.path, headers, body))
            text = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _any

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a client that does not trust the certificate hangs up

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    vendor.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}/vfo"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
