"""One server's API over HTTP: JSON-RPC on /jsonrpc, or XML-RPC where that is not there. Each call goes out once."""

import itertools
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import orjson
import XenAPI
from pydantic import SecretStr

from orchestrator.xapi import xml
from orchestrator.xapi.connection import Connections, Cut, Letter, Line, NotConnected, NotSent
from orchestrator.xapi.decode import JSON
from orchestrator.xapi.errors import NOT_REACHED, Unreachable
from orchestrator.xapi.tls import Trust
from workflows.ports import PoolError, Transient, Unknown

EVENT_MARGIN = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How one call is made: seconds for all of it, and the line by which another thread may end it."""

    timeout: float = 60.0
    line: Line | None = None


class _Answer(msgspec.Struct):
    """JSON-RPC's envelope, 1.0 or 2.0; the result stays text until its type is known."""

    result: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


_ANSWER = msgspec.json.Decoder(_Answer)


class Transport:
    """One server, used by all threads.

    `request` raises `XenAPI.Failure` for what the server answered, `Unreachable` when the call certainly did not get there whole, and
    when it was cut after it was sent: `Transient` for a call that only reads, `Unknown` for any other.
    """

    def __init__(self, url: str, trust: Trust) -> None:
        self.url = url
        self._connections = Connections(urlsplit(url), trust)
        self._numbers = itertools.count(1)
        self._json: bool | None = None

    def request(self, method: str, params: tuple[Any, ...], limits: Limits) -> JSON:
        """Send one call; its result as JSON text."""
        if self._json is not False:
            status, kind, body = self._post(method, params, limits, as_json=True)
            if status == 200 and kind != "text/html":
                self._json = True
                return _result(body, method)
            if self._json:
                raise _cut(method, f"HTTP status {status}")
        status, _, body = self._post(method, params, limits, as_json=False)
        if status != 200:
            raise _cut(method, f"HTTP status {status}")
        # The first contact is a login. This server has no such path, so it did nothing there, and is spoken to in the old way from now on;
        # one that refused both is starting, and nothing is known of it.
        self._json = False
        try:
            return xml.read(body)
        except ValueError as error:
            raise _cut(method, str(error)) from None

    def _post(self, method: str, params: tuple[Any, ...], limits: Limits, *, as_json: bool) -> tuple[int, str, bytes]:
        timeout = limits.timeout
        if method == "event.from":
            asked = float(params[-1])
            timeout = timeout if timeout > asked else asked + EVENT_MARGIN
        path, kind = ("/jsonrpc", "application/json") if as_json else ("/", "text/xml")
        letter = Letter(path, self._written(method, params, as_json=as_json), kind, "" if only_reads(method) else method)
        fault: PoolError
        try:
            return self._connections.post(letter, timeout, limits.line)
        except NotConnected as error:
            fault = Unreachable(NOT_REACHED, (str(error),))
        except NotSent as error:
            fault = Unreachable("NOT_SENT", (str(error),))
        except Cut as error:
            fault = _cut(method, str(error))
        # raised here and not above: an exception's context keeps the frames below alive, and with them a login's body
        raise fault

    def _written(self, method: str, params: tuple[Any, ...], *, as_json: bool) -> bytes:
        if not as_json:
            return xml.written(method, params)
        call = {"jsonrpc": "2.0", "method": method, "params": params, "id": next(self._numbers)}
        return orjson.dumps(call, default=_reveal)

    def close(self) -> None:
        """Close every connection; calls in flight end, later ones are not sent."""
        self._connections.close()


def only_reads(method: str) -> bool:
    """Whether the call changes nothing, so that it may be sent again after a cut (a login only opens a session, which ends by itself)."""
    verb = method.rpartition(".")[2]
    return verb.startswith(("get_", "assert_", "login_")) or method in {"event.from", "event.inject", "session.logout"}


def _cut(method: str, why: str) -> PoolError:
    kind: type[PoolError] = Transient if only_reads(method) else Unknown
    return kind("CONNECTION_CUT", (method, why))


def _reveal(value: object) -> str:
    """The only place where JSON gets to see a secret: on its way out."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    raise TypeError(f"no parameter of a call: {type(value).__name__}")


def _result(body: bytes, method: str) -> JSON:
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _cut(method, f"not a JSON-RPC answer: {error}") from None
    if answer.error is None:
        return answer.result
    if isinstance(answer.error, dict):
        raise XenAPI.Failure([answer.error.get("message", ""), *(answer.error.get("data") or [])])
    raise XenAPI.Failure(answer.error)
