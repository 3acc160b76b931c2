"""Where a repository is to be made it is made once, however many want it at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plugins.errors import GiveUp
from plugins.places import Absent, Place


class Repository:
    """Says that it is absent until it is made, and keeps who came while it was being made."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "repository-itself"
        self.made = 0
        self.half = threading.Event()
        self.seen_half: list[bool] = []

    def look(self) -> None:
        self.seen_half.append(self.half.is_set())
        if not self.path.exists():
            raise Absent("there is none")

    def make(self) -> None:
        self.half.set()
        self.made += 1
        threading.Event().wait(0.05)
        self.path.write_text("it is whole")
        self.half.clear()


def test_of_many_that_begin_at_once_one_makes_it(tmp_path: Path) -> None:
    """The others see it when it is whole, in whichever process they are: each has a place of its own here."""
    there = Repository(tmp_path)
    places = [Place(str(there.path), tmp_path, init=True) for _ in range(8)]
    with ThreadPoolExecutor(len(places)) as several:
        list(several.map(lambda place: place.ready(there.look, there.make), places))
    assert there.made == 1
    assert not any(there.seen_half)


def test_one_that_was_there_is_never_made_anew(tmp_path: Path) -> None:
    """Its disk may not be mounted."""
    there = Repository(tmp_path)
    place = Place(str(there.path), tmp_path, init=True)
    place.ready(there.look, there.make)
    there.path.unlink()
    with pytest.raises(GiveUp, match="was there before and is not now"):
        place.ready(there.look, there.make)
    assert there.made == 1


def test_without_init_nothing_is_made(tmp_path: Path) -> None:
    """A person makes it."""
    there = Repository(tmp_path)
    with pytest.raises(GiveUp, match="init = false"):
        Place(str(there.path), tmp_path, init=False).ready(there.look, there.make)
    assert there.made == 0
