"""What there is: pools, hosts, ports, VFs, networks, VMs. Everything is looked at anew when it is asked for."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from orchestrator.actions.failures import WrongInput
from orchestrator.bootstrap import PoolAccess
from orchestrator.names import UUID
from orchestrator.views import vfs as vf_view
from orchestrator.views import vms as vm_view
from orchestrator.web.api.guard import ERRORS, Reads
from orchestrator.web.api.shapes import HostRow, NetworkRow, PoolDetail, PoolRow, PortRow, VfsRow, VmDetail, VmPage
from orchestrator.web.ask import Ask
from orchestrator.web.problems import Problem
from workflows.ports import Gone, PoolError

router = APIRouter(tags=["pools"], responses=ERRORS)

PoolQuery = Annotated[str | None, Query(max_length=200, description="Only of this pool, by its name in the configuration.")]
PoolName = Annotated[str, Path(max_length=200, description="The pool's name in the configuration.")]
MOST = 1000


@router.get("/pools", response_model=list[PoolRow])
def pools(ask: Reads) -> list[dict[str, Any]]:
    """The pools of the configuration; none is asked anything."""
    return [{"name": name, "url": settings.url} for name, settings in ask.office.loaded.pools.items()]


@router.get("/pools/{pool}", response_model=PoolDetail)
def pool(ask: Reads, pool: PoolName) -> dict[str, Any]:
    """One pool, as it says of itself."""
    facts = asdict(_one(ask, pool).port.facts())
    return {**facts, "name": pool, "name_label": facts["name"], "url": ask.office.loaded.pools[pool].url}


@router.get("/hosts", response_model=list[HostRow])
def hosts(ask: Reads, pool: PoolQuery = None) -> list[dict[str, Any]]:
    """The hosts, by name."""
    names = ("uuid", "name", "address", "enabled", "live", "is_coordinator", "iommu")
    return [{"pool": access.name, **_some(host, names)} for access in ask.office.chosen(pool) for host in access.port.hosts()]


@router.get("/ports", response_model=list[PortRow])
def ports(ask: Reads, pool: PoolQuery = None) -> list[dict[str, Any]]:
    """The physical NICs, and what SR-IOV has been made of them."""
    names = (
        "uuid", "host", "host_name", "device", "vendor", "device_name", "driver", "capable", "managed", "bond_slave", "management", "tags",
        "sriov", "mode", "requires_reboot", "network", "attached",
    )  # fmt: skip
    return [{"pool": access.name, **_some(nic, names)} for access in ask.office.chosen(pool) for nic in access.port.nics()]


@router.get("/vfs", response_model=list[VfsRow])
def vfs(ask: Reads, pool: PoolQuery = None) -> list[dict[str, Any]]:
    """Every port with SR-IOV: how many VFs, who has them, what is free, promised, leaked: as `vfo vfs`."""
    return [row for access in ask.office.chosen(pool) for row in vf_view.ports(access.port, access.ledger)]


@router.get("/networks", response_model=list[NetworkRow])
def networks(ask: Reads, pool: PoolQuery = None) -> list[dict[str, Any]]:
    """The networks; those that are SR-IOV may be assigned."""
    names = ("uuid", "name", "is_sriov", "is_parking", "tags", "vifs", "pifs")
    return [{"pool": access.name, **_some(network, names)} for access in ask.office.chosen(pool) for network in access.port.networks()]


@router.get("/vms", response_model=VmPage)
def vms(  # noqa: PLR0913 - one parameter is one option
    ask: Reads,
    *,
    pool: PoolQuery = None,
    search: Annotated[str, Query(max_length=200, description="Part of the name, or a uuid.")] = "",
    tag: Annotated[str | None, Query(max_length=200)] = None,
    with_vfs: Annotated[bool, Query(description="Only those with VIFs that take VFs.")] = False,
    after: Annotated[str | None, Query(max_length=1000, description="The *next* of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> dict[str, Any]:
    """The VMs, by name, page by page: what each has of VFs."""
    found = [row for access in ask.office.chosen(pool) for row in vm_view.rows(access)]
    fits = [row for row in found if _fits(row, search.lower(), tag) and (row["vifs"] or row["vfs"] or not with_vfs)]
    rest = [row for row in sorted(fits, key=_mark) if after is None or _mark(row) > after]
    return {"items": rest[:limit], "next": _mark(rest[limit - 1]) if len(rest) > limit else None, "total": len(fits)}


@router.get("/vms/{uuid}", response_model=VmDetail)
def vm(ask: Reads, uuid: Annotated[str, Path(max_length=36, description="The VM's uuid.")]) -> dict[str, Any]:
    """One VM: what it has, may have and why not, how it would be prepared for a backup, and the runs about it."""
    silent: PoolError | None = None
    for access in ask.office.chosen(None) if UUID.fullmatch(uuid) else []:
        try:
            return vm_view.detail(ask.desk(access.name), access, uuid)
        except Gone:
            continue
        except PoolError as error:  # another pool may have it
            silent = error
    if silent is not None:
        raise silent
    raise Problem(404, "no-such-vm", f"no pool has a VM {uuid}")


def _one(ask: Ask, pool: str) -> PoolAccess:
    try:
        return ask.office.chosen(pool)[0]
    except WrongInput as error:
        raise Problem(404, "no-such-pool", f"pool {pool!r}: {error.text}") from None


def _some(thing: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _fits(row: dict[str, Any], search: str, tag: str | None) -> bool:
    return (search in row["name"].lower() or search == row["uuid"]) and (tag is None or tag in row["tags"])


def _mark(row: dict[str, Any]) -> str:
    """Where it stands in the order: opaque to who reads it."""
    return f"{row['name']}\n{row['pool']}\n{row['uuid']}"
