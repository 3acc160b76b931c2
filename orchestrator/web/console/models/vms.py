"""The VMs of the pools as a list with pages, and one of them with what it holds and what may be done with it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from workflows.objects import VM, Network

T = TypeVar("T")

PAGE = 50
ASKED = 200  # letters of what is searched for


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of *total*: page *number* (from 1) of *last*."""

    items: Sequence[T]
    number: int
    last: int
    total: int

    @property
    def first_item(self) -> int:
        """The number of the first of them, from 1; 0 where there are none."""
        return (self.number - 1) * PAGE + 1 if self.total else 0

    @property
    def last_item(self) -> int:
        """The number of the last of them."""
        return self.first_item + len(self.items) - 1 if self.items else 0


@dataclass(frozen=True, slots=True)
class Line:
    """A VM in the list; *holds*: VFs that it has now, *takes*: VIFs that take one when it runs."""

    uuid: str
    name: str
    pool: str
    power_state: str
    tags: tuple[str, ...]
    holds: int
    takes: int
    held_back: tuple[str, ...]


def paged(items: Sequence[T], number: int) -> Page[T]:
    """The page of that number, or the nearest that there is."""
    last = max(1, -(-len(items) // PAGE))
    number = min(max(1, number), last)
    return Page(items[(number - 1) * PAGE : number * PAGE], number, last, len(items))


def listed(found: Mapping[str, Iterable[VM]], query: str, has: str) -> list[tuple[str, VM]]:
    """The VMs by name, each with its pool, of which name, uuid or a tag contains *query*. *has* "vf": that have VIFs that take VFs."""
    wanted = query.strip().lower()[:ASKED]
    pairs = [(pool, vm) for pool, vms in found.items() for vm in vms if _fits(vm, wanted) and (has != "vf" or vm.sriov_vifs)]
    return sorted(pairs, key=lambda pair: (pair[1].name.lower(), pair[1].uuid))


def _fits(vm: VM, wanted: str) -> bool:
    return not wanted or wanted in vm.name.lower() or wanted in vm.uuid or any(wanted in tag.lower() for tag in vm.tags)


def line(pool: str, vm: VM) -> Line:
    """The VM as a line."""
    return Line(vm.uuid, vm.name, pool, vm.power_state, vm.tags, _held(vm), len(vm.sriov_vifs), held_back(vm))


def _held(vm: VM) -> int:
    return sum(vif.currently_attached for vif in vm.sriov_vifs) if vm.power_state in ("Running", "Paused") else 0


def held_back(vm: VM) -> tuple[str, ...]:
    """What keeps the VM from being moved or snapshotted, as its owner would want to know it."""
    found = []
    if _held(vm):
        found.append("it holds a VF: no live migration, suspend or checkpoint until it is shut down")
    if vm.vusbs:
        found.append(f"it has {vm.vusbs} USB device(s) passed through: no snapshot while they are attached")
    blocked = {f"{operation.replace('_', ' ')}: {reason}" for operation, reason in vm.blocked_operations.items()}
    return (*found, *sorted(f"blocked: {one}" for one in blocked))


def networks(found: Iterable[Network]) -> list[Network]:
    """The networks on which a VM may be given a VF, by name."""
    return sorted((one for one in found if one.is_sriov and not one.is_parking), key=lambda one: (one.name.lower(), one.uuid))


def moments(windows: Iterable[str]) -> list[tuple[str, str]]:
    """When a VM that runs may be shut down: the word, and what is read for it."""
    found = [("next-halt", "when somebody shuts it down"), ("now", "now: it is shut down and started again")]
    named = [(f"window:{name}", f"in maintenance window {name}") for name in sorted(windows)]
    return [*found, *([("window", "in any maintenance window")] if named else []), *named]
