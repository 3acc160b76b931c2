"""Bytes that a borg repository grows by over bytes that changed: 1 % of a disk, in extents of 64 KiB that lie anywhere, of noise.

The files of the repository's data are counted, not borg's own words: what it writes of the archives themselves is in it.
"""

import tempfile
from pathlib import Path
from typing import Any

from tests.bench import programs
from tests.bench.export import GIB, control, made_disk, saved

SIZE = GIB
FRACTION = 0.01
ROUNDS = 3
TARGETS = {"worst": 1.1}


def run() -> dict[str, Any]:
    """For each of some backups after the first: stored over changed, the worst of them, and the bytes."""
    with programs.simulator("--control", hosts=1, vms=0, speed=0) as pool, tempfile.TemporaryDirectory() as folder:
        vdi = made_disk(pool, "full", SIZE, SIZE)
        first = saved(pool, vdi, SIZE, Path(folder))
        found = [_again(pool, vdi, Path(folder), seed) for seed in range(ROUNDS)]
    return {
        "worst": max(one["ratio"] for one in found),
        "targets": TARGETS,
        "first": {"size": SIZE, "stored": first["stored"]},
        "increments": found,
    }


def _again(pool: dict[str, Any], vdi: str, folder: Path, seed: int) -> dict[str, Any]:
    changed = control(pool, "change-disk", vdi=vdi, fraction=FRACTION, seed=seed)["bytes"]
    before = _size(folder / "repository")
    said = saved(pool, vdi, SIZE, folder)["stored"]
    stored = _size(folder / "repository") - before
    return {"ratio": round(stored / changed, 3), "changed": changed, "stored": stored, "said": said}


def _size(folder: Path) -> int:
    """The data; borg's index of it (`index.N`, `hints.N`) is written anew with every backup and replaces the last one."""
    return sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
