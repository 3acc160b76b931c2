"""What holds for every request, before anybody looks at it, and for every answer: names, sizes, secrets in addresses, security headers."""

import re
from collections.abc import Collection
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.web import problems
from orchestrator.web.problems import Problem

LARGEST = 1024 * 1024  # bytes of a request's body: a configuration's worth
SECRET_NAMES = frozenset({"token", "access_token", "api_key", "apikey", "password", "authorization", "secret", "session"})
POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'", "connect-src 'self'",
    "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip
ALWAYS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")


class Guarded:
    """The app behind it sees only requests to a name of ours, of a size that can be read, without secrets in their address."""

    def __init__(self, app: ASGIApp, names: Collection[str], *, secure: bool) -> None:
        self._app = app
        self._names = frozenset(names)
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                if self._secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        problem = self._against(scope)
        if problem is not None:
            await problems.answer(problem)(scope, receive, with_headers)
            return
        bounded = _Bounded(receive)
        await self._app(scope, bounded, with_headers)

    def _against(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if not self._is_ours(headers.getlist("host")):
            return Problem(421, "wrong-host", "this is not the host that was asked for: add its name to [console] hosts")
        try:
            names = {name.lower() for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)}
        except ValueError:
            return Problem(400, "bad-query", "the query cannot be read")
        if b"%00" in scope["query_string"]:  # PostgreSQL takes it in no text
            return Problem(422, "invalid", "no name and no text has a NUL")
        if names & SECRET_NAMES:
            text = "addresses are written down in many places: send a token in the header Authorization, and revoke this one"
            return Problem(400, "secret-in-address", text)
        length = headers.get("content-length")
        if length is not None and (not length.isdecimal() or int(length) > LARGEST):
            return Problem(413, "too-large", f"a request has {LARGEST} bytes at most")
        return None

    def _is_ours(self, given: list[str]) -> bool:
        """A page elsewhere that has a name of its own point to us is refused: its scripts would speak to us as to themselves."""
        found = HOST.fullmatch(given[0]) if len(given) == 1 else None
        return found is not None and found[1].strip("[]").lower().rstrip(".") in self._names


class _Bounded:
    """The body as it comes, up to a size; who sends more than that without having said so is cut off."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > LARGEST:
                raise HTTPException(413, f"a request has {LARGEST} bytes at most")
        return message
