"""Windows of backups: what became of their openings, and how one would go."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.config.load import Loaded
from orchestrator.services import Lines
from orchestrator.views import ical
from orchestrator.views import windows as view
from state import openings
from workflows import choosing, planning
from workflows.policies import Backups, BackupWindow

CALENDAR = 100  # openings
PAST_DAYS = 14
EARLIEST, LATEST = 2000, 2200  # years of which calendars are sure


def find(loaded: Loaded, backups: Backups, name: str) -> BackupWindow:
    """The window of that name. Raises WrongInput."""
    if name not in backups.windows:
        raise WrongInput(f"window {name!r}: {loaded.path} has no table [windows.{name}]; it has {', '.join(backups.windows) or 'none'}")
    return backups.windows[name]


def calendar(loaded: Loaded, backups: Backups, name: str, now: datetime) -> str:
    """The next openings for a calendar (RFC 5545). Raises WrongInput."""
    window = find(loaded, backups, name)
    policies = [plan.name for plan in choosing.of_window(backups, name)]
    return ical.calendar(window, policies, islice(window.window.openings(now), CALENDAR), now)


def shown(at: Desk, name: str) -> dict[str, Any]:
    """One window: its table, its next openings, and what became of those of the last two weeks. Raises WrongInput."""
    backups, now = at.policy.backups, at.clock()
    window = find(at.loaded, backups, name)
    with at.store.read() as session:
        return view.shown(backups, window, now, openings.since(session, now - timedelta(days=PAST_DAYS)))


def plan(at: Desk, name: str, moment: str | None = None) -> list[dict[str, Any]]:
    """How the opening that is open then, or else the next one, would go in each pool that a policy of the window means.

    *moment*: of the window's zone unless it names one; None: now. Raises WrongInput, NotSo.
    """
    backups = at.policy.backups
    window = find(at.loaded, backups, name)
    span, found = _span(window, at.clock() if moment is None else _moment(moment, window.window.timezone)), []
    for access in at.pools:
        names = [one.name for one in choosing.of_window(backups, name) if choosing.means(one, access.name)]
        if names:
            chosen = choosing.choose(access.port, access.ledger, Lines(at.store, access.name), at.policy, names)
            slots = planning.timeline(chosen.candidates, window.limits, *span)
            found.append(view.plan(window, access.name, span, slots, chosen.left_out))
    return found


def _span(window: BackupWindow, moment: datetime) -> tuple[datetime, datetime]:
    """The opening that is open at the moment, from then on, or else the next one."""
    if not EARLIEST <= moment.year <= LATEST:
        raise WrongInput(f"write a moment from {EARLIEST} to {LATEST}", option="at", value=f"{moment:%Y-%m-%d}")
    if (closes := window.window.closes(moment)) is not None:
        return moment, closes
    if (opens := window.window.opens(moment)) is None:
        raise NotSo(f"window {window.name!r} does not open after {moment:%Y-%m-%d %H:%M %Z} any more")
    return opens, opens + window.window.duration


def _moment(written: str, timezone: str) -> datetime:
    """The moment that was written, of the window's zone where it names none."""
    zone = ZoneInfo(timezone)
    try:
        at = datetime.fromisoformat(written)
        return at.astimezone(zone) if at.tzinfo else at.replace(tzinfo=zone)
    except (ValueError, OverflowError):
        raise WrongInput("write a day or a moment, such as 2026-12-01T22:00", option="at", value=written) from None
