"""The contract of plugins: what `vfo plugin new` writes keeps it, and every way of breaking it is found."""

import hashlib
import io
import types
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from plugins import checking, contract_hooks, skeleton, testing
from plugins.contract import Checked


def module_of(text: str) -> types.ModuleType:
    made = types.ModuleType("vfo_shelf")
    exec(compile(text, "vfo_shelf.py", "exec"), made.__dict__)
    return made


SOURCE = skeleton.render("shelf")["vfo_shelf.py"]
Check = Callable[..., Iterator[Checked]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks the skeleton with some of its text replaced by another."""

    def checked(old: str = "", new: str = "", within: timedelta = timedelta(seconds=30)) -> Iterator[Checked]:
        assert old in SOURCE
        shelf = module_of(SOURCE.replace(old, new, 1)).Shelf
        return checking.check(shelf, {"folder": "backups"}, tmp_path, within=within)

    return checked


def wrong(checked: Iterable[Checked]) -> Iterator[str]:
    return (f"{one.name}: {one.message}" for one in checked if one.ok is False)


def test_the_skeleton_keeps_the_contract(check: Check, tmp_path: Path) -> None:
    """Every check of a product is held, none is left out but for the whole VM, and nothing is left in the repository."""
    checked = list(check())
    assert list(wrong(checked)) == []
    assert all(one.ok for one in checked), checked
    assert list((tmp_path / "backups").iterdir()) == []


START = "return self._jobs.start(vm.run_id, lambda job: self._save(job, vm, snapshot, source))"
HIDES = f"try:\n            {START}\n        except Exception:\n            return 'later'"
WAITS = f"{START.replace('return', 'job =')}\n        self._jobs.wait(job)\n        return job"
GOES_ON = "shutil.rmtree(folder, ignore_errors=True)\n            raise\n"
MISTAKES = {
    "no point": ("return Result(folder.name, read", "return Result('', read", "names no restore point"),
    "saves twice": ("self._folder / str(vm.run_id)", "self._folder / os.urandom(8).hex()", "2 restore points of one run"),
    "stumbles over a dead job": ("        shutil.rmtree(folder, ignore_errors=True)  # of a job that was killed\n", "", "FileExistsError"),
    "forgets to finish": ("            self._finish(folder, vm, snapshot, sums)\n", "", "is not listed"),
    "other bytes": ("file.write(piece)", "file.write(piece.upper())", "came back"),
    "a wrong sum": ("sums[disk.number] = found.hexdigest()", "sums[disk.number] = '0' * 64", "in the restore point's sha256"),
    "a job of its own each time": ("jobs.start(vm.run_id,", "jobs.start(__import__('uuid').uuid4(),", "for the same run"),
    "no progress": ("        return self._jobs.look(job)\n", "        return self._jobs.look(job).state\n", "it must be a Progress"),
    "cannot be cancelled": ("        self._jobs.cancel(job)\n", "", "a cancelled job is 'done'"),
    "saves half a disk": (GOES_ON, "self._finish(folder, vm, snapshot, sums)\n            raise\n", "1 restore points of one run"),
    "calls half a disk whole": ("            raise\n", "            return Result('x')\n", "though the stream broke"),
    "another name": ('vm_name=said["vm_name"]', 'vm_name=said["vm"]', "vm_name is"),
    "no blueprint": ('blueprint=said["blueprint"]', "blueprint={}", "blueprint is not the snapshot's"),
    "finds itself unsound": ("return Verified(True,", "return Verified(False,", "verify_backup: 2 disks"),
    "forgets everything": ("(self._folder / point.id for point in points)", "list(self._folder.glob('*'))", "nobody told it to forget"),
    "forgets nothing": ("        freed = 0\n", "        return 0\n", "was forgotten, and is listed"),
    "raises": ("        freed = 0\n", "        freed = None\n", "forget_backups raised TypeError"),
    "wants what there is not": ('no_vf_during="nothing"', 'no_vf_during="never"', "needs gave"),
    "no order": ("key=lambda point: (point.taken_at, point.id)", "key=lambda point: os.urandom(8)", "something else after a restart"),
    "hides that there is no room": (START, HIDES, "kit.jobs said RetryLater"),
    "does the work in the call": (START, WAITS, "start_backup: it has not come back"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_product_is_found(check: Check, mistake: str) -> None:
    """Each mistake is told by the check that it breaks, with what was seen."""
    old, new, says = MISTAKES[mistake]
    within = timedelta(seconds=1 if "has not come back" in says else 30)
    told = []
    for message in wrong(check(old, new, within)):
        told.append(message)
        if says in message:
            return
    raise AssertionError(told)


def test_a_checksum_is_compared_in_the_kind_that_was_kept() -> None:
    """Of the whole, or of the checksums of every MiB, as a restore point may have either."""
    data = testing.contents((2 << 20) + 5)
    pieces = b"".join(hashlib.sha256(data[at : at + (1 << 20)]).digest() for at in range(0, len(data), 1 << 20))
    assert testing.sum_like("", io.BytesIO(data)) == hashlib.sha256(data).hexdigest()
    assert testing.sum_like("sha256/1MiB:00", io.BytesIO(data)) == f"sha256/1MiB:{hashlib.sha256(pieces).hexdigest()}"


def test_every_check_says_which_case_it_is() -> None:
    """A hook that is told of several endings has a line for each."""
    names = [check.__doc__ for check in contract_hooks.CHECKS]
    assert len(set(names)) == len(names)
    assert "after_vm, told 'failed', answers in time, with a word that there is, and the same after a crash" in names
