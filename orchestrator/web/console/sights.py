"""What the console saw of each pool last: its ports with their VFs, and its VMs with the networks they may be on."""

from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from orchestrator.bootstrap import PoolAccess
from orchestrator.views import vfs as view
from orchestrator.web.console.glances import Glance, Seen
from orchestrator.web.console.models import vfs
from orchestrator.web.console.watching import Rows
from workflows.objects import VM, Network

T = TypeVar("T")

PORTS_FRESH, PORTS_BEARABLE = 2.0, 20.0  # seconds for which the map of VFs is good enough, and for a page that is live at once
CENSUS_FRESH = 10.0  # for a list of VMs, of which a pool has thousands

Census = tuple[tuple[VM, ...], tuple[Network, ...]]


class Sights:
    """*ports* and *census* by the pool's name."""

    def __init__(self, pools: Mapping[str, PoolAccess]) -> None:
        self.ports: dict[str, Glance[Rows]] = {
            name: Glance(partial(view.ports, access.port, access.ledger)) for name, access in pools.items()
        }
        self.census: dict[str, Glance[Census]] = {name: Glance(access.port.census) for name, access in pools.items()}

    def maps(self) -> list[vfs.Map]:
        """The map of each pool, by name, for a page that is told at once what is other by now."""
        return _drawn(_all(self.ports, PORTS_FRESH, PORTS_BEARABLE))

    def last_maps(self) -> list[vfs.Map]:
        """As `maps`, of what was seen last: nobody is asked."""
        return _drawn({name: glance.last for name, glance in sorted(self.ports.items())})

    def vms(self) -> tuple[dict[str, tuple[VM, ...]], list[tuple[str, str]]]:
        """The VMs of each pool that could be seen, and of the others why not."""
        found = _all(self.census, CENSUS_FRESH)
        return {name: seen.value[0] for name, seen in found.items() if seen.value}, [
            (name, seen.problem) for name, seen in found.items() if seen.problem
        ]

    def networks(self, pool: str) -> tuple[Network, ...]:
        """The networks of the pool, as far as they could be seen."""
        seen = self.census[pool].get(CENSUS_FRESH)
        return seen.value[1] if seen.value else ()


def _drawn(found: Mapping[str, Seen[Rows]]) -> list[vfs.Map]:
    return [vfs.drawn(name, seen.value or (), seen.problem) for name, seen in found.items()]


def _all(glances: Mapping[str, Glance[T]], fresh: float, bearable: float = 0) -> dict[str, Seen[T]]:
    """All of them, asked at the same time."""
    for glance in glances.values():
        glance.get(fresh, 0)
    return {name: glances[name].get(fresh, bearable=bearable) for name in sorted(glances)}
