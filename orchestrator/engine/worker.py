"""Takes one run and goes through its steps, one record after the other, until it waits, ends, or is somebody else's."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from orchestrator import calls_made
from orchestrator.calls_made import Calls
from orchestrator.engine import execution, faults, strays
from orchestrator.engine.heartbeat import Heartbeat
from orchestrator.engine.shared_wakes import SharedWakes
from orchestrator.engine.strays import Strays
from orchestrator.engine.sweeper import Sweeper
from orchestrator.engine.tally import Tally
from orchestrator.engine.timing import Timing
from orchestrator.engine.wakes import Mark, Wakes
from plugins.values import Happening, RunEnded
from state import claims, direct, holds, several
from state.history import Entry
from state.run import ENDED, Phase, Run, Status
from state.store import Session, Store
from workflows.outcome import PARENT, Done, Need, Outcome, Stuck, Wait, wake_on_child, wake_on_end
from workflows.workflow import Data, Workflow
from workflows.world import World

logger = logging.getLogger(__name__)

LETS_GO = ENDED - {Status.STUCK}  # what a stuck run has, nobody may touch before a person has looked


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all workers of an engine share."""

    store: Store
    workflows: Mapping[str, Workflow]
    worlds: Callable[[Run, datetime], World]
    announce: Callable[[Happening], None]
    clock: Callable[[], datetime]
    timing: Timing
    heartbeat: Heartbeat
    sweeper: Sweeper
    strays: Strays
    wakes: Wakes | SharedWakes = field(default_factory=Wakes)
    tally: Tally = field(default_factory=Tally)
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Hand:
    """A run that a worker has taken, with the things that it has for itself; *mark*: of the transaction after which its step looks."""

    run: Run
    held: frozenset[str]
    mark: Mark


