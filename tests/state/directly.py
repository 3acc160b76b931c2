"""Runs that go their way by one statement each, for the tests of that."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import make_url

from state import direct, history
from state.claims import Change
from state.history import Entry
from state.run import Phase, Run, Status
from state.store import Store
from tests.services.proxy import Proxy
from tests.state import moments
from tests.state.moments import LATER, LEASE, START

ENTRY = Entry("first", "done", "it went well")
ODD = {"naïve": ["\0", None, 1.5, {"'": '"%(x)s'}], "big": 2**53}


def behind(proxy: Proxy, url: str) -> Store:
    """A store at the other end of the wire."""
    return Store(make_url(url).set(port=proxy.port).render_as_string(hide_password=False), patience=timedelta(seconds=20))


def next_step(until: datetime = LATER) -> Change:
    """The change of a run that goes on at once."""
    return Change(Status.RUNNING, Phase.FORWARD, "second", START, until, ODD)


def take(store: Store, run: Run, at: datetime = START) -> direct.Taken | None:
    """Take the run."""
    return direct.take(store, run.id, clock=lambda: at, lease=LEASE)


def taken(store: Store, subject: str = "vm:1") -> Run:
    """A new run that was taken."""
    found = take(store, direct.create(store, moments.wanted(subject), now=START)[0])
    assert found is not None
    return found.run


def record(store: Store, run: Run, change: Change, at: datetime = START, entry: Entry = ENTRY) -> bool:
    """Record the change under the claim that *run* holds."""
    return direct.record(store, run, change, entry, now=at) is not None


def entries(store: Store, run: Run) -> list[tuple[Any, ...]]:
    """What was recorded of the run, without its numbers."""
    with store.read() as session:
        return [(one.at, one.step, one.outcome, one.message, one.data) for one in history.of(session, run.id)]
