"""What every shipped product holds to: one suite over all of them, each with its real program."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from plugins.errors import GiveUp
from tests.plugins.products.kinds import KINDS, Kind, children, needed
from tests.plugins.products.stage import MIB, Gate, Stage, a_snapshot, a_vm, noise

SIZES = (4 * MIB, 4 * MIB)
CONTENTS = (noise(4 * MIB), noise(2 * MIB, 2) + bytes(2 * MIB))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return needed(KINDS[request.param])


@pytest.fixture
def stage(kind: Kind, tmp_path: Path) -> Stage:
    return kind.stage(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def left(kind: Kind, folder: Path) -> list[str]:
    """What of ours the repository has, listed or not."""
    if kind.whole_vm:
        return [path.name for path in kind.repository(folder).iterdir()]
    repository = kind.stage(folder).product._repository
    return [kept.name for kept in repository.listed()]


def test_what_was_saved_comes_back(kind: Kind, stage: Stage) -> None:
    """Byte for byte, with the VM's blueprint, the disks, the checksums and whose backup it is; and again after a restart."""
    vm, snapshot = a_vm(), a_snapshot(*SIZES)
    ended = stage.save(kind.pool(*CONTENTS), vm, snapshot)
    assert (ended.state, ended.read) == ("done", 8 * MIB)
    assert 6 * MIB < ended.stored < 9 * MIB
    (point,) = stage.product.list_backups()
    assert (point.id, point.run_id, point.pool, point.vm, point.vm_name, point.policy) == (
        ended.point,
        str(vm.run_id),
        vm.pool,
        vm.vm,
        vm.name,
        vm.policy,
    )
    assert (point.taken_at, point.disks, point.blueprint) == (snapshot.taken_at, snapshot.disks, snapshot.blueprint)
    assert sorted(point.sha256) == ([0] if kind.whole_vm else [0, 1])
    assert kind.contents(stage, point) == b"".join(CONTENTS)
    assert stage.again().list_backups() == [point]
    shutil.rmtree(stage.kit_folder)
    stage.kit_folder.mkdir()
    assert stage.again().list_backups() == [point], "it is read from the repository"


def test_a_repository_is_made_where_there_is_none(kind: Kind, tmp_path: Path) -> None:
    """With the first backup, not by asking what the product needs; nothing is made where `init` is false."""
    if kind.program is None:
        return
    other = kind.stage(tmp_path, fresh=True, init=False)
    with pytest.raises(GiveUp, match="init = false"):
        other.product.needs()
    stage = kind.stage(tmp_path, fresh=True)
    stage.product.needs()
    assert not kind.repository(tmp_path).exists()
    assert stage.save(kind.pool(noise(MIB)), a_vm(), a_snapshot(MIB)).state == "done"
    assert len(stage.product.list_backups()) == 1


def test_a_second_backup_stores_what_changed(kind: Kind, stage: Stage) -> None:
    """Both come back; a repository that deduplicates grows by little."""
    vm = a_vm()
    stage.save(kind.pool(*CONTENTS), vm, a_snapshot(*SIZES))
    changed = (CONTENTS[0][: 3 * MIB] + noise(1 << 16, 3) + CONTENTS[0][3 * MIB + (1 << 16) :], CONTENTS[1])
    ended = stage.save(kind.pool(*changed), a_vm(vm=vm.vm), a_snapshot(*SIZES, after=timedelta(days=1)))
    assert ended.state == "done"
    assert kind.whole_vm or ended.stored < 4 * MIB
    first, second = stage.product.list_backups()
    assert kind.contents(stage, first) == b"".join(CONTENTS)
    assert kind.contents(stage, second) == b"".join(changed)


def test_checksums_may_be_left_to_the_program(kind: Kind, tmp_path: Path) -> None:
    """Then the manifest has none, and what was saved comes back all the same."""
    if kind.whole_vm:
        return
    stage = kind.stage(tmp_path, checksums=False)
    stage.save(kind.pool(*CONTENTS), a_vm(), a_snapshot(*SIZES))
    (point,) = stage.product.list_backups()
    assert point.sha256 == {}
    assert kind.contents(stage, point) == b"".join(CONTENTS)


