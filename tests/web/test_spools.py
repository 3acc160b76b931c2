import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from orchestrator import files
from orchestrator.web.spools import LASTS, MOST, Key, Spools
from tests.web.conftest import Web

FILE = "/restore-points/shelf/abc-1/disks/0/content?path=/etc/hostname"


class Repository:
    """Disks that are put into a folder, each with its number in it; *time* is what the shelf goes by."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.time = 0.0
        self.reads: list[int] = []
        self.open: set[int] = set()
        self.full = 0
        self.spools = Spools(lambda: self.time)

    @contextmanager
    def _read(self, number: int) -> Iterator[BinaryIO]:
        if self.full > 0:
            self.full -= 1
            raise files.NoRoom("no room")
        self.reads.append(number)
        self.open.add(number)
        data = str(number).encode()
        with files.spooled(io.BytesIO(data), len(data), len(data), self._folder) as spool:
            yield spool
        self.open.remove(number)

    def look(self, number: int) -> bytes:
        key: Key = ("shelf", "abc", number)
        with self.spools.had(key, lambda: self._read(number)) as spool:
            return spool.read()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path)
    yield made
    made.spools.close()
    assert made.open == set()


def test_a_disk_is_read_once_for_who_looks_on(there: Repository) -> None:
    """Each look from its beginning, also two at the same time; when nobody has looked for a while it is let go."""
    assert [there.look(1) for _ in range(3)] == [b"1"] * 3
    with there.spools.had(("shelf", "abc", 1), lambda: there._read(1)) as first:
        assert there.look(1) == first.read() == b"1"
    assert there.reads == [1]
    there.time += LASTS
    there.spools.forget(MOST)
    assert there.open == set()
    assert there.look(1) == b"1"
    assert there.reads == [1, 1]


def test_few_disks_are_kept(there: Repository) -> None:
    """The one that was not looked into for the longest goes; one that somebody looks into stays."""
    for number in (1, 2, 1, 3):
        there.time += 1
        there.look(number)
    assert there.open == {1, 3}
    with there.spools.had(("shelf", "abc", 1), lambda: there._read(1)):
        there.look(4)
        there.look(5)
        assert there.open == {1, 5}


def test_disks_that_are_kept_give_way_to_one_that_has_no_room(there: Repository) -> None:
    """Then it is tried once more; one that has none even so leaves nothing behind."""
    there.look(1)
    there.full = 1
    assert there.look(2) == b"2"
    assert there.open == {2}
    there.full = 2
    with pytest.raises(files.NoRoom):
        there.look(3)
    assert there.look(3) == b"3"


def test_the_web_reads_a_disk_once_for_a_sitting(shelf: Callable[..., Web], image: Path, tmp_path: Path) -> None:
    """The second file comes though the repository is gone; where disks are put is as the configuration says, or it is said."""
    there = tmp_path / "image"
    there.write_bytes(image.read_bytes())
    (tmp_path / "room").mkdir()
    web = shelf(image=there, console='scratch = "room"\n')
    assert web.get(FILE).content == b"web-01\n"
    there.unlink()
    assert web.get(FILE).content == b"web-01\n"
    assert list((tmp_path / "room").iterdir()) == []
    (tmp_path / "room").rmdir()
    said = web.get(FILE)
    assert (said.status_code, said.json()["code"], "[console] scratch" in said.json()["detail"]) == (503, "no-scratch", True)
