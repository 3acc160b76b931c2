"""Whether anybody cares that SR-IOV stays as it is wanted: what the newest run about it says."""

from dataclasses import dataclass
from uuid import UUID

from state import latest
from state.run import ACTIVE, Status
from state.store import Store
from workflows import disable, enable
from workflows.wanted import SriovPolicy


@dataclass(frozen=True, slots=True)
class Care:
    """Whether a [sriov.NAME] is kept as it is wanted, *why* it is not (for people), and the newest run about it."""

    kept: bool
    why: str
    run: UUID | None = None
    stuck: bool = False


def care(store: Store, pool: str, policy: SriovPolicy) -> Care:
    """Who cares for it. It is kept after an enable that ended done; never after a disable, nor while a person has to look at a run."""
    with store.read() as session:
        last = latest.on_subject(session, pool, f"sriov:{policy.name}", (enable.NAME, disable.NAME))
    if last is None:
        return Care(kept=False, why=f"nobody has said `vfo sriov enable {policy.name}` yet")
    short = str(last.id)[:8]
    if last.status in ACTIVE:
        return Care(kept=False, why=f"run {short} ({last.workflow}) is at work", run=last.id)
    if last.workflow == disable.NAME:
        return Care(kept=False, why=f"it was disabled (run {short})", run=last.id)
    if last.status is not Status.DONE:
        stuck = last.status is Status.STUCK
        return Care(kept=False, why=f"run {short} ended {last.status}: {last.reason}", run=last.id, stuck=stuck)
    if not policy.mend:
        return Care(kept=False, why='drift = "report"', run=last.id)
    return Care(kept=True, why="", run=last.id)
