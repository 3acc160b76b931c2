"""Windows and policies as they are shown: when they open, what they hold, and how an opening would go. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from state.openings import Opening
from workflows import choosing
from workflows.planning import Candidate, Slot
from workflows.policies import BackupPlan, Backups, BackupWindow, Limits, Selection


def listed(backups: Backups, now: datetime) -> list[dict[str, Any]]:
    """Every window: its table, its policies, until when it is open and when it opens next."""
    return [_window(backups, window, now) for window in backups.windows.values()]


def _window(backups: Backups, window: BackupWindow, now: datetime) -> dict[str, Any]:
    when = window.window
    return {
        "name": window.name,
        "schedule": when.schedule,
        "duration": when.duration.total_seconds(),
        "timezone": when.timezone,
        "blackouts": spans(when.blackouts),
        "catch_up": window.catch_up,
        "limits": {name: getattr(window.limits, name) for name in ("pool", "host", "sr", "port")},
        "policies": [plan.name for plan in choosing.of_window(backups, window.name)],
        "open_until": when.closes(now),
        "opens": when.opens(now),
    }


def spans(days: Iterable[date]) -> list[str]:
    """Days as the configuration writes them, those that follow each other as one span."""
    found: list[list[date]] = []
    for day in sorted(days):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1][1] = day
        else:
            found.append([day, day])
    return [f"{first}" if first == last else f"{first}..{last}" for first, last in found]


def upcoming(windows: Iterable[BackupWindow], now: datetime, count: int) -> list[dict[str, Any]]:
    """The next openings of these windows, soonest first."""
    found = [
        {"window": one.name, "opens": opens, "closes": opens + one.window.duration, "timezone": one.window.timezone}
        for one in windows
        for opens in islice(one.window.openings(now), count)
    ]
    return sorted(found, key=lambda row: (row["opens"], row["window"]))[:count]


def shown(backups: Backups, window: BackupWindow, now: datetime, past: Iterable[Opening]) -> dict[str, Any]:
    """One window, with its next openings and what became of its last ones."""
    lines = [
        {"pool": one.pool, "opens": one.opens_at, "closes": one.closes_at, "status": one.status, "run": one.run_id}
        for one in past
        if one.window == window.name
    ]
    return {**_window(backups, window, now), "next": upcoming([window], now, 5), "last": lines}


def plan(
    window: BackupWindow, pool: str, span: tuple[datetime, datetime], slots: Sequence[Slot], left_out: Mapping[str, str]
) -> dict[str, Any]:
    """How an opening would go in one pool, from the moment *span* begins to the window's end."""
    begins, closes = span
    return {
        "window": window.name,
        "pool": pool,
        "timezone": window.window.timezone,
        "begins": begins,
        "closes": closes,
        "paused": dict(left_out),
        "slots": [_slot(slot, window.limits, begins, closes) for slot in slots],
    }


def _slot(slot: Slot, limits: Limits, begins: datetime, closes: datetime) -> dict[str, Any]:
    one = slot.candidate
    return {
        "vm": one.vm,
        "name": one.name,
        "policy": one.policy,
        "saved_at": one.saved_at,
        "takes": one.takes.total_seconds(),
        "begins": slot.begins,
        "ends": slot.ends,
        "why": "" if slot.begins else _why(one, limits, closes - begins),
    }


def _why(one: Candidate, limits: Limits, lasts: timedelta) -> str:
    """Why it is missed."""
    nobody = [name for name in ("pool", "host", "sr", "port") if getattr(limits, name) == 0]
    if nobody:
        return f"limits.{nobody[0]} = 0 lets nobody begin"
    if one.takes > lasts:
        return "it takes longer than the window is open"
    return "its turn comes too late to be through before the end"


def policy(plan: BackupPlan, paused: tuple[str, datetime] | None) -> dict[str, Any]:
    """One policy; *paused*: by whom and when."""
    return {
        "name": plan.name,
        "window": plan.window or None,
        "product": plan.product,
        "mode": plan.mode,
        "priority": plan.priority,
        "vms": in_words(plan.vms),
        "retention": {name: count for name in ("last", "daily", "weekly", "monthly", "yearly") if (count := getattr(plan.keep, name))},
        "hooks": list(plan.hooks),
        "retries": plan.retries,
        "paused_by": paused[0] if paused else None,
        "paused_at": paused[1] if paused else None,
    }


def in_words(selection: Selection) -> str:
    """Whom a selection means."""
    asked = {
        "tagged": sorted(selection.tags),
        "named": selection.names,
        "in folder": [selection.folder] * bool(selection.folder),
        "that are": sorted(selection.power_state),
        "of pool": sorted(selection.pools),
        "but not named": selection.exclude_names,
        "but not tagged": sorted(selection.exclude_tags),
    }
    return ", ".join(f"{word} {' or '.join(values)}" for word, values in asked.items() if values) or "all"


def meant(pool: str, candidates: Iterable[Candidate]) -> list[dict[str, Any]]:
    """The VMs that a policy means in a pool, in the order in which they would go."""
    return [
        {"pool": pool, "vm": one.vm, "name": one.name, "saved_at": one.saved_at, "takes": one.takes.total_seconds()} for one in candidates
    ]
