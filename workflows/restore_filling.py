"""The disks of a restored VM are filled one after the other by jobs that outlive a step; or the whole VM is imported by one.

`data["job"]` is the one at work: *what* it is of (a disk's number, or "vm"; once that is on record it may be at work), its *id*, the
*pause* in seconds between two looks, what it *said* last and *since* when, and how often it was *lost*.
"""

from datetime import datetime, timedelta
from typing import Any

from plugins.errors import GiveUp, RetryLater
from plugins.values import Progress
from workflows import restore_imports, restore_making, restore_points
from workflows.outcome import Done, Need, Outcome, Wait
from workflows.workflow import Data
from workflows.world import World

SHORTEST, LONGEST = 1.0, 15.0
LOST = 5
SILENT = timedelta(hours=1)
ENDS_WITHIN = timedelta(minutes=2)
SOON = timedelta(seconds=2)
WHOLE = "vm"


def fill(world: World, data: Data) -> Outcome:
    """Have every disk written from the repository, and compared with the checksum that was kept; a job that was lost is begun anew."""
    left = _left(data)
    if not left:
        return Done(_in_words(data))
    job = data.get("job")
    if job is None or job["what"] != left[0]:
        since = world.now.isoformat()
        data["job"] = {"what": left[0], "id": "", "pause": SHORTEST, "said": [], "since": since, "lost": 0, "key": since}
        return Wait(f"{_called(data, left[0])} is written", at_most=timedelta())
    try:
        return _follow(world, data, job) if job["id"] else _begin(world, data, job)
    except RetryLater as busy:
        return Wait(str(busy), at_most=busy.after or _pause(job))


def _left(data: Data) -> list[str]:
    """What is to be written yet."""
    every = [WHOLE] if data["point"]["whole_vm"] else [str(disk["number"]) for disk in data["point"]["disks"]]
    return [what for what in every if what not in data.setdefault("filled", {})]


def _begin(world: World, data: Data, job: dict[str, Any]) -> Outcome:
    job["id"] = _started(world, data, job)
    job["pause"], job["said"], job["since"] = SHORTEST, [], world.now.isoformat()
    return _at_work(data, job, None)


def _started(world: World, data: Data, job: dict[str, Any]) -> str:
    transfers, point = restore_points.services(world).transfers, restore_points.of_run(data)
    if job["what"] != WHOLE:
        return transfers.begin_restore(world.run_id, data["product"], point, int(job["what"]), data["disks"][job["what"]])
    if not _import_stands(world, job):
        _take_away_imported(world, data)
    return transfers.begin_import(world.run_id, data["product"], point, next(iter(data["SRs"].values())), _key(job))


def _key(job: dict[str, Any]) -> str:
    """Another one for every try of the run: an import that was done for an earlier one, whose VM was taken away, is not this one's."""
    return str(job.get("key", ""))


def _import_stands(world: World, job: dict[str, Any]) -> bool:
    """Whether the import is at work or done, and the process died before that was recorded: what it makes is wanted."""
    transfers = restore_points.services(world).transfers
    return transfers.look(transfers.import_job(world.run_id, _key(job))).state in ("running", "done")


def _take_away_imported(world: World, data: Data) -> None:
    """What an import that was lost has made is destroyed: nobody knows whether it is whole."""
    data.pop("vm", None)
    outcome = restore_making.take_imports_away(world, data)
    if isinstance(outcome, Wait):
        raise RetryLater(outcome.message, after=outcome.at_most)


