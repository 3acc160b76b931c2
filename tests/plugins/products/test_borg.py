"""What borg has of its own: one lock, archives of others, checkpoints, a place that may be elsewhere."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from plugins import points, settings
from plugins.borg import BorgRepository, BorgSettings
from plugins.errors import Queued, RetryLater
from plugins.programs import nothing
from plugins.repositories import STALE
from plugins.settings import WrongSettings
from tests.plugins.products.kinds import BORG, borg, locked, needed
from tests.plugins.products.stage import MIB, TAKEN, Gate, Stage, a_snapshot, a_vm, noise


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return needed(BORG).stage(tmp_path)


def repository(stage: Stage) -> BorgRepository:
    kept: BorgRepository = stage.product._repository
    return kept


def archives(stage: Stage) -> list[str]:
    found = json.loads(borg(stage.folder, "list", "--json", "--consider-checkpoints", str(stage.folder / "repo")).stdout)
    return sorted(one["name"] for one in found["archives"])


def save(stage: Stage) -> None:
    assert stage.save(BORG.pool(noise(MIB)), a_vm(), a_snapshot(MIB)).state == "done"


def test_one_backup_at_a_time(stage: Stage) -> None:
    """While one is at work another is not begun: RetryLater, before a snapshot's disk is opened; then it is."""
    pool = BORG.pool(noise(4 * MIB))
    pool.gate = Gate(MIB)
    stage.product._turns.patience = 0.2
    job = stage.product.start_backup(a_vm(), a_snapshot(4 * MIB), pool)
    assert pool.gate.reached.wait(60)
    assert stage.product.needs(), "the VM may be made ready meanwhile"
    with pytest.raises(Queued, match="one backup at a time"):
        stage.product.start_backup(a_vm(), a_snapshot(MIB), BORG.pool(noise(MIB)))
    assert stage.product.list_backups() == []
    with pytest.raises(Queued):
        stage.product.forget_backups([])
    pool.gate.go.set()
    assert stage.jobs.join(job).state == "done"
    save(stage)


def test_a_repository_that_somebody_else_works_on_is_busy(stage: Stage) -> None:
    """Borg's own lock, taken by another program: RetryLater."""
    save(stage)
    with locked(stage.folder):
        with pytest.raises(RetryLater):
            stage.product.start_backup(a_vm(), a_snapshot(MIB), BORG.pool(noise(MIB)))
        with pytest.raises(RetryLater):
            stage.product.forget_backups([])
        assert len(stage.product.list_backups()) == 1
        assert stage.again().needs(), "it is there: the VM may be made ready"
    save(stage)


def test_archives_of_others_stay(stage: Stage) -> None:
    """Neither listed nor touched, whatever they are called."""
    save(stage)
    place = str(stage.folder / "repo")
    for name in ("laptop", "vfo-notes", "vfo-lab-manifest"):
        borg(stage.folder, "create", f"{place}::{name}", "-", input=b"mine")
    stage.product.forget_backups(stage.product.list_backups())
    assert archives(stage) == ["laptop", "vfo-lab-manifest", "vfo-notes"]
    assert stage.product.list_backups() == []


def test_what_dead_jobs_left_goes_when_it_is_old(stage: Stage) -> None:
    """A disk without a manifest: not while its job may be at work, but with the next thing that is done."""
    kept = repository(stage)
    kept.ready()
    old, new = (points.named(a_vm(), TAKEN + delta, "disk0", "abc123") for delta in (-STALE, timedelta(days=36500)))
    for name in (old, new):
        kept.put(name, iter([memoryview(b"half")]), nothing)
    stage.product.forget_backups([])
    assert archives(stage) == [new]


def test_a_checkpoint_is_no_disk(stage: Stage) -> None:
    """What borg keeps of a disk that it was in the middle of does not pass for the disk."""
    kept = repository(stage)
    kept.ready()
    vm = a_vm()
    name = points.named(vm, TAKEN, "disk0", "abc123")
    borg(stage.folder, "create", f"{stage.folder / 'repo'}::{name}.checkpoint", "-", input=b"half")
    assert [one.part for one in kept.listed()] == ["disk0?"]
    assert stage.product.list_backups() == []


def test_a_disk_is_cut_into_fixed_pieces(stage: Stage) -> None:
    """A change in the middle stores one piece of 64 KiB, however the stream came: nothing is shifted."""
    contents = bytearray(noise(4 * MIB))
    vm = a_vm()
    stage.save(BORG.pool(bytes(contents)), vm, a_snapshot(len(contents)))
    contents[2 * MIB + 100] ^= 1
    ended = stage.save(BORG.pool(bytes(contents)), a_vm(vm=vm.vm), a_snapshot(len(contents), after=timedelta(days=1)))
    assert (1 << 16) < ended.stored < (1 << 16) + 20_000


def test_a_manifest_that_cannot_be_read_is_left_out(stage: Stage) -> None:
    """The others are listed."""
    save(stage)
    repository(stage).put(points.named(a_vm(), TAKEN, "manifest", "abc123"), iter([memoryview(b"{")]), nothing)
    assert len(stage.product.list_backups()) == 1


def test_a_removed_repository_may_be_begun_anew_on_purpose(stage: Stage) -> None:
    """By removing the note that the error names."""
    save(stage)
    shutil.rmtree(stage.folder / "repo")
    (stage.kit_folder / "repository").unlink()
    save(stage)
    assert len(stage.product.list_backups()) == 1


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"repository": "repo"}, "a passphrase is needed"),
        ({"repository": "repo", "passphrase": ""}, "a passphrase is needed"),
        ({"repository": "repo::archive", "passphrase": "x"}, "nothing in it"),
        ({"repository": "repo", "passphrase": "x", "encryption": "rot13"}, "encryption"),
        ({"passphrase": "x"}, "repository"),
        ({"repository": "repo", "passphrase": "x", "chunks": 1}, "chunks"),
    ],
)
def test_wrong_settings_are_told(written: dict[str, object], why: str, tmp_path: Path) -> None:
    """Before anything is run."""
    with pytest.raises(WrongSettings, match=why):
        settings.read(BorgSettings, written, tmp_path)


@pytest.mark.parametrize("place", ["ssh://backup@nas:22/srv/borg", "nas:borg", "/srv/borg"])
def test_a_place_elsewhere_stays_as_it_is(place: str, tmp_path: Path) -> None:
    """Only a relative path is beside the configuration file."""
    assert settings.read(BorgSettings, {"repository": place, "passphrase": "x"}, tmp_path).repository == place
    assert settings.read(BorgSettings, {"repository": "b", "encryption": "none"}, tmp_path).repository == str(tmp_path / "b")
