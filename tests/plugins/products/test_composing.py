"""Disks composed of what changed and of the backup before, with real borg: bit for bit what the pool has, or read whole."""

import dataclasses
import hashlib
import random
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.composing import COMPOSED, PROBE, WHOLE, Composer, Earlier, Paces, Slower
from plugins.errors import SourceError
from plugins.values import BackupVM, Disk, Extent, Progress, Snapshot
from tests.plugins.products.kinds import BORG, needed
from tests.plugins.products.stage import MIB, Pool, Stage, a_snapshot, a_vm, noise

BLOCK = 1 << 16
SIZE = 3 * MIB + 5 * 4096


class Tracked(Pool):
    """A pool that knows the contents of every snapshot's disk, and so what changed."""

    def __init__(self) -> None:
        super().__init__()
        self.disks: dict[str, bytes] = {}
        self.knows = True
        self.fails_after: int | None = None

    def changed(self, disk: Disk, since: str) -> tuple[Extent, ...] | None:
        if not self.knows or since not in self.disks:
            return None
        old, new = self.disks[since], self.contents[disk.number]
        ends = ((at, min(at + BLOCK, len(new))) for at in range(0, len(new), BLOCK))
        return tuple(Extent(at, end - at) for at, end in ends if old[at:end] != new[at:end])

    def read(self, disk: Disk, extents: Iterable[Extent]) -> Iterator[tuple[Extent, bytes]]:
        for number, extent in enumerate(extents):
            if number == self.fails_after:
                raise SourceError("the server went away")
            yield extent, self.contents[disk.number][extent.offset : extent.offset + extent.length]


class Scene:
    """A VM with one disk that is saved again and again."""

    def __init__(self, stage: Stage, contents: bytes) -> None:
        self.stage = stage
        self.pool = Tracked()
        self.vm = a_vm()
        self.contents = bytearray(contents)
        self.snapshots: list[Snapshot] = []

    def save(self, **changes: Any) -> Progress:
        """One more backup; it must be what the disk is."""
        vm = a_vm(vm=self.vm.vm, **changes)
        snapshot = a_snapshot(len(self.contents), after=timedelta(hours=len(self.snapshots)))
        of = self.snapshots[0].disks[0].of if self.snapshots else snapshot.disks[0].of
        snapshot = dataclasses.replace(snapshot, disks=(dataclasses.replace(snapshot.disks[0], of=of),))
        self.snapshots.append(snapshot)
        self.pool.contents = [bytes(self.contents)]
        self.pool.disks[snapshot.disks[0].uuid] = bytes(self.contents)
        ended = self.stage.save(self.pool, vm, snapshot)
        assert ended.state == "done", ended
        self.assert_as_it_was(vm)
        return ended

    def assert_as_it_was(self, vm: BackupVM) -> None:
        point = next(point for point in self.stage.product.list_backups() if point.run_id == str(vm.run_id))
        with self.stage.product.open_disk(point, 0) as stream:
            found = hashlib.sha256(stream.read()).hexdigest()
        assert found == hashlib.sha256(self.contents).hexdigest()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(needed(BORG).stage(tmp_path, changed_blocks="always"), noise(SIZE))


def change(contents: bytearray, at: int, length: int, seed: int = 9) -> None:
    contents[at : at + length] = noise(length, seed)


