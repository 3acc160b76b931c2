"""What every route shares that begins runs: the plan alone, the runs, and waiting for them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Depends, Query, Response
from starlette.concurrency import run_in_threadpool

from orchestrator.actions.desk import Desk, Proposal
from orchestrator.web.ask import Ask, answer, row
from orchestrator.web.problems import Problem
from state import runs
from state.run import ACTIVE, Run, Status

LOOK_SECONDS = 0.5
LONGEST = 3600
Reached = Callable[[Run], bool]


@dataclass(frozen=True, slots=True)
class How:
    """*dry_run*: the plan alone. *wait*: seconds until the answer at most. *pool*: only of this one."""

    dry_run: bool
    wait: float
    pool: str | None


def _how(
    *,
    dry_run: Annotated[bool, Query(description="Say what would be done, with the XenAPI calls; change nothing.")] = False,
    wait: Annotated[
        float,
        Query(ge=0, le=LONGEST, description="Answer when the runs have ended, or after so many seconds: 200 all is done, "
              "409 one ended otherwise, 504 they go on: ask again, under the same key."),
    ] = 0,
    pool: Annotated[str | None, Query(max_length=200, description="Only in this pool.")] = None,
) -> How:  # fmt: skip
    return How(dry_run, wait, pool)


HowAsked = Annotated[How, Depends(_how)]


async def begun(ask: Ask, how: How, what: str, thing: str, propose: Callable[[Desk], Proposal]) -> Response:
    """The plans, or the runs; *what* and *thing*: for the audit where it is refused."""

    def begin() -> Response:
        return ask.begin(what, thing, lambda: propose(ask.desk(how.pool)), dry_run=how.dry_run)

    said = await run_in_threadpool(begin)
    return said if how.dry_run else await waited(ask, how, said)


async def waited(ask: Ask, how: How, said: Response, reached: Reached = lambda _: False) -> Response:
    """The answer once the runs in it have ended, or are as far as *reached* says. Raises Problem: they ended otherwise, or not yet.

    Nobody who went away is waited for, and nobody keeps the process from stopping.
    """
    listed = orjson.loads(bytes(said.body))["runs"]
    ids, created = [UUID(one["run"]) for one in listed], {UUID(one["run"]): one["created"] for one in listed}
    ends = time.monotonic() + how.wait
    found = await run_in_threadpool(_runs, ask, ids) if how.wait else []
    while any(not _is_there(run, reached) for run in found) and time.monotonic() < ends and not await ask.is_gone():
        await asyncio.sleep(min(LOOK_SECONDS, max(0.0, ends - time.monotonic())))
        found = await run_in_threadpool(_runs, ask, ids)
    if not found:
        return said
    rows = [row(run, new=created[run.id]) for run in found]
    against = [run for run in found if run.status not in ACTIVE | {Status.DONE}]
    if against:
        text = "; ".join(f"{run.title}: {run.status}: {run.reason}" for run in against)
        raise Problem(409, "not-done", text, runs=rows)
    if not all(_is_there(run, reached) for run in found):  # no 2xx: a script that goes by it would go on too early
        text = "; ".join(f"{run.title}: {run.status}: {run.reason}" for run in found if not _is_there(run, reached))
        raise Problem(504, "not-yet", f"it goes on, ask again: {text}", runs=rows)
    return answer({"runs": rows, "plans": []}, 200, again=said.headers.get("idempotency-replayed") == "true")


def _runs(ask: Ask, ids: Sequence[UUID]) -> list[Run]:
    with ask.office.store.read() as session:
        found = [runs.get(session, run_id) for run_id in ids]
    return [run for run in found if run is not None]


def _is_there(run: Run, reached: Reached) -> bool:
    return run.status not in ACTIVE or reached(run)


def begins(description: str, **more: Any) -> dict[str, Any]:
    """What OpenAPI says of a route that begins runs."""
    from orchestrator.web.api.guard import ERRORS
    from orchestrator.web.api.shapes import Begun

    answers: dict[int | str, dict[str, Any]] = {
        **ERRORS,
        200: {"model": Begun, "description": "The plans (dry_run), or all is done (wait)"},
        202: {"model": Begun, "description": "The runs, which go on"},
    }
    return {"status_code": 202, "response_model": Begun, "responses": answers, "description": description, **more}
