"""Borg (https://borgbackup.org): each disk a borg archive, cut into fixed pieces of 64 KiB, deduplicated, compressed and encrypted.

Fixed pieces, since a disk changes in place: content-defined ones, borg's default, are of 1 to 2 MiB and are stored anew for a change of
4 KiB. A disk is one archive, and not a member of one by `borg import-tar`, which takes a fifth more of borg's time.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn, cast

from pydantic import Field, SecretStr, model_validator

from plugins import points
from plugins.composing import Mode
from plugins.errors import GiveUp, RetryLater, SourceError
from plugins.keeping import Product
from plugins.kit import Kit
from plugins.places import Absent, Place, Placed, RepositoryPath, assert_passphrase
from plugins.programs import Broken, Program, Ran, nothing
from plugins.repositories import Busy, Kept
from plugins.settings import Settings
from plugins.values import Verified

AGAIN = timedelta(seconds=30)
QUICK, SHORT = 1, 60
ABSENT = {"Repository.DoesNotExist", "Repository.ParentPathDoesNotExist"}
LOST = {"Archive.DoesNotExist", "Repository.ObjectNotFound", "IntegrityError", "DecompressionError"}
"""What borg says, holding its lock, of an archive that it cannot give back."""
REFUSED = {
    "PassphraseWrong",
    "PasswordRetriesExceeded",
    "NoPassphraseFailure",
    "Repository.InvalidRepository",
    "Repository.InvalidRepositoryConfig",
}
AWAY = {"ConnectionClosed", "ConnectionClosedWithHint"}


class BorgSettings(Settings):
    """`[products.NAME] plugin = "borg"`."""

    repository: RepositoryPath
    """A path, or ssh://USER@HOST/PATH."""
    passphrase: SecretStr | None = None
    """Or passphrase_file, or passphrase_env. Needed unless *encryption* is "none". Without it nothing comes back: keep it elsewhere too."""
    encryption: Literal["repokey-blake2", "repokey", "authenticated-blake2", "authenticated", "none"] = "repokey-blake2"
    """Of a repository that is made."""
    compression: str = "zstd,3"
    init: bool = True
    """Whether the repository is made where there is none. One that was there before is never made anew: it may not be mounted."""
    checksums: bool = True
    """Whether a SHA-256 of ours is kept of each disk, besides what borg itself has; 4 s a GiB on a processor without SHA instructions."""
    borg: str = "borg"
    """The program."""
    remote_path: str = ""
    """The program on the other machine."""
    lock_wait: int = Field(default=600, ge=1)
    """For how many seconds a job waits for a repository that somebody else works on."""

    changed_blocks: Mode = "auto"
    """Where a policy has changed_blocks: whether what changed alone is read from the pool; "auto": where that is quicker."""

    @model_validator(mode="after")
    def _can_be_read(self) -> "BorgSettings":
        if self.encryption != "none":
            assert_passphrase(self.passphrase)
        return self


class Borg(Product):
    """A repository of borg's."""

    Settings = BorgSettings

    def __init__(self, settings: BorgSettings, kit: Kit) -> None:
        super().__init__(kit, BorgRepository(settings, kit.folder), checksums=settings.checksums, changed_blocks=settings.changed_blocks)


