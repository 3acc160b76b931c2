"""What a person wrote, found in the pools: VMs, hosts, networks and NICs by uuid or by name."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from workflows.objects import NIC, VM, Host, Network
from workflows.ports import Gone, Pool, PoolError

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class WrongName(Exception):
    """Nothing has this name, or more than one thing has: the text says which, and what to write instead."""


class Named(Protocol):
    """An object with a uuid."""

    @property
    def uuid(self) -> str:
        """XenAPI's."""


T = TypeVar("T", bound=Named)


def vm(pools: Iterable[Pool], written: str) -> tuple[Pool, VM]:
    """The VM with this uuid (a template or snapshot too) or this name (real VMs only), and its pool."""
    if UUID.fullmatch(written):
        return _one("VM", written, _by_uuid(pools, lambda pool: pool.vm(written)), str)
    return _one("VM", written, [(pool, found) for pool in pools for found in pool.vms() if found.name == written], _vm_in_words)


def host(pools: Iterable[Pool], written: str) -> tuple[Pool, Host]:
    """The host with this uuid, name or address, and its pool."""
    all_of_them = [(pool, found) for pool in pools for found in pool.hosts()]
    return _one("host", written, [pair for pair in all_of_them if written in (pair[1].uuid, pair[1].name, pair[1].address)], _by_name)


def network(pools: Iterable[Pool], written: str) -> tuple[Pool, Network]:
    """The network with this uuid or name, and its pool."""
    all_of_them = [(pool, found) for pool in pools for found in pool.networks()]
    return _one("network", written, [pair for pair in all_of_them if written in (pair[1].uuid, pair[1].name)], _by_name)


def nic(pools: Iterable[Pool], written: str) -> tuple[Pool, NIC]:
    """The physical PIF with this uuid, or "HOST/DEVICE", or DEVICE where one host only has it; and its pool."""
    all_of_them = [(pool, found) for pool in pools for found in pool.nics()]
    fits = [(pool, found) for pool, found in all_of_them if written in (found.uuid, f"{found.host_name}/{found.device}", found.device)]
    return _one("NIC", written, fits, lambda found: f"{found.host_name}/{found.device}")


def _by_uuid(pools: Iterable[Pool], get: Callable[[Pool], T]) -> list[tuple[Pool, T]]:
    """A uuid that one pool has is found while another one is away; where none has it nobody knows whether that one does."""
    found: list[tuple[Pool, T]] = []
    away: PoolError | None = None
    for pool in pools:
        try:
            found.append((pool, get(pool)))
        except Gone:
            continue
        except PoolError as error:
            away = error
    if away is not None and not found:
        raise away
    return found


def _one(kind: str, written: str, fits: Sequence[tuple[Pool, T]], in_words: Callable[[T], str]) -> tuple[Pool, T]:
    if len(fits) == 1:
        return fits[0]
    if not fits:
        hint = "; templates and snapshots are named by their uuid" if kind == "VM" and not UUID.fullmatch(written) else ""
        raise WrongName(f"{kind} {written!r}: there is none of that name or uuid{hint}")
    which = ", ".join(f"{thing.uuid} ({in_words(thing)}, pool {pool.name})" for pool, thing in fits)
    raise WrongName(f"{kind} {written!r}: {len(fits)} fit: {which}: write the uuid of the one that is meant")


def _by_name(thing: Host | Network) -> str:
    return thing.name


def _vm_in_words(found: VM) -> str:
    return f"{found.name}, {found.power_state}"
