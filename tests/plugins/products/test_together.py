"""Many at once over one repository: two tables that name it, threads that save, list and forget, and programs of others."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins import turns
from plugins.errors import Cancelled, GiveUp, Queued, RetryLater
from tests.plugins.products.empty import SECRET
from tests.plugins.products.kinds import BORG, KINDS, Kind, locked, needed, starts, watched
from tests.plugins.products.stage import MIB, Gate, Stage, a_snapshot, a_vm, noise

BACKUPS = 2


@pytest.fixture(params=["borg", "restic"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return needed(KINDS[request.param])


def stages(kind: Kind, folder: Path) -> tuple[Stage, Stage]:
    """Two tables, each with a directory of its own, and one repository."""
    first, other = kind.stage(folder), folder / "other"
    other.mkdir()
    (other / "repo").symlink_to(folder / "repo")
    return first, kind.stage(other)


def in_time(call: Callable[[], Any]) -> Any:
    """As the workflows do: what is to be tried later is."""
    for _ in range(600):
        try:
            return call()
        except RetryLater:
            threading.Event().wait(0.1)
    raise AssertionError("it was told for a minute to come later")


def test_saving_listing_and_forgetting_at_once(kind: Kind, tmp_path: Path) -> None:
    """By two tables over one repository: every list has all that was saved before it and is not being forgotten, and nothing fails."""
    both, saved, gone, over = stages(kind, tmp_path), set[str](), set[str](), threading.Event()

    def save(number: int) -> None:
        stage = both[number % 2]
        for turn in range(BACKUPS):
            vm, snapshot, pool = a_vm(), a_snapshot(MIB, after=timedelta(hours=turn)), kind.pool(noise(MIB, number))
            for _ in range(9):  # a job whose repository was busy in its middle is lost, and begun anew
                job = in_time(lambda vm=vm, snapshot=snapshot, pool=pool: stage.product.start_backup(vm, snapshot, pool))  # type: ignore[misc]
                ended = stage.jobs.join(job)
                if ended.state != "lost":
                    break
            assert ended.state == "done", ended
            saved.add(str(vm.run_id))
            if turn == 0:
                point = next(one for one in in_time(stage.product.list_backups) if one.run_id == str(vm.run_id))
                gone.add(point.run_id)
                in_time(lambda point=point: stage.product.forget_backups([point]))  # type: ignore[misc]

    def look(stage: Stage) -> int:
        looks = 0
        while not over.is_set():
            before = saved - gone
            found = {point.run_id for point in in_time(stage.product.list_backups)}
            assert before - gone <= found
            looks += 1
            over.wait(0.1)
        return looks

    with ThreadPoolExecutor(5) as several:
        looking = [several.submit(look, stage) for stage in both]
        saving = [several.submit(save, number) for number in range(3)]
        try:
            for one in saving:
                one.result()
        finally:
            over.set()
        assert all(one.result() > 0 for one in looking)
    assert [{point.run_id for point in stage.product.list_backups()} for stage in both] == [saved - gone] * 2


def test_what_is_saved_is_read_while_another_is_saved(kind: Kind, tmp_path: Path) -> None:
    """A restore does not wait for a backup that is at work, and forgetting does not take from under it what it reads."""
    stage = kind.stage(tmp_path)
    contents = noise(8 * MIB)
    stage.save(kind.pool(contents), a_vm(), a_snapshot(8 * MIB))
    pool = kind.pool(noise(4 * MIB, 2))
    pool.gate = Gate(MIB)
    job = stage.product.start_backup(a_vm(), a_snapshot(4 * MIB), pool)
    assert pool.gate.reached.wait(60)
    (point,) = stage.product.list_backups()
    with stage.product.open_disk(point, 0) as stream:
        assert stream.read(MIB) == contents[:MIB]
        pool.gate.go.set()
        assert stage.jobs.join(job).state == "done"
        assert stage.product.forget_backups([point]) == 0, "the room is given back when nobody reads"
        assert stream.read() == contents[MIB:]
    assert len(stage.product.list_backups()) == 1


def test_a_backup_starts_the_program_no_more_than_it_must(kind: Kind, tmp_path: Path) -> None:
    """A look, each disk, the manifest, and a look whether somebody took any of it away; the list then asks once, and reads nothing."""
    stage = kind.stage(tmp_path, **watched(kind, tmp_path))
    look, put, forget, tidy = {"borg": ("list", "create", "delete", "compact")}.get(kind.name, ("snapshots", "backup", "forget", "prune"))
    vm, snapshot = a_vm(), a_snapshot(MIB, MIB)
    assert stage.product.needs()
    assert starts(tmp_path) == [look]
    stage.save(kind.pool(noise(MIB), noise(MIB, 2)), vm, snapshot)
    assert starts(tmp_path) == [look, put, put, put, look]
    assert stage.product.needs(), "it answered a moment ago"
    points = stage.product.list_backups()
    assert starts(tmp_path) == [look]
    stage.product.forget_backups(points)
    assert starts(tmp_path) == [forget, tidy]


def test_the_product_is_asked_before_the_vm_is_touched(kind: Kind, tmp_path: Path) -> None:
    """A repository that is away or does not let us in says so when it is asked what it needs."""
    stage = kind.stage(tmp_path)
    stage.save(kind.pool(noise(MIB)), a_vm(), a_snapshot(MIB))
    with pytest.raises(GiveUp, match="pass"):
        kind.stage(tmp_path, passphrase="wrong battery").product.needs()
    (tmp_path / "repo").rename(tmp_path / "unmounted")
    with pytest.raises(GiveUp, match="is it mounted"):
        stage.again().needs()


def _damage(kind: Kind, folder: Path, unwell: str) -> Stage:
    """A repository with one backup, whose manifest nobody remembers, and a program that is unwell."""
    settings = watched(kind, folder)
    stage = kind.stage(folder, **settings)
    stage.save(kind.pool(noise(MIB)), a_vm(), a_snapshot(MIB))
    for file in (stage.kit_folder / "manifests").iterdir():
        file.unlink()
    (folder / "unwell").write_text(unwell)
    return stage


PASSING = 'case "$*" in *extract*|*dump*) echo "the network went away" >&2; exit 2;; esac\n'


def test_a_manifest_that_cannot_be_read_for_now_is_never_left_out(kind: Kind, tmp_path: Path) -> None:
    """Retention would remove others in its place: there is no list before it can be read again."""
    stage = _damage(kind, tmp_path, PASSING)
    with pytest.raises(RetryLater, match="went away"):
        stage.product.list_backups()
    (tmp_path / "unwell").unlink()
    assert len(stage.product.list_backups()) == 1


GONE = {
    "borg": '{"type": "log_message", "levelname": "ERROR", "msgid": "Repository.ObjectNotFound", "message": "Object with key 12"}',
    "restic": "ciphertext verification failed",
}


def test_a_manifest_that_is_proven_to_be_damaged_is_left_out(kind: Kind, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a warning, and it is not read again each time."""
    stage = _damage(kind, tmp_path, f"case \"$*\" in *extract*|*dump*) echo '{GONE[kind.name]}' >&2; exit 2;; esac\n")
    assert stage.product.list_backups() == []
    assert "is left out" in caplog.text
    starts(tmp_path)
    assert stage.product.list_backups() == []
    assert starts(tmp_path) == [{"borg": "list", "restic": "snapshots"}[kind.name]]