class Worker:
    """Works on one run at a time, in the thread that calls it."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop

    def work(self, run_id: UUID, acknowledge: Callable[[], None]) -> None:
        """Take the run, if it may be taken, and go on with it as far as it goes.

        What the database refuses is logged and costs no more than the lease: the run is taken up again when that ends.
        """
        try:
            hand = self._take(run_id, acknowledge)
            if hand is not None:
                with self._shop.heartbeat.holding(hand.run):
                    if self._leave(hand.run):
                        return
                    while hand.run.status is Status.RUNNING and self._step(hand):
                        pass
        except Exception:  # a worker outlives what one run does to it
            logger.exception("run %s could not be taken or recorded; it goes on when its lease ends", run_id)
            self._shop.tally.count("claim", "broken")

    def _take(self, run_id: UUID, acknowledge: Callable[[], None]) -> Hand | None:
        """The run, claimed; the message is done with as soon as that is committed, and no longer than that.

        A run that another worker of this process is at stays there, even when its lease ended unkept (the clock was set forward, the
        database was locked for long): two of us would act at the same time, and the next beat keeps it.
        """
        shop, wakes = self._shop, self._shop.wakes

        def take(session: Session) -> Hand | None:
            if shop.heartbeat.holds(run_id) and claims.is_taken(session, run_id):
                return None
            run = claims.claim(session, run_id, now=shop.clock(), lease=shop.timing.lease)
            return None if run is None else Hand(run, holds.of(session, run_id), wakes.mark(session))

        try:
            if isinstance(wakes, SharedWakes) and not shop.heartbeat.holds(run_id):
                mark = wakes.before()
                taken = direct.take(shop.store, run_id, clock=shop.clock, lease=shop.timing.lease)
                hand = None if taken is None else Hand(taken.run, taken.things, mark(taken.snapshot))
            else:
                hand = shop.store.together(take)
        finally:
            acknowledge()
        shop.tally.count("claim", "refused" if hand is None else "taken")
        return hand

    def _leave(self, run: Run) -> bool:
        """Leave the run to another process when this one has no such step, and it is not so for long; whether it was left.

        Who has it goes on as if it had never been elsewhere: what that took is no part of the step's time.
        """
        shop, lacks = self._shop, self._shop.strays.lacks(run)
        now = shop.clock()
        if not lacks:
            if run.unknown_since is not None and run.step_began_at is not None:
                run.step_began_at += max(timedelta(), now - run.unknown_since)
            return False
        if run.unknown_since is not None and now - run.unknown_since >= shop.timing.unknown:
            return False
        until, reason = now + strays.pause(run, now), strays.for_others(lacks)
        entry = Entry(run.step or "", "unknown", reason)
        left = shop.store.together(lambda session: claims.leave(session, run, entry, now=now, until=until))
        shop.tally.count("claim", "unknown" if left else "lost")
        if left and run.unknown_since is None:
            logger.warning("run %s (%s of %s): %s", run.id, run.workflow, run.title, reason)
        if left:
            shop.sweeper.expect(run.id, until)
        return True

    def _step(self, hand: Hand) -> bool:
        """One step, or several that are joined: act, then record; False when the claim was lost meanwhile."""
        shop, run, mark = self._shop, hand.run, hand.mark
        result, earlier = self._next(hand), list[Entry]()
        while result.joined and result.entry is not None and not shop.stopping.is_set():
            vars(run).update(result.change.values())
            earlier.append(result.entry)
            result = self._next(hand)
        now = shop.clock()
        if shop.stopping.is_set() and result.change.status is Status.RUNNING:  # what it needs it asks for again
            result = dataclasses.replace(result, change=dataclasses.replace(result.change, status=Status.READY, due_at=now), needs=())
        due = self._record(hand, mark, result, earlier, now)
        if due is None:
            logger.warning("run %s was taken by somebody else meanwhile: what step %s came to does not count here", run.id, run.step)
            shop.tally.count("claim", "lost")
            return False
        if result.needs and run.status is Status.RUNNING:
            hand.held |= frozenset(result.needs)
        if result.lets_go:
            hand.held -= frozenset(result.lets_go)
        if due:
            shop.sweeper.publish(due)
        self._tell(run)
        return True

    def _record(self, hand: Hand, mark: Mark, result: execution.Next, earlier: list[Entry], now: datetime) -> list[UUID] | None:
        """Record what a step came to; *mark*: of the transaction before it looked. Says as the function below does."""
        shop, run, wakes, key = self._shop, hand.run, self._shop.wakes, result.change.waits_on
        if isinstance(wakes, SharedWakes) and result.entry is not None and not earlier and _is_alone(hand, result):
            began = wakes.before()
            snapshot = direct.record(shop.store, run, result.change, result.entry, now=now)
            if snapshot is None:
                return None
            hand.mark = began(snapshot)
            return []
        before = dict(vars(run))

        def record(session: Session) -> list[UUID] | None:
            vars(run).update(before)  # it may be carried out twice, and counts once
            hand.mark = wakes.mark(session)
            came = key is not None and wakes.came(session, mark, key)
            return _record(session, wakes, hand, execution.woken(result, now) if came else result, earlier, now)

        with wakes.parking(key):
            return shop.store.together(record)

    def _next(self, hand: Hand) -> execution.Next:
        """What the run comes to by its next step, acting on the way, with the calls that it took."""
        calls = Calls(hand.run.calls)
        with calls_made.noted(calls):
            result = self._come_to(hand)
        return result.telling(calls.packed())

    def _come_to(self, hand: Hand) -> execution.Next:
        """A run that cannot be worked on is put aside."""
        run, timing, workflow = hand.run, self._shop.timing, self._shop.workflows.get(hand.run.workflow)
        position = None if workflow is None else 0 if run.step is None else workflow.position(run.step)
        lacks = self._shop.strays.lacks(run)
        if workflow is None or position is None or lacks:
            return execution.put_aside(run, Stuck(strays.for_a_person(lacks, timing.unknown), execution.retry_command(run)))
        if run.takes > timing.takes:
            reason = f"taken {timing.takes} times without coming to a result: whoever works on step {run.step or 1} dies of it"
            return execution.put_aside(run, Stuck(reason, execution.retry_command(run)))
        standing = execution.Standing(workflow, run, position, self._shop.clock(), timing)
        if run.cancel_requested and run.phase is Phase.FORWARD:
            return execution.apply(standing, execution.Cancelled(), run.data)
        result, data = self._act(standing, hand.held)
        return execution.apply(dataclasses.replace(standing, now=self._shop.clock()), result, data)

    def _act(self, standing: execution.Standing, held: frozenset[str]) -> tuple[execution.Result, Data]:
        """Run the step (or its undo) on a copy of the data, which counts only when the step came to an outcome."""
        run, step = standing.run, standing.step
        action = step.undo if run.phase is Phase.UNDO else step.action
        try:
            if action is None:
                return Done("this version has nothing to undo here"), run.data
            data: Data = orjson.loads(orjson.dumps(run.data))
            given_up = str((run.evidence or {}).get("given_up", "")) if run.phase is Phase.UNDO else ""
            world = self._shop.worlds(run, standing.now)
            world = dataclasses.replace(world, held=held, approved_by=run.approved_by or "", given_up=given_up)
            outcome = action(world, data)
            _check(outcome, data, held)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - judged below; a step that calls exit ends itself, not its worker
            verdict = faults.judge(error, tries=self._shop.timing.tries)
            self._shop.tally.count("fault", type(error).__name__)
            logger.info("run %s, step %s: %s", run.id, step.name, verdict.reason)
            return verdict, run.data
        self._shop.tally.count("step", type(outcome).__name__.lower())
        return outcome, data

    def _tell(self, run: Run) -> None:
        """After the record: the end is announced; what is due soon is looked for in time."""
        shop = self._shop
        if run.status in ENDED:
            shop.tally.count("ended", run.status)
            now = run.updated_at
            shop.announce(RunEnded(run.id, run.pool, run.workflow, run.title, str(run.status), run.reason, now))
        elif run.status is Status.WAITING and run.due_at is not None:
            if run.due_at <= run.updated_at:
                shop.sweeper.publish([run.id])
            else:
                shop.sweeper.expect(run.id, run.due_at)


def _is_alone(hand: Hand, result: execution.Next) -> bool:
    """Whether the record concerns nobody but its run: nothing is created, taken, let go or woken by it, and it waits for nothing."""
    if result.follow_up or result.needs or result.lets_go:
        return False
    ends = result.change.status in ENDED and not hand.held and PARENT not in result.change.data
    return ends or result.change.status is Status.RUNNING


def _record(
    session: Session, wakes: Wakes | SharedWakes, hand: Hand, result: execution.Next, earlier: list[Entry], now: datetime
) -> list[UUID] | None:
    """Record what a step (after *earlier* ones) came to, and take or release what the run needs, in one transaction.

    The runs that are due by it: follow-ups, and those that waited for what it has no more. None when the claim was lost. Who waits for what
    a run has is not asked for wakes: the takers of a pool's things and those who let go follow one another (see `state.holds`).
    """
    run = hand.run
    if not claims.record(session, run, result.change, result.entry, now=now, earlier=earlier):
        return None
    if result.needs and (holder := holds.take(session, run, result.needs, now=now)) is not None:
        assert result.held_up is not None  # noqa: S101 - whoever needs something says what follows when it is held
        instead = result.held_up(holder).telling(result.change.calls)
        claims.record(session, run, instead.change, instead.entry, now=now)
    due = [made.id for made, _ in several.create(session, result.follow_up, now=now)]
    over = run.status in LETS_GO
    if over and hand.held:
        holds.release(session, run)
    elif result.lets_go:
        holds.give_back(session, run, result.lets_go)
    if (over and hand.held) or result.lets_go:
        due += claims.wake(session, [holds.wake_key(run.id)], now=now)
    if run.status in ENDED and PARENT in run.data:
        keys = [wake_on_end(run.id), wake_on_child(run.data[PARENT])]
        wakes.note_with(session, keys)
        due += claims.wake(session, keys, now=now)
    return due


def _check(outcome: Outcome, data: Data, held: frozenset[str]) -> None:
    """Raises `TypeError` when the step returned something else, or left what a row cannot keep."""
    if not isinstance(outcome, Outcome):
        raise TypeError(f"a step ends in an outcome, not in {type(outcome).__name__}")
    orjson.dumps(data)
    if isinstance(outcome, Stuck):
        orjson.dumps(outcome.evidence)
    elif isinstance(outcome, Done | Wait):
        orjson.dumps([request.data for request in outcome.follow_up])
    elif isinstance(outcome, Need) and held.issuperset(outcome.things):
        raise ValueError(f"a step asks for what its run has already: {', '.join(outcome.things)}")
