"""HTTP requests that move disks: who asks, which task tells how it went, and xapi's pages when it does not begin at all."""

import base64
import binascii
import http.cookies
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Final

from orchestrator.simulator import roles, tasks
from orchestrator.simulator.body import Body
from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server
from orchestrator.simulator.wire import http as wire
from orchestrator.simulator.wire.errors import Cut

Query = Mapping[str, str]
Answer = wire.Response | wire.Transfer

FORMATS: Final = ("raw", "vhd", "qcow2", "tar")


class Page(Exception):
    """The request ends with this answer."""

    def __init__(self, response: wire.Response) -> None:
        self.response = response
        super().__init__(response.status)


def trouble(text: str) -> Page:
    """The 500 page with the text of an OCaml exception."""
    return Page(wire.internal_error(text))


class Asked:
    """One request at one host: its query, and the call it is (its task is NULL until `begin`).

    Faults are ordered by the path's name ("export_raw_vdi"): a delay and a cut "before" come when the work starts, an error and a
    cut "after" in the middle of it, when the 200 and a part of the body are out; a stream may be slow, and break after so many bytes.
    """

    def __init__(self, server: Server, action: str, request: wire.Request, host: str) -> None:
        self.server = server
        self.request = request
        self.host = host
        self.query: Query = dict(urllib.parse.parse_qsl(request.path.partition("?")[2], keep_blank_values=True))
        self.call = Call(server, action)
        self.call.host = host
        self.own_session = ""
        self.own_task = False

    def start_work(self, stream: wire.Stream) -> Body:
        """Undergo what was ordered for the beginning; the body that undergoes the rest."""
        name = self.request.path.partition("?")[0].lstrip("/")
        effect = self.server.faults.meet(name, list(self.query.values()))
        self.call.pause(effect.seconds)
        if effect.cut == "before":
            raise Cut(name)
        return Body(self.call, stream, effect)

    def begin(self) -> None:
        """Take the client's task, or make one that goes with the request; the 500 page when the client's is none."""
        given = self.query.get("task_id", "")
        if not given:
            tasks.begin(self.call, self.call.method)
            self.own_task = True
            return
        if not self.server.db.exists("task", given):
            raise trouble(f'Db_exn.DBCache_NotFound("missing row", "task", "{given}")')
        self.call.task = given

    def fail(self, failure: Failure, response: wire.Response) -> Page:
        """The task fails, and the request ends with the answer."""
        tasks.fail(self.call, failure)
        self.end()
        return Page(response)

    def end(self) -> None:
        """Nothing is left of the request but what it did."""
        if self.own_task:
            tasks.forget(self.call)
        if self.own_session:
            self.server.sessions.end(self.own_session)


def route(server: Server, action: str, role: str, serve: Callable[[Asked], Answer]) -> wire.Route:
    """A handler of requests whose `action` names the realm and the permission ("get_export_raw_vdi"); `role` is the least that may."""

    def answer(request: wire.Request, host: str) -> Answer:
        asked = Asked(server, action, request, host)
        try:
            _admit(asked, role)
            return serve(asked)
        except Page as page:
            if asked.own_session:
                server.sessions.end(asked.own_session)
            return page.response

    return answer


def _admit(asked: Asked, role: str) -> None:
    """Find the session; the 401 page without one (a task that was passed stays pending for ever), 403 when its role is too low."""
    realm = asked.call.method
    try:
        ref = _session(asked)
        session = asked.server.sessions.check(ref)
    except Failure as failure:
        raise Page(wire.unauthorised(realm)) from failure
    asked.call.session, asked.call.user, asked.call.role = ref, session.user, session.role
    if roles.LADDER.index(session.role) < roles.LADDER.index(role):
        task = asked.query.get("task_id", "")
        if asked.server.db.exists("task", task):
            asked.call.task = task
            tasks.fail(asked.call, Failure("RBAC_PERMISSION_DENIED", f"http/{realm}", "No permission in user session."))
        raise Page(wire.forbidden())


def _session(asked: Asked) -> str:
    """Of the query, of a cookie, or a new one for a name and password."""
    if "session_id" in asked.query:
        return asked.query["session_id"]
    cookies: http.cookies.SimpleCookie = http.cookies.SimpleCookie(asked.request.headers.get("cookie", ""))
    if "session_id" in cookies:
        return cookies["session_id"].value
    scheme, _, secret = asked.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, password = base64.b64decode(secret).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    asked.own_session = asked.server.sessions.login(user, password, "", asked.host)
    return asked.own_session


def form(asked: Asked) -> str:
    """The format that is asked for, raw if none is; 404 without a page when there is no such format, and the task says so."""
    wanted = asked.query.get("format", "raw")
    if wanted not in FORMATS:
        raise asked.fail(Failure("INTERNAL_ERROR", f"Unknown format {wanted}"), wire.bare("404 Not Found"))
    return wanted


def nothing() -> None:
    """What most transfers have to do at their end."""


def transfer(asked: Asked, headers: tuple[str, ...], work: Callable[[Body], str], at_end: Callable[[], None] = nothing) -> wire.Transfer:
    """The 200 at once; then the work, whose result (XML) the task gets. A failure is in the task alone, and as a page inside the body.

    *at_end* is called however it ends, before the task says so.
    """
    call = asked.call

    def done(stream: wire.Stream) -> str:
        try:
            with asked.server.calls.during(call):
                body = asked.start_work(stream)
                result = work(body)
                body.done(1.0)  # what was ordered for the middle of it, and found none
                return result
        finally:
            at_end()

    def run(stream: wire.Stream) -> None:
        try:
            result = done(stream)
            tasks.finish(call, "success", result=result)
        except Failure as failure:
            tasks.fail(call, failure)
            code, *params = failure.details
            page = wire.internal_error(f"{code}: [ {'; '.join(params)} ]")
            stream.write(page.head(keep_alive=False) + page.body)
        except (OSError, Cut):
            tasks.fail(call, Failure("INTERNAL_ERROR", 'Unix.Unix_error(Unix.EPIPE, "write", "")'))
            raise
        finally:
            asked.end()

    return wire.Transfer((f"task-id: {call.task}", *headers), run)
