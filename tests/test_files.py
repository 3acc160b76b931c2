"""Single files out of disks: real filesystems, made as mke2fs makes them, and names that careless programs stumble over."""

import io
import os
import struct
import subprocess
from pathlib import Path
from typing import BinaryIO

import pytest

from orchestrator import files, partitions
from tests.services import programs

MIB = 1 << 20
ODD = ('a "quoted" name', "x'y;$(z) `w`", "<2>", "-l", "tab les", "ümlaut", "日本 語")
UNSEEN = (b"two\nlines", b"\x1b[31mred", b"lat\xe9n")


def mke2fs() -> str:
    return programs.needed("mke2fs", "e2fsprogs")


@pytest.fixture(scope="session")
def filesystem(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An ext4 filesystem of 32 MiB with files in it."""
    folder = tmp_path_factory.mktemp("ext4")
    source = folder / "source"
    (source / "etc").mkdir(parents=True)
    (source / "etc" / "hostname").write_text("web-01\n")
    (source / "big").write_bytes(bytes(range(256)) * 8192)
    (source / "link").symlink_to("/etc/hostname")
    (source / "round").symlink_to("round")
    (source / "dangling").symlink_to("/nope")
    (source / "deep" / "down").mkdir(parents=True)
    (source / "deep" / "down" / "up").symlink_to("../there")
    (source / "deep" / "there").write_text("beside its folder")
    (source / "short").symlink_to("deep/down")
    (source / "long").symlink_to("/" + "etc/../" * 12 + "etc/hostname")
    os.mkfifo(source / "pipe")
    for unseen in UNSEEN:
        (source / os.fsdecode(unseen)).write_bytes(b"unseen")
    for name in ODD:
        (source / name).write_text(f"this is {name}")
    image = folder / "image"
    subprocess.run([mke2fs(), "-q", "-t", "ext4", "-d", str(source), str(image), "32M"], check=True, capture_output=True)
    return image.read_bytes()


def opened(tmp_path: Path, disk: bytes, called: str = "0", partition: int | None = None) -> tuple[BinaryIO, files.Disk]:
    """The spooled disk; it goes with its last reference."""
    with files.spooled(io.BytesIO(disk), len(disk), len(disk), tmp_path) as spool:
        copy = os.fdopen(os.dup(spool.fileno()), "rb")
    return copy, files.Disk(copy, called, partition)


def got(disk: files.Disk, path: str) -> bytes:
    target = io.BytesIO()
    assert disk.copy(path, target) == len(target.getvalue())
    return target.getvalue()


def mbr(*entries: tuple[int, int, int]) -> bytearray:
    """A table of these (type, first sector, sectors)."""
    sector = bytearray(512)
    for number, (kind, start, length) in enumerate(entries):
        struct.pack_into("<4xB3xII", sector, 446 + 16 * number, kind, start, length)
    sector[510:] = b"\x55\xaa"
    return sector


def gpt(start: int, length: int) -> bytearray:
    """A GPT whose second entry is this one (in sectors)."""
    head = mbr((0xEE, 1, 1 << 20)) + bytearray(1 * MIB - 512)
    head[512:520] = b"EFI PART"
    struct.pack_into("<QII", head, 512 + 72, 2, 128, 128)
    head[1024 + 128 : 1024 + 144] = b"x" * 16
    struct.pack_into("<QQ", head, 1024 + 128 + 32, start, start + length - 1)
    return head


def test_a_directory_is_listed(tmp_path: Path, filesystem: bytes) -> None:
    """With kinds and sizes, whatever the names are."""
    spool, disk = opened(tmp_path, filesystem)
    with spool:
        listed = {entry.name: (entry.kind, entry.size) for entry in disk.entries("/")}
        assert listed["etc"][0] == "directory"
        assert listed["big"] == ("file", 256 * 8192)
        assert listed["link"][0] == "symlink"
        assert set(ODD) <= listed.keys()
        assert [entry.name for entry in disk.entries("/etc/hostname")] == ["hostname"]


def test_names_that_nobody_can_see_are_listed(tmp_path: Path, filesystem: bytes) -> None:
    """Ends of lines and control characters as they are, what is no UTF-8 written out; the last one comes out, too."""
    spool, disk = opened(tmp_path, filesystem)
    with spool:
        assert {"two\nlines", "\x1b[31mred", "lat\\xe9n"} <= {entry.name for entry in disk.entries("/")}
        assert [entry.name for entry in disk.entries(os.fsdecode(b"/lat\xe9n"))] == ["lat\\xe9n"]
        assert got(disk, os.fsdecode(b"/lat\xe9n")) == b"unseen"


@pytest.mark.parametrize(
    ("path", "contents"),
    [
        ("/short/up", b"beside its folder"),
        ("/short/up/", b"beside its folder"),
        ("/short/../there", b"beside its folder"),
        ("/long", b"web-01\n"),
    ],
)
def test_symbolic_links_lead_where_the_guest_goes_by_them(tmp_path: Path, filesystem: bytes, path: str, contents: bytes) -> None:
    """Dots go up from where a link leads, not from where it stands; a link too long for its inode is followed as well."""
    spool, disk = opened(tmp_path, filesystem)
    with spool:
        assert got(disk, path) == contents


def test_a_directory_is_listed_through_links(tmp_path: Path, filesystem: bytes) -> None:
    """With a slash at its end or none."""
    spool, disk = opened(tmp_path, filesystem)
    with spool:
        assert [entry.name for entry in disk.entries("/short")] == [entry.name for entry in disk.entries("/short/")] == ["up"]


@pytest.mark.parametrize("name", ODD)
def test_a_file_comes_out_whatever_its_name(tmp_path: Path, filesystem: bytes, name: str) -> None:
    """Its path is data, and never a command of debugfs."""
    spool, disk = opened(tmp_path, filesystem)
    with spool:
        assert got(disk, f"/{name}") == f"this is {name}".encode()


def test_contents_come_out_byte_by_byte(tmp_path: Path, filesystem: bytes) -> None:
    """Two MiB of every byte; and through a symbolic link."""
    spool, disk = opened(tmp_path, filesystem)
    with spool:
        assert got(disk, "/big") == bytes(range(256)) * 8192
        assert got(disk, "/link") == b"web-01\n"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nope", "^/nope: there is nothing of that name"),
        ("/etc/hostname/x", "^/etc/hostname/x: there is nothing of that name"),
        ("/dangling", "^/dangling is a symbolic link to /nope, where there is nothing of that name"),
        ("/pipe", "it is a FIFO"),
        ("/etc", "directory"),
        ("etc", "from the root"),
        ("/x\nquit", "control characters"),
        ('/a" "/etc/hostname', "nothing of that name"),
        ("/round", "circle"),
    ],
)
def test_what_is_no_file_is_said(tmp_path: Path, filesystem: bytes, path: str, why: str) -> None:
    """Nothing is written, and the words say why."""
    spool, disk = opened(tmp_path, filesystem)
    with spool, pytest.raises(files.NoFile, match=why):
        got(disk, path)


@pytest.mark.parametrize(
    ("head", "number"),
    [
        (mbr((0x83, 2048, 65536)) + bytes(MIB - 512), 1),
        (gpt(2048, 65536), 2),
    ],
    ids=["MBR", "GPT"],
)
def test_a_partition_is_read_by_its_number(tmp_path: Path, filesystem: bytes, head: bytes, number: int) -> None:
    """Of either kind of table; the whole disk has no filesystem, and says what it has."""
    whole = bytes(head) + filesystem
    spool, disk = opened(tmp_path, whole, f"0p{number}", number)
    with spool:
        assert got(disk, "/etc/hostname") == b"web-01\n"
        with pytest.raises(files.NoFile, match=rf"0p{number} \(32 MiB, ext\)"):
            files.Disk(spool, "0", None)
        with pytest.raises(files.NoFile, match="has no partition 7"):
            files.Disk(spool, "0p7", 7)


def test_logical_partitions_are_found(tmp_path: Path) -> None:
    """In the chain that begins in the extended one; they are numbered from five."""
    disk = bytearray(4 * MIB)
    disk[:512] = mbr((0x83, 2048, 100), (0x05, 4096, 4000))
    disk[4096 * 512 : 4097 * 512] = mbr((0x83, 8, 50), (0x05, 1000, 60))
    disk[5096 * 512 : 5097 * 512] = mbr((0x83, 8, 60))
    found = partitions.read(io.BytesIO(bytes(disk)))
    assert [(one.number, one.start // 512, one.size // 512) for one in found] == [(1, 2048, 100), (5, 4104, 50), (6, 5104, 60)]


@pytest.mark.parametrize(("mark", "called"), [(b"XFSB", "XFS"), (b"LUKS\xba\xbe", "LUKS"), (b"", "nothing that is known")])
def test_what_is_no_ext_filesystem_is_said_with_what_to_do(tmp_path: Path, mark: bytes, called: str) -> None:
    """What it is, and that a restored VM can read it."""
    disk = mark + bytes(MIB - len(mark))
    with (
        files.spooled(io.BytesIO(disk), len(disk), 0, tmp_path) as spool,
        pytest.raises(files.NoFile, match=f"holds {called}.*vfo backup restore"),
    ):
        files.Disk(spool, "0", None)


def test_zeros_are_holes(tmp_path: Path) -> None:
    """A disk of 256 MiB with one MiB in it takes about that much room."""
    data = bytes(128 * MIB) + b"x" * MIB + bytes(127 * MIB)
    with files.spooled(io.BytesIO(data), len(data), MIB, tmp_path) as spool:
        assert os.fstat(spool.fileno()).st_size == len(data)
        assert os.fstat(spool.fileno()).st_blocks * 512 < 4 * MIB


def test_nothing_is_left_in_the_folder(tmp_path: Path, filesystem: bytes) -> None:
    """The file has no name from its first moment: also a killed process leaves none."""
    with files.spooled(io.BytesIO(filesystem), len(filesystem), 0, tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The words name the folder."""
    with pytest.raises(files.NoFile, match="--scratch"), files.spooled(io.BytesIO(b""), 1 << 60, 1 << 60, tmp_path):
        pass


def test_a_disk_that_is_not_whole_is_no_disk(tmp_path: Path) -> None:
    """A stream that ends too early is said."""
    with pytest.raises(files.NoFile, match="gave 3 bytes"), files.spooled(io.BytesIO(b"abc"), MIB, 3, tmp_path):
        pass
