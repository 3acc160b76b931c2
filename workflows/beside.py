"""What other runs have at work in the pool, and who comes first: a limit is a window's, but it counts whatever is at work there.

Windows that overlap, and policies that people run, begin backups in one pool. Each of their runs looks at all that is at work, under the
limits of its own window. They look one after the other (`TURN`): two at the same moment would find the same room. Of those whom the
backups of others keep waiting, the one that waits longest comes first.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from workflows import back_up, planning, waiting_list
from workflows.backup_hooks import services
from workflows.outcome import PARENT, Request, wake_on_child
from workflows.planning import Candidate, Load
from workflows.policies import Limits
from workflows.services import RunView
from workflows.world import World

TURN = "backups"
"""What a run has for itself from its look until those whom it begins are made."""
KEPT_SINCE = "kept_since"
"""Where a run says since when the backups of others have kept those who wait in it from beginning; each one that begins ends that."""
GIVE_WAY = timedelta(seconds=10)
"""When to look again after others were let pass: they were woken by the same end, and may have found that they begin nobody."""


@dataclass(frozen=True, slots=True)
class Other:
    """A backup that is at work and was not begun by this run."""

    run_id: UUID
    vm: str
    policy: str
    load: Load


def weighed(request: Request, candidate: Candidate) -> Request:
    """The request of a backup whose run says what it weighs on, and whose end wakes every run that waits for a turn in the pool."""
    return replace(request, data={**request.data, "load": list(candidate.load), PARENT: _all_of(request.pool)})


def wake_on_backup(pool: str) -> str:
    """The key that is woken when any backup of the pool has ended that was begun so."""
    return wake_on_child(_all_of(pool))


def at_work(world: World, mine: Collection[str]) -> list[Other]:
    """The backups at work in the pool without *mine* (ids of runs)."""
    return [_other(seen) for seen in services(world).runs.active_of(back_up.NAME) if str(seen.id) not in mine]


def _other(seen: RunView) -> Other:
    vm = str(seen.data["vm"])
    return Other(seen.id, vm, str(seen.data.get("policy", "")), tuple(seen.data.get("load") or (planning.POOL, f"vm:{vm}")))


def ahead(world: World, workflow: str, data: Mapping[str, Any], loads: Iterable[Load]) -> list[Load]:
    """What the other runs of *workflow* that were kept waiting for longer would begin now, beside what is at work (*loads*).

    *data*: of this run. They are awake too and will begin it; what they leave is this run's.
    """
    here = (data.get(KEPT_SINCE) or world.now.isoformat(), str(world.run_id))
    seen = [one for one in services(world).runs.active_of(workflow) if one.id != world.run_id and one.data.get(KEPT_SINCE)]
    longer = {place: one.data for one in seen if (place := (str(one.data[KEPT_SINCE]), str(one.id))) < here}
    taken, found = list(loads), list[Load]()
    for _, other in sorted(longer.items(), key=lambda row: row[0]):
        found += _would_begin(other, [*taken, *found], world.now)
    return found


def _would_begin(data: Mapping[str, Any], loads: Iterable[Load], now: datetime) -> list[Load]:
    closes = datetime.fromisoformat(data["closes"]) if data["closes"] else None
    waiting = [entry.candidate for entry in waiting_list.read(data["list"])]
    return [one.load for one in planning.startable(waiting, loads, Limits(*data["limits"]), now, closes)[0]]


def _all_of(pool: str) -> str:
    return f"backups of pool {pool}"
