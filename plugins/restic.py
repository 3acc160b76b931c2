"""Restic (https://restic.net): each disk a snapshot of a stream, deduplicated, compressed and encrypted.

Its pieces are cut by content, 1 MiB on average, so that a disk that changes in small places grows the repository by more than borg's does.
"""

import json
import logging
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from pydantic import SecretStr, field_validator

from plugins import points
from plugins.errors import GiveUp, RetryLater, SourceError
from plugins.keeping import Product
from plugins.kit import Kit
from plugins.places import Absent, Place, Placed, RepositoryPath, assert_passphrase
from plugins.programs import Program, Ran, nothing
from plugins.repositories import Busy, Kept
from plugins.settings import Settings
from plugins.values import Verified

logger = logging.getLogger(__name__)

AGAIN = timedelta(seconds=30)
ABSENT, UNREADABLE = "Is there a repository at the following location", "could not load snapshot"
LOCKED = ("already locked", "unable to create lock")
LOST = ("no matching ID found", "does not exist", "not found in", "ciphertext verification failed", "invalid data returned", "wrong length")
"""What restic says, holding a lock, of a snapshot that it cannot give back."""
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class ResticSettings(Settings):
    """`[products.NAME] plugin = "restic"`. What a backend needs besides (AWS_ACCESS_KEY_ID, ...) is in the environment of `vfo serve`."""

    repository: RepositoryPath
    """A path, or restic's name of another place (sftp:..., rest:..., s3:...)."""
    passphrase: SecretStr
    """Or passphrase_file, or passphrase_env. Without it nothing comes back: keep it elsewhere too."""
    compression: Literal["auto", "off", "max"] = "auto"
    init: bool = True
    """Whether the repository is made where there is none. One that was there before is never made anew: it may not be mounted."""
    checksums: bool = True
    """Whether a SHA-256 of ours is kept of each disk, besides what restic itself has; 4 s a GiB on a processor without SHA instructions."""
    restic: str = "restic"
    """The program."""

    @field_validator("passphrase")
    @classmethod
    def _there(cls, value: SecretStr) -> SecretStr:
        assert_passphrase(value)
        return value


class Restic(Product):
    """A repository of restic's."""

    Settings = ResticSettings

    def __init__(self, settings: ResticSettings, kit: Kit) -> None:
        super().__init__(kit, ResticRepository(settings, kit.folder), checksums=settings.checksums)


class ResticRepository(Placed):
    """Satisfies `plugins.repositories.Repository`. The name of a stream is a tag of its snapshot."""

    exclusive = False

    def __init__(self, settings: ResticSettings, folder: Path) -> None:
        super().__init__(Place(settings.repository, folder, init=settings.init))
        passphrase = settings.passphrase.get_secret_value()
        environment = {
            "RESTIC_REPOSITORY": settings.repository,
            "RESTIC_PASSWORD": passphrase,
            "RESTIC_PROGRESS_FPS": "0.1",
            "LC_ALL": "C.UTF-8",
        }
        words = (settings.restic, "--cache-dir", str(folder / "cache"), "--compression", settings.compression)
        hidden = (passphrase, settings.repository if self._place.shown != settings.repository else "")
        self._restic = Program(words, environment, hidden, ended_by=signal.SIGINT)

    def _make(self) -> None:
        self._run(("init",))

    def listed(self, *, patient: bool = False, beside: bool = False) -> list[Kept]:  # noqa: ARG002 - nobody who is at work keeps others from listing
        """By tags. No lock is needed for that, unless a snapshot is being removed meanwhile: restic passes over what it cannot load."""
        words = ("snapshots", "--json", "--tag", "vfo")
        ran = self._run(("--no-lock", *words))
        if UNREADABLE in ran.complaints:
            ran = self._run(words)
        if UNREADABLE in ran.complaints:
            logger.warning("repository %s: snapshots are left out: %s", self._place.shown, self._restic.masked(ran.complaints)[-500:])
        found = [_kept(one) for one in json.loads(ran.output) or ()]
        return sorted((kept for kept in found if kept is not None), key=lambda kept: kept.at)

    def put(self, name: str, pieces: Iterator[memoryview], told: Callable[[], None]) -> int:
        """One snapshot; its size is what restic itself says that it added."""
        said = points.name_of(name)
        tags = [word for tag in (name, "vfo", *((f"vm={said.vm}", f"run={said.run}") if said else ())) for word in ("--tag", tag)]
        words = ("backup", "--json", "--host", "vfo", *tags, "--stdin", "--stdin-filename", points.stream_name(name))
        for line in reversed(self._run(words, told, pieces).output.splitlines()):
            summary = json.loads(line)
            if summary.get("message_type") == "summary":
                return int(summary.get("data_added_packed", summary["data_added"]))
        raise GiveUp(f"restic ended well and says nothing of a snapshot of {name}")

    def read(self, kept: Kept) -> bytes:
        """With a lock, so that nobody removes it meanwhile."""
        return self._run(("dump", kept.id, f"/{points.stream_name(kept.name)}")).output

    def get(self, kept: Kept, closed: Callable[[], None]) -> BinaryIO:
        """Restic checks every piece that it reads (its id is its checksum)."""
        words = ("--no-lock", "dump", kept.id, f"/{points.stream_name(kept.name)}")
        return cast("BinaryIO", self._restic.open(words, f"{kept.name} in {self._place.shown}", closed))

    def drop(self, kept: Sequence[Kept]) -> None:
        """One after the other: manifests go first, so that what is left is not taken for whole."""
        if kept:
            self._run(("forget", *(one.id for one in kept)))

    def tidy(self) -> int:
        """Prune; how much that gave back, as restic says it."""
        found = re.search(r"total prune:.*?/ ([0-9.]+) ([KMGT]?i?B)", self._run(("prune",)).output.decode(errors="replace"))
        return int(float(found[1]) * UNITS[found[2]]) if found else 0

    def check(self, kept: Sequence[Kept]) -> Verified:  # noqa: ARG002 - restic checks all of it or nothing
        """Whether the structure of the whole repository is sound, and every pack is there."""
        try:
            self._run(("check",))
        except GiveUp as error:
            return Verified(sound=False, message=str(error))
        return Verified(sound=True, message="restic found no fault in the repository")

    def _run(self, words: Sequence[str], told: Callable[[], None] = nothing, pieces: Iterator[memoryview] | None = None) -> Ran:
        ran = self._restic.run(words, pieces, told)
        if _is_locked(ran):
            self._restic.run(("unlock",))  # takes off the locks of the dead alone
            ran = self._restic.run(words, None, told) if pieces is None else ran
        if ran.code == 0:
            return ran
        lines = [line.strip() for line in self._restic.masked(ran.complaints).splitlines() if line.strip()]
        text = f"repository {self._place.shown}: {' '.join(lines)[-500:] or f'restic ended with exit code {ran.code}'}"
        if ABSENT in ran.complaints:
            raise Absent(text)
        if _is_locked(ran):
            raise Busy(text, after=AGAIN)
        if words[0] == "dump":
            raise SourceError(text) if any(one in ran.complaints for one in LOST) else RetryLater(text, after=AGAIN)
        raise GiveUp(text)


def _is_locked(ran: Ran) -> bool:
    return ran.code != 0 and any(one in ran.complaints for one in LOCKED)


def _kept(snapshot: dict[str, Any]) -> Kept | None:
    for tag in snapshot.get("tags") or ():
        name = points.name_of(tag)
        if name is not None:
            return Kept(snapshot["id"], tag, name.vm, name.run, name.part, name.attempt, name.at)
    return None
