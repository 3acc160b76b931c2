"""Jobs of products, in threads of this process: a row of each says to every process whether it is at work, over, or lost."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from orchestrator.job_at_work import AtWork, End
from plugins.errors import Queued, RetryLater
from plugins.kit import Work
from plugins.values import Progress
from state import jobs, runs
from state.store import Session, Store

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
BEAT = timedelta(seconds=1)
"""How often what jobs say of themselves is written; a lease is thirty beats, so that a busy database loses no job."""
AGAIN = timedelta(seconds=10)
KEPT = timedelta(days=7)
"""How long the row of a job stays whose run is not known (it was made up for a part of one)."""


class Jobs:
    """All jobs of one life of this process. *at_once*: how many may be at work; *lease*: how long a job that shows no life is not lost."""

    def __init__(
        self, store: Store, clock: Callable[[], datetime], *, at_once: int = 4, lease: timedelta = LEASE, beat: timedelta = BEAT
    ) -> None:
        self._store = store
        self._clock = clock
        self._at_once = at_once
        self._lease = lease
        self._beat = beat
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._at_work: dict[str, AtWork] = {}
        self._stopping = False
        self._ended = threading.Event()
        self._heart: threading.Thread | None = None

    def of(self, name: str) -> "NamedJobs":
        """The jobs of the plugin of that name: what it is handed."""
        return NamedJobs(self, name)

    def start(self, name: str, run_id: UUID, work: Work) -> str:
        """As `plugins.kit.Jobs` says."""
        job_id = self.id_of(name, run_id)
        with self._lock:
            self._assert_room(job_id, run_id)
            at_work = self._at_work.get(job_id)
            if at_work is not None:
                return job_id
            claim = self._store.do(
                lambda session: jobs.claim(session, job_id, run_id, name, holder=self._holder, now=self._clock(), lease=self._lease)
            )
            if claim is not None:
                self._at_work[job_id] = AtWork(claim, work, self._over)
                self._beat_from_now_on()
        return job_id

    @staticmethod
    def id_of(name: str, run_id: UUID) -> str:
        """The id of the job of that name of the run."""
        return f"{name}:{run_id}"

    def look(self, job_id: str) -> Progress:
        """As `plugins.kit.Jobs` says."""
        with self._lock:
            at_work = self._at_work.get(job_id)
        if at_work is not None and not at_work.ending:
            return at_work.progress()
        with self._store.read() as session:
            row = jobs.get(session, job_id)
        if row is None:
            return Progress("lost", message="nothing is known of it")
        state = "lost" if jobs.is_lost(row, now=self._clock(), lease=self._lease) else "failed" if row.state == "cancelled" else row.state
        return Progress(state, row.fraction, row.read, row.stored, row.point, row.message, row.details)

    def cancel(self, job_id: str) -> None:
        """As `plugins.kit.Jobs` says; a job of another process sees it at that one's next beat."""
        self._store.do(lambda session: jobs.ask_to_end(session, job_id, now=self._clock(), lease=self._lease))
        with self._lock:
            at_work = self._at_work.get(job_id)
        if at_work is not None:
            at_work.end(End.CANCEL)

    def stop(self, within: timedelta) -> None:
        """Have every job end and wait for that; each is lost then, and begun anew by whoever asks for it next."""
        with self._lock:
            self._stopping = True
            at_work = list(self._at_work.values())
        for job in at_work:
            job.end(End.STOP)
        ends = time.monotonic() + within.total_seconds()
        for job in at_work:
            if not job.join(max(0.0, ends - time.monotonic())):
                logger.warning("job %s has not ended: it is left, and counts as lost in %g s", job.claim.id, self._lease.total_seconds())
        self._ended.set()

    def tidy(self) -> None:
        """Remove the rows of jobs whose runs are over."""
        now = self._clock()

        def tidy(session: Session) -> None:
            gone = []
            for job_id, run_id in jobs.ended_before(session, now - self._lease):
                over = runs.is_over(session, run_id)
                row = jobs.get(session, job_id)
                if over or (over is None and row is not None and row.expires_at < now - KEPT):
                    gone.append(job_id)
            jobs.remove(session, gone, ended_before=now - self._lease)

        self._store.do(tidy)

    def beat(self) -> None:
        """Write what the jobs say, keep them, and see which are to end. One that was taken by somebody else ends."""
        with self._lock:
            at_work = list(self._at_work.values())
        with self._store.read() as session:
            asked = set(jobs.cancelled(session, self._holder))
        due = [job for job in at_work if job.has_news or job.unkept() > self._lease.total_seconds() / 4]
        if due:
            self._keep(due)
        for job in at_work:
            if job.claim.id in asked:
                job.end(End.CANCEL)

    # -- inside ------------------------------------------------------------------------------------------------

    def _assert_room(self, job_id: str, run_id: UUID) -> None:
        at_work = self._at_work.get(job_id)
        if self._stopping:
            raise RetryLater("this process is stopping: no job is begun", after=AGAIN)
        if at_work is not None and at_work.ending:
            raise RetryLater(f"the job of run {run_id} is ending: it is begun anew after that", after=self._beat)
        if at_work is None and len(self._at_work) >= self._at_once:
            raise Queued(f"{len(self._at_work)} jobs are at work, as many as [serve] jobs allows", after=AGAIN)

    def _beat_from_now_on(self) -> None:
        if self._heart is None:
            self._heart = threading.Thread(target=self._run, name="jobs", daemon=True)
            self._heart.start()

    def _run(self) -> None:
        while not self._ended.wait(self._beat.total_seconds()):
            try:
                self.beat()
            except Exception:  # the database may be away for a moment: the lease outlives some beats
                logger.exception("what jobs say of themselves could not be written")
            with self._lock:
                at_work = list(self._at_work.values())
            for job in at_work:
                if job.unkept() > self._lease.total_seconds():
                    job.end(End.LOST)

    def _keep(self, at_work: list[AtWork]) -> None:
        until = self._clock() + self._lease

        def keep(session: Session) -> list[AtWork]:
            return [job for job in at_work if job.over or jobs.write(session, job.claim, expires_at=until, **job.said())]

        with self._writing:
            kept = self._store.do(keep, within=self._beat * 5)
        for job in at_work:
            if job in kept:
                job.kept()
            elif not job.ending:
                logger.warning("job %s was taken by somebody else: it ends here", job.claim.id)
                job.end(End.LOST)

    def _over(self, job: AtWork) -> None:
        """Called in the job's own thread when it has come to its end: that is tried to be written for as long as its lease lasts."""
        try:
            while not self._written(job) and job.unkept() < self._lease.total_seconds():
                if self._ended.wait(self._beat.total_seconds()):
                    return
        finally:
            with self._lock:
                self._at_work.pop(job.claim.id, None)

    def _end(self, job: AtWork, session: Session) -> None:
        job.over = True  # from here on a beat must not keep it
        jobs.write(session, job.claim, expires_at=self._clock(), **job.said())

    def _written(self, job: AtWork) -> bool:
        try:
            with self._writing:
                self._store.do(partial(self._end, job), within=self._beat * 5)
        except Exception:  # as above
            logger.exception("the end of job %s could not be written", job.claim.id)
            return False
        return True


class NamedJobs:
    """`plugins.kit.Jobs` of one plugin."""

    def __init__(self, every: Jobs, name: str) -> None:
        self._every = every
        self._name = name

    def start(self, run_id: UUID, work: Work) -> str:
        """Begin *work*, or say that it is at work, or done."""
        return self._every.start(self._name, run_id, work)

    def look(self, job: str) -> Progress:
        """How the job stands."""
        return self._every.look(job)

    def cancel(self, job: str) -> None:
        """Ask it to end."""
        self._every.cancel(job)
