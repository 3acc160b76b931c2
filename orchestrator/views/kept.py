"""An opening of a window that is being kept: whose turn it was, is and will be, by what the rows say. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from orchestrator import readings
from state.backups import Backup
from state.jobs import JobRow
from state.run import Run
from workflows import planning, waiting_list
from workflows.policies import Limits
from workflows.waiting_list import Entry

AT_WORK, WAITS, MISSED = "at work", "waits", "would be missed"
Turn = dict[str, Any]


def kept(run: Run, lines: Iterable[Backup], children: Mapping[UUID, Run], jobs: Mapping[UUID, JobRow], now: datetime) -> dict[str, Any]:
    """How far the run of a window is.

    *lines*: of the catalogue, since it opened; *children*, *jobs*: the runs and the products' jobs of those who are at work, by run.
    Under *turns* each VM, in the order of its turn. *status* is what became of it, or AT_WORK, WAITS, MISSED; *ends* is an estimate where
    it is not over; *fraction*: how far its job is, None: that is not known.
    """
    opens, data = datetime.fromisoformat(run.data["opens"]), run.data
    reading = readings.window(run)
    entries = {UUID(run_id): waiting_list.one(noted["entry"], data["list"]) for run_id, noted in data.get("at_work", {}).items()}
    working = [_at_work(entry, data["at_work"][str(run_id)]["began"], children.get(run_id), jobs.get(run_id), now)
               for run_id, entry in entries.items()]  # fmt: skip
    going = [(turn["ends"], entry.candidate) for turn, entry in zip(working, entries.values(), strict=True)]
    waiting = _waiting(waiting_list.read(data["list"]), going, data, now) if "list" in data else []
    open_yet = {(turn["vm"], turn["policy"]) for turn in [*working, *waiting]}
    mine = (one for one in lines if one.window == data["window"] and one.pool == run.pool and one.opened_at == opens)
    last = {(one.vm, one.policy): one for one in mine}
    over = [_over(one) for key, one in last.items() if key not in open_yet]
    return {
        "window": data["window"],
        "pool": run.pool,
        "run": run.id,
        "opens": opens,
        "closes": reading.closes,
        "now": now,
        "said": run.reason,
        "counts": dict(reading.vms),
        "turns": [*sorted(over, key=lambda turn: turn["begins"]), *sorted(working, key=lambda turn: turn["begins"]), *waiting],
    }


def _over(one: Backup) -> Turn:
    return _turn(one.vm, one.vm_name, one.policy, one.status, one.began_at, one.ended_at or one.began_at) | {"said": one.reason}


def _at_work(entry: Entry, began: str, child: Run | None, job: JobRow | None, now: datetime) -> Turn:
    one, begins = entry.candidate, datetime.fromisoformat(began)
    fraction = job.fraction if job is not None and job.state == "running" else _fraction(child)
    turn = _turn(one.vm, one.name, one.policy, AT_WORK, begins, max(now, begins + one.takes))
    return turn | {"fraction": fraction, "run": child.id if child else None, "said": (child.reason or child.step or "") if child else "",
                   "tries": entry.tries}  # fmt: skip


def _fraction(child: Run | None) -> float | None:
    """As a product says that is not at work in a process of ours."""
    said = dict(child.data.get("job") or {}).get("said") if child else None
    return said[2] if said else None


def _waiting(entries: list[Entry], going: list[tuple[datetime, planning.Candidate]], data: Mapping[str, Any], now: datetime) -> list[Turn]:
    """Those who wait, where each would begin by the estimates: those of others in the pool are not counted."""
    closes = datetime.fromisoformat(data["closes"]) if data.get("closes") else None
    tries = {entry.uuid: entry.tries for entry in entries}
    slots = planning.timeline([entry.candidate for entry in entries], Limits(*data["limits"]), now, closes, going)
    return [
        _turn(slot.candidate.vm, slot.candidate.name, slot.candidate.policy, WAITS if slot.begins else MISSED, slot.begins, slot.ends)
        | {"tries": tries[slot.candidate.vm]}
        for slot in slots
    ]


def _turn(vm: str, name: str, policy: str, status: str, begins: datetime | None, ends: datetime | None) -> Turn:
    return {
        "vm": vm, "name": name, "policy": policy, "status": status, "begins": begins, "ends": ends,
        "fraction": None, "run": None, "said": "", "tries": 1,
    }  # fmt: skip
