"""What a step's result makes of its run: pure, from (workflow, run, result, time) to the row, the history entry and the runs to create."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from orchestrator.engine.faults import Abandon, Again
from orchestrator.engine.timing import Timing
from state.claims import Change
from state.history import Entry
from state.holds import Holder, wake_key
from state.run import Phase, Run, Status
from workflows.outcome import Done, Finish, Need, Outcome, Refuse, Request, Stuck, Wait
from workflows.workflow import Data, Step, Workflow

HELD_UP = timedelta(minutes=5)  # a holder's end wakes who waits for it; this is for a wake that was lost


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody asked that the run be given up before its next step."""


Result = Outcome | Again | Abandon | Cancelled


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be recorded in one transaction; no entry when nothing is new (a wait goes on for the same reason).

    With *needs* it counts when the run gets all of them in that transaction; when another run has one, what *held_up* makes of it counts.
    *lets_go*: what the run has for itself and gives back in that transaction.
    *joined*: it may be recorded together with what the next step comes to.
    """

    change: Change
    entry: Entry | None
    follow_up: tuple[Request, ...] = ()
    needs: tuple[str, ...] = ()
    held_up: "Callable[[Holder], Next] | None" = None
    lets_go: tuple[str, ...] = ()
    joined: bool = False

    def telling(self, calls: dict[str, Any] | None) -> "Next":
        """With the calls that the step made: in its entry, or in the run's row until there is one."""
        if calls is None:
            return self
        if self.entry is None:
            return dataclasses.replace(self, change=dataclasses.replace(self.change, calls=calls))
        return dataclasses.replace(self, entry=dataclasses.replace(self.entry, calls=calls))


@dataclass(frozen=True, slots=True)
class Standing:
    """A run at a step that its workflow has, at a moment: everything that a result is judged by."""

    workflow: Workflow
    run: Run
    position: int
    now: datetime
    timing: Timing

    @property
    def step(self) -> Step:
        """The step at work."""
        return self.workflow.steps[self.position]

    @property
    def overdue(self) -> bool:
        """Whether the step, its waiting included, has taken longer than it may."""
        began = self.run.step_began_at or self.now
        return self.step.timeout is not None and self.now - began >= self.step.timeout


def apply(standing: Standing, result: Result, data: Data) -> Next:
    """What *result* makes of the run; *data* is what the step left of its data (as before it, when it failed)."""
    if isinstance(result, Need):
        return _need(standing, result, data)
    return (_undo if standing.run.phase is Phase.UNDO else _forward)(standing, result, data)


def held_up(standing: Standing, data: Data, holder: Holder) -> Next:
    """The run waits until the holder has ended; where that one waits for this run in its turn, this one gives up what it has."""
    if holder.circular:
        return apply(standing, Abandon(f"it would wait for ever: {holder}, which waits for what this run has"), data)
    return apply(standing, Wait(f"waits for {holder}", on=wake_key(holder.run_id), at_most=HELD_UP), data)


def woken(then: Next, now: datetime) -> Next:
    """As *then*, of a run whose wake came after its step had looked: it is due at once."""
    return dataclasses.replace(then, change=dataclasses.replace(then.change, due_at=now, waits_on=None))


def put_aside(run: Run, stuck: Stuck) -> Next:
    """The run ends stuck at its step, in the phase it is in: `retry` goes on there."""
    evidence = {**(run.evidence or {}), **stuck.evidence}
    entry = Entry(run.step or "", "stuck", stuck.reason, stuck.evidence or None)
    return Next(_ended(run, Status.STUCK, stuck.reason, run.data, next_command=stuck.next_command, evidence=evidence), entry)


def retry_command(run: Run) -> str:
    """What a person types to make a run go on."""
    return f"vfo run {run.id} retry"


def _forward(standing: Standing, result: Result, data: Data) -> Next:
    run, step = standing.run, standing.step
    match result:
        case Done():
            then = _advance(standing, result, data)
        case Finish():
            then = Next(_ended(run, Status.DONE, result.message, data), Entry(step.name, "finish", result.message))
        case Wait():
            then = _wait(standing, result, data) or _give_up(standing, _too_long(standing, result.message), data, begun=True)
        case Refuse():
            then = _give_up(standing, result.reason, data, begun=False)
        case Stuck():
            at, wanted = result.retry_at or step.name, result.next_command
            change = _ended(run, Status.STUCK, result.reason, data, next_command=wanted, evidence=result.evidence, step=at)
            then = Next(change, Entry(step.name, "stuck", result.reason, result.evidence or None))
        case Again() if _tried_enough(run, result):
            then = put_aside(run, Stuck(result.reason, retry_command(run), result.evidence or {}))
        case Again():
            then = _again(standing, result, data) or _give_up(standing, _too_long(standing, result.reason), data, begun=True)
        case Abandon():
            then = _give_up(standing, result.reason, data, begun=True)
        case Cancelled():
            then = _give_up(standing, "cancelled", data, begun=run.step is not None)
    return then


def _undo(standing: Standing, result: Result, data: Data) -> Next:
    """Every undo gets its turn, even when one of them fails: what can be put back is put back."""
    match result:
        case Done() | Finish():
            then = _undone(standing, Entry(standing.step.name, "undone", result.message), data, failure=None)
        case Wait():
            then = _wait(standing, result, data) or _undo_failed(standing, _too_long(standing, result.message), data)
        case Again() if _tried_enough(standing.run, result):
            then = _undo_failed(standing, result.reason, data, result.evidence)
        case Again():
            then = _again(standing, result, data) or _undo_failed(standing, _too_long(standing, result.reason), data)
        case Stuck():
            then = _undo_failed(standing, result.reason, data, result.evidence)
        case Refuse() | Abandon():
            then = _undo_failed(standing, result.reason, data)
        case Cancelled():  # nobody can cancel an undo; should it come nevertheless, the undo goes on
            then = Next(_at(standing, standing.position, Phase.UNDO, data, standing.run.evidence), None)
    return then


