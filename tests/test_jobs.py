"""Jobs of products: what the Protocol in plugins/kit.py promises, over real rows and real threads."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from orchestrator.jobs import Jobs
from plugins.errors import Cancelled, GiveUp, RetryLater, SourceError
from plugins.kit import Job, Result
from state import jobs as rows
from state.run import Status
from state.store import Store
from tests.engine.waiting import until
from tests.services import sqlite
from workflows.outcome import Request

LEASE = timedelta(seconds=30)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Machine:
    """Processes over one database."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.made, self.let_go = store, Clock(), [], threading.Event()

    def process(self, at_once: int = 4) -> Jobs:
        self.made.append(Jobs(self.store, self.clock, at_once=at_once, lease=LEASE, beat=timedelta(milliseconds=20)))
        return self.made[-1]

    def blocked(self, job: Job) -> Result:
        """Work that says something until it is let go."""
        while not self.let_go.wait(0.005):
            job.say(read=7, message="at it")
        return Result("point-1", read=9, stored=3, details={"changed": 5})

    def row(self, job: str) -> rows.JobRow:
        with self.store.read() as session:
            found = rows.get(session, job)
        assert found is not None
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """One database; every process that a test made is stopped at its end."""
    store = sqlite.store(tmp_path / "vfo.db")
    made = Machine(store)
    yield made
    made.let_go.set()
    for one in made.made:
        one.stop(timedelta(seconds=5))
    store.close()


def fast(point: str) -> Callable[[Job], Result]:
    return lambda _: Result(point)


def test_a_job_runs_and_is_done(machine: Machine) -> None:
    """Its progress is seen while it runs, its result after that, in every process."""
    jobs, other = machine.process().of("borg"), machine.process().of("borg")
    job = jobs.start(uuid4(), machine.blocked)
    until(lambda: jobs.look(job).read == 7)
    until(lambda: other.look(job).message == "at it")
    machine.let_go.set()
    until(lambda: jobs.look(job).state == "done")
    for one in (jobs, other):
        progress = one.look(job)
        assert (progress.state, progress.point, progress.read, progress.stored) == ("done", "point-1", 9, 3)
        assert progress.details == {"changed": 5}


def test_a_run_has_one_job(machine: Machine) -> None:
    """Whoever starts it again, here or elsewhere, while it runs or when it is done, gets the same job, and nothing is begun."""
    jobs, other, run = machine.process().of("borg"), machine.process().of("borg"), uuid4()
    job = jobs.start(run, machine.blocked)
    assert jobs.start(run, fast("other")) == job
    assert other.start(run, fast("other")) == job
    machine.let_go.set()
    until(lambda: jobs.look(job).state == "done")
    assert other.start(run, fast("other")) == job
    assert other.look(job).point == "point-1"


def test_two_plugins_have_jobs_of_their_own_for_one_run(machine: Machine) -> None:
    """A job is known by plugin and run."""
    process, run = machine.process(), uuid4()
    assert process.of("a").start(run, fast("a")) != process.of("b").start(run, fast("b"))


@pytest.mark.parametrize(
    ("error", "state", "says"),
    [
        (GiveUp("wrong passphrase"), "failed", "wrong passphrase"),
        (KeyError("x"), "failed", "KeyError: 'x'"),
        (SystemExit(2), "failed", "SystemExit: 2"),
        (RetryLater("the repository is locked"), "lost", "not now: the repository is locked"),
    ],
)
def test_a_job_that_raises_says_so(machine: Machine, error: BaseException, state: str, says: str) -> None:
    """Failed for good, but for RetryLater: then it is begun again."""
    jobs = machine.process().of("borg")

    def work(_: Job) -> Result:
        raise error

    job = jobs.start(uuid4(), work)
    until(lambda: jobs.look(job).state != "running")
    assert (jobs.look(job).state, jobs.look(job).message) == (state, says)


def test_work_that_gives_no_result_has_failed(machine: Machine) -> None:
    """Nobody knows what it saved."""
    jobs = machine.process().of("borg")
    job = jobs.start(uuid4(), lambda _: None)  # type: ignore[arg-type,return-value]
    until(lambda: jobs.look(job).state == "failed")
    assert "it must give plugins.kit.Result" in jobs.look(job).message


def test_a_job_is_cancelled_at_its_next_word(machine: Machine) -> None:
    """By its own process, or by another one; it sees Cancelled and can remove what it made."""
    process, other, removed = machine.process(), machine.process(), []

    def work(job: Job) -> Result:
        try:
            return machine.blocked(job)
        except Cancelled:
            removed.append(True)
            raise

    for canceller in (process, other):
        job = process.of("borg").start(uuid4(), work)
        canceller.of("borg").cancel(job)
        until(lambda job=job: process.look(job).state == "failed")  # type: ignore[misc]
        assert process.look(job).message == "it was cancelled"
    assert removed == [True, True]


def test_to_cancel_what_is_over_or_unknown_is_no_error(machine: Machine) -> None:
    """A done job stays done."""
    jobs = machine.process().of("borg")
    job = jobs.start(uuid4(), fast("x"))
    until(lambda: jobs.look(job).state == "done")
    jobs.cancel(job)
    jobs.cancel("borg:nothing")
    assert jobs.look(job).state == "done"
    assert jobs.look("borg:nothing").state == "lost"


