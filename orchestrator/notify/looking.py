"""Looks at the rows for what people are to be told: what stands so now, and what has happened since somebody looks. Nothing is written."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from orchestrator import presence
from orchestrator.notify import words
from orchestrator.notify.kinds import LASTING
from orchestrator.notify.news import News
from orchestrator.roles import Role
from orchestrator.views import report
from orchestrator.views.report_asked import Asked
from state import backups, history, openings, ports, runs, standing, told, waiting_runs
from state.run import ENDED, Run, Status
from state.told import Notice
from workflows import keep_window

AWAY = timedelta(minutes=10)
"""For how long a pool must have said nothing: a coordinator that reboots is away for less."""
NOBODY = timedelta(minutes=5)
"""For how long there must have been no worker: an upgrade is over by then."""
LOOK_BACK = timedelta(days=2)
"""What happened longer ago is no news."""
LONGEST = timedelta(days=7)
"""No window is open for longer."""
BY_MACHINE = "tried again by the "
"""How the history says that a part of ours took a run up again: the reconciler, the upkeep. A person has a name."""
NEVER_OPENS = "no maintenance window ever opens"


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at: pools, backup windows and policies of the configuration. *since*: when this process began to look.

    *dead*: how many messages RabbitMQ gave up; None: not known now.
    """

    pools: tuple[str, ...]
    windows: tuple[str, ...]
    policies: tuple[str, ...]
    since: datetime
    dead: int | None = 0


@dataclass(slots=True)
class Seen:
    """*stands*: what is so now and is not noted yet. *happened*: what has happened. *over*: notices of what is so no more."""

    stands: list[News] = field(default_factory=list)
    happened: list[News] = field(default_factory=list)
    over: list[Notice] = field(default_factory=list)


def look(session: Session, watched: Watched, *, began: datetime, now: datetime) -> Seen:
    """All of it. *began*: when anybody began to look: what happened before is no news, what is so since then is."""
    seen, before = Seen(), told.standing(session, LASTING)
    noted = {notice.key for notice in before}
    held = [one for one in standing.held(session, now=now) if one.name.startswith(presence.PREFIX)]
    _runs(session, seen, before)
    _ports(session, seen, watched, before)
    _processes(seen, watched, held, before, now)
    _letters(seen, watched, before)
    seen.stands = [news for news in seen.stands if news.key not in noted]
    since = max(began, now - LOOK_BACK)
    seen.happened += _ended(session, watched, since)
    seen.happened += [
        words.not_opened(one)
        for one in openings.since(session, since - LOOK_BACK)
        if one.status.startswith("skipped: ") and one.noted_at >= since and one.window in watched.windows and one.pool in watched.pools
    ]
    return seen


def _runs(session: Session, seen: Seen, before: Iterable[Notice]) -> None:
    """Stuck runs, and those that wait for a person's word. One that looks again for a moment waits on as far as people are concerned."""
    noted = {notice.key for notice in before}
    there = {words.stuck_key(run): run for run in runs.listed(session, statuses={Status.STUCK})}
    stuck = [replace(words.stuck(run), is_known=_is_known(session, run)) for key, run in there.items() if key not in noted]
    waiting = [words.approval(run) for run in waiting_runs.on_approval(session) if _asks_somebody(run)]
    seen.stands += [*stuck, *waiting]
    keys = {news.key for news in waiting} | there.keys()
    for notice in before:
        if notice.key in keys:
            continue
        if notice.key.startswith("stuck:"):
            run = runs.get(session, UUID(notice.key.split(":")[1]))
            if run is None or words.stuck_key(run) != notice.key:
                seen.over.append(notice)
        elif notice.key.startswith(words.approval_key("")):
            run = runs.get(session, UUID(notice.key.removeprefix(words.approval_key(""))))
            if run is None or run.status in ENDED or run.approved_by or run.status is Status.WAITING:
                seen.over.append(notice)