def _advance(standing: Standing, done: Done, data: Data) -> Next:
    entry = Entry(standing.step.name, "done", done.message)
    following = standing.position + 1
    if following == len(standing.workflow.steps):
        return Next(_ended(standing.run, Status.DONE, done.message, data), entry, done.follow_up)
    joined = standing.step.is_joined(data) and not done.follow_up
    return Next(_at(standing, following, Phase.FORWARD, data, None), entry, done.follow_up, joined=joined)


def _wait(standing: Standing, wait: Wait, data: Data) -> Next | None:
    """Park the run; None when the step's time is over."""
    if standing.overdue:
        return None
    due = standing.now + max(wait.at_most, timedelta())
    change = _parked(standing, due, wait.message, data, attempt=0, waits_on=wait.on)
    entry = None if wait.message == standing.run.reason else Entry(standing.step.name, "wait", wait.message)
    return Next(change, entry, wait.follow_up, lets_go=wait.lets_go)


def _need(standing: Standing, need: Need, data: Data) -> Next:
    """The same step again at once, if the run gets what it needs. The time of the step goes on."""
    run, due = standing.run, standing.now + standing.timing.lease
    evidence = run.evidence if run.phase is Phase.UNDO else None
    change = Change(Status.RUNNING, run.phase, standing.step.name, run.step_began_at, due, data, evidence=evidence)
    return Next(change, None, needs=need.things, held_up=partial(held_up, standing, data))


def _again(standing: Standing, again: Again, data: Data) -> Next | None:
    """Park the run until the next try; None when the step's time is over. An undo is not given up for a pool that is away."""
    patient = again.unreachable and standing.run.phase is Phase.UNDO
    if standing.overdue and not patient:
        return None
    attempt = standing.run.attempt + 1
    pause = again.after if again.after is not None else standing.timing.back_off(standing.run.id, attempt)
    change = _parked(standing, standing.now + max(pause, timedelta()), again.reason, data, attempt=attempt)
    return Next(change, None if again.reason == standing.run.reason else Entry(standing.step.name, "retry", again.reason, again.evidence))


def _give_up(standing: Standing, reason: str, data: Data, *, begun: bool) -> Next:
    """Go backwards from this step (from the one before, when this one has not *begun* to touch anything)."""
    entry = Entry(standing.step.name, "give up", reason)
    back = _undo_from(standing.workflow, standing.position if begun else standing.position - 1)
    if back is None:
        return Next(_ended(standing.run, Status.REFUSED, reason, data), entry)
    return Next(_at(standing, back, Phase.UNDO, data, {"given_up": reason, "undo_failed": {}}), entry)


def _undo_failed(standing: Standing, reason: str, data: Data, evidence: dict[str, Any] | None = None) -> Next:
    return _undone(standing, Entry(standing.step.name, "undo failed", reason, evidence), data, failure=reason)


def _undone(standing: Standing, entry: Entry, data: Data, *, failure: str | None) -> Next:
    """Go on with the undo before this one; at the end the run is undone, or stuck at the first undo that failed."""
    known = standing.run.evidence or {}
    failed = {name: why for name, why in known.get("undo_failed", {}).items() if name != standing.step.name}
    if failure is not None:
        failed[standing.step.name] = failure
    given_up = str(known.get("given_up", ""))
    evidence = {**known, **(entry.data or {}), "given_up": given_up, "undo_failed": failed}
    back = _undo_from(standing.workflow, standing.position - 1)
    if back is not None:
        return Next(_at(standing, back, Phase.UNDO, data, evidence), entry)
    if not failed:
        return Next(_ended(standing.run, Status.UNDONE, given_up, data), entry)
    first = max(failed, key=lambda name: standing.workflow.position(name) or 0)
    why = f"{given_up}; what was done could not be undone: " + "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    change = _ended(standing.run, Status.STUCK, why, data, next_command=retry_command(standing.run), evidence=evidence, step=first)
    return Next(change, entry)


def _undo_from(workflow: Workflow, position: int) -> int | None:
    """The last step up to *position* that has something to undo."""
    return next((index for index in range(position, -1, -1) if workflow.steps[index].undo), None)


def _tried_enough(run: Run, again: Again) -> bool:
    return again.tries is not None and run.attempt + 1 >= again.tries


def _too_long(standing: Standing, last: str) -> str:
    return f"{standing.step.name} took longer than {standing.step.timeout}: {last}"


def _at(standing: Standing, position: int, phase: Phase, data: Data, evidence: dict[str, Any] | None) -> Change:
    """At work on a step, which begins now, under the claim that is held."""
    step = standing.workflow.steps[position].name
    return Change(
        Status.RUNNING, phase, step, standing.now, standing.now + standing.timing.lease, data, evidence=evidence
    )  # fmt: skip


def _parked(standing: Standing, due: datetime, reason: str, data: Data, *, attempt: int, waits_on: str | None = None) -> Change:
    run = standing.run
    return Change(
        Status.WAITING, run.phase, standing.step.name, run.step_began_at, due, data,
        attempt=attempt, waits_on=waits_on, reason=reason, evidence=run.evidence if run.phase is Phase.UNDO else None,
    )  # fmt: skip


def _ended(run: Run, status: Status, reason: str, data: Data, **rest: Any) -> Change:
    """At its end; *rest* are further columns of the change."""
    return Change(status, run.phase, rest.pop("step", run.step), run.step_began_at, None, data, reason=reason, **rest)
