"""What every action needs, what one comes to, and how the runs that it wants are begun."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.actions.failures import NotSo
from orchestrator.actions.place import Place
from orchestrator.bootstrap import PoolAccess
from orchestrator.config.load import Loaded
from orchestrator.written import InForce, InRows
from orchestrator.xapi.pool import PoolPort
from state import audit, runs, several
from state.audit import Act
from state.clock import of_machine
from state.run import Run
from state.store import Session, Store
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.policy import Policy


@dataclass(frozen=True, slots=True)
class Desk:
    """Where somebody asks for something: the configuration, the rows, and those of the pools that are meant.

    *by*, *how*: who it is, and by what, as it is written down. *written*: what looks for policies in the rows; None: one is made for this.
    *known*: what is in force, as it is when the desk is made.
    """

    loaded: Loaded
    store: Store
    pools: Sequence[PoolAccess]
    by: str
    clock: Callable[[], datetime] = of_machine
    how: str = "cli"
    written: InRows | None = None
    known: InForce | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "written", self.written or InRows(self.loaded, self.store))
        object.__setattr__(self, "known", self.known or self.in_rows.now())

    @property
    def in_rows(self) -> InRows:
        """What looks for policies in the rows."""
        assert self.written is not None  # noqa: S101 - narrows the type: made when the desk is
        return self.written

    @property
    def in_force(self) -> InForce:
        """The policies and windows of the file and of the rows, and where each is from."""
        assert self.known is not None  # noqa: S101 - narrows the type: read when the desk is made
        return self.known

    @property
    def policy(self) -> Policy:
        """All policies."""
        return self.in_force.policy

    @property
    def place(self) -> Place:
        """Where it is written down."""
        return Place(self.store, self.by, self.how, self.clock)

    @property
    def ports(self) -> list[PoolPort]:
        """The pools as steps see them."""
        return [access.port for access in self.pools]

    def access(self, name: str) -> PoolAccess:
        """The pool of that name, which is one of those that are meant."""
        return next(access for access in self.pools if access.name == name)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The runs that an action wants, in the order in which they were asked for.

    *plans*: what each would do, looked up in the pools when it is asked. *check*: raises where something stands against them already.
    """

    requests: Sequence[Request]
    plans: Callable[[], Sequence[Plan]]
    check: Callable[[], None] = lambda: None


def begin(session: Session, at: Place, requests: Sequence[Request], *, now: datetime) -> list[tuple[Run, bool]]:
    """The run of each request, and whether it is new; and who wanted it, all in the transaction at hand."""
    begun = several.create(session, requests, now=now)
    for run, new in begun:
        details = {"run": str(run.id), "pool": run.pool, "subject": run.subject, "new": new}
        audit.add(session, Act(at.by, at.how, run.workflow, run.title, details=details), now=now)
    return begun


def create(at: Place, request: Request) -> tuple[Run, bool]:
    """As `begin` for one, in a transaction of its own."""
    now = at.clock()
    return at.store.do(lambda session: begin(session, at, [request], now=now)[0])


def assert_possible(store: Store, planned: Sequence[tuple[Request, Plan]]) -> None:
    """NotSo with all that stands against these requests in the pool as it is now, before there is a run; the run looks again.

    Against what a run is at already nothing stands: it has changed the pool itself.
    """
    against = []
    for request, plan in planned:
        if plan.refusals and not at_work(store, request):
            against += [text if request.title in text else f"{request.title}: {text}" for text in plan.refusals]
    if against:
        raise NotSo("\n".join(against))


def at_work(store: Store, request: Request) -> bool:
    """Whether a run for this is at work: then what it has made by now stands against nothing."""
    with store.read() as session:
        return runs.active_on(session, request) is not None
