"""The map of VFs."""

from fastapi import APIRouter, Response

from orchestrator.web.console.guards import PageRoute, Reader
from orchestrator.web.console.models import vfs as model

router = APIRouter(route_class=PageRoute)

LEGEND = [(kind, model.IN_WORDS[kind]) for kind in model.KINDS]


@router.get("/vfs")
def whole(visit: Reader, vm: str = "") -> Response:
    """All hosts, ports and VFs; those of VMs with *vm* in their name, or with that uuid, are lit."""
    maps, query = visit.counter.sights.maps(), vm.strip()[:200]
    lit = [cell.vm for one in maps for host in one.hosts for port in host.ports for cell in port.cells if model.is_meant(cell, query)]
    found = sorted(set(lit))
    return visit.page("vfs.html", maps=maps, query=query, found=found, lit=len(lit), legend=LEGEND, oob=False, mark=model.mark(maps))


@router.get("/vfs/map")
def piece(visit: Reader) -> Response:
    """The map alone, for a page that is open, when ports came or went."""
    return visit.page("_map.html", maps=visit.counter.sights.maps(), found=(), oob=False)
