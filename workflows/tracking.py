"""Keeping account of which blocks of a VM's disks change: what is reached of a pool, as a Protocol, and which accounts are wanted no more.

An account is a disk of an earlier snapshot that is kept, most often without its data (`VDI.data_destroy`), so that the pool can say what
changed since. It bears the key `NOTE` in other_config, which names the disk itself (copies of it are no accounts), the VM, the policy and
the run. For each VM and policy there is the account of the last backup that was saved, and no other.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

NOTE = "vfo:cbt"


@dataclass(frozen=True, slots=True)
class Account:
    """A disk that is kept: its *uuid*; whose: *vm* (uuid), *policy*, *run*; *at*: when it was marked, ISO 8601.

    *bare*: its data is gone. *used*: a snapshot has it yet. *vm_there*: whether the pool has the VM.
    """

    uuid: str
    vm: str
    policy: str
    run: str
    at: str
    bare: bool
    used: bool
    vm_there: bool


class Tracking(Protocol):
    """What a pool does about changed blocks. Only disks with the note, and no others, are ever stripped or destroyed."""

    def track(self, vm: str) -> tuple[str, ...]:
        """VDI.enable_cbt of every disk of the VM that has it not; those that cannot, each with the reason."""

    def keep_accounts(self, snapshot: str, said: Mapping[str, str]) -> tuple[str, ...]:
        """Mark the disks of a snapshot of ours that are tracked, with these words; their uuids. They outlive the snapshot."""

    def accounts(self) -> tuple[Account, ...]:
        """All there are. Reads whole tables."""

    def strip_account(self, vdi: str) -> None:
        """VDI.data_destroy: its metadata stays. One whose metadata cannot be kept is destroyed; one that is gone is no error."""

    def drop_account(self, vdi: str) -> None:
        """VDI.destroy; one that a snapshot has yet loses its mark instead, and goes with the snapshot. One that is gone is no error."""


def note_of(vdi: str, said: Mapping[str, str]) -> str:
    """The mark for the disk (uuid): *said* has "vm", "policy", "run" and "at"."""
    return json.dumps({"vdi": vdi, **said}, sort_keys=True)


def read(vdi: str, other_config: Mapping[str, str]) -> dict[str, Any] | None:
    """What the mark of this disk (uuid) says; None where there is none, or it is a copy of another's."""
    try:
        note = json.loads(other_config.get(NOTE, ""))
    except ValueError:
        return None
    whole = isinstance(note, dict) and all(isinstance(note.get(key), str) for key in ("vdi", "vm", "policy", "run", "at"))
    return note if whole and note["vdi"] == vdi else None


def outdated(accounts: Iterable[Account], is_over: Callable[[UUID], bool | None]) -> list[Account]:
    """Those that nobody wants: of a VM that is gone, of a run that is over and did not strip them, older than another of the same.

    An account of a run that is at work is left to it, and so is one that a snapshot has yet.
    """
    kinds: dict[tuple[str, str], list[Account]] = defaultdict(list)
    for account in accounts:
        if not account.used and (is_over(UUID(account.run)) or (is_over(UUID(account.run)) is None and not account.vm_there)):
            kinds[account.vm, account.policy].append(account)
    return [account for group in kinds.values() for account in group if not _is_wanted(account, group)]


def _is_wanted(account: Account, group: Collection[Account]) -> bool:
    newest = max((other for other in group if other.bare), key=lambda other: other.at, default=None)
    return account.vm_there and account.bare and newest is not None and account.run == newest.run
