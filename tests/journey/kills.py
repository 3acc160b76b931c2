"""A lab whose daemon is killed again and again while many runs are at work, and the judge at the end."""

import random
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime

from sqlmodel import func, select

from orchestrator.config.load import load
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from state import runs
from state.history import History
from state.run import ACTIVE, Run
from tests.journey.lab import Lab, wait_until
from tests.workflows import checker
from workflows.objects import VM
from workflows.outcome import Request

LONGEST = 240.0
LONGEST_LIFE = 4.0
MOST = 50
DISTURBANCES = 4


def vms(lab: Lab) -> tuple[VM, ...]:
    """The VMs as steps see them, by name."""
    with closing(Client(load(lab.config).pools["lab"])) as client:
        return PoolPort(client).vms()


def network(lab: Lab, name: str = "SR-IOV") -> str:
    """The uuid of a network."""
    with closing(Client(load(lab.config).pools["lab"])) as client:
        return next(one.uuid for one in PoolPort(client).networks() if one.name == name)


def look(lab: Lab) -> checker.Seen:
    """What the judge sees now."""
    said = lab.pool.said
    return checker.look(said["url"], said["user"], said["password"], lab.truth)


def submit(lab: Lab, wanted: Iterable[Request]) -> list[Run]:
    """A run for each."""
    with lab.store.write() as session:
        return [runs.create(session, request, now=datetime.now(UTC))[0] for request in wanted]


def kill_through(lab: Lab, kills: int, seed: int, *, most: int = MOST, at_least: int = 0) -> int:
    """Serve, and kill while runs are at work, so often; then serve until all have ended. How many kills came before everything was over.

    Each kill comes when the daemon has recorded so many things since it started: another number each time, below *most*, so that work is
    left. *at_least*: how many runs there will be, where the daemon itself begins them.
    """
    chance, hits = random.Random(seed), 0
    for _ in range(kills):
        known = _last(lab)
        daemon = lab.serve()
        _until_recorded(lab, known + chance.randrange(1, most))
        daemon.kill()
        hits += not _over(lab, at_least)
    daemon = lab.serve()
    try:
        wait_until(lambda: _over(lab, at_least), LONGEST, f"all runs have ended, {at_least} at least")
    except AssertionError as error:
        still = [f"{run.workflow} of {run.title}: {run.step}: {run.status}: {run.reason}" for run in lab.runs() if run.status in ACTIVE]
        raise AssertionError("\n".join([str(error), *still])) from None
    finally:
        daemon.stop()
    return hits


@contextmanager
def disturbed(lab: Lab, methods: Sequence[str], seed: int) -> Iterator[None]:
    """While the block runs the coordinator's toolstack restarts now and then, and some calls of these methods are cut, before or after."""
    chance, over = random.Random(seed), threading.Event()

    def disturb() -> None:
        for _ in range(DISTURBANCES):
            for method in methods:
                lab.control("cut", method=method, when=chance.choice(["before", "after"]), times=2)
            if over.wait(chance.uniform(1, 3)):
                return
            lab.control("toolstack-restart", seconds=0.3)

    thread = threading.Thread(target=disturb, name="disturbance", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def ended_otherwise(lab: Lab) -> list[str]:
    """The runs that did not end done, and why."""
    return [f"{run.workflow} of {run.title}: {run.status} at {run.step}: {run.reason}" for run in lab.runs() if run.status != "done"]


def wrong(lab: Lab, before: checker.Seen, **expected: Collection[str]) -> Sequence[str]:
    """Everything that is not as it was; *expected* as of `checker.complaints`."""
    return [*checker.complaints(before, look(lab), **expected), *checker.rows_left_over(lab.store)]


def _over(lab: Lab, least: int) -> bool:
    found = lab.runs()
    return len(found) >= least and not any(run.status in ACTIVE for run in found)


def _last(lab: Lab) -> int:
    """The number of the newest entry in any history."""
    with lab.store.read() as session:
        return session.exec(select(func.max(History.seq))).one() or 0


def _until_recorded(lab: Lab, number: int) -> None:
    """Until the entry is there, or it takes too long: runs may all wait for the pool."""
    ends = time.monotonic() + LONGEST_LIFE
    while time.monotonic() < ends and _last(lab) < number:
        threading.Event().wait(0.01)