@pytest.mark.parametrize(
    ("places", "blocks"),
    [
        ([], 0),
        ([(0, 1)], 1),
        ([(SIZE - 1, 1)], None),
        ([(SIZE // BLOCK * BLOCK - 1, 2)], None),
        ([(0, SIZE)], None),
        ([(BLOCK, 3 * BLOCK), (20 * BLOCK + 5, 100)], 4),
    ],
)
def test_only_what_changed_is_read(scene: Scene, places: list[tuple[int, int]], blocks: int | None) -> None:
    """Nothing, the first byte, the last one in a block that is none, all of it: the archive is the disk."""
    scene.save()
    for at, length in places:
        change(scene.contents, at, length)
    ended = scene.save()
    assert ended.details["way"] == COMPOSED, ended
    assert ended.read == ended.details["read"] == ended.details["changed"]
    if blocks is not None:
        assert ended.read == blocks * BLOCK


def test_random_changes_one_after_the_other(scene: Scene) -> None:
    """Each backup is made of the one before it, which was composed as well."""
    scene.save()
    dice = random.Random(3)
    for turn in range(4):
        for _ in range(dice.randint(1, 12)):
            at = dice.randrange(SIZE)
            change(scene.contents, at, min(dice.randint(1, 200_000), SIZE - at), seed=turn)
        assert scene.save().details["way"] == COMPOSED


def test_a_disk_that_grew(scene: Scene) -> None:
    """What lies behind its old end comes from the pool."""
    scene.save()
    scene.contents += noise(2 * MIB + 4096, 5)
    ended = scene.save()
    assert ended.details["way"] == COMPOSED, ended
    assert ended.read < 2 * MIB + 3 * BLOCK


@pytest.mark.parametrize("broken", ["nobody knows", "the server dies", "the archive is damaged", "another policy"])
def test_what_cannot_be_composed_is_read_whole(scene: Scene, broken: str) -> None:
    """And the report says why."""
    scene.save()
    change(scene.contents, MIB, 1)
    change(scene.contents, 2 * MIB, 1)
    if broken == "nobody knows":
        scene.pool.knows = False
    elif broken == "the server dies":
        scene.pool.fails_after = 1
    elif broken == "the archive is damaged":
        segments = sorted(
            (scene.stage.folder / "repo" / "data").rglob("[0-9]*"), key=lambda path: path.stat().st_size if path.is_file() else 0
        )
        whole = bytearray(segments[-1].read_bytes())
        whole[len(whole) // 2] ^= 1
        segments[-1].write_bytes(whole)
        scene.pool.contents = [bytes(scene.contents)]
        snapshot = scene.snapshots[0]
        again = a_snapshot(SIZE, after=timedelta(hours=5))
        again = dataclasses.replace(again, disks=(dataclasses.replace(again.disks[0], of=snapshot.disks[0].of),))
        ended = scene.stage.save(scene.pool, a_vm(vm=scene.vm.vm), again)
        assert ended.details["way"] == WHOLE, ended
        assert "cannot be read" in ended.details["why"]
        return
    ended = scene.save(**({"policy": "weekly"} if broken == "another policy" else {}))
    assert ended.details["way"] == WHOLE
    assert ended.details["why"]
    assert ended.read >= SIZE


def test_never_asks_nobody(tmp_path: Path) -> None:
    """Neither of the product's needs, nor of the pool."""
    scene = Scene(needed(BORG).stage(tmp_path, changed_blocks="never"), noise(MIB))
    assert not scene.stage.product.needs().changed_blocks
    scene.save()
    ended = scene.save()
    assert (ended.read, dict(ended.details)) == (MIB, {})


def composer(folder: Path, old: bytes, new: bytes) -> tuple[Composer, Disk, Paces]:
    """As for a disk that was saved before, in mode "auto"."""
    import io

    pool, paces = Tracked(), Paces(folder / "paces.json")
    before, after = (Disk(0, "0", uuid, "vdi", "d", len(new)) for uuid in ("before", "after"))
    pool.disks, pool.contents = {"before": old}, [new]
    point = dataclasses.replace(_point(), disks=(before,))
    return Composer("auto", "lab", pool, Earlier((point,), lambda _point, _number: io.BytesIO(old)), paces), after, paces


def _point() -> Any:
    from plugins import points

    return points.made(a_vm(), a_snapshot(), {})


def test_a_disk_of_which_most_changed_is_read_whole(tmp_path: Path) -> None:
    """There is little to be had from the backup before."""
    deciding, disk, _ = composer(tmp_path, noise(MIB), noise(MIB, 2))
    assert deciding.stream(disk) is None
    assert "100% of it changed" in str((deciding.details() or {})["why"])


def test_the_slower_way_is_not_taken_twice(tmp_path: Path) -> None:
    """A pool that is quicker than the repository: found out within the first 256 MiB, and remembered."""
    deciding, disk, paces = composer(tmp_path, noise(MIB), noise(MIB))
    paces.learn("lab", WHOLE, 1e18)
    assert deciding.stream(disk) is not None
    piece = memoryview(bytes(MIB))
    taken = []
    with pytest.raises(Slower, match="composing it is slower"):
        taken += list(deciding.timed(iter([piece] * (2 * PROBE // MIB))))
    again, disk, _ = composer(tmp_path, noise(MIB), noise(MIB))
    assert again.stream(disk) is None
    assert "slower" in str((again.details() or {})["why"])


def test_the_quicker_way_is_taken_again(tmp_path: Path) -> None:
    """A pool that is slower than the repository."""
    deciding, disk, paces = composer(tmp_path, noise(MIB), noise(MIB))
    paces.learn("lab", WHOLE, 1)
    assert deciding.stream(disk) is not None
    assert len(list(deciding.timed(iter([memoryview(bytes(MIB))] * (PROBE // MIB))))) == PROBE // MIB
    assert (paces.of("lab", COMPOSED) or 0) > 1
    assert composer(tmp_path, noise(MIB), noise(MIB))[0].stream(disk) is not None
