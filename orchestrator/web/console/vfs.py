"""The map of VFs."""

from typing import Any

from fastapi import APIRouter, Response

from orchestrator.actions import capacity as action
from orchestrator.views.capacity import span
from orchestrator.web.console.guards import PageRoute, Reader, Visit
from orchestrator.web.console.models import capacity
from orchestrator.web.console.models import vfs as model
from state.capacity import Asked

router = APIRouter(route_class=PageRoute)

LEGEND = [(kind, model.IN_WORDS[kind]) for kind in model.KINDS]


@router.get("/vfs")
def whole(visit: Reader, vm: str = "", over: str = "7d") -> Response:
    """All hosts, ports and VFs; those of VMs with *vm* in their name, or with that uuid, are lit. *over*: how far back the curves go."""
    maps, query = visit.counter.sights.maps(), vm.strip()[:200]
    lit = [cell.vm for one in maps for host in one.hosts for port in host.ports for cell in port.cells if model.is_meant(cell, query)]
    found = sorted(set(lit))
    return visit.page("vfs.html", maps=maps, query=query, found=found, lit=len(lit), legend=LEGEND, oob=False, mark=model.mark(maps),
                      **_history(visit, over))  # fmt: skip


@router.get("/vfs/map")
def piece(visit: Reader) -> Response:
    """The map alone, for a page that is open, when ports came or went."""
    return visit.page("_map.html", maps=visit.counter.sights.maps(), found=(), oob=False)


def _history(visit: Visit, over: str) -> dict[str, Any]:
    """How full the pools were, by what was counted: no pool is asked."""
    over = over if over in capacity.RANGES else "7d"
    office, pools = visit.counter.office, list(visit.counter.office.pools)
    ends = office.clock()
    begins = ends - capacity.RANGES[over]
    rows = action.every(office.store, Asked(begins, ends, pools))
    ranges = [(key, span(length)) for key, length in capacity.RANGES.items()]
    return {"stories": capacity.stories(pools, rows, begins, ends), "counted": action.since(office.store, pools), "begins": begins,
            "ends": ends, "over": over, "ranges": ranges, "step": span((ends - begins) / capacity.ROWS)}  # fmt: skip
