"""One request as a route gets it: who asks, under which key, and how what they ask for is done once and written down."""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from fastapi import Response

from orchestrator.actions import desk as desks
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.config.errors import ConfigError
from orchestrator.names import WrongName
from orchestrator.web.office import Office
from orchestrator.web.principal import Principal
from orchestrator.web.problems import Problem
from plugins.errors import PluginError
from state import audit, idempotency
from state.audit import Act
from state.idempotency import Idempotency
from state.run import Run
from state.store import Session
from workflows.plan import Plan
from workflows.ports import PoolError

REFUSALS = (WrongInput, WrongName, NotSo, ConfigError)
FAILURES = (PoolError, PluginError)
JSON = "application/json"

Change = Callable[[Session, datetime], dict[str, Any]]


async def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Ask:
    """What a route gets.

    *key*: the Idempotency-Key, None where there is none. *asked*: method, path, query and body, of which the key's hash is made.
    *has_left*: whether who asked hung up. *again*: raises Problem when their token counts no more.
    """

    office: Office
    principal: Principal
    key: str | None = None
    asked: bytes = b""
    has_left: Callable[[], Awaitable[bool]] = _never
    again: Callable[[], object] = lambda: None

    async def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more, or the process stops."""
        return self.office.live.is_closed or await self.has_left()

    def desk(self, pool: str | None = None) -> Desk:
        """Where it is asked, of one pool or of all. Raises WrongInput."""
        return self.office.desk(self.principal, pool)

    def act(self, what: str, thing: str, change: Change, *, status: int = 200, publish: Callable[[], Sequence[UUID]] = list) -> Response:
        """Do it in one transaction, with what is written down and the answer under the key. *publish*: the runs to be told of after it.

        *change* writes its own line of the audit, in the same transaction; what refuses is written down here.
        """
        now, digest = self.office.clock(), hashlib.sha256(self.asked).hexdigest()

        def work(session: Session) -> tuple[int, dict[str, Any], bool]:
            if self.key is not None:
                before = self._before(lambda: idempotency.take(session, self.principal.name, self.key or "", digest, now=now))
                if before is not None:
                    return before.status, before.answer, True
            said = orjson.loads(orjson.dumps(change(session, now), option=orjson.OPT_UTC_Z, default=str))
            if self.key is not None:
                idempotency.keep(session, self.principal.name, self.key, status=status, answer=said)
            return status, said, False

        with self.written_down(what, thing):
            found, said, again = self.office.store.do(work)
        if not again:
            self.office.publish(publish())
        return answer(said, found, again=again)

    def answered(self) -> Response | None:
        """What this request was answered before, under its key. Raises Problem: it was another request."""
        if self.key is None:
            return None
        digest, now, key = hashlib.sha256(self.asked).hexdigest(), self.office.clock(), self.key
        with self.office.store.read() as session:
            before = self._before(lambda: idempotency.answered(session, self.principal.name, key, digest, now=now))
        return None if before is None else answer(before.answer, before.status, again=True)

    def begin(self, what: str, thing: str, propose: Callable[[], Proposal], *, dry_run: bool = False) -> Response:
        """The plans of what is proposed (200), or its runs, begun once (202)."""
        before = None if dry_run else self.answered()
        if before is not None:
            return before
        if dry_run:
            return answer(plans(propose().plans()), 200)
        with self.written_down(what, thing):
            proposal = propose()
            proposal.check()
        begun: list[tuple[Run, bool]] = []

        def change(session: Session, now: datetime) -> dict[str, Any]:
            begun[:] = desks.begin(session, self.office.place(self.principal), proposal.requests, now=now)
            return {"runs": [row(run, new=new) for run, new in begun], "plans": []}

        return self.act(what, thing, change, status=202, publish=lambda: [run.id for run, new in begun if new])

    @contextmanager
    def written_down(self, what: str, thing: str) -> Iterator[None]:
        """What is refused or fails in the block is written down before it goes on its way."""
        try:
            yield
        except (*REFUSALS, *FAILURES) as error:
            outcome = "failed" if isinstance(error, FAILURES) else "refused"
            self.note(what, thing, outcome, str(error))
            raise

    def note(self, what: str, thing: str, outcome: str, reason: str) -> None:
        """A line of the audit by itself."""
        now, who = self.office.clock(), self.principal
        act = Act(who.name, who.how, what, thing, outcome, {"reason": reason[: audit.LONGEST]})
        self.office.store.do(lambda session: audit.add(session, act, now=now))

    def _before(self, look: Callable[[], Idempotency | None]) -> Idempotency | None:
        try:
            return look()
        except idempotency.OtherRequest:
            text = "another request came under this Idempotency-Key within 24 hours: choose a new key for each thing that is to be done"
            raise Problem(422, "key-reused", text) from None


def row(run: Run, *, new: bool) -> dict[str, Any]:
    """A run that was begun, as `vfo ... --json` has it."""
    names = ("workflow", "pool", "subject", "title", "reason", "next_command")
    return {"run": run.id, "created": new, "status": run.status.value, **{name: getattr(run, name) for name in names}}


def plans(found: Sequence[Plan]) -> dict[str, Any]:
    """What would be done, and no run."""
    return {"plans": [asdict(plan) for plan in found], "runs": []}


def answer(said: dict[str, Any] | list[Any], status: int = 200, *, again: bool = False) -> Response:
    """JSON; *again*: as it was answered before."""
    headers = {"Idempotency-Replayed": "true"} if again else {}
    return Response(orjson.dumps(said, option=orjson.OPT_UTC_Z, default=str), status, headers, JSON)
