"""Whether all is right, what needs a person, and what goes on. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.web.console.models import bars, vfs
from orchestrator.web.console.models.runs import Line
from state.backups import Backup

MOST = 8  # of a kind that are shown one by one; the pages of their own have all of them


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a person has to do. *kind* and *tone* say what it is, *href* is where to do it; *run* is approved by its id, or ""."""

    kind: str
    tone: str
    title: str
    why: str
    href: str
    run: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """The VFs of one pool as a bar."""

    pool: str
    total: int
    said: str
    parts: Sequence[bars.Part]
    problem: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The page. *tone*: good, warn or bad; *more*: how many needs of each kind are not shown one by one."""

    tone: str
    sentence: str
    next_thing: str
    needs: tuple[Need, ...]
    more: int
    going: tuple[Line, ...]
    going_more: int
    capacity: tuple[Capacity, ...]


def made(lines: Sequence[Line], maps: Sequence[vfs.Map], not_saved: Sequence[Backup]) -> Overview:
    """The page of runs that are active or stuck, the maps of the pools, and the backups of the last day that need somebody."""
    kinds = [
        [_approval(one) for one in lines if one.awaits_approval],
        [_stuck(one) for one in lines if one.status == "stuck"],
        [need for one in maps for need in _of_map(one)],
        [_backup(one) for one in not_saved],
    ]
    needs = tuple(need for found in kinds for need in found[:MOST])
    going = [one for one in lines if one.status != "stuck" and not one.awaits_approval]
    tone, sentence = _state([need for found in kinds for need in found])
    more = sum(max(0, len(found) - MOST) for found in kinds)
    said = "" if needs else (f"{len(going)} {'run is' if len(going) == 1 else 'runs are'} at work." if going else "Nothing is at work.")
    return Overview(tone, sentence, said, needs, more, tuple(going[:MOST]), max(0, len(going) - MOST), tuple(map(_capacity, maps)))


def _state(needs: Sequence[Need]) -> tuple[str, str]:
    if not needs:
        return "good", "Everything is all right"
    tone = "bad" if any(need.tone == "bad" for need in needs) else "warn"
    return tone, "One thing needs you" if len(needs) == 1 else f"{len(needs)} things need you"


def _approval(one: Line) -> Need:
    return Need("waits for approval", "plan", f"{one.workflow} of {one.title}", one.reason, f"/runs/{one.id}", one.id, one.updated_at)


def _stuck(one: Line) -> Need:
    why = one.reason + (f" Next: {one.next_command}" if one.next_command else "")
    return Need("stuck", "bad", f"{one.workflow} of {one.title}", why, f"/runs/{one.id}", at=one.updated_at)


def _of_map(one: vfs.Map) -> list[Need]:
    found = []
    if one.problem:
        found.append(Need("pool", "bad", f"Pool {one.pool} does not answer", one.problem, "/vfs"))
    for host in one.hosts:
        for port in host.ports:
            bad = {kind: port.counts[kind] for kind in ("leaked", "broken") if port.counts[kind]}
            if bad:
                said = ", ".join(f"{count} {vfs.IN_WORDS[kind]}" for kind, count in bad.items())
                why = " ".join(port.notes) or "`vfo reclaim` accounts for the port now."
                found.append(Need("VFs", "warn", f"{host.name}/{port.device}: {said}", why, f"/vfs#port-{port.id}"))
    return found


def _backup(one: Backup) -> Need:
    why = one.reason or f"Policy {one.policy} did not save it."
    return Need(f"backup {one.status}", "bad", f"{one.vm_name}, policy {one.policy}", why, f"/vms/{one.vm}", at=one.began_at)


def _capacity(one: vfs.Map) -> Capacity:
    counts: Mapping[str, int] = {**one.counts, "leaked": one.counts["leaked"] + one.counts["unsure"]}
    parts = bars.parts(counts, ("used", "promised", "leaked", "broken", "free"))
    return Capacity(one.pool, vfs.total(one.counts), one.said, parts, one.problem)
