"""What a person may do to a run."""

from datetime import datetime

from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import WrongInput
from orchestrator.actions.place import Place
from orchestrator.actions.verbs import Verb
from orchestrator.views import runs as view
from state import audit
from state import runs as rows
from state.audit import Act
from state.run import Run
from state.store import Session

ACTS = {Verb.APPROVE: rows.approve, Verb.RETRY: rows.retry, Verb.CANCEL: rows.cancel}


def act(at: Desk, written: str, verb: Verb) -> Run:
    """Change the row; whoever works on runs finds it due by itself. Raises WrongInput: no such run, or it is not one to do that to."""
    now = at.clock()
    return at.store.do(lambda session: change(session, at.place, written, verb, now=now))


def change(session: Session, at: Place, written: str, verb: Verb, *, now: datetime) -> Run:
    """As `act`, in the transaction at hand."""
    run = find(session, written)
    try:
        changed = ACTS[verb](session, run.id, now=now, by=at.by)
    except rows.Impossible as error:
        raise WrongInput(f"run {written} {verb.value}: {error}") from None
    audit.add(
        session, Act(at.by, at.how, verb.value, f"{run.workflow} of {run.title}", details={"run": str(run.id), "pool": run.pool}), now=now
    )
    return changed


def find(session: Session, written: str) -> Run:
    """The run whose id is, or begins with, what was written. Raises WrongInput."""
    try:
        return view.find(session, written)
    except view.NoSuchRun as error:
        raise WrongInput(str(error)) from None
