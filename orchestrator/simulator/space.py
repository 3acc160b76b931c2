"""Room on storage repositories: what VDIs and SRs say they use, what no longer fits, and the coalescing that gives room back later.

The sizes are those of thin images on NFS; errors are the storage driver's (sm: XE_SR_ERRORCODES.xml).
"""

from typing import Final

from orchestrator.simulator import durations
from orchestrator.simulator.contents import BLOCK, Content
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure

# How many images a disk may consist of (sm, vhdutil.py: MAX_CHAIN_SIZE).
LONGEST_CHAIN: Final = 30


def content(db: Database, vdi: str) -> Content:
    """What is on the disk; a disk that a world was built with gets its content when it is first asked for."""
    with db.lock:
        row = db.get("VDI", vdi)
        if "_content" not in row:
            made = Content(row["uuid"], int(row["virtual_size"]) // BLOCK)
            made.family.told = made.family.blocks
            db.set("VDI", vdi, _content=made)
        found: Content = db.get("VDI", vdi)["_content"]
        return found


def account(db: Database, vdi: str) -> None:
    """The VDI's and the SR's records say what is used now."""
    with db.lock:
        row = db.get("VDI", vdi)
        held: Content = row["_content"]
        db.set("VDI", vdi, physical_utilisation=held.allocated)
        _tell(db, row["SR"], held)


def _tell(db: Database, sr: str, held: Content) -> None:
    grown, held.family.told = held.family.blocks - held.family.told, held.family.blocks
    use(db, sr, grown * BLOCK)


def use(db: Database, sr: str, size: int) -> None:
    """So many bytes more (or less) are used on the SR."""
    if size and db.exists("SR", sr):
        db.set("SR", sr, physical_utilisation=max(0, db.get("SR", sr)["physical_utilisation"] + size))


def free(db: Database, sr: str) -> int:
    """Bytes that are left on the SR."""
    row = db.get("SR", sr)
    return int(row["physical_size"] - row["physical_utilisation"])


def assert_room(db: Database, sr: str) -> None:
    """SR_BACKEND_FAILURE_44 when nothing is left for another image's header."""
    if free(db, sr) < BLOCK:
        raise Failure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")


def assert_written(db: Database, vdi: str, held: Content) -> None:
    """VDI_IO_ERROR when what was written does not fit on the SR: a thin image finds out when it is written to."""
    if (held.family.blocks - held.family.told) * BLOCK > free(db, db.get("VDI", vdi)["SR"]):
        account(db, vdi)
        raise Failure("VDI_IO_ERROR", "Device I/O errors")


def assert_chain(db: Database, vdi: str) -> None:
    """SR_BACKEND_FAILURE_109 when the disk consists of as many images as the driver allows."""
    if content(db, vdi).depth >= LONGEST_CHAIN:
        raise Failure("SR_BACKEND_FAILURE_109", "", "The snapshot chain is too long", "")


def give_up(db: Database, row: Row) -> None:
    """The bytes of a VDI whose row this was are gone; what became superfluous in its chain is coalesced a while later."""
    held: Content | None = row.get("_content")
    if held is None:
        use(db, row["SR"], -row["physical_utilisation"])
        return
    family = held.family
    held.drop()
    use(db, row["SR"], (family.blocks - family.told) * BLOCK)
    family.told = family.blocks
    if family.blocks:
        db.later(durations.COALESCE, lambda: coalesce(db, row["SR"]))


def coalesce(db: Database, sr: str) -> None:
    """Merge what can be merged of every chain on the SR, unless coalescing is held back there."""
    if not db.exists("SR", sr) or db.get("SR", sr).get("_keeps_chains"):
        return
    for vdi in db.get("SR", sr)["VDIs"]:
        with db.lock:
            held: Content | None = db.get("VDI", vdi).get("_content") if db.exists("VDI", vdi) else None
            if held is not None and held.depth > 1:
                held.coalesce()
                account(db, vdi)
