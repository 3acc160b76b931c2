"""A product over a repository of streams: each disk is a stream of its own, and a manifest that comes last makes a backup of them.

What a dead job has left has no manifest: it is never listed, and is removed when the job begins anew, or when it is old.
"""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from plugins import points, repositories, turns
from plugins.composing import Composer, Earlier, Mode, Paces
from plugins.errors import GiveUp, Queued, RetryLater, SourceError
from plugins.hooks import hookimpl
from plugins.kit import Job, Kit, Result, Source
from plugins.own_jobs import OwnJobs
from plugins.points import MANIFEST
from plugins.repositories import Busy, Kept, Repository
from plugins.saving import Saving
from plugins.turns import AGAIN
from plugins.values import BackupVM, Needs, RestorePoint, Snapshot, Verified

logger = logging.getLogger(__name__)

NEWEST = 2
PROVEN = 60.0
"""For how many seconds a repository that answered is taken to be there."""
FORGOTTEN = 24 * 3600.0


class Product(OwnJobs):
    """The hooks of a product, over its repository."""

    def __init__(self, kit: Kit, repository: Repository, *, checksums: bool, changed_blocks: Mode = "never") -> None:
        super().__init__(kit)
        self._changed_blocks: Mode = changed_blocks
        self._checksums = checksums
        self._repository = repository
        self._turns = turns.of(repository.path)
        self._answered = -PROVEN
        self._begun: dict[UUID, str] = {}
        self._damaged: set[str] = set()

    # -- saving ------------------------------------------------------------------------------------------------

    @hookimpl
    def needs(self) -> Needs:
        """The disks of a snapshot; what the VM holds meanwhile is no matter.

        Asked before the VM is touched, so a repository that is away or does not let us in says so here. One that is at work for others is
        there: its turn comes when the snapshot is taken and the VM is back in service.
        """
        if not self._turns.has_job and time.monotonic() - self._answered >= PROVEN:
            try:
                with self._turns.turn(alone=self._repository.exclusive, at_once=True):
                    self._see(self._repository.look)
            except (Queued, Busy):
                pass
        return Needs(changed_blocks=self._changed_blocks != "never")

    @hookimpl
    def start_backup(self, vm: BackupVM, snapshot: Snapshot, source: Source) -> str:
        """Begin, once the repository is known to be there, to let us in and to be idle."""
        job = self._begun.get(vm.run_id)
        if job is None or self._kit.jobs.look(job).state not in ("running", "done"):
            if self._repository.exclusive and self._turns.has_job:
                raise Queued("the repository takes one backup at a time, and is at work on another", after=AGAIN)
            with self._turns.turn(alone=self._repository.exclusive or not self._repository.known):
                seen_at = self._see(self._repository.ready)
            job = self._kit.jobs.start(vm.run_id, lambda at_work: self._save(at_work, vm, snapshot, source, seen_at))
            self._begun[vm.run_id] = job
        return job

    def _save(self, job: Job, vm: BackupVM, snapshot: Snapshot, source: Source, seen_at: float) -> Result:
        with self._turns.turn(alone=self._repository.exclusive, job=job):
            run, seen = str(vm.run_id), self._turns.listing
            there = seen.kept if seen is not None and seen.at >= seen_at else self._look(patient=True)
            if repositories.whole(there, run):
                return Result(run, message="it was saved before the process ended")
            job.say(message="looking at the repository")
            self._clear([kept for kept in there if kept.run == run or kept in repositories.stale(there)])
            composer = Composer(self._changed_blocks, vm.pool, source, self._earlier(vm, there), Paces(self._kit.folder / "paces.json"))
            saving = Saving(job, vm, snapshot, composer, self._repository)
            try:
                point = saving.save(checksums=self._checksums)
                seen_at = time.monotonic()
                now = saving.all_there(point)
            except BaseException:
                self._turns.forget()
                self._undo(saving.attempt)
                raise
            self._turns.remember(now, seen_at)
            self._keep(next(kept for kept in repositories.whole(now, run) if kept.part == MANIFEST), points.written(point))
            return saving.result(point)

    def _clear(self, gone: Sequence[Kept]) -> None:
        """Remove what dead jobs left; where others are at work that may wait: it is no part of any backup."""
        try:
            self._repository.drop(gone)
        except RetryLater as busy:
            logger.info("[products.%s]: what dead jobs left stays for now: %s", self._kit.name, busy)

    def _earlier(self, vm: BackupVM, there: Sequence[Kept]) -> Earlier:
        """The newest backups of the VM by the same policy, where what changed since is asked for."""
        found: list[RestorePoint] = []
        wanted = [one for one in there if one.part == MANIFEST and one.vm == vm.vm] if self._changed_blocks != "never" else []
        for kept in reversed(wanted):
            point = self._remembered(kept) or self._read(kept)
            if point is not None and (point.pool, point.policy) == (vm.pool, vm.policy):
                found.append(point)
            if len(found) == NEWEST:
                break
        return Earlier(tuple(found), lambda point, number: self._open_earlier(there, point, number))

    def _open_earlier(self, there: Sequence[Kept], point: RestorePoint, number: int) -> BinaryIO:
        try:
            return self._open(self._part(there, point, f"disk{number}"))
        except (RetryLater, GiveUp) as error:  # the disk is read whole then
            raise SourceError(str(error)) from error

    def _undo(self, attempt: str) -> None:
        try:
            self._repository.drop([kept for kept in self._repository.listed(patient=True) if kept.attempt == attempt])
        except RetryLater as busy:
            logger.warning("what a job left in the repository of [products.%s] stays for now: %s", self._kit.name, busy)
        except Exception:
            logger.exception("what a job left in the repository of [products.%s] could not be removed", self._kit.name)

    # -- what there is -----------------------------------------------------------------------------------------

    def _see(self, look: "turns.Look") -> float:
        """When it was looked; what there is is remembered."""
        at = time.monotonic()
        self._turns.remember(look(), at)
        self._answered = time.monotonic()
        return at

    def _look(self, *, patient: bool = False, beside: bool = False) -> Sequence[Kept]:
        at = time.monotonic()
        there = self._repository.listed(patient=patient, beside=beside)
        self._turns.remember(there, at)
        self._answered = time.monotonic()
        return there

    def _listing(self) -> Sequence[Kept]:
        """What there is; while a job of ours keeps others off: what there was when it began, since nobody else has changed it."""
        try:
            with self._turns.turn(alone=self._repository.exclusive, at_once=self._turns.listing_meanwhile is not None):
                return self._look(beside=True)
        except Queued:
            seen = self._turns.listing_meanwhile
            if seen is None:
                raise
            return seen.kept

    @hookimpl
    def list_backups(self) -> Sequence[RestorePoint]:
        """Every backup that has its manifest and all its disks; manifests that were read once are kept beside.

        RetryLater where one cannot be read for now: a list without it would have retention remove others in its place.
        """
        there = self._listing()
        kept = {one.run: one for one in there if one.part == MANIFEST}.values()
        found: list[RestorePoint] = []
        for one in kept:
            point = self._remembered(one) or self._read_in_turn(one)
            missing = repositories.missing(there, point, one.attempt) if point else []
            if missing:
                logger.warning("[products.%s]: %s is left out: %s are gone", self._kit.name, one.name, ", ".join(missing))
            elif point:
                found.append(point)
        self._sweep({one.id for one in kept})
        return sorted(found, key=lambda point: point.taken_at)

    @property
    def _cache(self) -> Path:
        folder = self._kit.folder / "manifests"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _sweep(self, wanted: set[str]) -> None:
        """Remove manifests of what is gone; those that begin with a dot are being written, unless they are old."""
        for file in self._cache.iterdir():
            if file.name not in wanted and (not file.name.startswith(".") or file.stat().st_mtime < time.time() - FORGOTTEN):
                file.unlink(missing_ok=True)

    def _keep(self, kept: Kept, manifest: bytes) -> None:
        file = self._cache / kept.id
        part = file.with_name(f".{kept.id}.{threading.get_ident()}")
        part.write_bytes(manifest)
        part.rename(file)

    def _remembered(self, kept: Kept) -> RestorePoint | None:
        try:
            return points.read((self._cache / kept.id).read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _read_in_turn(self, kept: Kept) -> RestorePoint | None:
        if kept.id in self._damaged:
            return None
        with self._turns.turn(alone=self._repository.exclusive):
            return self._read(kept)

    def _read(self, kept: Kept) -> RestorePoint | None:
        """What the manifest tells; None where it is proven to be damaged or gone. RetryLater where it cannot be read for now."""
        try:
            manifest = self._repository.read(kept)
            point = points.read(manifest)
        except (SourceError, ValueError) as error:
            logger.warning("[products.%s]: the manifest %s is left out: %s", self._kit.name, kept.name, error)
            self._damaged.add(kept.id)
            return None
        self._keep(kept, manifest)
        return point

    @hookimpl
    def open_disk(self, point: RestorePoint, number: int) -> BinaryIO:
        """The disk as it was saved, whoever is at work on the repository meanwhile."""
        return self._open(self._part(self._known({point.run_id}) or self._listing(), point, f"disk{number}"))

    def _open(self, kept: Kept) -> BinaryIO:
        end = self._turns.begin_reading()
        try:
            return self._repository.get(kept, end)
        except BaseException:
            end()
            raise

    def _part(self, there: Sequence[Kept], point: RestorePoint, part: str) -> Kept:
        for kept in repositories.whole(there, point.run_id):
            if kept.part == part:
                return kept
        raise GiveUp(f"restore point {point.id} has no {part} in the repository of [products.{self._kit.name}]")

    @hookimpl
    def verify_backup(self, point: RestorePoint) -> Verified:
        """Look whether everything is there, and whether all that the disks are made of is (their contents are not read)."""
        with self._turns.turn(alone=True):
            kept = repositories.whole(self._look(), point.run_id)
            wanted = {MANIFEST, *(f"disk{disk.number}" for disk in point.disks)}
            missing = sorted(wanted - {one.part for one in kept})
            if missing:
                return Verified(sound=False, message=f"the repository has no {', '.join(missing)} of {point.id}")
            return self._repository.check(kept)

    @hookimpl
    def forget_backups(self, points: Sequence[RestorePoint]) -> int:
        """Remove these, and what dead jobs have left for long."""
        with self._turns.turn(alone=True, at_once=self._turns.has_job):
            runs = {point.run_id for point in points}
            there = self._known(runs) or self._look()
            gone = [kept for kept in there if kept.run in runs or kept in repositories.stale(there)]
            if not gone:
                return 0
            self._turns.forget()
            self._repository.drop(sorted(gone, key=lambda kept: kept.part != MANIFEST))
            self._turns.remember([kept for kept in there if kept not in gone], time.monotonic())
            return self._tidy()

    def _known(self, runs: set[str]) -> Sequence[Kept]:
        """What was listed a moment ago, if it has all these: what is not there any more is no error."""
        seen = self._turns.listing
        recent = seen is not None and time.monotonic() - seen.at < PROVEN and bool(runs)
        return seen.kept if seen is not None and recent and runs <= {kept.run for kept in seen.kept if kept.part == MANIFEST} else ()

    def _tidy(self) -> int:
        """They are gone already: the room that cannot be given back now is with the next ones."""
        with self._turns.unread() as free:
            try:
                return self._repository.tidy() if free else 0
            except RetryLater as busy:
                logger.info("[products.%s]: room is given back later: %s", self._kit.name, busy)
                return 0
