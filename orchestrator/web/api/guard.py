"""Who may use a route: a token tells who asks, before anything is read; a dependency of every route says how far it must go."""

import base64
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import Depends, Header, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from orchestrator.web import problems
from orchestrator.web.ask import Ask
from orchestrator.web.office import Office
from orchestrator.web.principal import Principal, Scope
from orchestrator.web.problems import Problem, ProblemDetails
from state import audit, tokens
from state.audit import Act
from state.store import Away

HOW = "api"
LONGEST = 256
READING = ("GET", "HEAD", "OPTIONS")
BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="A token of `vfo token create`.")
WHO, AGAIN = "vfo.principal", "vfo.again"
AT_ONCE = 8
TURNS: RunVar[CapacityLimiter] = RunVar("vfo.guard")
TAGGED = 16 * 1024 * 1024  # bytes of an answer that is kept until its tag is known

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDetails, "content": {problems.MEDIA: {}}, "description": text}
    for status, text in {
        400: "The request cannot be read", 401: "No token that counts", 403: "The token's scope is too small", 404: "There is none",
        409: "Understood, but not so", 413: "Too large", 422: "Wrong input", 503: "The pool or the database is away",
        504: "Not yet: it goes on",
    }.items()
}  # fmt: skip


class Guard:
    """Middleware of the API: nobody gets past it without a token that counts; and answers to GET have an ETag."""

    def __init__(self, app: ASGIApp, office: Office, prefix: str) -> None:
        self._app = app
        self._office = office
        self._prefix = prefix

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        try:
            scope[AGAIN] = partial(self._who, Headers(scope=scope).getlist("authorization"))
            scope[WHO] = await to_thread.run_sync(scope[AGAIN], limiter=_turns())
        except (Problem, Away) as error:
            await problems.answer(problems.of(error))(scope, receive, send)
            return
        await self._app(scope, receive, _Tagging(scope, send) if scope["method"] == "GET" else send)

    def _who(self, given: list[str]) -> Principal:
        """Whose token it is. Raises Problem."""
        if not given:
            raise _unauthorized("send a token in the header: Authorization: Bearer TOKEN (`vfo token create` makes one)")
        kind, _, secret = given[0].partition(" ")
        secret = secret.strip()
        now = self._office.clock()
        if len(given) == 1 and kind.lower() == "bearer" and 0 < len(secret) <= LONGEST:
            with self._office.store.read() as session:
                token = tokens.known(session, secret, now=now)
            if token is not None:
                if not tokens.is_fresh(token, now):
                    self._office.store.do(lambda session: tokens.note_use(session, token.name, now=now))
                return Principal(token.name, Scope(token.scope), HOW)
        raise _unauthorized("this token opens nothing: it is unknown, was revoked, or its time is over")


def _turns() -> CapacityLimiter:
    """Threads of our own: who asks is found out also while all others wait for a pool that does not answer."""
    try:
        return TURNS.get()
    except LookupError:
        TURNS.set(CapacityLimiter(AT_ONCE))
        return TURNS.get()


class _Tagging:
    """Keeps an answer until it is whole, and says only that it is the same to who has it already. Streams pass as they come."""

    def __init__(self, scope: Connection, send: Send) -> None:
        self._known = Headers(scope=scope).get("if-none-match", "")
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200 and not _is_stream(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if len(self._body) > TAGGED:
                await self._pass({"type": "http.response.body", "body": bytes(self._body), "more_body": message.get("more_body", False)})
            elif not message.get("more_body", False):
                await self._whole()

    async def _whole(self) -> None:
        assert self._start is not None  # noqa: S101 - narrows the type: the start came first
        headers = MutableHeaders(scope=self._start)
        begins = headers.get("etag", "").strip('"')  # the revision that may be changed, where the route says it
        tag = f'"{begins}{"." * bool(begins)}{base64.urlsafe_b64encode(hashlib.sha256(self._body).digest()[:18]).decode()}"'
        headers["etag"], headers["cache-control"] = tag, "private, no-cache"
        known = {one.strip().removeprefix("W/") for one in self._known.split(",")}
        if tag in known or "*" in known:
            self._start["status"] = 304
            del headers["content-length"]
            del headers["content-type"]
            self._body.clear()
        await self._pass({"type": "http.response.body", "body": bytes(self._body)})

    async def _pass(self, body: Message) -> None:
        start, self._start = self._start, None
        self._body = bytearray()
        await self._send(start or {})
        await self._send(body)


def _is_stream(start: Message) -> bool:
    return (Headers(raw=start["headers"]).get("content-type") or "").startswith("text/event-stream")


def _unauthorized(text: str) -> Problem:
    return Problem(401, "unauthorized", text, headers={"WWW-Authenticate": 'Bearer realm="vfo"'})


async def _asked(request: Request) -> bytes:
    """All that says what is asked, the same however it is written; how long somebody waits for it is no part of that."""
    query = sorted((name, value) for name, value in request.query_params.multi_items() if name != "wait")
    try:
        body = orjson.dumps(orjson.loads(await request.body()), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        body = await request.body()
    if b"\\u0000" in body:
        raise Problem(422, "invalid", "no name and no text has a NUL")
    return f"{request.method} {request.url.path}?{urlencode(query)}\n".encode() + body


def needs(scope: Scope) -> Callable[..., Ask]:
    """The dependency of a route that wants this scope at least. Without the guard before it, it lets nobody in."""

    def ask(
        request: Request,
        asked: Annotated[bytes, Depends(_asked)],
        _token: Annotated[object, Depends(BEARER)],
        key: Annotated[
            str | None,
            Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[!-~]+$",
                   description="Of what begins something: asked again under the same key, nothing is done twice."),
        ] = None,
    ) -> Ask:  # fmt: skip
        office: Office = request.app.state.office
        who = request.scope.get(WHO)
        if not isinstance(who, Principal):
            raise _unauthorized("no token was seen")
        if not who.scope.covers(scope):
            if request.method not in READING:
                _note(office, who, f"{request.method} {request.url.path}", f"scope {who.scope} is not {scope}")
            raise Problem(403, "scope", f"this needs a token with scope {scope}; {who.name!r} has {who.scope}")
        return Ask(office, who, key, asked, request.is_disconnected, request.scope[AGAIN])

    return ask


def _note(office: Office, who: Principal, thing: str, reason: str) -> None:
    act, now = Act(who.name, who.how, "request", thing, "refused", {"reason": reason}), office.clock()
    office.store.do(lambda session: audit.add(session, act, now=now))


Reads = Annotated[Ask, Depends(needs(Scope.READ))]
Operates = Annotated[Ask, Depends(needs(Scope.OPERATE))]
Administers = Annotated[Ask, Depends(needs(Scope.ADMIN))]