class BorgRepository(Placed):
    """Satisfies `plugins.repositories.Repository`. Borg takes its lock for as long as it saves: one at a time.

    Past that lock borg fails in many ways while somebody commits, so it is passed only where failing costs nothing: by streams, which have
    all that they need once they have begun (every piece is checked, and only a compaction takes some away), and to look while somebody
    else is at work, who would keep us off for hours. With a cache of their own: the other one is locked before the repository is.
    """

    exclusive = True

    def __init__(self, settings: BorgSettings, folder: Path) -> None:
        self._settings = settings
        super().__init__(Place(settings.repository, folder, init=settings.init))
        passphrase = settings.passphrase.get_secret_value() if settings.passphrase else ""
        unencrypted = "yes" if settings.encryption == "none" else "no"
        environment = {
            "BORG_PASSPHRASE": passphrase,
            "BORG_BASE_DIR": str(folder),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": unencrypted,
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "BORG_DISPLAY_PASSPHRASE": "no",
            "LC_ALL": "C.UTF-8",
        }
        remote = ("--remote-path", settings.remote_path) if settings.remote_path else ()
        self._borg = Program((settings.borg, "--log-json", *remote), environment, (passphrase,))
        reading = {"BORG_CACHE_DIR": str(folder / "reading"), "BORG_SECURITY_DIR": str(folder / "reading" / "security")}
        self._reader = Program((settings.borg, "--log-json", *remote), {**environment, **reading}, (passphrase,))

    def _make(self) -> None:
        self._run(("init", "--make-parent-dirs", "--encryption", self._settings.encryption, self._place.path))

    def listed(self, *, patient: bool = False, beside: bool = False) -> list[Kept]:
        """By the names alone."""
        words = ("list", "--json", "--consider-checkpoints", "--glob-archives", "vfo-*", self._place.path)
        wait = self._settings.lock_wait if patient else QUICK
        ran = self._beside(words) if beside else self._run(words, wait=wait)
        found = [_kept(archive) for archive in json.loads(ran.output)["archives"]]
        return sorted((kept for kept in found if kept is not None), key=lambda kept: kept.at)

    def _beside(self, words: Sequence[str], *, passing: bool = False) -> Ran:
        """With borg's lock; where somebody else has it past it: that goes well, and shows what he committed last, or it is Busy."""
        try:
            return self._run(words, passing=passing)
        except Busy:
            ran = self._reader.run((words[0], "--bypass-lock", *words[1:]))
            if ran.code:
                raise
            return ran

    def put(self, name: str, pieces: Iterator[memoryview], told: Callable[[], None]) -> int:
        """One archive; its size is what borg itself says that it added."""
        cut = ("--chunker-params", "fixed,65536", "--compression", self._settings.compression, "--stdin-mode", "0600")
        words = ("create", "--json", *cut, "--stdin-name", points.stream_name(name), f"{self._place.path}::{name}", "-")
        ran = self._run(words, told, pieces=pieces, wait=self._settings.lock_wait)
        return int(json.loads(ran.output)["archive"]["stats"]["deduplicated_size"])

    def read(self, kept: Kept) -> bytes:
        """With borg's lock: what cannot be read then is lost."""
        return self._beside(("extract", "--stdout", f"{self._place.path}::{kept.name}"), passing=True).output

    def get(self, kept: Kept, closed: Callable[[], None]) -> BinaryIO:
        """Borg checks every piece that it reads (its id is its checksum). It has begun when its first byte is there."""
        words = ("extract", "--bypass-lock", "--stdout", f"{self._place.path}::{kept.name}")
        stream = self._reader.open(words, f"{kept.name} in {self._place.shown}", closed)
        try:
            stream.peek(1)
        except Broken as broken:
            stream.close()
            self._judge(broken.ran, passing=True)
        return cast("BinaryIO", stream)

    def drop(self, kept: Sequence[Kept]) -> None:
        """In one go: all of them are gone or none."""
        if kept:
            self._run(("delete", self._place.path, *(one.name for one in kept)), wait=SHORT)

    def tidy(self) -> int:
        """Compact; how much that gave back, as borg says it."""
        ran = self._run(("compact", "--info", self._place.path), wait=SHORT)
        found = re.search(r"freed about ([0-9.]+) ([kMGTPE]?)B", ran.complaints)
        return int(float(found[1]) * 1000 ** " kMGTPE".index(found[2] or " ")) if found else 0

    def check(self, kept: Sequence[Kept]) -> Verified:
        """Whether the repository has every piece of the archives."""
        globs = f"vfo-*-{kept[0].run}-*-{kept[0].attempt}"
        try:
            self._run(("check", "--archives-only", "--glob-archives", globs, self._place.path))
        except (GiveUp, SourceError) as error:
            return Verified(sound=False, message=str(error))
        return Verified(sound=True, message=f"borg has every piece of {len(kept)} archives")

    def _run(
        self,
        words: Sequence[str],
        told: Callable[[], None] = nothing,
        *,
        pieces: Iterator[memoryview] | None = None,
        wait: int = QUICK,
        passing: bool = False,
    ) -> Ran:
        ran = self._borg.run(("--lock-wait", str(wait), *words), pieces, told)
        if ran.code not in (0, 1):
            self._judge(ran, passing=passing)
        return ran

    def _judge(self, ran: Ran, *, passing: bool = False) -> NoReturn:
        """Which error it was, by borg's own words; told without secrets. *passing*: what borg does not name is taken to pass."""
        kinds, text = _kinds(ran), f"repository {self._place.shown}: {self._said(ran)}"
        if kinds & ABSENT:
            raise Absent(text)
        if kinds & LOST:
            raise SourceError(text)
        if any(kind.startswith("Lock") for kind in kinds):
            raise Busy(text, after=AGAIN)
        if kinds & AWAY or (passing and not kinds & REFUSED):
            raise RetryLater(text, after=AGAIN)
        raise GiveUp(text)

    def _said(self, ran: Ran) -> str:
        """What borg complained of, without traces and secrets; an unknown end in its own words."""
        told = (line for line in _lines(ran) if line.get("levelname") in ("ERROR", "CRITICAL", "WARNING"))
        said = "; ".join(dict.fromkeys(str(line["message"]).strip().partition("\n")[0] for line in told))
        return self._borg.masked(said) or f"borg ended with exit code {ran.code}: {self._borg.masked(ran.complaints)[-300:]}"


def _kept(archive: dict[str, Any]) -> Kept | None:
    """An archive of ours; one that a dead borg began is the part that it was to be, without its manifest."""
    text, _, checkpoint = archive["name"].partition(".checkpoint")
    name = points.name_of(text)
    if name is None:
        return None
    part = f"{name.part}?" if archive["name"] != text or checkpoint else name.part
    return Kept(archive["id"], archive["name"], name.vm, name.run, part, name.attempt, name.at)


def _lines(ran: Ran) -> list[dict[str, Any]]:
    found = []
    for line in ran.complaints.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("type") == "log_message":
            found.append(said)
    return found


def _kinds(ran: Ran) -> set[str]:
    return {str(line.get("msgid", "")) for line in _lines(ran)}
