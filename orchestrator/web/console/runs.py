"""The runs: a list, and one of them with its steps, history, and what a person may ask of it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Response

from orchestrator.actions import runs as action
from orchestrator.actions.verbs import Verb
from orchestrator.views import calls
from orchestrator.views import runs as view
from orchestrator.web.console.guards import Acting, PageRoute, Reader, Visit
from orchestrator.web.console.models import diagram as picture
from orchestrator.web.console.models import runs as model
from orchestrator.web.console.pages import go_to
from orchestrator.web.problems import Problem
from state import pages
from state.pages import Asked, Cursor
from state.run import ENDED, Run, Status
from state.runs import with_prefix
from state.store import Session
from workflows.catalogue import WORKFLOWS

router = APIRouter(route_class=PageRoute)

SIZE = 50
CHOICES = {
    "open": ("at work, or they need you", view.NEEDS_ATTENTION),
    "ended": ("that have ended", ENDED - {Status.STUCK}),
    "all": ("all", frozenset(Status)),
    **{status.value: (status.value, frozenset({status})) for status in Status},
}
WORDS = {
    "approve": "Approve",
    "retry": "Try it again",
    "cancel": "Give it up and undo it",
}
OUTCOMES = {"done": "good", "finish": "good", "wait": "plan", "stuck": "bad", "refuse": "warn", "retry": "warn", "undone": "warn"}
OUTCOMES |= {"give up": "warn", "undo failed": "bad"}


@router.get("/runs")
def listed(visit: Reader, status: str = "open", workflow: str = "", pool: str = "", q: str = "", before: str = "") -> Response:
    """The runs that fit, a page of them; also as a piece, for a page that is open."""
    chosen = {"status": status if status in CHOICES else "open", "workflow": workflow[:100], "pool": pool[:100], "q": q.strip()[:200]}
    lines, after = _page(visit, chosen, before)
    address = "/runs?" + urlencode({name: value for name, value in chosen.items() if value})
    return visit.page(
        "_runs.html" if "hx-request" in visit.request.headers else "runs.html",
        lines=lines, chosen=chosen, is_filtered=bool(workflow or pool or q or chosen["status"] != "open" or before), before=before,
        workflows=list(WORKFLOWS), pools=sorted(visit.counter.office.pools), choices=[(name, text) for name, (text, _) in CHOICES.items()],
        first=address, here=_from(address, before), after=_from(address, after) if after else "",
    )  # fmt: skip


def _from(address: str, cursor: str) -> str:
    return f"{address}&{urlencode({'before': cursor})}"


def _page(visit: Visit, chosen: Mapping[str, str], before: str) -> tuple[list[model.Line], str]:
    """The lines, and where the page after them begins; the beginning of a run's id finds that one, whatever its status."""
    asked = Asked(CHOICES[chosen["status"]][1], chosen["pool"] or None, chosen["workflow"] or None, text=chosen["q"] or None)
    try:
        cursor = Cursor.read(before) if before else None
    except ValueError:
        cursor = None
    with visit.counter.office.store.read() as session:
        found = with_prefix(session, chosen["q"])
        some, after = (found, None) if found else pages.runs(session, asked, before=cursor, limit=SIZE)
    return [model.line(run, WORKFLOWS.get(run.workflow)) for run in some], after.written() if after else ""


@router.get("/runs/{run_id}")
def one(visit: Reader, run_id: str) -> Response:
    """One run; the first digits of its id are enough."""
    return visit.page("run.html", **_shown(visit, run_id))


@router.get("/runs/{run_id}/shown")
def piece(visit: Reader, run_id: str) -> Response:
    """What of it changes, for a page that is open."""
    return visit.page("_run.html", **_shown(visit, run_id))


@router.get("/runs/{run_id}/calls")
def called(visit: Reader, run_id: str, entry: int | None = None) -> Response:
    """The calls of its steps; also those of one entry, as a piece for the page of the run."""
    with visit.counter.office.store.read() as session:
        run = _found(session, run_id)
        steps = calls.of(session, run)
    if "hx-request" in visit.request.headers:
        return visit.page("_calls.html", steps=[step for step in steps if step["entry"] == entry])
    return visit.page("calls.html", steps=steps, line=model.line(run, WORKFLOWS.get(run.workflow)), tones=OUTCOMES)


@router.post("/runs/{run_id}/{verb}")
def ask(visit: Acting, run_id: str, verb: Verb) -> Response:
    """Approve it, try it again, or give it up."""
    with visit.ask.written_down(verb.value, f"run {run_id}"):
        run = action.act(visit.desk(), run_id, verb)
    visit.counter.office.publish([run.id])
    return go_to(visit.request, f"/runs/{run.id}")


def _shown(visit: Visit, written: str) -> dict[str, Any]:
    with visit.counter.office.store.read() as session:
        run = _found(session, written)
        detail, called = view.detail(session, run), calls.of(session, run)
    workflow = WORKFLOWS.get(run.workflow)
    return {
        "shown": model.shown(run, detail, workflow),
        "diagram": picture.drawn(run, detail["history"], workflow) if workflow else None,
        "calls": {step["entry"]: step for step in called},
        "words": WORDS,
        "tones": OUTCOMES,
    }


def _found(session: Session, written: str) -> Run:
    try:
        return view.find(session, written)
    except view.NoSuchRun as error:
        raise Problem(404, "no-such-run", str(error)) from None
