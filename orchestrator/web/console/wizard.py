"""Four steps to a policy: which VMs, where to, how and when, and the summary with its plan, which a person consents to.

What was answered is in the address, and is looked at anew by each step: nothing is kept here, and nothing is written before the consent.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, get_args
from zoneinfo import available_timezones

from fastapi import APIRouter, Response

from orchestrator.actions import policies, windows, writing
from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import NotSo, Outdated, WrongInput
from orchestrator.actions.writing import Said
from orchestrator.config.backup import Fallback
from orchestrator.views.timeline import minutes
from orchestrator.web import problems
from orchestrator.web.console import checking, choices
from orchestrator.web.console.guards import Administering, Administrator, Form, PageRoute, Visit
from orchestrator.web.console.models import backups
from orchestrator.web.console.models import wizard as model
from orchestrator.web.console.models.wizard import NEW, SUMMARY, WHEN, WHERE, WHICH, Answers
from orchestrator.web.console.pages import go_to
from orchestrator.web.console.policies import page_of
from orchestrator.web.problems import Problem
from state.store import Session
from state.written import POLICY, WINDOW

router = APIRouter(route_class=PageRoute)

MOST = 100  # VMs that the summary shows one by one
HERE = "/backup/wizard"


@router.get("/backup/wizard")
def begin(visit: Administrator) -> Response:
    """The first step."""
    return go_to(visit.request, f"{HERE}/{WHICH}")


@router.get("/backup/wizard/change")
def change(visit: Administrator, name: str = "") -> Response:
    """The first step, with what a policy says now that somebody wrote."""
    one = visit.desk().in_force.of(POLICY, name)
    if one is None:
        raise Problem(404, "not-found", "Nobody wrote a policy of that name. One of the configuration file is changed there.")
    return go_to(visit.request, f"{HERE}/{WHICH}?{model.filled(name, one.table, one.revision).query()}")


@router.get("/backup/wizard/meant")
def meant(visit: Administrator) -> Response:
    """Whom the answers mean now, for a page that is open."""
    answers = Answers.read(visit.request.query_params.multi_items())
    return visit.page("_meant.html", meant=choices.meant(visit.counter.sights, answers))


@router.get("/backup/wizard/{step}")
def step(visit: Administrator, step: str) -> Response:
    """One step; an earlier one instead where something in that one is wrong."""
    if step not in model.STEPS:
        raise Problem(404, "not-found", "There is no such step.")
    at, answers = visit.desk(), Answers.read(visit.request.query_params.multi_items())
    wrong = checking.wrong(at, answers, _base(at, answers))
    first = model.earliest(wrong, step)
    if first is None and step != SUMMARY:
        return _page(visit, at, answers, step)
    return _page(visit, at, answers, first, wrong) if first else _summary(visit, at, answers)


@router.post("/backup/wizard")
def write(visit: Administering, sent: Form) -> Response:
    """Write the policy, and its window where that is new, both or neither; and save its VMs now where that is wished."""
    answers, at = Answers.written(sent.get("said", "")), visit.desk()
    name, base = answers.one("name"), _base(visit.desk(), answers)
    if wrong := checking.wrong(at, answers, base):
        return _page(visit, at, answers, model.earliest(wrong, SUMMARY) or WHICH, wrong)
    now = visit.counter.office.clock()
    try:
        with visit.ask.written_down("write-policy", f"policy {name}"):
            at.store.do(lambda session: _write(session, at, answers, base, now))
    except (WrongInput, NotSo) as error:
        return _refused(visit, at, answers, error)
    if sent.get("then") != "run":
        return go_to(visit.request, f"/backup/policies/{name}?written=yes")
    try:
        return visit.begin("run-policy", f"policy {name}", lambda at: policies.run(at, name))
    except (WrongInput, NotSo) as error:
        return page_of(visit, name, status=409, problem=f"The policy is written, and was not begun: {error}")


def _write(session: Session, at: Desk, answers: Answers, base: Mapping[str, Any], now: datetime) -> None:
    if answers.makes_window:
        windows.set_written(session, at, answers.window, model.window(answers), now=now)
    table, revision = model.policy(answers, base), answers.one(model.REVISION) or None
    policies.set_written(session, at, answers.one("name"), table, revision=revision, now=now)


def _base(at: Desk, answers: Answers) -> Mapping[str, Any]:
    """The table that is changed."""
    one = at.in_force.of(POLICY, answers.one("name")) if answers.is_change else None
    return one.table if one is not None else {}


def _refused(visit: Visit, at: Desk, answers: Answers, error: WrongInput | NotSo) -> Response:
    """The step with the mistake, or the summary with what stands against it."""
    if isinstance(error, WrongInput):
        wrong = checking.told(error)
        return _page(visit, at, answers, model.earliest(wrong, SUMMARY) or SUMMARY, wrong, row=None)
    anew = f"{HERE}/change?name={answers.one('name')}" if isinstance(error, Outdated) and error.revision is not None else ""
    return _page(visit, at, answers, SUMMARY, status=problems.of(error).status, problem=str(error), row=None, anew=anew)


def _summary(visit: Visit, at: Desk, answers: Answers) -> Response:
    """What it would mean and do: the pools are asked, and nothing is written."""
    table, revision, supposed = model.policy(answers, _base(at, answers)), answers.one(model.REVISION) or None, at
    try:
        if answers.makes_window:
            said = Said(WINDOW, answers.window, model.window(answers))
            supposed = replace(at, known=writing.supposed(at.loaded, at.in_force, said))
        row = policies.proposed(supposed, answers.one("name"), table, revision=revision)
    except (WrongInput, NotSo) as error:
        return _refused(visit, at, answers, error)
    return _page(visit, at, answers, SUMMARY, row=row)


def _page(  # noqa: PLR0913 - what a page is made of
    visit: Visit, at: Desk, answers: Answers, step: str, wrong: Mapping[str, str] | None = None, *, status: int = 0, problem: str = "",
    row: Mapping[str, Any] | None = None, anew: str = "",
) -> Response:  # fmt: skip
    """*wrong*: by field; shown is what this step asks for, the last one shows the rest."""
    mine = {name: text for name, text in (wrong or {}).items() if model.step_of(name) == step}
    steps = [(one, model.HEADINGS[one], f"{HERE}/{one}?{answers.query()}") for one in model.STEPS]
    place = model.STEPS.index(step)
    more = _of_summary(row, anew) if step == SUMMARY else _OF[step](visit, at, answers)
    return visit.page(
        "wizard.html", status=status or (422 if mine else 200), problem=problem, step=step, number=place + 1, steps=steps, wrong=mine,
        answers=answers, here=HERE, labels=model.LABELS, opening=model.opening(answers),
        fresh={} if "window" in answers.values else {**model.FRESH, "window_name": (answers.one("name"),)},
        back=steps[place - 1][2] if place else "", after=model.next_after(step) if step != SUMMARY else "", **more,
    )  # fmt: skip


def _of_which(visit: Visit, at: Desk, answers: Answers) -> dict[str, Any]:
    seen = choices.known(visit.counter.sights, answers)
    return {"known": seen, "pools": sorted(at.loaded.pools), "meant": choices.meant(visit.counter.sights, answers)}


def _of_where(visit: Visit, at: Desk, answers: Answers) -> dict[str, Any]:  # noqa: ARG001 - as the others
    return {"products": choices.products(visit.counter.office), "file": at.loaded.path.name}


def _of_when(visit: Visit, at: Desk, answers: Answers) -> dict[str, Any]:  # noqa: ARG001 - as the others
    hooks = [*answers.many("hooks"), *(name for name in at.loaded.settings.hooks if name not in answers.many("hooks"))]
    return {"windows": windows.listed(at), "zones": _zones(), "hooks": hooks, "fallbacks": get_args(Fallback), "days": model.DAYS,
            "keeps": model.KEEPS, "new": NEW, "modes": choices.modes(at.loaded)}  # fmt: skip


_OF = {WHICH: _of_which, WHERE: _of_where, WHEN: _of_when}


@cache
def _zones() -> list[str]:
    return sorted(available_timezones())


def _of_summary(row: Mapping[str, Any] | None, anew: str) -> dict[str, Any]:
    if row is None:
        return {"row": None, "anew": anew}
    unfit: dict[str, list[str]] = {}
    for slot in (slot for night in row["nights"] for slot in night["slots"] if slot["policy"] == row["name"] and slot["why"]):
        unfit.setdefault(slot["why"], []).append(f"{slot['name']} ({minutes(slot['takes'])})")
    return {"row": row, "anew": anew, "shown": row["meant"][:MOST], "more": max(0, len(row["meant"]) - MOST), "unfit": unfit,
            "nights": [backups.night(night) for night in row["nights"]], "minutes": minutes, "retention": backups.retention}  # fmt: skip
