"""Call-backs of jobs that run at a vendor's: what is known of each job, on the disk, and the port on which the vendor tells more."""

import contextlib
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from plugins import signing
from plugins.signing import Wrong
from plugins.values import Progress

logger = logging.getLogger(__name__)

MOST = 1 << 16
STATES = ("running", "done", "failed")
OVER = ("done", "failed")
SECONDS = 10.0
KEPT = 30 * 86400.0


class Unknown(Exception):
    """There is no such job."""


def progress(said: Mapping[str, Any], run_id: str) -> Progress:
    """How a job stands, as a vendor says it in JSON. Raises ValueError when it makes no sense."""
    state = said.get("state")
    if state not in STATES:
        raise ValueError(f"state is {state!r}: it must be one of {', '.join(STATES)}")
    numbers = {name: said.get(name) or 0 for name in ("read", "stored")}
    fraction, details = said.get("fraction"), said.get("details") or {}
    for name, value in {**numbers, "fraction": fraction or 0}.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (name == "fraction" and value > 1):
            raise ValueError(f"{name} is {value!r}: it must be {'from 0 to 1' if name == 'fraction' else 'bytes'}")
    if not isinstance(details, dict):
        raise ValueError("details must be an object")  # noqa: TRY004 - one error for all that is wrong
    point = str(said.get("point") or (run_id if state == "done" else ""))
    message = str(said.get("message") or "")[:500]
    return Progress(state, fraction, int(numbers["read"]), int(numbers["stored"]), point, message, details)


class Desk:
    """What is known of jobs, a file each; every process of this machine that has the same directory sees the same.

    *secret*: of which the key of each job is made.
    """

    def __init__(self, folder: Path, secret: bytes) -> None:
        self._folder = folder
        self._secret = secret
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile, in this process or another."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock, (self._folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def write(self, job: str, said: Mapping[str, Any]) -> None:
        """Note it, whole or not at all."""
        path = self._path(job)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        part.write_text(json.dumps(said))
        part.rename(path)

    def read(self, job: str) -> dict[str, Any]:
        """What was noted. Raises Unknown."""
        try:
            found: dict[str, Any] = json.loads(self._path(job).read_text())
        except (FileNotFoundError, ValueError):
            raise Unknown(f"nothing is known of job {job}") from None
        return found

    def learn(self, job: str, said: Mapping[str, Any]) -> Progress:
        """Note how the job stands; one that has ended stays as it ended. Raises Unknown, ValueError."""
        seen = progress(said, job)
        with self._alone():
            known = self.read(job)
            before = progress(known["said"], job) if known.get("said") else None
            if before is not None and before.state in OVER:
                return before
            self.write(job, {**known, "said": dict(said)})
        return seen

    def take(self, job: str, headers: Mapping[str, str], body: bytes) -> None:
        """A call-back. Raises Unknown, Wrong (also for one that was sent before), ValueError."""
        with self._alone():
            known = self.read(job)
            at = signing.verified(signing.key_of_job(self._secret, job).encode(), headers, body)
            mark = headers.get(signing.SIGNATURE)
            if mark == known.get("heard"):
                return  # its answer was lost: it is sent again as it is
            if at <= known.get("heard_at", 0.0):
                raise Wrong("a later call-back was heard already")
            said = json.loads(body)
            if not isinstance(said, dict):
                raise ValueError("it must be a JSON object")  # noqa: TRY004 - as above
            progress(said, job)
            self.write(job, {**known, "heard": mark, "heard_at": at})
        self.learn(job, said)

    def forget(self, job: str) -> None:
        """Know nothing of it any more."""
        self._path(job).unlink(missing_ok=True)

    def tidy(self, kept: float = KEPT) -> None:
        """Forget what was last written so many seconds ago."""
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - kept:
                    path.unlink()

    def _path(self, job: str) -> Path:
        return self._folder / f"{quote(job, safe='')}.json"


@dataclass(frozen=True, slots=True)
class Address:
    """Where call-backs are listened for."""

    host: str
    port: int


class _Handler(BaseHTTPRequestHandler):
    """`POST .../JOB`; the last part of the path is the job's id."""

    timeout = SECONDS
    server: "_Server"

    def do_POST(self) -> None:
        """Take it: 204; 401 when it is not signed rightly, 404 for a job that is not known, 400 when it makes no sense."""
        job = unquote(urlsplit(self.path).path.rsplit("/", 1)[-1])
        try:
            length = int(self.headers.get("Content-Length") or -1)
            if not 0 <= length <= MOST:
                raise ValueError(f"Content-Length must be given, and at most {MOST}")  # noqa: TRY301 - answered below as all that is wrong
            signed = {name: self.headers.get(name, "") for name in (signing.TIMESTAMP, signing.SIGNATURE)}
            self.server.desk.take(job, signed, self.rfile.read(length))
        except (Unknown, Wrong, ValueError) as error:
            status = next(status for kind, status in ((Unknown, 404), (Wrong, 401), (ValueError, 400)) if isinstance(error, kind))
            logger.warning("a call-back was turned away: %s", error)
            self._answer(status, str(error).encode())
        else:
            self._answer(204)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The log is ours."""

    def version_string(self) -> str:
        """Nobody needs to know."""
        return "vfo"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: Address, desk: Desk) -> None:
        self.desk = desk
        super().__init__((address.host, address.port), _Handler)

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is nobody's error."""
        logger.debug("a call-back broke off", exc_info=True)


class Listener:
    """Listens from the first time that it is asked to. Where another process of ours has the port, that one writes what we read."""

    def __init__(self, address: Address, desk: Desk) -> None:
        self._address = address
        self._desk = desk
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._told = False

    def listen(self) -> int:
        """Listen, if nobody does yet; the port."""
        with self._lock:
            if self._server is None:
                try:
                    self._server = _Server(self._address, self._desk)
                except OSError as error:
                    level, self._told = logging.DEBUG if self._told else logging.WARNING, True
                    logger.log(level, "call-backs are not listened for here: %s:%d: %s", self._address.host, self._address.port, error)
                    return self._address.port
                threading.Thread(target=self._server.serve_forever, name="call-backs", daemon=True).start()
            return self._server.server_port

    def close(self) -> None:
        """Listen no more."""
        with self._lock:
            if self._server is not None:
                self._server.shutdown()
                self._server.server_close()
                self._server = None
