"""VHDs from /export_raw_vdi and into /import_raw_vdi."""

import struct
import subprocess
from pathlib import Path

import pytest

from tests.services import programs

from .conftest import Make, Setting
from .moving import MIB, disk, error_of, get, put, task


def fresh(at: Setting, like: str, body: bytes, *more: bytes) -> bytes:
    """What a new disk of the same size has after the imports."""
    new = disk(at, int(at.client("VDI.get_virtual_size", like)))
    for one in (body, *more):
        ref = task(at)
        put(at, one, vdi=new, format="vhd", task_id=ref)
        assert error_of(at, ref) == []
    return get(at, vdi=new)[2]


def test_a_vhd_brings_the_disk_to_another(setting: Make) -> None:
    """Also one whose end is within a block; it is as long as what was written."""
    at = setting(hosts=1)
    vdi = disk(at, 9 * MIB)
    for offset in (5, 9 * MIB - 4):
        at.pool.control.write_bytes(vdi, offset, b"disk")
    body = get(at, vdi=vdi, format="vhd")[2]
    assert len(body) == 512 + 1024 + 512 + 512 + 2 * (512 + 2 * MIB) + 512
    assert body[:512] == body[-512:]
    assert fresh(at, vdi, body) == get(at, vdi=vdi)[2]


def test_a_difference_brings_a_base_up_to_date(setting: Make) -> None:
    """Only the blocks that were written since are in it, and it names its base."""
    at = setting(hosts=1)
    vdi = disk(at, 16 * MIB)
    at.pool.control.fill_disk(vdi)
    base = at.client("VDI.snapshot", vdi, {})
    at.pool.control.write_bytes(vdi, 5 * MIB, b"later")
    later = at.client("VDI.snapshot", vdi, {})
    whole, difference = get(at, vdi=base, format="vhd")[2], get(at, vdi=later, format="vhd", base=base)[2]
    assert len(difference) < 3 * MIB
    assert struct.unpack_from(">I", difference, 60) == (4,)
    assert difference[512 + 40 : 512 + 56].hex() == at.client("VDI.get_uuid", base).replace("-", "")
    assert fresh(at, vdi, whole, difference) == get(at, vdi=later)[2]


def test_a_difference_to_a_later_disk_takes_back_what_it_wrote(setting: Make) -> None:
    """Blocks that only the base has written are in it as well."""
    at = setting(hosts=1)
    vdi = disk(at, 8 * MIB)
    earlier = at.client("VDI.snapshot", vdi, {})
    at.pool.control.write_bytes(vdi, 3 * MIB, b"gone")
    whole, back = get(at, vdi=vdi, format="vhd")[2], get(at, vdi=earlier, format="vhd", base=vdi)[2]
    assert fresh(at, vdi, whole, back) == bytes(8 * MIB)


@pytest.mark.parametrize("body", [b"no vhd" * 1000, b"short"])
def test_what_is_no_vhd_fails_in_the_task(body: bytes, setting: Make) -> None:
    """VDI_IO_ERROR."""
    at = setting(hosts=1)
    ref = task(at)
    assert put(at, body, vdi=disk(at), format="vhd", task_id=ref) == 200
    assert error_of(at, ref) == ["VDI_IO_ERROR", "Device I/O errors"]


def test_a_base_that_is_none_is_refused(setting: Make) -> None:
    """The 500 page."""
    at = setting(hosts=1)
    assert get(at, vdi=disk(at), format="vhd", base="OpaqueRef:bad")[0] == 500


def test_other_tools_read_it(tmp_path: Path, setting: Make) -> None:
    """qemu-img makes the same raw disk of it."""
    programs.needed("qemu-img", "qemu-utils")
    at = setting(hosts=1)
    vdi = disk(at, 64 * MIB)
    at.pool.control.change_disk(vdi, 0.02)
    (tmp_path / "disk.vhd").write_bytes(get(at, vdi=vdi, format="vhd")[2])
    convert = ["qemu-img", "convert", "-f", "vpc", "-O", "raw", "disk.vhd", "disk.raw"]
    subprocess.run(convert, cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "disk.raw").read_bytes()[: 64 * MIB].rstrip(b"\0") == get(at, vdi=vdi)[2].rstrip(b"\0")
