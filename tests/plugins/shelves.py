"""A product that is installed for a test, with two restore points on its shelf."""

import sys
from pathlib import Path

import pytest

PLUGIN = '''
"""A product that has what a file beside it says."""

import io
from datetime import datetime, timezone

from pydantic import BaseModel

from plugins.errors import GiveUp
from plugins.hooks import hookimpl
from plugins.values import Disk, Progress, RestorePoint, Verified

BLUEPRINT = {{
    "version": 1,
    "vm": {{"uuid": "gone", "record": {{"name_label": "web-01", "memory_static_max": 1024}}}},
    "vifs": [{{"device": "0", "MAC": "02:00:00:00:00:01", "network": "n-1", "network_name": "SR-IOV", "on_sriov": True}}],
    "disks": [{{"device": "0", "SR": "", "used": 3, "name": "root", "mode": "RW"}}],
    "drives": [],
}}
DISKS = (Disk(0, "0", "d-1", "", "root", 3),)


class Shelf:
    class Settings(BaseModel):
        pass

    def __init__(self, settings, kit):
        pass

    @hookimpl
    def start_backup(self, vm, snapshot, source):
        return "job"

    @hookimpl
    def poll_backup(self, job):
        return Progress("done")

    @hookimpl
    def cancel_backup(self, job):
        return True

    @hookimpl
    def list_backups(self):
        at = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
        named = (("abc-1", "web-01"), ("abd-2", "web-02"))
        return [RestorePoint(name, "r", "elsewhere", vm, vm, "nightly", at, DISKS, BLUEPRINT, sha256={{0: "{sha}"}}) for name, vm in named]

    @hookimpl
    def open_disk(self, point, number):
        return io.BytesIO(b"abc")

    @hookimpl
    def verify_backup(self, point):
        return Verified(True, "it is on the shelf")


class Away(Shelf):
    @hookimpl
    def list_backups(self):
        raise GiveUp("nobody answers")
'''
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def install(folder: Path, sha: str = ABC, image: Path | None = None) -> None:
    """The product as if it were installed in the folder, as plugins "shelf" and "away"; *image*: what its disks have, else three bytes."""
    text = PLUGIN.format(sha=sha)
    if image is not None:
        size = image.stat().st_size
        text = text.replace('io.BytesIO(b"abc")', f'open("{image}", "rb")').replace('"root", 3)', f'"root", {size})')
    (folder / "shelf.py").write_text(text)
    told = folder / "shelf-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[vf_orchestrator]\nshelf = shelf:Shelf\naway = shelf:Away\n")


def installed(folder: Path, patched: pytest.MonkeyPatch, sha: str = ABC, image: Path | None = None) -> None:
    """As `install`, for this process, until *patched* is undone."""
    install(folder, sha, image)
    patched.syspath_prepend(str(folder))
    patched.delitem(sys.modules, "shelf", raising=False)
