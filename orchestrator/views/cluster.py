"""All processes that work on one database, as plain values: who lives, who holds what, how far behind they are, and what is amiss."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from orchestrator import call_slots, presence
from orchestrator.queues import Depths
from orchestrator.roles import WORKING, Role
from state.run import ACTIVE, Status
from state.standing import Due, Held


@dataclass(frozen=True, slots=True)
class Seen:
    """What the view is made of. *pools*: those of the configuration; *counts*: runs by status; *at_once*: each pool's limit of calls."""

    now: datetime
    held: Sequence[Held]
    due: Due
    counts: Mapping[Status, int] = field(default_factory=dict)
    queue: Depths = field(default_factory=lambda: Depths("embedded", dead=0))
    pools: Collection[str] = ()
    at_once: Mapping[str, int] = field(default_factory=dict)


def cluster(seen: Seen) -> dict[str, Any]:
    """The whole. *amiss*: sentences, of what somebody should look after; none when all is well."""
    held = [_lease(one) for one in seen.held if not one.name.startswith((presence.PREFIX, presence.CALLS))]
    processes = [_process(row, held) for row in seen.held if row.name.startswith(presence.PREFIX) and row.is_held]
    processes.sort(key=lambda one: (one["process"], one["since"] or seen.now))
    return {
        "processes": processes,
        "leases": held,
        "calls": [{"pool": pool, "at_once": most, "processes": _calls(seen.held, pool)} for pool, most in sorted(seen.at_once.items())],
        "runs": {status.value: seen.counts.get(status, 0) for status in Status if status in ACTIVE | {Status.STUCK}},
        "due": seen.due.count,
        "lag": seen.due.lag(seen.now).total_seconds(),
        "queue": asdict(seen.queue),
        "amiss": list(_amiss(seen, processes, held)),
    }


def _process(row: Held, held: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    said = presence.read(row.holder)
    broker, name = said.get("broker", {}), str(said.get("process", "?"))
    return {
        "process": name,
        "roles": [str(role) for role in said.get("roles", ())],
        "version": str(said.get("version", "?")),
        "since": _moment(said.get("since")),
        "until": row.until,
        "leases": {one["lease"]: one["since"] for one in held if one["held"] and one["process"] == name},
        "lag": dict(said.get("lag", {})),
        "broker": str(broker.get("problem", "")),
        "pending": broker.get("pending"),
    }


def _lease(held: Held) -> dict[str, Any]:
    return {
        "lease": held.name,
        "held": held.is_held,
        "process": held.holder.rpartition(":")[0] or held.holder,
        "since": held.since if held.is_held else None,
        "until": held.until,
        "taken": held.epoch,
    }


def _calls(held: Iterable[Held], pool: str) -> dict[str, int]:
    """How many calls each worker process may have in flight in the pool now."""
    had = (one for one in held if one.is_held and call_slots.pool_of(one.name) == pool)
    return dict(sorted(Counter(one.holder.rpartition(":")[0] for one in had).items()))


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _amiss(seen: Seen, processes: Sequence[Mapping[str, Any]], held: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    if not processes:
        yield "no process serves: nothing is followed and nothing is done until one does (vfo serve)"
        return
    there = {role for one in processes for role in one["roles"]}
    for role in (one for one in Role if one in WORKING):  # who looks at no console misses none
        if role.value not in there:
            yield f"no process has the role {role.value}: begin one by vfo serve --role {role.value}"
    listened = {one["lease"].removeprefix("listener:") for one in held if one["held"]}
    if Role.LISTENER.value in there:
        yield from (f"nobody listens to pool {pool}" for pool in seen.pools if pool not in listened)
    versions = sorted({one["version"] for one in processes})
    if len(versions) > 1:
        yield f"processes of several versions are at work: {', '.join(versions)}"
    yield from (f"{one['process']}: {one['broker']}" for one in processes if one["broker"])
    if seen.queue.problem:
        yield seen.queue.problem
    if seen.queue.dead:
        yield f"{seen.queue.dead} messages were given up: whoever took them died each time; vfo cluster requeue sends them again"
