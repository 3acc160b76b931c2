"""What was saved and what was not, and why: the catalogue beside what the policies name. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from orchestrator.views import report_gaps
from orchestrator.views.report_asked import Asked, Named
from state.backups import Backup
from workflows.policies import BackupPlan

WELL = ("saved", "skipped", "waiting")
"""What is as it should be; "waiting" is a VM whose window is open yet."""
STATUSES = ("saved", "skipped", "waiting", "late", "missed", "refused", "failed", "cancelled", "forgotten")
SUMS = ("size", "read", "stored", "downtime")


def report(lines: Sequence[Backup], asked: Asked) -> dict[str, Any]:
    """The report as plain values: a row for each VM, policy and opening, those that need somebody first; sums of all and by policy."""
    rows = [*_of_lines(lines), *_of_nobody(lines, asked)]
    rows.sort(key=place)
    policies = sorted({row["policy"] for row in rows} | asked.plans.keys())
    return {
        "since": asked.since,
        "until": asked.until,
        "well": all(row["status"] in WELL for row in rows) and not asked.unseen,
        "sums": _sums(rows),
        "policies": [
            {"policy": name, "paused": asked.paused.get(name, ""), **_sums([row for row in rows if row["policy"] == name])}
            for name in policies
        ],
        "unseen": [{"pool": pool, "reason": reason} for pool, reason in sorted(asked.unseen.items())],
        "backups": rows,
    }


def place(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a row stands among the others: those that need somebody first."""
    moments = ["" if row[name] is None else f"{row[name]:%Y-%m-%dT%H:%M:%S.%f}" for name in ("began_at", "opened_at")]
    return "well" if row["status"] in WELL else "amiss", row["policy"], row["vm_name"], row["pool"], *moments, row["vm"]


def _of_lines(lines: Iterable[Backup]) -> list[dict[str, Any]]:
    """One row for each VM, policy and opening: the try that saved it, else the last one."""
    found: dict[tuple[Any, ...], list[Backup]] = {}
    for line in lines:
        found.setdefault((line.pool, line.policy, line.vm, line.opened_at or line.id), []).append(line)
    rows = []
    for tries in found.values():
        line = max(tries, key=lambda one: (one.status == "saved", one.began_at))
        rows.append(_row(line, sum(one.status not in ("missed", "late") for one in tries), sum(one.downtime for one in tries)))
    return rows


def _row(line: Backup, tries: int, downtime: float) -> dict[str, Any]:
    return {
        "id": line.id, "pool": line.pool, "vm": line.vm, "vm_name": line.vm_name, "policy": line.policy, "product": line.product,
        "window": line.window, "opened_at": line.opened_at, "status": line.status,
        "why": "; ".join(filter(None, (line.reason, _way(line.details)))), "began_at": line.began_at,
        "ended_at": line.ended_at, "tries": tries, "downtime": downtime, "size": line.size, "read": line.read, "stored": line.stored,
        "point": line.point, "mode": line.mode, "details": line.details,
    }  # fmt: skip


def _way(details: Mapping[str, Any]) -> str:
    """How the disks were read, where a product asked what changed: which way, how much had changed, and why no less was read."""
    if not details.get("way"):
        return "; ".join(map(str, details.get("not_tracked", ())))
    changed = details.get("changed")
    said = f"read: {details['way']}" + (f", {in_bytes(changed)} changed" if isinstance(changed, int) else "")
    return f"{said} ({details['why']})" if details.get("why") else said


def _of_nobody(lines: Sequence[Backup], asked: Asked) -> list[dict[str, Any]]:
    """The VMs that a policy names and for which nothing was begun, where its window opened in this time."""
    seen = {(line.pool, line.policy, line.vm) for line in lines}
    rows = []
    for name, plan in asked.plans.items():
        left = [vm for vm in asked.wanted.get(name, ()) if (vm.pool, name, vm.vm) not in seen]
        gaps = {pool: report_gaps.of(asked, plan, pool) for pool in {vm.pool for vm in left}}
        rows += [_empty(vm, plan) | asdict(gap) for vm in left if (gap := gaps[vm.pool]) is not None]
    return rows


def _empty(vm: Named, plan: BackupPlan) -> dict[str, Any]:
    return {
        "id": None, "pool": vm.pool, "vm": vm.vm, "vm_name": vm.name, "policy": plan.name, "product": plan.product, "window": plan.window,
        "began_at": None, "ended_at": None, "tries": 0, "downtime": 0.0, "size": 0, "read": 0, "stored": 0, "point": "", "mode": "",
        "details": {},
    }  # fmt: skip


def _sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = {status: sum(row["status"] == status for row in rows) for status in STATUSES}
    return {"vms": len(rows), **counts, **{name: sum(row[name] for row in rows) for name in SUMS}}


def in_bytes(number: float) -> str:
    """A size as people read it."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError


def in_time(seconds: float) -> str:
    """A time span as people read it: "-" for none."""
    if seconds <= 0:
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"
    return str(timedelta(seconds=round(seconds)))


def took(row: Mapping[str, Any]) -> str:
    """How long the backup of a row took."""
    return in_time((row["ended_at"] - row["began_at"]).total_seconds()) if row["began_at"] and row["ended_at"] else "-"


def in_a_line(report: Mapping[str, Any]) -> str:
    """All of it in one sentence."""
    sums = report["sums"]
    counted = [f"{sums[status]} {status}" for status in STATUSES if sums[status]]
    said = f"{sums['vms']} backups: {', '.join(counted)}" if counted else "no backup, and no policy whose window opened"
    down = f"guests down for {in_time(sums['downtime'])}" if sums["downtime"] > 0 else "no guest was down"
    return f"{said}; {in_bytes(sums['read'])} read, {in_bytes(sums['stored'])} stored, {down}"
