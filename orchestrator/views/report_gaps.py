"""What is so of VMs for which nothing was begun: their window opened and they were forgotten, or it did not, or it is open yet. Pure.

An opening counts when it was dealt with, or when somebody was to look for it: what a schedule would have opened before `vfo serve` ever
knew of it opened nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from orchestrator.views.report_asked import Asked
from state import openings
from state.openings import Opening
from workflows.policies import BackupPlan, BackupWindow

FORGOTTEN = "its window opened, and nothing was begun for it"
NOT_TAKEN_UP = "its window is open by the configuration; `vfo serve` goes by another schedule until it is started anew"


@dataclass(frozen=True, slots=True)
class Gap:
    """Why nothing was begun, as a row of the report says it."""

    opened_at: datetime
    status: str
    why: str


def of(asked: Asked, plan: BackupPlan, pool: str) -> Gap | None:
    """What is so of a VM of the policy in the pool; None: nothing was to be done for it in this time. Without a window people run it."""
    window = asked.windows.get(plan.window)
    if window is None or (window.name, pool) not in asked.watches:
        return None
    last, dealt = _last(asked, window, pool)
    is_open = opens if (opens := window.window.opened(asked.until)) is not None and opens > asked.since else None
    if plan.name in asked.paused:
        during = [at for at in (last, is_open) if at is not None and (at == is_open or at > asked.paused_at.get(plan.name, asked.since))]
        return Gap(max(during), "skipped", f"the policy is {asked.paused[plan.name]}") if during else _judged(asked, window, last, dealt)
    if last is None and is_open is not None:
        return Gap(is_open, "waiting", _not_opened(asked, window, pool))
    return _judged(asked, window, last, dealt)


def _last(asked: Asked, window: BackupWindow, pool: str) -> tuple[datetime | None, Opening | None]:
    """The last opening of the time that counts, and how it was dealt with, where it was."""
    schedule, after = asked.watches[window.name, pool]
    dealt = {one.opens_at: one for one in asked.opened if (one.window, one.pool) == (window.name, pool) and one.opens_at <= asked.until}
    moments = set(dealt)
    if schedule == window.window.moments:
        newest = next(window.window.openings_before(asked.until, max(after, asked.since)), None)
        moments |= {newest} if newest is not None else set()
    last = max(moments, default=None)
    return last, dealt.get(last) if last is not None else None


def _not_opened(asked: Asked, window: BackupWindow, pool: str) -> str:
    """Why a window that is open by its schedule was not opened: that is newer than the moment at which it would have."""
    schedule, after = asked.watches[window.name, pool]
    if schedule != window.window.moments:
        return NOT_TAKEN_UP
    opens = window.window.opens(asked.until)
    following = f"it opens next at {opens:%Y-%m-%d %H:%M} UTC" if opens is not None else "it never opens again"
    return f"its schedule was changed at {after:%Y-%m-%d %H:%M} UTC, after the moment at which it opens by it: {following}"


def _judged(asked: Asked, window: BackupWindow, last: datetime | None, dealt: Opening | None) -> Gap | None:
    if last is None:
        return None
    if dealt is not None and dealt.status == openings.WAITS:
        return Gap(last, "waiting", f"its window is open, and run {dealt.run_id} of an earlier opening is at work")
    skipped = dealt.status.partition(": ")[2] if dealt is not None else ""
    if skipped:
        return Gap(last, "forgotten", f"{FORGOTTEN}: {skipped}")
    is_open = last + window.window.duration > asked.until
    return Gap(last, "waiting", "its window is open") if is_open else Gap(last, "forgotten", FORGOTTEN)