def _follow(world: World, data: Data, job: dict[str, Any]) -> Outcome:
    progress = restore_points.services(world).transfers.look(job["id"])
    if progress.state == "done":
        return _done(world, data, job, progress)
    if progress.state == "lost":
        job["lost"] += 1
        if job["lost"] > LOST:
            raise GiveUp(f"the job that writes {_called(data, job['what'])} was lost {job['lost']} times: {progress.message}")
        job["id"] = ""
        why = f": {progress.message}" if progress.message else ""
        return Wait(f"the job was lost, it is begun anew{why}", at_most=SOON)
    if job["what"] == WHOLE:
        restore_imports.note(world, data)
    if progress.state != "running":
        where = restore_making.in_words(world, data["SRs"].get(job["what"], next(iter(data["SRs"].values()))))
        raise GiveUp(f"{_called(data, job['what'])} could not be written to {where}: {progress.message or 'its job failed'}")
    said = [progress.read, progress.message]
    if said != job["said"]:
        job["said"], job["since"] = said, world.now.isoformat()
    if world.now - datetime.fromisoformat(job["since"]) > SILENT:
        raise GiveUp(f"the job that writes {_called(data, job['what'])} gave no word of progress for {SILENT}")
    return _at_work(data, job, progress.fraction)


def _done(world: World, data: Data, job: dict[str, Any], progress: Progress) -> Outcome:
    if job["what"] == WHOLE and not data.get("vm"):
        data["vm"] = progress.point
        return Wait("the VM is imported, and put right", at_most=timedelta())
    if job["what"] == WHOLE:
        thing = f"vm:{data['vm']}"
        if thing not in world.held:  # its VIFs may be on the parking network, where whoever finds a VM by itself puts it right
            return Need((thing,))
        outcome = restore_making.take_imports_away(world, data, besides=data["vm"])
        if isinstance(outcome, Wait):  # for one whose answer was lost, and which was asked for anew
            return outcome
        world.pool.adopt_vm(data["vm"], data["name"], str(world.run_id), restore_making.reasons(world))
    data["filled"][job["what"]] = {"bytes": progress.read, "sha256": str((progress.details or {}).get("sha256", ""))}
    del data["job"]
    return Wait(f"{_called(data, job['what'])} is written", at_most=timedelta()) if _left(data) else Done(_in_words(data))


def _called(data: Data, what: str) -> str:
    return f"VM {data['name']}" if what == WHOLE else f"disk {what}"


def _in_words(data: Data) -> str:
    known = [data["point"]["sha256"].get("0" if what == WHOLE else what) for what in data["filled"]]
    compared = "as their checksums say" if known and all(known) else "no checksums were kept of all of them"
    return f"{sum(one['bytes'] for one in data['filled'].values()) >> 20} MiB written, {compared}"


def _at_work(data: Data, job: dict[str, Any], fraction: float | None) -> Wait:
    """The message changes with every tenth: each change is a line in the history."""
    tenths = f", {int(fraction * 10) * 10} % done" if fraction is not None else ""
    return Wait(f"{_called(data, job['what'])} is being written{tenths}", at_most=_pause(job))


def _pause(job: dict[str, Any]) -> timedelta:
    pause = float(job["pause"])
    job["pause"] = min(LONGEST, pause * 2)
    return timedelta(seconds=pause)


def end_filling(world: World, data: Data) -> Outcome:
    """See that no job goes on writing."""
    job = data.get("job")
    if job is None:
        return Done("no job is at work")
    transfers = restore_points.services(world).transfers
    if not job["id"] and job["what"] == WHOLE:
        if not _import_stands(world, job):
            return Done("no job was begun")
        job["id"] = transfers.import_job(world.run_id, _key(job))
    if not job["id"]:  # it may have been begun without that being recorded: asked again, the job that is at work is given
        try:
            job["id"] = _started(world, data, job)
        except (RetryLater, GiveUp):
            return Done("no job was begun")
    if "ending" not in job:
        transfers.cancel(job["id"])
        job["ending"] = world.now.isoformat()
    progress = transfers.look(job["id"])
    if progress.state != "running":
        return Done("the job goes on no more")
    if world.now - datetime.fromisoformat(job["ending"]) < ENDS_WITHIN:
        return Wait("the job is being ended", at_most=SOON)
    return Done(f"the job was told to end and has not done so within {ENDS_WITHIN}")
