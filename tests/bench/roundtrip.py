"""There and back with real borg and restic: eight VMs saved by each, changed by 1 %, saved again; one for each deleted and restored.

All of it by commands and the daemon, as a person has it. The figures are bytes: of the disks, what was stored the first time, what
changed, what was stored the second time as the product says it, by how much its repository has grown on disk, and the ratios.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench import programs
from tests.journey import kills, round_trip
from tests.journey.lab import Lab
from tests.journey.round_trip import MIB, PRODUCTS, Guest
from tests.workflows import checker

VMS = 8
SIZE = 64 * MIB


def run() -> dict[str, Any]:
    """What was stored, by product, and what came back; it fails where something does not come back as it was."""
    if lacking := round_trip.missing():
        return {"left out": f"{lacking}: not installed"}
    with _lab() as lab:
        round_trip.configure(lab)
        guests = round_trip.furnished(lab, VMS, SIZE)
        with round_trip.serving(lab):
            first = {product: _saved(lab, guests, product) for product in PRODUCTS}
            changed = sum(round_trip.change(lab, guest) for guest in guests)
            second = {product: _saved(lab, guests, product) for product in PRODUCTS}
            back = [_back(lab, guest, product) for guest, product in zip(guests, PRODUCTS, strict=False)]
        left = [*checker.left_over(kills.look(lab)), *checker.rows_left_over(lab.store)]
        assert left == [], left
    figures = {product: _figures(first[product], changed, second[product]) for product in PRODUCTS}
    return {"VMs": VMS, "disks": VMS * SIZE, "changed": changed, **figures, "back": back}


@contextmanager
def _lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), "--hosts", "2", "--vfs", "16", "--vms", str(3 * VMS))
        try:
            yield lab
        finally:
            lab.close()


def _saved(lab: Lab, guests: Sequence[Guest], product: str) -> dict[str, int]:
    """What all of them came to: stored as the product says, and the growth of its repository's data."""
    before = programs.size_of(lab.folder / product / "data")
    lines = round_trip.save(lab, guests, product)
    return {"stored": sum(line.stored for line in lines), "grew": programs.size_of(lab.folder / product / "data") - before}


def _back(lab: Lab, guest: Guest, product: str) -> dict[str, Any]:
    """Delete the VM, and get it back from its latest point."""
    points = round_trip.told(lab, "backup", "list", "--vm", guest.vm.uuid, "--product", product)
    round_trip.delete(lab, guest)
    vm = round_trip.restored(lab, guest, points[-1]["id"], product)
    held = len([pci for pci in vm.held if pci.is_vf])
    return {"product": product, "VM": vm.name, "points": len(points), "VFs": held, "disk": "identical", "file": "identical"}


def _figures(first: dict[str, int], changed: int, second: dict[str, int]) -> dict[str, Any]:
    return {
        "stored first": first["stored"], "grew first": first["grew"], "stored second": second["stored"], "grew second": second["grew"],
        "stored over changed": round(second["stored"] / changed, 2), "grew over changed": round(second["grew"] / changed, 2),
    }  # fmt: skip
