"""What every product must do: save once, whatever is repeated and whoever is killed, and give back what it was given."""

from collections.abc import Callable, Sequence
from uuid import uuid4

from plugins import testing
from plugins.contract import POOL, Bench, Broken, Life
from plugins.errors import GiveUp, RetryLater
from plugins.kit import Source
from plugins.testing import BrokenSource, Sample, SlowSource, Witness
from plugins.values import BackupVM, Needs, Progress, RestorePoint, Snapshot, Verified


def says_what_it_needs(bench: Bench) -> None:
    """It says what it needs of a VM, the same each time."""
    vm = testing.vm()
    first = bench.live().call("needs", vm)
    if first is not None and (not isinstance(first, Needs) or first.no_vf_during not in ("nothing", "snapshot", "job")):
        raise Broken(f'needs gave {first!r}: it must be Needs with no_vf_during "nothing", "snapshot" or "job", or None')
    _assert(bench.live().call("needs", vm) == first, "needs gave something else after a restart")


def saves_a_vm(bench: Bench) -> None:
    """It saves a VM: start, poll, done, with the id of a restore point."""
    life = bench.live()
    progress = life.finish(_start(life, testing.vm(), bench.sample))
    _assert_done(progress)


def starts_at_once(bench: Bench) -> None:
    """It answers start_backup while the data is yet to come: the work is a job, not the call."""
    life, slow = bench.live(), SlowSource(bench.sample.source())
    try:
        job = _start(life, testing.vm(), bench.sample, slow)
        seen = life.poll(job)
        _assert(seen.state in ("running", "done"), f"poll_backup: {seen!r} right after the start")
    finally:
        slow.go.set()
    life.finish(job)


def begun_again_while_at_work(bench: Bench) -> None:
    """Begun again with the same run_id while it is at work, it gives the same job and saves once."""
    life, slow, vm = bench.live(), SlowSource(bench.sample.source()), testing.vm()
    first = _start(life, vm, bench.sample, slow)
    second = _start(life, vm, bench.sample, slow)
    slow.go.set()
    _assert(first == second, f"start_backup gave {first!r}, and then {second!r} for the same run")
    _assert_done(life.finish(first))
    _assert_saved(life, vm, 1)


def begun_again_when_done(bench: Bench) -> None:
    """Begun again with the same run_id after it is done, after a restart too, it has saved once."""
    life, vm = bench.live(), testing.vm()
    point = _assert_done(life.finish(_start(life, vm, bench.sample)))
    for again in (life, bench.live()):
        after = _assert_done(again.finish(_start(again, vm, bench.sample)))
        if again is life:
            _assert(after == point, f"the restore point was {point!r}, and is {after!r}")
        _assert_saved(again, vm, 1)


def killed_after_start(bench: Bench) -> None:
    """Killed right after start_backup, it is begun again and saves once."""
    _killed(bench, lambda *_: None)


def killed_at_work(bench: Bench) -> None:
    """Killed while it reads, it is begun again and saves once."""
    _killed(bench, lambda life, job: life.wait(lambda: life.poll(job), lambda seen: seen.state != "running" or seen.read > 0, "bytes"))


def killed_after_poll(bench: Bench) -> None:
    """Killed after poll_backup said that it is done, the restore point is there and is one."""
    life, vm = bench.live(), testing.vm()
    job = _start(life, vm, bench.sample)
    _assert_done(life.finish(job))
    life = bench.live()
    if life.poll(job).state != "done":
        _assert_done(life.finish(_start(life, vm, bench.sample)))
    _assert_saved(life, vm, 1)


def cancelled(bench: Bench) -> None:
    """Cancelled, it ends, and leaves no restore point; to cancel it again, after a restart too, is no error."""
    life, slow, vm = bench.live(), SlowSource(bench.sample.source()), testing.vm()
    job = _start(life, vm, bench.sample, slow)
    if slow.reading.wait(1) or life.poll(job).state == "running":
        life.wait(lambda: life.call("cancel_backup", job), bool, "cancel_backup to say True")
        slow.go.set()
        ended = life.finish(job)
        _assert(ended.state in ("failed", "lost"), f"a cancelled job is {ended.state!r}")
        _assert_saved(life, vm, 0)
    slow.go.set()
    life.call("cancel_backup", job)
    bench.live().call("cancel_backup", job)