def test_only_so_many_are_at_work_at_once(machine: Machine) -> None:
    """The next one is asked to come later, and finds room when one has ended."""
    jobs = machine.process(at_once=1).of("borg")
    first = jobs.start(uuid4(), machine.blocked)
    with pytest.raises(RetryLater, match="as many as"):
        jobs.start(uuid4(), fast("x"))
    machine.let_go.set()
    until(lambda: jobs.look(first).state == "done")
    until(lambda: started(jobs, uuid4()))


def started(jobs: object, run: UUID) -> bool:
    try:
        jobs.start(run, fast("x"))  # type: ignore[attr-defined]
    except RetryLater:
        return False
    return True


def test_a_stopped_process_loses_its_jobs_at_once(machine: Machine) -> None:
    """They end cleanly, and the next process begins them anew without waiting for a lease."""
    process, run = machine.process(), uuid4()
    job = process.of("borg").start(run, machine.blocked)
    process.stop(timedelta(seconds=5))
    after = machine.process().of("borg")
    assert after.look(job).state == "lost"
    with pytest.raises(RetryLater, match="stopping"):
        process.of("borg").start(uuid4(), fast("x"))
    assert after.start(run, fast("anew")) == job
    until(lambda: after.look(job).point == "anew")


def test_a_job_whose_stream_is_cut_by_the_stop_is_lost_and_has_not_failed(machine: Machine) -> None:
    """The process closes its connections when it stops: what that makes of a job is not the job's fault."""
    process, run, stopping = machine.process(), uuid4(), threading.Event()

    def work(_: Job) -> Result:
        stopping.wait()
        raise SourceError("the connection was cut")

    job = process.of("borg").start(run, work)
    process.stop(timedelta())
    stopping.set()
    until(lambda: machine.process().look(job).state == "lost")
    assert machine.row(job).message == "its process was stopped"


def test_a_killed_process_loses_its_jobs_when_the_lease_is_over(machine: Machine) -> None:
    """Until then nobody begins them anew: they may be at work yet."""
    run = uuid4()
    with machine.store.write() as session:
        rows.claim(session, f"borg:{run}", run, "borg", holder="killed", now=machine.clock(), lease=LEASE)
    jobs = machine.process().of("borg")
    assert jobs.start(run, fast("anew")) == f"borg:{run}"
    assert jobs.look(f"borg:{run}").state == "running"
    machine.clock.now += LEASE
    assert jobs.look(f"borg:{run}").state == "lost"
    jobs.start(run, fast("anew"))
    until(lambda: jobs.look(f"borg:{run}").point == "anew")


def test_a_job_is_lost_when_the_clock_was_set_back(machine: Machine) -> None:
    """A lease of tomorrow was written by a clock that was wrong."""
    run = uuid4()
    with machine.store.write() as session:
        rows.claim(session, f"borg:{run}", run, "borg", holder="killed", now=machine.clock() + timedelta(days=1), lease=LEASE)
    assert machine.process().look(f"borg:{run}").state == "lost"


def test_a_job_that_another_process_has_taken_ends(machine: Machine) -> None:
    """It was slow enough to lose its lease: its words do not count, and it is told at its next one."""
    process, run, ended = machine.process(), uuid4(), threading.Event()

    def work(job: Job) -> Result:
        try:
            return machine.blocked(job)
        finally:
            ended.set()

    job = process.of("borg").start(run, work)
    with machine.store.write() as session:
        assert rows.claim(session, job, run, "borg", holder="other", now=machine.clock() + 2 * LEASE, lease=LEASE)
    until(ended.is_set)
    until(lambda: machine.row(job).holder == "other" and machine.row(job).state == "running")


def test_a_job_is_kept_as_long_as_it_is_at_work(machine: Machine) -> None:
    """Its lease moves with the clock, though it says nothing new."""
    process = machine.process()
    said = threading.Event()

    def work(job: Job) -> Result:
        job.say(read=1)
        said.set()
        machine.let_go.wait()
        return Result("x")

    job = process.of("borg").start(uuid4(), work)
    until(said.is_set)
    before = machine.row(job).expires_at
    machine.clock.now += LEASE / 2
    process._at_work[job]._kept_at -= LEASE.total_seconds() / 2
    until(lambda: machine.row(job).expires_at == before + LEASE / 2)


def test_rows_go_when_their_run_is_over(machine: Machine) -> None:
    """Those of a run that goes on stay; those of no run stay for a week."""
    from state import runs

    process, ids = machine.process(), {}
    with machine.store.write() as session:
        for name in ("over", "active"):
            run, _ = runs.create(session, Request("w", "lab", f"vm:{name}", name), now=machine.clock())
            ids[name] = run.id
            if name == "over":
                run = session.merge(run)
                run.due_at, run.status = None, Status.DONE
                session.add(run)
    ids["unknown"] = uuid4()
    jobs = {name: process.of("borg").start(run, fast(name)) for name, run in ids.items()}
    until(lambda: all(process.look(job).state == "done" for job in jobs.values()))
    machine.clock.now += timedelta(hours=1)
    process.tidy()
    assert {name for name, job in jobs.items() if process.look(job).state == "done"} == {"active", "unknown"}
    machine.clock.now += timedelta(days=8)
    process.tidy()
    assert {name for name, job in jobs.items() if process.look(job).state == "done"} == {"active"}
