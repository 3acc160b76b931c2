"""Who may see a page, and what a form has to carry: all that stands between a browser and what it asks for."""

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from orchestrator.actions import desk
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.web import problems, sign_in
from orchestrator.web.ask import Ask
from orchestrator.web.console.counter import Counter
from orchestrator.web.console.pages import go_to, seen
from orchestrator.web.principal import Scope
from orchestrator.web.problems import Problem
from orchestrator.web.sign_in import SignedIn
from workflows.plan import Plan

log = logging.getLogger(__name__)

FIELDS = 100  # of a form
HEADINGS = {
    403: "That is not for you to do",
    404: "There is no such page",
    405: "There is no such page",
    409: "That is not so",
    412: "It was changed meanwhile",
    413: "That is too much",
    422: "That cannot be used",
    500: "Something went wrong",
    502: "A plugin did not do it",
    503: "It does not answer",
}


class SignInFirst(Exception):
    """Nobody is signed in by this browser, or no longer."""


class PageRoute(APIRoute):
    """A route whose errors are pages too: what happened, and where to go on."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI wants it."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except SignInFirst:
                there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return go_to(request, "/login" + (f"?next={quote(there)}" if request.method == "GET" and not _is_piece(request) else ""))
            except Exception as error:
                problem = problems.of(error)
                if problem.status == 500:
                    log.exception("%s %s failed", request.method, request.url.path)
                return await run_in_threadpool(_said, request, problem)  # it reads rows, and may wait for them

        return handled


def _is_piece(request: Request) -> bool:
    return "hx-request" in request.headers


def _said(request: Request, problem: Problem) -> Response:
    counter: Counter = request.app.state.console
    signed = sign_in.signed_in(counter.office, request.cookies.get(counter.cookie))
    heading = HEADINGS.get(problem.status, HEADINGS[500])
    back = {"said": problem.detail, "heading": heading, "href": "/", "way_out": "To the overview"}
    if signed is None:
        return go_to(request, "/login")
    return counter.pages.answer(request, signed, "error.html", status=problem.status, **back)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in: *counter* is where everything is that the console has. *sent*: by the form of a page."""

    request: Request
    counter: Counter
    signed: SignedIn
    sent: Mapping[str, str] = field(default_factory=dict)

    def page(self, template: str, *, status: int = 200, problem: str = "", **shown: Any) -> Response:
        """The page."""
        return self.counter.pages.answer(self.request, self.signed, template, status=status, problem=problem, **shown)

    @property
    def ask(self) -> Ask:
        """What they ask for, to be written down."""
        return Ask(self.counter.office, self.signed.principal)

    def begin(self, what: str, thing: str, propose: Callable[[Desk], Proposal], pool: str | None = None) -> Response:
        """Begin the runs that are proposed, once nothing stands against them, and show the first; what is refused is written down."""
        office = self.counter.office
        with self.ask.written_down(what, thing):
            at = self.desk(pool)
            proposal = propose(at)
            proposal.check()
            if (shown := self.sent.get("seen")) and (plans := proposal.plans()) and seen(plans) != shown:
                return self._asked_again(plans)
            now = at.clock()
            begun = [run.id for run, _ in at.store.do(lambda session: desk.begin(session, at.place, proposal.requests, now=now))]
        office.publish(begun)
        return go_to(self.request, f"/runs/{begun[0]}" if len(begun) == 1 else "/runs")

    def _asked_again(self, plans: Sequence[Plan]) -> Response:
        """The plans as they are by now, for another consent: what was consented to is not what would be done."""
        path, fields = self.request.url.path, [(name, value) for name, value in self.sent.items() if name not in ("csrf", "seen")]
        return self.page("plan.html", status=409, heading="The plan has changed", about="As it was asked for", plans=plans, fields=fields,
                         back=f"{path}?{urlencode(fields)}", action=path, always=True, changed=True,
                         consent="Do it: as it is now")  # fmt: skip

    def desk(self, pool: str | None = None) -> Desk:
        """Where they ask for something."""
        return self.counter.office.desk(self.signed.principal, pool)


def counter_of(request: Request) -> Counter:
    """What the console has for its whole life."""
    counter: Counter = request.app.state.console
    return counter


def visit(request: Request) -> Visit:
    """Somebody who may look. Raises SignInFirst."""
    counter = counter_of(request)
    signed = sign_in.signed_in(counter.office, request.cookies.get(counter.cookie))
    if signed is None:
        raise SignInFirst
    return Visit(request, counter, signed)


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that one of our own pages sent: a page elsewhere cannot have another one's browser send it."""
    assert_own(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a form is to be application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise Problem(422, "invalid", "the form cannot be read") from None
    if any("\0" in part for pair in pairs for part in pair):
        raise Problem(422, "invalid", "no name and no text has a NUL")
    return dict(pairs)


def assert_own(request: Request) -> None:
    """Problem where the browser says that another site sent this: checked besides the form's secret, and for signing in instead of it."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        own = site in ("same-origin", "none")
    else:  # a browser that does not say it, or a program, which has nobody else's cookie
        own = origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    if not own:
        raise Problem(403, "elsewhere", "this was asked for by a page of another site: nothing was done")


Form = Annotated[dict[str, str], Depends(form)]


def reader(found: Annotated[Visit, Depends(visit)]) -> Visit:
    """Somebody who may look."""
    return found


def operator(found: Annotated[Visit, Depends(visit)]) -> Visit:
    """Somebody who may begin, approve and cancel. Raises Problem."""
    return _with(found, Scope.OPERATE)


def administrator(found: Annotated[Visit, Depends(visit)]) -> Visit:
    """Somebody who may see what others did. Raises Problem."""
    return _with(found, Scope.ADMIN)


def _with(found: Visit, needed: Scope) -> Visit:
    has = found.signed.principal.scope
    if not has.covers(needed):
        raise Problem(403, "scope", f"You have the scope {has}: this needs the scope {needed}. An administrator can give it to you.")
    return found


def acting(found: Annotated[Visit, Depends(operator)], fields: Form) -> Visit:
    """As `operator`, by a form of a page that was shown to them in this session. Raises Problem."""
    return _by_form(found, fields)


def owning(found: Annotated[Visit, Depends(visit)], fields: Form) -> Visit:
    """Somebody who may look, about themselves, by such a form. Raises Problem."""
    return _by_form(found, fields)


def administering(found: Annotated[Visit, Depends(administrator)], fields: Form) -> Visit:
    """As `administrator`, by such a form. Raises Problem."""
    return _by_form(found, fields)


def _by_form(found: Visit, fields: dict[str, str]) -> Visit:
    if not sign_in.csrf_fits(found.signed, fields.get("csrf")):
        raise Problem(403, "stale-form", "the page was opened before you signed in: nothing was done. Open it again, and do it once more.")
    return replace(found, sent=fields)


Reader = Annotated[Visit, Depends(reader)]
Operator = Annotated[Visit, Depends(operator)]
Administrator = Annotated[Visit, Depends(administrator)]
Acting = Annotated[Visit, Depends(acting)]
Owning = Annotated[Visit, Depends(owning)]
Administering = Annotated[Visit, Depends(administering)]
