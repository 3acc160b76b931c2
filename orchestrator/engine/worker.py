"""Takes one run and goes through its steps, one record after the other, until it waits, ends, or is somebody else's."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson

from orchestrator.engine import execution, faults
from orchestrator.engine.heartbeat import Heartbeat
from orchestrator.engine.sweeper import Sweeper
from orchestrator.engine.tally import Tally
from orchestrator.engine.timing import Timing
from orchestrator.engine.wakes import Wakes
from plugins.values import Happening, RunEnded
from state import claims, holds, runs
from state.run import ENDED, Phase, Run, Status
from state.store import Session, Store
from workflows.outcome import Done, Need, Outcome, Stuck
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
    wakes: Wakes = field(default_factory=Wakes)
    tally: Tally = field(default_factory=Tally)
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Hand:
    """A run that a worker has taken, with the things that it has for itself."""

    run: Run
    held: frozenset[str]


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

        def take(session: Session) -> Hand | None:
            if self._shop.heartbeat.holds(run_id) and claims.is_taken(session, run_id):
                return None
            run = claims.claim(session, run_id, now=self._shop.clock(), lease=self._shop.timing.lease)
            return None if run is None else Hand(run, holds.of(session, run_id))

        try:
            hand = self._shop.store.together(take)
        finally:
            acknowledge()
        self._shop.tally.count("claim", "refused" if hand is None else "taken")
        return hand

    def _step(self, hand: Hand) -> bool:
        """One step: act, then record; False when the claim was lost meanwhile."""
        shop, run, mark = self._shop, hand.run, self._shop.wakes.mark()
        result = self._next(hand)
        now = shop.clock()
        if shop.stopping.is_set() and result.change.status is Status.RUNNING:  # what it needs it asks for again
            result = dataclasses.replace(result, change=dataclasses.replace(result.change, status=Status.READY, due_at=now), needs=())
        due = shop.store.together(lambda session: _record(session, hand, result, now))
        if due is None:
            logger.warning("run %s was taken by somebody else meanwhile: what step %s came to does not count here", run.id, run.step)
            shop.tally.count("claim", "lost")
            return False
        if result.needs and run.status is Status.RUNNING:
            hand.held |= frozenset(result.needs)
        if due:
            shop.sweeper.publish(due)
        self._tell(run, mark)
        return True

    def _next(self, hand: Hand) -> execution.Next:
        """What the run comes to by its next step, acting on the way; a run that cannot be worked on is put aside."""
        run, timing, workflow = hand.run, self._shop.timing, self._shop.workflows.get(hand.run.workflow)
        position = None if workflow is None else 0 if run.step is None else workflow.position(run.step)
        if workflow is None or position is None:
            what = f"no workflow {run.workflow}" if workflow is None else f"no step {run.step} in workflow {run.workflow}"
            return execution.put_aside(run, Stuck(f"this version has {what}", execution.retry_command(run)))
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
            world = dataclasses.replace(self._shop.worlds(run, standing.now), held=held, approved_by=run.approved_by or "")
            outcome = action(world, data)
            _check(outcome, data, held)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - judged below; a step that calls exit ends itself, not its worker
            verdict = faults.judge(error, tries=self._shop.timing.tries)
            self._shop.tally.count("fault", type(error).__name__)
            logger.info("run %s, step %s: %s", run.id, step.name, verdict.reason)
            return verdict, run.data
        self._shop.tally.count("step", type(outcome).__name__.lower())
        return outcome, data

    def _tell(self, run: Run, mark: int) -> None:
        """After the record: the end is announced; a wake that came before the run was parked is made good."""
        shop = self._shop
        if run.status in LETS_GO:
            shop.wakes.note([holds.wake_key(run.id)])
        if run.status in ENDED:
            shop.tally.count("ended", run.status)
            now = run.updated_at
            shop.announce(RunEnded(run.id, run.pool, run.workflow, run.title, str(run.status), run.reason, now))
        elif run.status is Status.WAITING and run.due_at is not None:
            if run.waits_on is not None and shop.wakes.since(mark, run.waits_on):
                with shop.store.write() as session:
                    claims.hurry(session, [run.id], now=shop.clock())
                shop.sweeper.publish([run.id])
            else:
                shop.sweeper.expect(run.due_at)


def _record(session: Session, hand: Hand, result: execution.Next, now: datetime) -> list[UUID] | None:
    """Record what a step came to, and take or release what the run needs, in one transaction.

    The runs that are due by it: follow-ups, and those that waited for its end. None when the claim was lost.
    """
    run = hand.run
    if not claims.record(session, run, result.change, result.entry, now=now):
        return None
    if result.needs and (holder := holds.take(session, run, result.needs, now=now)) is not None:
        assert result.held_up is not None  # noqa: S101 - whoever needs something says what follows when it is held
        instead = result.held_up(holder)
        claims.record(session, run, instead.change, instead.entry, now=now)
    due = [runs.create(session, request, now=now)[0].id for request in result.follow_up]
    if hand.held and run.status in LETS_GO:
        holds.release(session, run.id)
        due += claims.wake(session, [holds.wake_key(run.id)], now=now)
    return due


def _check(outcome: Outcome, data: Data, held: frozenset[str]) -> None:
    """Raises `TypeError` when the step returned something else, or left what a row cannot keep."""
    if not isinstance(outcome, Outcome):
        raise TypeError(f"a step ends in an outcome, not in {type(outcome).__name__}")
    orjson.dumps(data)
    if isinstance(outcome, Stuck):
        orjson.dumps(outcome.evidence)
    elif isinstance(outcome, Done):
        orjson.dumps([request.data for request in outcome.follow_up])
    elif isinstance(outcome, Need) and held.issuperset(outcome.things):
        raise ValueError(f"a step asks for what its run has already: {', '.join(outcome.things)}")