def test_the_same_run_has_one_job(kind: Kind, stage: Stage) -> None:
    """Asked again while it is at work and when it is done: the same job, one restore point."""
    vm, snapshot, pool = a_vm(), a_snapshot(*SIZES), kind.pool(*CONTENTS)
    pool.gate = Gate(MIB)
    job = stage.product.start_backup(vm, snapshot, pool)
    assert pool.gate.reached.wait(60)
    assert stage.product.poll_backup(job).state == "running"
    assert stage.product.start_backup(vm, snapshot, pool) == job
    pool.gate.go.set()
    assert stage.jobs.join(job).state == "done"
    assert stage.product.start_backup(vm, snapshot, pool) == job
    assert len(stage.product.list_backups()) == 1


def test_a_job_that_was_done_when_its_process_died_is_not_done_again(kind: Kind, stage: Stage) -> None:
    """The row says that it is lost, the repository has it: there is one restore point, and it is that one."""
    vm, snapshot = a_vm(), a_snapshot(*SIZES)
    stage.save(kind.pool(*CONTENTS), vm, snapshot)
    known = left(kind, stage.folder)
    stage.again()
    ended = stage.save(kind.pool(), vm, snapshot)
    assert (ended.state, ended.point) == ("done", str(vm.run_id))
    assert left(kind, stage.folder) == known


def test_a_killed_process_leaves_nothing_that_counts(kind: Kind, stage: Stage) -> None:
    """Killed with -9 in the middle of a disk: nothing is listed; begun anew under the same run it is whole, and what was left is gone."""
    vm = a_vm()
    words = (kind.name, str(stage.folder), str(vm.run_id), vm.vm)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.plugins.products.dying", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as dying:
        assert dying.stdout
        assert dying.stdout.readline() == b"in the middle\n"
        dying.kill()
    assert stage.product.list_backups() == []
    ended = stage.save(kind.pool(*CONTENTS), vm, a_snapshot(*SIZES))
    assert ended.state == "done", ended
    (point,) = stage.product.list_backups()
    assert kind.contents(stage, point) == b"".join(CONTENTS)
    assert len(left(kind, stage.folder)) == 3  # two disks and the manifest; or the XVA, its checksum and the manifest


def test_a_program_that_is_killed_fails_the_job(kind: Kind, stage: Stage) -> None:
    """The job says so, nothing of it counts, and the same run may begin anew."""
    if kind.program is None:
        return
    vm, snapshot, pool = a_vm(), a_snapshot(*SIZES), kind.pool(*CONTENTS)
    pool.gate = Gate(3 * MIB)
    job = stage.product.start_backup(vm, snapshot, pool)
    assert pool.gate.reached.wait(60)
    for child in children(kind):
        os.kill(child, signal.SIGKILL)
    pool.gate.go.set()
    ended = stage.jobs.join(job)
    assert ended.state == "failed"
    assert "exit code -9" in ended.message
    assert stage.product.list_backups() == []
    assert stage.save(kind.pool(*CONTENTS), vm, snapshot).state == "done"


def test_a_cancelled_job_leaves_nothing(kind: Kind, stage: Stage) -> None:
    """In the middle of the second disk: no stream of ours is left, and no program runs on."""
    vm, pool = a_vm(), kind.pool(*CONTENTS)
    pool.gate = Gate(3 * MIB)
    job = stage.product.start_backup(vm, a_snapshot(*SIZES), pool)
    assert pool.gate.reached.wait(60)
    stage.product.cancel_backup(job)
    pool.gate.go.set()
    assert stage.jobs.join(job).state == "failed"
    assert stage.product.cancel_backup(job)
    assert left(kind, stage.folder) == []
    assert children(kind) == {}


@pytest.mark.parametrize("at", [1, 3 * MIB, 4 * MIB])
def test_a_source_that_breaks_fails_the_job_in_its_words(kind: Kind, stage: Stage, at: int) -> None:
    """Also at the very last byte: what was saved before the error is not taken for whole."""
    pool = kind.pool(*CONTENTS)
    pool.breaks_at = at
    ended = stage.save(pool, a_vm(), a_snapshot(*SIZES))
    assert (ended.state, "the task failed" in ended.message) == ("failed", True)
    assert left(kind, stage.folder) == []


def test_a_source_that_is_too_short_fails_the_job(kind: Kind, stage: Stage) -> None:
    """It ended without an error, and not all bytes of the disk were there."""
    if kind.whole_vm:
        return
    ended = stage.save(kind.pool(CONTENTS[0][:-1], CONTENTS[1]), a_vm(), a_snapshot(*SIZES))
    assert ended.state == "failed"
    assert f"{4 * MIB - 1} of {4 * MIB} bytes" in ended.message
    assert left(kind, stage.folder) == []