def _is_known(session: Session, run: Run) -> bool:
    """Whether people know it already: it was taken up again by the machine alone, and is stuck for the same reason as before."""
    before = told.last(session, words.stuck_prefix(run.id))
    if before is None or not before.text.startswith(run.reason):
        return False
    tried = [entry.message for entry in history.of(session, run.id) if entry.outcome == "retry" and entry.at >= before.seen_at]
    return bool(tried) and all(message.startswith(BY_MACHINE) for message in tried)


def _asks_somebody(run: Run) -> bool:
    """Whether nothing but a word lets it go on: others that an approval would wake wait for a moment too."""
    return not run.approved_by and (f"`vfo run {run.id} approve`" in run.reason or NEVER_OPENS in run.reason)


def _ports(session: Session, seen: Seen, watched: Watched, before: Iterable[Notice]) -> None:
    stands = [
        words.vanished(port) for pool in watched.pools for port in ports.known(session, pool) if (port.most or 0) > port.total > 0
    ]  # fmt: skip
    seen.stands += stands
    keys = {news.key for news in stands}
    seen.over += [notice for notice in before if notice.key.startswith("vanished:") and notice.key not in keys]


def _processes(seen: Seen, watched: Watched, held: Iterable[standing.Held], before: Iterable[Notice], now: datetime) -> None:
    """Pools that nobody hears, and roles that nobody has, by what the processes say of themselves."""
    said = [(one, presence.read(one.holder)) for one in held]
    notices = {notice.key: notice for notice in before}
    for pool in watched.pools:
        heard = _heard(pool, said, now)
        news = words.pool_away(pool, heard, now)
        notice = notices.get(news.key)
        if now - (heard or watched.since) > AWAY:
            seen.stands.append(news)
        elif notice is not None and heard is not None:
            seen.over.append(notice)
            seen.happened.append(words.pool_back(pool, notice.seen_at, now))
    there = [one.until for one, says in said if Role.WORKER.value in says.get("roles", ())]
    last = max((now if until > now else until for until in there), default=None)
    news = words.no_worker(Role.WORKER.value, last, now)
    if now - (last or watched.since) > NOBODY:
        seen.stands.append(news)
    elif last is not None and news.key in notices:
        seen.over.append(notices[news.key])


def _heard(pool: str, said: Collection[tuple[standing.Held, Mapping[str, Any]]], now: datetime) -> datetime | None:
    """When anybody heard the pool last; None: nobody says so."""
    found = [moment for _, says in said if (moment := _moment(says.get("heard", {}).get(pool))) is not None]
    found += [now for one, says in said if "heard" not in says and one.is_held and pool in says.get("lag", {})]  # an older version's
    return max(found, default=None)


def _moment(written: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(written))
    except ValueError:
        return None


def _letters(seen: Seen, watched: Watched, before: Iterable[Notice]) -> None:
    if watched.dead:
        seen.stands.append(words.dead_letters(watched.dead))
    elif watched.dead == 0:
        seen.over += [notice for notice in before if notice.key == "dead-letters"]


def _ended(session: Session, watched: Watched, since: datetime) -> Iterator[News]:
    """Windows that ended, and policies that people ran."""
    subjects = [*(f"window:{name}" for name in watched.windows), *(f"policy:{name}" for name in watched.policies)]
    for pool in watched.pools:
        for run in waiting_runs.of_subjects(session, pool, keep_window.NAME, subjects, since=since - LONGEST):
            if run.finished_at is None or run.finished_at < since or run.status is Status.STUCK:
                continue
            if told.of_key(session, words.window_key(run.id)) is None:
                yield _of_window(session, run)


def _of_window(session: Session, run: Run) -> News:
    opens = datetime.fromisoformat(run.data["opens"])
    kind, _, name = run.subject.partition(":")
    mine = [
        line
        for line in backups.since(session, opens - timedelta(minutes=1))
        if line.pool == run.pool and line.opened_at == opens and (line.window == name if kind == "window" else line.policy == name)
    ]
    made = report.report(mine, Asked(opens, run.finished_at or opens))
    return words.window(run, run.title, made, f"{opens:%Y-%m-%d}")
