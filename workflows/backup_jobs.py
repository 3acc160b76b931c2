"""The product's job of a backup: begun, followed with a growing pause, begun anew when it was lost, and ended when the backup is given up.

`data["job"]` holds where it is: *asked* (from the record on that says so a job may be at work), its *id*, *since* when there is no word of
progress, what was *said* last, how often it was *lost* without having got anywhere, how often *begun*, the *pause* in seconds, and
since when it is *queued* behind others of ours; `data["queued"]` is for how many seconds it was.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from plugins.errors import GiveUp, Queued, RetryLater
from plugins.values import Progress
from workflows import saved_snapshots
from workflows.backup_hooks import of_data, services
from workflows.outcome import Done, Outcome, Refuse, Wait
from workflows.ports import Gone
from workflows.workflow import Data
from workflows.world import World

SHORTEST, LONGEST = 2.0, 30.0
LOST = 3
BEGUN = 20
ENDS_WITHIN = timedelta(minutes=2)
FRESH: dict[str, Any] = {"asked": False, "id": "", "since": "", "said": [], "lost": 0, "begun": 0, "pause": SHORTEST}


def save(world: World, data: Data) -> Outcome:
    """Have the product save the snapshot, and wait for it; a job that was lost is begun anew."""
    job = data.setdefault("job", {**FRESH, "since": world.now.isoformat()})
    if not job["asked"]:
        job["asked"] = True
        return Wait("the product is asked to begin", at_most=timedelta())
    silent, patience = world.now - datetime.fromisoformat(job["since"]), timedelta(seconds=data["job_seconds"])
    if silent > patience:
        raise GiveUp(f"product {data['product']} gave no word of progress for {patience}")
    try:
        return _follow(world, data, job) if job["id"] else _begin(world, data, job)
    except RetryLater as busy:
        if isinstance(busy, Queued):
            job["since"] = world.now.isoformat()
            job.setdefault("queued", job["since"])
        return Wait(f"product {data['product']}: {busy}", at_most=busy.after or _pause(job))


def _begin(world: World, data: Data, job: dict[str, Any]) -> Wait:
    shot = saved_snapshots.read(world, data["snapshot"])
    job["id"] = services(world).plugins.start(data["product"], of_data(data["backup"]), shot)
    job["begun"] += 1
    if "queued" in job:
        data["queued"] = data.get("queued", 0.0) + (world.now - datetime.fromisoformat(job.pop("queued"))).total_seconds()
    job["pause"], job["said"] = SHORTEST, []
    return _at_work(None, _pause(job))


def _follow(world: World, data: Data, job: dict[str, Any]) -> Outcome:
    progress = services(world).plugins.poll(data["product"], job["id"])
    if progress.state == "done":
        data["result"] = {
            "point": progress.point, "read": progress.read, "stored": progress.stored, "message": progress.message,
            "details": plain(progress.details),
        }  # fmt: skip
        return Done(f"restore point {progress.point}; {_in_words(progress)}")
    if progress.state == "lost":
        return _lost(data, job)
    if progress.state != "running":
        data["ended"] = {"status": "failed", "reason": f"product {data['product']}: {progress.message or 'its job failed'}"}
        return Refuse(data["ended"]["reason"])
    said = [progress.read, progress.stored, progress.fraction, progress.message]
    if said != job["said"]:
        job["since"], job["said"] = world.now.isoformat(), said
    if progress.read or progress.stored or progress.fraction:
        job["lost"] = 0
    return _at_work(progress.fraction, _pause(job))


def _lost(data: Data, job: dict[str, Any]) -> Outcome:
    job["id"], job["pause"] = "", SHORTEST
    job["lost"] += 1
    if job["lost"] > LOST or job["begun"] >= BEGUN:
        reason = f"product {data['product']}: its job was lost {job['lost']} times, the last time without having got anywhere"
        data["ended"] = {"status": "failed", "reason": reason if job["lost"] > LOST else f"{reason} (begun {job['begun']} times)"}
        return Refuse(data["ended"]["reason"])
    return Wait("the job was lost, it is begun anew", at_most=timedelta())


def _at_work(fraction: float | None, pause: timedelta) -> Wait:
    """The message changes with every tenth: each change is a line in the history."""
    tenths = f", {int(fraction * 10) * 10} % done" if fraction is not None else ""
    return Wait(f"the product is at work{tenths}", at_most=pause)


def _pause(job: dict[str, Any]) -> timedelta:
    pause = float(job["pause"])
    job["pause"] = min(LONGEST, pause * 2)
    return timedelta(seconds=pause)


def end_job(world: World, data: Data) -> Outcome:
    """See that no job of the product goes on; what is saved already stays."""
    job = data.get("job", FRESH)
    if "result" in data or not job["asked"]:
        return Done("no job is at work")
    try:
        return _ended(world, data, job)
    except (GiveUp, Gone) as error:  # a product that fails here too must not keep the VM from being brought home
        data.setdefault("left", []).append(f"product {data['product']} could not be told to end its job: {error}")
        return Done(data["left"][-1])


def _ended(world: World, data: Data, job: dict[str, Any]) -> Outcome:
    product, plugins = data["product"], services(world).plugins
    if not job["id"]:  # it may have been begun without that being recorded: asked again, the product gives the job that is at work
        try:
            job["id"] = plugins.start(product, of_data(data["backup"]), saved_snapshots.read(world, data["snapshot"]))
        except RetryLater:
            return Done("no job was begun")
    if "ending" not in job:
        plugins.cancel(product, job["id"])
        job["ending"] = world.now.isoformat()
    if plugins.poll(product, job["id"]).state != "running":
        return Done("the job goes on no more")
    if world.now - datetime.fromisoformat(job["ending"]) < ENDS_WITHIN:
        return Wait("the job is being ended", at_most=timedelta(seconds=SHORTEST))
    return Done(f"the job was told to end and has not done so within {ENDS_WITHIN}")


def plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """What a product says beside, as plain JSON whatever it is."""
    found: dict[str, Any] = json.loads(json.dumps({str(key): value for key, value in details.items()}, default=str, skipkeys=True))
    return found


def _in_words(progress: Progress) -> str:
    return f"{progress.read >> 20} MiB read, {progress.stored >> 20} MiB stored"
