"""Windows of backups: what became of their openings, how one would go, and writing one."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.actions import writing
from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.config.load import Loaded
from orchestrator.services import Lines
from orchestrator.views import ical
from orchestrator.views import windows as view
from state import openings
from state.store import Session
from state.written import WINDOW
from workflows import choosing, planning
from workflows.policies import BackupPlan, Backups, BackupWindow
from workflows.ports import PoolError

CALENDAR = 100  # openings
PAST_DAYS = 14
EARLIEST, LATEST = 2000, 2200  # years of which calendars are sure


def find(loaded: Loaded, backups: Backups, name: str) -> BackupWindow:
    """The window of that name. Raises WrongInput."""
    if name not in backups.windows:
        there = ", ".join(backups.windows) or "none"
        raise WrongInput(f"window {name!r}: there is none of that name, in {loaded.path} or written; there are {there}")
    return backups.windows[name]


def listed(at: Desk) -> list[dict[str, Any]]:
    """Every window: until when it is open and when it opens next, and who wrote it."""
    return [{**row, **writing.origin(at, WINDOW, row["name"])} for row in view.listed(at.policy.backups, at.clock())]


def amiss(at: Desk) -> list[dict[str, Any]]:
    """The windows that somebody wrote and that do not hold, and why: they never open."""
    return writing.amiss(at, WINDOW)


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
        row = view.shown(backups, window, now, openings.since(session, now - timedelta(days=PAST_DAYS)))
    return {**row, **writing.origin(at, WINDOW, name), "table": writing.table(at, WINDOW, name)}


def table(at: Desk, name: str) -> dict[str, Any]:
    """Its table, as it was written. Raises WrongInput."""
    find(at.loaded, at.policy.backups, name)
    return writing.table(at, WINDOW, name)


def write(at: Desk, name: str, table: Mapping[str, Any], *, revision: str | None = None) -> dict[str, Any]:
    """Write a new window into the rows, or change the one of this *revision*. Raises WrongInput, Outdated."""
    now = at.clock()
    return at.store.do(lambda session: set_written(session, at, name, table, revision=revision, now=now))


def set_written(
    session: Session, at: Desk, name: str, table: Mapping[str, Any], *, revision: str | None = None, now: datetime
) -> dict[str, Any]:  # fmt: skip
    """As `write`, in the transaction at hand."""
    return writing.write(session, at, writing.prepared(WINDOW, name, table), revision, now=now)


def remove(at: Desk, name: str, revision: str | None = None) -> dict[str, Any]:
    """Forget a window that somebody wrote and that no policy uses. *revision* None: whichever. Raises WrongInput, Outdated, NotSo."""
    now = at.clock()
    return at.store.do(lambda session: set_removed(session, at, name, revision, now=now))


def set_removed(session: Session, at: Desk, name: str, revision: str | None = None, *, now: datetime) -> dict[str, Any]:
    """As `remove`, in the transaction at hand."""
    return writing.remove(session, at, WINDOW, name, revision, now=now)


def proposed(at: Desk, name: str, table: Mapping[str, Any], *, revision: str | None = None) -> dict[str, Any]:
    """When a window would open and how that would go, and nothing is written. Raises as `write` does."""
    said = writing.prepared(WINDOW, name, table)
    then = replace(at, known=writing.supposed(at.loaded, at.in_force, said))
    one, now, backups = writing.assert_current(at, said, revision), at.clock(), then.policy.backups
    with at.store.read() as session:
        row = view.shown(backups, backups.windows[name], now, openings.since(session, now - timedelta(days=PAST_DAYS)))
    before = at.policy.backups.windows.get(name)
    if before is not None and before.window.moments != backups.windows[name].window.moments:
        row["open_until"] = None  # what would have opened by it before is nobody's
    nights, unseen = _nights(then, name)
    return {
        **row, **writing.origin(at, WINDOW, name), "table": dict(said.table), "nights": nights, "unseen": unseen, "created": one is None,
        "changed": writing.changes(one, said.table),
    }  # fmt: skip


def prospect(at: Desk, plan: BackupPlan) -> dict[str, Any]:
    """What a policy has to expect of its window: until when it is open (where nobody has dealt with that), when it opens, how that goes."""
    if (window := at.policy.backups.windows.get(plan.window)) is None:
        return {"opens": None, "open_until": None, "nights": []}
    now, opened = at.clock(), window.window.opened(at.clock())
    with at.store.read() as session:
        dealt = [openings.last(session, window.name, access.name, now=now) for access in at.pools if choosing.means(plan, access.name)]
    begins = opened is not None and any(last is None or last < opened for last in dealt)
    return {
        "opens": window.window.opens(now), "open_until": window.window.closes(now) if begins else None,
        "nights": _nights(at, window.name)[0],
    }  # fmt: skip


def _nights(at: Desk, name: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """As `plan` in each pool that answers; and why the others do not."""
    found, unseen = list[dict[str, Any]](), dict[str, str]()
    for access in at.pools:
        try:
            found += plan(replace(at, pools=[access]), name)
        except PoolError as error:
            unseen[access.name] = str(error)
        except NotSo:  # it never opens
            break
    return found, unseen


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