def test_a_backup_whose_disk_is_gone_is_left_out(kind: Kind, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody removed it by hand: what cannot be given back is no restore point."""
    stage = kind.stage(tmp_path)
    stage.save(kind.pool(noise(MIB), noise(MIB, 2)), a_vm(), a_snapshot(MIB, MIB))
    repository = stage.product._repository
    repository.drop([kept for kept in repository.listed() if kept.part == "disk1"])
    assert stage.product.list_backups() == []
    assert "disk1 are gone" in caplog.text


def test_a_part_that_somebody_removes_fails_the_job(tmp_path: Path) -> None:
    """Another process that took this one for dead, just before the manifest: the backup is not taken for whole, and nothing of it stays."""
    stage = needed(BORG).stage(tmp_path, **watched(BORG, tmp_path))
    delete = f"borg delete --glob-archives 'vfo-*-disk0-*' {tmp_path / 'repo'}"
    (tmp_path / "unwell").write_text(f'case "$*" in *create*-manifest-*) {delete};; esac\n')
    ended = stage.save(BORG.pool(noise(MIB), noise(MIB, 2)), a_vm(), a_snapshot(MIB, MIB))
    assert (ended.state, "disk0 were removed" in ended.message) == ("failed", True), ended
    assert stage.product._repository.listed() == []


def test_an_error_is_known_by_the_programs_own_words(tmp_path: Path) -> None:
    """Also when the passphrase is one of them; and whoever is told does not learn it."""
    needed(BORG)
    stage = BORG.stage(tmp_path, fresh=True, passphrase="LockTimeout")
    assert stage.save(BORG.pool(noise(MIB)), a_vm(), a_snapshot(MIB)).state == "done"
    with locked(tmp_path, "LockTimeout"), pytest.raises(RetryLater):
        stage.product.start_backup(a_vm(), a_snapshot(MIB), BORG.pool(noise(MIB)))


def test_what_a_program_says_is_told_without_secrets(kind: Kind, tmp_path: Path) -> None:
    """Whatever it writes them into."""
    stage = kind.stage(tmp_path, **watched(kind, tmp_path))
    said = '{"type": "log_message", "levelname": "ERROR", "message": "with \'"$BORG_PASSPHRASE$RESTIC_PASSWORD"\'"}'
    (tmp_path / "unwell").write_text(f"echo '{said}' >&2; exit 2\n")
    with pytest.raises(GiveUp, match=r"with \*\*\*") as told:
        stage.product.list_backups()
    assert SECRET not in str(told.value)


class Waiting:
    """A job that waits for its turn."""

    def __init__(self) -> None:
        self.ends = threading.Event()
        self.waits = threading.Event()

    def say(self, *, read: int = 0, stored: int = 0, fraction: float | None = None, message: str = "") -> None:
        self.waits.set()
        if self.ends.is_set():
            raise Cancelled("it was cancelled")


def test_a_job_that_waits_for_its_turn_can_be_cancelled(tmp_path: Path) -> None:
    """And what is short goes before it when the turn is free."""
    queue, order, job = turns.of(str(tmp_path)), list[str](), Waiting()
    assert turns.of(str(tmp_path)) is queue

    def work(name: str, waiting: Waiting | None) -> None:
        with queue.turn(alone=True, job=waiting):
            order.append(name)

    cancelled = Waiting()
    with ThreadPoolExecutor(3) as several:
        with queue.turn(alone=True):
            ending, last = several.submit(work, "cancelled", cancelled), several.submit(work, "job", job)
            assert cancelled.waits.wait(10)
            assert job.waits.wait(10)
            cancelled.ends.set()
            with pytest.raises(Cancelled):
                ending.result(60)
            first = several.submit(work, "short", None)
            while not queue._short:
                threading.Event().wait(0.01)
            with pytest.raises(Queued), queue.turn(alone=True, at_once=True):
                raise AssertionError
        first.result(60)
        last.result(60)
    assert order == ["short", "job"]