def test_a_wrong_passphrase_gives_up_at_once(kind: Kind, stage: Stage) -> None:
    """Before anything is begun, and without a word of the secret."""
    if not kind.secret:
        return
    assert stage.product.list_backups() == []
    other = kind.stage(stage.folder, passphrase="wrong battery")
    with pytest.raises(GiveUp, match="pass") as told:
        other.product.start_backup(a_vm(), a_snapshot(*SIZES), kind.pool(*CONTENTS))
    assert "battery" not in str(told.value)
    with pytest.raises(GiveUp):
        other.product.list_backups()


def test_a_repository_that_is_gone_is_not_made_anew(kind: Kind, stage: Stage) -> None:
    """It is not mounted, most likely: an empty one in its place would look like nothing was ever saved."""
    stage.save(kind.pool(noise(MIB)), a_vm(), a_snapshot(MIB))
    shutil.rmtree(kind.repository(stage.folder))
    with pytest.raises(GiveUp, match="is it mounted"):
        stage.again().start_backup(a_vm(), a_snapshot(*SIZES), kind.pool(*CONTENTS))
    with pytest.raises(GiveUp):
        stage.product.list_backups()
    assert not kind.repository(stage.folder).exists()


def test_a_program_that_is_not_there_is_named(kind: Kind, tmp_path: Path) -> None:
    """What is missing and what to do."""
    if kind.program is None:
        return
    changes: dict[str, Any] = {kind.program: "/no/such/program"}
    stage = kind.stage(tmp_path, **changes)
    with pytest.raises(GiveUp, match=r"/no/such/program cannot be run.*install it"):
        stage.product.start_backup(a_vm(), a_snapshot(*SIZES), kind.pool(*CONTENTS))


def test_a_full_disk_fails_the_job(kind: Kind, small: Path) -> None:
    """The job says so, and nothing of it counts."""
    stage = kind.stage(small)
    ended = stage.save(kind.pool(noise(4 * MIB), noise(4 * MIB, 2)), a_vm(), a_snapshot(*SIZES))
    assert ended.state == "failed"
    assert "o space left" in ended.message or "bytes free" in ended.message
    assert stage.product.list_backups() == []


def test_only_what_is_to_be_forgotten_goes(kind: Kind, stage: Stage) -> None:
    """Of two policies in one repository: the other's stays, and comes back; to forget the first again is no error, to open it is."""
    vm = a_vm()
    stage.save(kind.pool(*CONTENTS), vm, a_snapshot(*SIZES))
    other = (noise(4 * MIB, 7), noise(4 * MIB, 8))
    stage.save(kind.pool(*other), a_vm(vm=vm.vm, policy="weekly"), a_snapshot(*SIZES, after=timedelta(days=1)))
    first, second = stage.product.list_backups()
    assert stage.product.forget_backups([first]) > 3 * MIB
    assert stage.product.forget_backups([first]) == 0
    assert stage.product.list_backups() == [second]
    assert second.policy == "weekly"
    with pytest.raises(GiveUp, match=first.id):
        kind.contents(stage, first)
    assert kind.contents(stage, second) == b"".join(other)
    assert len(left(kind, stage.folder)) == 3


def test_a_sound_backup_is_found_sound(kind: Kind, stage: Stage) -> None:
    """And one that lost a file of its repository is not."""
    stage.save(kind.pool(*CONTENTS), a_vm(), a_snapshot(*SIZES))
    (point,) = stage.product.list_backups()
    assert stage.product.verify_backup(point).sound
    largest = max((path for path in kind.repository(stage.folder).rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    if kind.whole_vm:
        with largest.open("r+b") as file:
            file.seek(MIB)
            file.write(b"damage")
    else:
        largest.chmod(0o600)
        largest.unlink()
    found = stage.product.verify_backup(point)
    assert not found.sound
    assert found.message


def test_an_unknown_run_is_lost(stage: Stage) -> None:
    """A job that nobody knows is begun again; to cancel it is no error."""
    job = f"job:{uuid4()}"
    assert stage.product.poll_backup(job).state == "lost"
    assert stage.product.cancel_backup(job)