def not_known(bench: Bench) -> None:
    """A job that it does not know is lost, not an accident; to cancel it is no error."""
    life, job = bench.live(), str(uuid4())
    _assert(life.poll(job).state in ("lost", "failed"), f"an unknown job is {life.poll(job).state!r}")
    life.call("cancel_backup", job)


def no_room(bench: Bench) -> None:
    """It hands RetryLater on when as many jobs are at work as there may be."""
    life = bench.live(at_once=0)
    try:
        job = life.call("start_backup", testing.vm(), bench.sample.snapshot, bench.sample.source())
    except RetryLater:
        return
    _assert(not life.jobs.refused, f"kit.jobs said RetryLater, and start_backup gave {job!r}")
    life.finish(job)


def data_that_breaks(bench: Bench) -> None:
    """It fails when the pool's data breaks off, and what it had of it is no restore point."""
    life, vm = bench.live(), testing.vm()
    if not _reads(life, vm):
        return
    try:
        ended = life.finish(_start(life, vm, bench.sample, BrokenSource(bench.sample.source())))
    except (RetryLater, GiveUp):
        ended = Progress("failed")
    _assert(ended.state in ("failed", "lost"), f"its job is {ended.state!r} though the stream broke")
    _assert_saved(life, vm, 0)


def nothing_to_save(bench: Bench) -> None:
    """A VM without disks is saved or refused (GiveUp), not an accident."""
    life, snapshot = bench.live(), bench.sample.snapshot
    empty = Snapshot(snapshot.uuid, snapshot.name, snapshot.taken_at, (), snapshot.blueprint)
    try:
        life.finish(_start(life, testing.vm(), Sample(empty, bench.sample.source)))
    except GiveUp:
        return


def gives_back_what_it_was_given(bench: Bench) -> None:
    """It lists what it saved with all that was said of it, and gives the same bytes back."""
    witness = Witness(bench.sample.source())
    vm, point = _saved_point(bench, witness)
    snapshot = bench.sample.snapshot
    for name in ("pool", "vm", "policy"):
        _assert(
            getattr(point, name) == getattr(vm, name), f"the restore point's {name} is {getattr(point, name)!r}, not {getattr(vm, name)!r}"
        )
    _assert(point.vm_name == vm.name, f"the restore point's vm_name is {point.vm_name!r}, not {vm.name!r}")
    _assert(point.taken_at == snapshot.taken_at, f"the restore point's taken_at is {point.taken_at!r}, not {snapshot.taken_at!r}")
    _assert(tuple(point.disks) == snapshot.disks, f"the restore point's disks are {point.disks!r}, not {snapshot.disks!r}")
    _assert(dict(point.blueprint) == dict(snapshot.blueprint), "the restore point's blueprint is not the snapshot's")
    life, source = bench.live(), bench.sample.source()
    if point.whole_vm:
        _assert_same(testing.sha256(life.call("open_vm", point)), witness.whole_sha256, "the whole VM")
        return
    for disk in point.disks:
        given = testing.sha256(source.open_disk(disk))
        _assert_same(testing.sha256(life.call("open_disk", point, disk.number)), given, f"disk {disk.number}")
        if kept := point.sha256.get(disk.number):
            _assert_same(kept, testing.sum_like(kept, source.open_disk(disk)), f"disk {disk.number} in the restore point's sha256")


def verifies(bench: Bench) -> None:
    """It finds what it has just saved to be sound."""
    _, point = _saved_point(bench)
    found = bench.live().call("verify_backup", point)
    _assert(isinstance(found, Verified), f"verify_backup gave {found!r}: it must be Verified")
    _assert(found.sound, f"verify_backup: {found.message}")


