"""What changed since an earlier snapshot, and reading that alone, against a simulated pool and a real NBD server."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi import blocks, nbd
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.transfers import PoolTransfers
from orchestrator.xapi.transfers_source import PoolSource
from plugins.errors import SourceError
from plugins.values import Disk, Extent, Snapshot
from tests.xapi.nbd_serving import Serving

MIB, BLOCK = 1 << 20, 1 << 16
SIZE = 4 * MIB + 3 * 4096


class Lab:
    """A pool with one disk of noise whose changes are tracked."""

    def __init__(self, pool: SimulatedPool, client: Client, transfers: PoolTransfers) -> None:
        self.pool = pool
        self.client = client
        self.transfers = transfers
        sr = next(ref for ref, row in pool.database.rows("SR") if row["name_label"] == "Shared SR")
        fields: dict[str, Any] = {key: {} for key in ("other_config", "xenstore_data", "sm_config")}
        names = {"name_label": "d", "name_description": "", "type": "user", "sharable": False, "read_only": False, "tags": []}
        self.ref = client.call("VDI.create", {**fields, **names, "SR": sr, "virtual_size": SIZE})
        pool.control.fill_disk(self.ref)
        client.call("VDI.enable_cbt", self.ref)

    def snapshot(self) -> Disk:
        """A snapshot of it, as a product is given it."""
        ref = self.client.call("VDI.snapshot", self.ref, {})
        uuid, of = (self.client.call("VDI.get_uuid", one) for one in (ref, self.ref))
        return Disk(0, "0", uuid, of, "d", int(self.client.call("VDI.get_virtual_size", ref)))

    def only_metadata(self, disk: Disk) -> None:
        self.client.call("VDI.data_destroy", self.client.call("VDI.get_by_uuid", disk.uuid))

    def write(self, offset: int, data: bytes) -> None:
        self.pool.control.write_bytes(self.ref, offset, data)

    @property
    def source(self) -> PoolSource:
        return PoolSource(self.transfers, Snapshot("u", "s", datetime.now(UTC), ()))


@pytest.fixture
def lab(make_simulated_pool: Callable[..., SimulatedPool], join: Callable[..., Client]) -> Iterator[Lab]:
    """The pool, without NBD."""
    pool = make_simulated_pool(hosts=1, vms=0)
    settings = PoolSettings("lab", pool.url, pool.user, SecretStr(pool.password), patience=timedelta(seconds=2))
    transfers = PoolTransfers(settings, patience=0.5, stalled=10)
    yield Lab(pool, join(pool), transfers)
    transfers.close()


@pytest.fixture
def serving(lab: Lab, tmp_path: Path) -> Iterator[Serving]:
    """NBD beside it."""
    found = Serving(lab.pool, tmp_path)
    found.announce()
    yield found
    found.stop()


@pytest.mark.parametrize("destroyed", [False, True])
def test_what_changed_is_known_to_the_block(lab: Lab, destroyed: bool) -> None:
    """Neighbours are one extent, and the last one ends where the disk does; the earlier snapshot needs its metadata only."""
    before = lab.snapshot()
    lab.write(BLOCK, b"x" * (2 * BLOCK))
    lab.write(5 * BLOCK + 17, b"y")
    lab.write(SIZE - 1, b"z")
    after = lab.snapshot()
    if destroyed:
        lab.only_metadata(before)
    assert lab.source.changed(after, before.uuid) == (
        Extent(BLOCK, 2 * BLOCK),
        Extent(5 * BLOCK, BLOCK),
        Extent(SIZE // BLOCK * BLOCK, SIZE % BLOCK),
    )


def test_nothing_changed_is_not_nobody_knows(lab: Lab) -> None:
    """No extent, where None would have all of it read."""
    before = lab.snapshot()
    assert lab.source.changed(lab.snapshot(), before.uuid) == ()


def test_a_broken_chain_says_that_nobody_knows(lab: Lab) -> None:
    """Tracking was switched off and on, the earlier disk is gone, or was never tracked: None."""
    before = lab.snapshot()
    for method in ("VDI.disable_cbt", "VDI.enable_cbt"):
        lab.client.call(method, lab.ref)
    after = lab.snapshot()
    assert lab.source.changed(after, before.uuid) is None
    assert lab.source.changed(after, "00000000-0000-0000-0000-000000000000") is None
    lab.client.call("VDI.disable_cbt", lab.ref)
    assert lab.source.changed(lab.snapshot(), after.uuid) is None


def test_whatever_the_pool_raises_says_that_nobody_knows(lab: Lab) -> None:
    """An account that fails is no reason for a backup to fail."""
    before = lab.snapshot()
    after = lab.snapshot()
    lab.pool.control.fail("VDI.list_changed_blocks", ["SR_BACKEND_FAILURE_460", "", "broken", ""], times=1)
    assert lab.source.changed(after, before.uuid) is None
    assert lab.source.changed(after, before.uuid) == ()


def test_a_disk_that_grew_has_changed_behind_its_old_end(lab: Lab) -> None:
    """Whatever the bitmap says of it."""
    before = lab.snapshot()
    lab.client.call("VDI.resize", lab.ref, SIZE + 3 * MIB)
    after = lab.snapshot()
    first = SIZE // BLOCK * BLOCK
    assert lab.source.changed(after, before.uuid) == (Extent(first, SIZE + 3 * MIB - first),)


def test_a_bitmap_is_read_from_the_highest_bit_on() -> None:
    """Bits behind the end of the disk say nothing."""
    assert blocks.extents(bytes([0b01100000, 0b10000001]), 16 * BLOCK, 16 * BLOCK) == (
        Extent(BLOCK, 2 * BLOCK),
        Extent(8 * BLOCK, BLOCK),
        Extent(15 * BLOCK, BLOCK),
    )
    assert blocks.extents(b"\xff", 3 * BLOCK + 1, 3 * BLOCK + 1) == (Extent(0, 3 * BLOCK + 1),)
    assert blocks.extents(b"\x00", BLOCK, BLOCK) == ()


def test_pieces_are_what_is_on_the_disk(lab: Lab, serving: Serving) -> None:
    """Extents of all sizes anywhere, the last byte too, each in pieces of at most 1 MiB and in their order; nothing else is read."""
    disk = lab.snapshot()
    contents = serving.copy(disk.uuid).read_bytes()
    dice = random.Random(7)
    wanted = [
        Extent(0, 3 * MIB + 5),
        *(Extent(at, dice.randint(1, 70_000)) for at in range(0, 4 * MIB - 70_000, 200_000)),
        Extent(SIZE - 1, 1),
    ]
    got = list(lab.source.read(disk, wanted))
    assert all(contents[piece.offset : piece.offset + piece.length] == data for piece, data in got)
    assert max(piece.length for piece, _ in got) == MIB
    assert sum(piece.length for piece, _ in got) == sum(extent.length for extent in wanted) == sum(length for _, length in serving.read())
    assert b"".join(data for _, data in got) == b"".join(contents[one.offset : one.offset + one.length] for one in wanted)


def test_the_session_goes_with_the_last_piece(lab: Lab, serving: Serving) -> None:
    """Read to its end, or given up."""
    disk = lab.snapshot()
    serving.copy(disk.uuid)
    list(lab.source.read(disk, [Extent(0, MIB)]))
    given_up = lab.source.read(disk, [Extent(0, 4 * MIB)])
    next(given_up)
    given_up.close()  # type: ignore[attr-defined]
    assert len(lab.pool.database.refs("session")) == 1


def test_without_nbd_the_error_says_what_to_do(lab: Lab) -> None:
    """A network of purpose nbd is wanted."""
    disk = lab.snapshot()
    with pytest.raises(SourceError, match=r"network of purpose nbd .*param-key=nbd"):
        list(lab.source.read(disk, [Extent(0, 1)]))


def test_who_shows_another_certificate_is_not_read(lab: Lab, tmp_path: Path) -> None:
    """The pool said which one it must be; not a byte of our session goes to anybody else."""
    other = Serving(lab.pool, tmp_path, own_certificate=False)
    try:
        other.announce()
        disk = lab.snapshot()
        other.copy(disk.uuid)
        with pytest.raises(SourceError, match="does not show the certificate"):
            list(lab.source.read(disk, [Extent(0, 1)]))
        assert other.read() == []
    finally:
        other.stop()


def test_a_read_that_fails_says_where(lab: Lab, serving: Serving) -> None:
    """And no word of the session."""
    disk = lab.snapshot()
    serving.copy(disk.uuid).with_name(f"{disk.uuid}.breaks").write_text(str(2 * MIB))
    got = []
    with pytest.raises(SourceError, match=f"cannot read {MIB} bytes at") as told:  # several are under way: whichever fails first is named
        got += [piece for piece, _ in lab.source.read(disk, [Extent(0, 4 * MIB)])]
    assert "OpaqueRef" not in str(told.value)


def test_a_disk_that_is_not_served_is_waited_for_and_then_an_error(lab: Lab, serving: Serving) -> None:
    """The server knows no such export."""
    disk = lab.snapshot()
    with pytest.raises(SourceError, match="does not give the disk") as told:
        list(lab.source.read(disk, [Extent(0, 1)]))
    assert "OpaqueRef" not in str(told.value)
    assert serving.read() == []


def test_a_server_that_is_away_is_an_error(lab: Lab, serving: Serving) -> None:
    """It names the address."""
    serving.stop()
    with pytest.raises(SourceError, match=serving.address):
        list(lab.source.read(lab.snapshot(), [Extent(0, 1)]))


def test_a_server_that_dies_in_the_middle_is_an_error(lab: Lab, serving: Serving) -> None:
    """What came until then is not all."""
    disk = lab.snapshot()
    serving.copy(disk.uuid)
    pieces = lab.source.read(disk, [Extent(0, BLOCK)] * 1000)
    next(pieces)
    serving.stop()
    with pytest.raises(SourceError, match="broke off"):
        list(pieces)


def test_less_than_the_disk_is_an_error(lab: Lab, serving: Serving) -> None:
    """A server that has a smaller disk under its name."""
    disk = lab.snapshot()
    (serving.folder / disk.uuid).write_bytes(b"x" * MIB)
    with pytest.raises(SourceError, match=f"serves {MIB} of its {SIZE} bytes"):
        list(lab.source.read(disk, [Extent(0, 1)]))


def test_a_certificate_is_wanted() -> None:
    """Without one nobody knows who is there."""
    with pytest.raises(SourceError, match="without its certificate"):
        nbd._der("")
