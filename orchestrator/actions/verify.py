"""Whether a restore point can be given back: read and compared, looked at by its product, and booted beside."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from orchestrator.actions import restore
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.place import Place
from orchestrator.config.load import Loaded
from orchestrator.plugged import Plugged
from orchestrator.restores import Reach, Restores
from orchestrator.views.points import Owned
from plugins.errors import GiveUp, RetryLater, SourceError
from plugins.kit import Job, Result
from plugins.values import Progress
from state import audit, jobs
from state.audit import Act
from state.store import Store
from workflows import restore_plans, verify_boot

LOOK_SECONDS = 0.2
CHECKSUMS = "checksums"


def read(loaded: Loaded, made: Plugged, owned: Owned) -> list[dict[str, Any]]:
    """Every byte read from the repository, in this process, and the product's own look: a check each, *sound* or not. It waits."""
    try:
        job = begin(loaded, made, owned, uuid4())
    except RetryLater as error:
        return [check(CHECKSUMS, str(error), sound=False), _own(made, owned)]
    pause = threading.Event()
    while (progress := made.jobs.look(job)).state == "running":
        pause.wait(LOOK_SECONDS)
    return checks(progress) or [check(CHECKSUMS, progress.message, sound=False), _own(made, owned)]


def begun(at: Place, loaded: Loaded, made: Plugged, owned: Owned, number: UUID) -> str:
    """As `begin`, for somebody: it is written down who wanted it before anything is read. Raises RetryLater; that is written down too."""
    product, point = owned
    job, thing, now = made.jobs.id_of(job_name(product), number), f"restore point {product}/{point.id}", at.clock()
    act = Act(at.by, at.how, "verify", thing, details={"verification": str(number)})
    if not is_known(at.store, job):
        at.store.do(lambda session: audit.add(session, act, now=now))
    try:
        return begin(loaded, made, owned, number)
    except RetryLater as error:
        refused = replace(act, outcome="refused", details={**act.details, "reason": str(error)})
        at.store.do(lambda session: audit.add(session, refused, now=now))
        raise


def is_known(store: Store, job: str) -> bool:
    """Whether there is such a job. One that has ended is known for a week."""
    with store.read() as session:
        return jobs.get(session, job) is not None


def is_sound(found: Sequence[dict[str, Any]]) -> bool:
    """Whether all checks say so, and there are any."""
    return bool(found) and all(one["sound"] for one in found)


def begin(loaded: Loaded, made: Plugged, owned: Owned, number: UUID) -> str:
    """Begin the same as a job of this process; its id. Asked again with the same *number*, nothing is begun twice. Raises RetryLater."""
    product, point = owned
    reading = Restores(Reach(loaded.pools), point.pool, made.calls, made.jobs)

    def work(job: Job) -> Result:
        checksums = _checksums(reading, job, owned)
        done: int = checksums.get("read", 0)
        job.say(read=done, message=f"{product} looks at it")
        found = [checksums, _own(made, owned)]
        said = "it is sound" if is_sound(found) else "; ".join(one["message"] for one in found if not one["sound"])
        return Result(point.id, done, message=said, details={"checks": found})

    return made.jobs.start(job_name(product), number, work)


def job_name(product: str) -> str:
    """How such a job of the product is called, before its number."""
    return f"verify.{product}"


def checks(progress: Progress) -> list[dict[str, Any]]:
    """What such a job has found; nothing before it is done."""
    found: list[dict[str, Any]] = progress.details.get("checks", [])
    return found


def boot(at: Desk, owned: Owned, *, pool: str | None, sr: str | None) -> Proposal:
    """A run that restores it beside, on the parking network, starts it and removes it. Raises WrongInput."""
    product, point = owned
    restore.assert_written({"sr": sr, "pool": pool})
    access, run_id = at.access(restore.pool_for(at.loaded, point, pool)), uuid4()
    storage = restore.sr_of(access, sr)
    asked = verify_boot.asked(point, run_id, storage)
    restore.assert_restorable(point, asked)
    request = verify_boot.request(access.name, product, point, run_id, storage)
    return Proposal(
        [request],
        lambda: [restore_plans.of_checking(access.port, request, point, asked)],
        lambda: restore.assert_possible(access, point, asked),
    )


def check(name: str, message: str, *, sound: bool, **more: Any) -> dict[str, Any]:
    """One check, as plain values."""
    return {"check": name, "sound": sound, "message": message, **more}


def _checksums(reading: Restores, job: Job, owned: Owned) -> dict[str, Any]:
    try:
        result = reading.check(job, *owned)
    except RetryLater as error:
        return check(CHECKSUMS, f"not now: {error}", sound=False)
    except (GiveUp, SourceError) as error:
        return check(CHECKSUMS, str(error), sound=False)
    return check(CHECKSUMS, result.message, sound=True, read=result.read, sha256=(result.details or {}).get("sha256", {}))


def _own(made: Plugged, owned: Owned) -> dict[str, Any]:
    """What the product says of it; one that cannot look is no fault of the point's."""
    product, point = owned
    try:
        verified = made.calls.verify(product, point)
    except GiveUp as error:
        return check("product", str(error), sound="has no verify_backup" in str(error))
    except RetryLater as error:
        return check("product", f"it did not look: {error}", sound=False)
    return check("product", verified.message, sound=verified.sound)
