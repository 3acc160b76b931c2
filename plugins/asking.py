"""Asking servers of others over HTTP: certificates verified, no redirect followed, nothing read without end."""

import http.client
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

MOST = 1 << 16
MESSAGE = 300


class Unreachable(Exception):
    """No answer came; in words, without the path of the URL: it may hold a token."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the *status*, the seconds of Retry-After, and the first 64 KiB of the *body*."""

    status: int
    after: timedelta | None = None
    body: bytes = field(default=b"", repr=False)

    @property
    def well(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def said(self) -> dict[str, Any]:
        """The body as a JSON object; {} when it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def message(self) -> str:
        """What it says to people: "reason" or "message" of its JSON, else the first of its text."""
        found = next((self.said[key] for key in ("reason", "message") if isinstance(self.said.get(key), str)), None)
        text = found if found is not None else "" if self.said else self.body.decode(errors="replace")
        clean = "".join(letter if letter.isprintable() else " " for letter in text[:MESSAGE])
        return " ".join(clean.split())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Server:
    """*ca_file*: what verifies its certificate, None: what the system trusts. *timeout*: for one question; *tries*: so many of them."""

    ca_file: Path | None = None
    timeout: timedelta = timedelta(seconds=20)
    tries: int = 3
    pauses: Sequence[float] = (1.0, 3.0, 10.0)

    def ask(self, url: str, body: bytes | None, headers: Mapping[str, str], method: str = "") -> Answer:
        """One question; without a *body* it is a GET. Raises Unreachable."""
        request = urllib.request.Request(  # noqa: S310 - `checked` has seen the scheme
            url, data=body, headers=dict(headers), method=method or ("GET" if body is None else "POST")
        )
        ends = time.monotonic() + self.timeout.total_seconds()
        try:
            opener = urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=self._trust()))
            try:
                found = opener.open(request, timeout=self.timeout.total_seconds())
            except urllib.error.HTTPError as error:
                found = error
            with found:
                return Answer(found.status, _after(found.headers.get("Retry-After")), _read(found, ends))
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"{shown(url)} cannot be asked: {type(reason).__name__}: {_plain(reason)}") from None

    def again(self, number: int, stop: threading.Event | None = None) -> bool:
        """Whether there is another try after this many; waits for it."""
        if number >= self.tries:
            return False
        (stop or threading.Event()).wait(self.pauses[min(number, len(self.pauses)) - 1])
        return True

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        except OSError as error:
            raise Unreachable(f"ca_file = {self.ca_file}: {error.strerror or error}: give a file of PEM certificates") from None


def checked(url: str) -> SplitResult:
    """The URL in its parts; ValueError unless it is https, or http to this very machine."""
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError("write a URL such as https://backup.example.net/vfo")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("write https: what is sent would be read on the way (http is for this machine alone: 127.0.0.1, ::1, localhost)")
    if parts.username or parts.password:
        raise ValueError("leave user and password out of it")
    return parts


def is_loopback(host: str) -> bool:
    """Whether the name or address is this very machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(url: str) -> str:
    """As much of the URL as may be shown: whose it is."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _after(header: str | None) -> timedelta | None:
    """Retry-After: seconds, or a date."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return timedelta(seconds=min(max(seconds, 1.0), 86400.0))


def _read(found: Any, ends: float) -> bytes:
    body = bytearray()
    while len(body) < MOST and (piece := found.read1(MOST - len(body))):
        body += piece
        if time.monotonic() > ends:
            raise TimeoutError("the answer does not come to its end")
    return bytes(body)


def _plain(error: object) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)[:MESSAGE]