def forgets(bench: Bench) -> None:
    """It forgets what it is told to and nothing else; to forget it again, after a restart too, is no error."""
    (_, going), (_, staying) = _saved_point(bench), _saved_point(bench)
    for life in (bench.live(), bench.live()):
        freed = life.call("forget_backups", (going,))
        _assert(isinstance(freed, int) and freed >= 0, f"forget_backups gave {freed!r}: it must be bytes")
        there = {point.id for point in _points(life)}
        _assert(going.id not in there, f"{going.id!r} was forgotten, and is listed")
        _assert(staying.id in there, f"{staying.id!r} is gone, and nobody told it to forget that")


def lists_the_same(bench: Bench) -> None:
    """It lists the same after a restart, oldest first."""
    _saved_point(bench)
    first = _points(bench.live())
    _assert(first == _points(bench.live()), "list_backups gave something else after a restart")
    _assert([point.taken_at for point in first] == sorted(point.taken_at for point in first), "list_backups is not in order of taken_at")


CHECKS: tuple[Callable[[Bench], None], ...] = (
    says_what_it_needs, saves_a_vm, starts_at_once, begun_again_while_at_work, begun_again_when_done, killed_after_start, killed_at_work,
    killed_after_poll, cancelled, not_known, no_room, data_that_breaks, nothing_to_save, gives_back_what_it_was_given, lists_the_same,
    verifies, forgets,
)  # fmt: skip


def clean_up(bench: Bench) -> None:
    """What the checks saved is forgotten."""
    life = bench.live()
    if {"list_backups", "forget_backups"} <= life.hooks.keys():
        life.call("forget_backups", tuple(point for point in _points(life) if point.pool == POOL))
    bench.kill()


def _assert(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)


def _assert_same(found: str, given: str, what: str) -> None:
    _assert(found == given, f"{what}: SHA-256 {found} came back, {given} was given")


def _assert_done(progress: Progress) -> str:
    _assert(progress.state == "done", f"the job is {progress.state!r}: {progress.message}")
    _assert(bool(progress.point), "the job is done and names no restore point (Progress.point)")
    return progress.point


def _assert_saved(life: Life, vm: BackupVM, count: int) -> None:
    """That the repository has so many restore points of the run, as far as it tells."""
    if "list_backups" in life.hooks:
        found = [point.id for point in _points(life) if point.run_id == str(vm.run_id)]
        _assert(len(found) == count, f"{len(found)} restore points of one run are listed ({', '.join(found)}): it should be {count}")


def _start(life: Life, vm: BackupVM, sample: Sample, source: Source | None = None) -> str:
    job = life.call("start_backup", vm, sample.snapshot, source or sample.source())
    _assert(isinstance(job, str) and bool(job), f"start_backup gave {job!r}: it must be the id of a job")
    return str(job)


def _killed(bench: Bench, until: Callable[[Life, str], object]) -> None:
    life, slow, vm = bench.live(), SlowSource(bench.sample.source()), testing.vm()
    job = _start(life, vm, bench.sample, slow)
    until(life, job)
    life = bench.live()
    slow.go.set()
    if life.poll(job).state == "lost":
        job = _start(life, vm, bench.sample)
    _assert_done(life.finish(job))
    _assert_saved(life, vm, 1)


def _reads(life: Life, vm: BackupVM) -> bool:
    needs = life.call("needs", vm) if "needs" in life.hooks else None
    return needs is None or needs.disks


def _points(life: Life) -> list[RestorePoint]:
    found = life.call("list_backups")
    ours = isinstance(found, Sequence) and all(isinstance(point, RestorePoint) for point in found)
    _assert(ours, f"list_backups gave {found!r}: it must be a sequence of RestorePoint")
    return list(found)


def _saved_point(bench: Bench, source: Source | None = None) -> tuple[BackupVM, RestorePoint]:
    life, vm = bench.live(), testing.vm()
    name = _assert_done(life.finish(_start(life, vm, bench.sample, source)))
    found = next((point for point in _points(life) if point.id == name), None)
    if found is None:
        raise Broken(f"the restore point {name!r} is not listed")
    return vm, found
