"""The news in words: for each kind what happened, what it means, and the commands to act. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestrator.notify.kinds import Kind
from orchestrator.notify.news import Level, News
from orchestrator.views.report import WELL, in_a_line
from state.openings import Opening
from state.ports import PortRow
from state.run import Run, Status
from workflows import reclaim

OVERVIEW = "/"
SHOWN = 15
"""VMs of a window that are named; the others are in the report."""


def stuck_key(run: Run) -> str:
    """What the news that a run is stuck is about: once for each time that it stuck; "" when it is not."""
    return f"{stuck_prefix(run.id)}{run.finished_at.isoformat()}" if run.status is Status.STUCK and run.finished_at else ""


def stuck_prefix(run_id: object) -> str:
    """How the keys of all news begin that a run is stuck."""
    return f"stuck:{run_id}:"


def stuck(run: Run) -> News:
    """A run that a person has to look at; one that could not get lost VFs back says so."""
    command = f"vfo run {run.id}"
    next_command = [run.next_command] if run.next_command else []
    leaked = run.workflow == reclaim.NAME and "held" in (run.evidence or {})
    means = (
        "VFs are lost, and no cure that [reclaim] allow names has got them back: no VM can use them until somebody does."
        if leaked
        else "It does nothing more by itself, and keeps what it has for itself, until a person has looked at it."
    )
    return News(
        kind=Kind.LEAKED_VFS if leaked else Kind.STUCK_RUN,
        key=stuck_key(run),
        happened=f"{run.workflow} of {run.title} is stuck (pool {run.pool})",
        means=f"{run.reason or 'It does not say why.'}\n{means}\nLook at it, mend what it names, then try it again or cancel it:",
        commands=(command, *(next_command or [f"{command} retry"]), f"{command} cancel"),
        level="failure",
        pool=run.pool,
        path=f"/runs/{run.id}",
    )


def approval_key(run_id: object) -> str:
    """What the news that a run waits for approval is about."""
    return f"approval:{run_id}"


def approval(run: Run) -> News:
    """A run that goes on when a person says so."""
    return News(
        kind=Kind.APPROVAL,
        key=approval_key(run.id),
        happened=f"{run.workflow} of {run.title} waits for your approval (pool {run.pool})",
        means=f"{run.reason}\nUntil somebody approves of it nothing of that is done. See what it is about to do, then approve or cancel:",
        commands=(f"vfo run {run.id}", f"vfo run {run.id} approve", f"vfo run {run.id} cancel"),
        pool=run.pool,
        path=f"/runs/{run.id}",
    )


def window_key(run_id: object) -> str:
    """What the news that a window is over is about."""
    return f"window:{run_id}"


def window(run: Run, name: str, made: Mapping[str, Any], day: str) -> News:
    """A window (or `vfo policy run`) that is over. *made*: the report of its backups; *day*: from when on the whole report shows it."""
    amiss = [row for row in made["backups"] if row["status"] not in WELL]
    unfinished = run.status.value != "done"
    well = not amiss and not unfinished
    lines = [in_a_line(made)]
    if unfinished:
        lines.append(f"Its run ended {run.status.value}: {run.reason}")
    lines += [f"- {row['vm_name']} ({row['policy']}): {row['status']}{': ' + row['why'] if row['why'] else ''}" for row in amiss[:SHOWN]]
    if len(amiss) > SHOWN:
        lines.append(f"- and {len(amiss) - SHOWN} more")
    if amiss:
        lines.append("These VMs have no new restore point. See why, and save them now:")
    policies = sorted({row["policy"] for row in amiss})
    commands = (f"vfo report --since {day}", *(f"vfo policy run {policy}" for policy in policies)) if not well else ()
    title = (
        f"{name} is over, and {len(amiss)} of {made['sums']['vms']} VMs {'is' if len(amiss) == 1 else 'are'} not saved"
        if amiss
        else f"{name} is over"
    )
    kind = Kind.WINDOW_ENDED if well else Kind.BACKUPS_MISSING
    level: Level = "info" if well else "warning"
    return News(kind, window_key(run.id), f"{title} (pool {run.pool})", "\n".join(lines), commands, level, run.pool, OVERVIEW)


def not_opened(opening: Opening) -> News:
    """A window that opened while nobody was there to keep it."""
    why = opening.status.partition(": ")[2]
    return News(
        kind=Kind.BACKUPS_MISSING,
        key=f"opening:{opening.window}:{opening.pool}:{opening.opens_at.isoformat()}",
        happened=f"window {opening.window} of {moment(opening.opens_at)} was not kept (pool {opening.pool})",
        means=f"{why[:1].upper()}{why[1:]}. None of its VMs was saved in it. See who was missed, and save them by their policies:",
        commands=(f"vfo window show {opening.window}", "vfo report", "vfo policy list"),
        pool=opening.pool,
        path=OVERVIEW,
    )


def vanished(port: PortRow) -> News:
    """A host that came up with fewer VFs than it had."""
    had = port.most or port.total
    return News(
        kind=Kind.VANISHED_VFS,
        key=f"vanished:{port.pool}:{port.port}:{port.epoch}",
        happened=f"{port.name} has {port.total} VFs and had {had} (pool {port.pool})",
        means="The host came up without them: VMs that need one may find none there. The card, its driver and its firmware say why "
        "(dmesg and lspci on the host):",
        commands=("vfo doctor", "vfo vfs", "vfo sriov status"),
        pool=port.pool,
        path="/vfs",
    )


def pool_away(pool: str, heard: datetime | None, now: datetime) -> News:
    """A pool that nobody has heard for long."""
    since = f"since {moment(heard)}, for {in_minutes(now - heard)}" if heard else "since vfo serve was started"
    return News(
        kind=Kind.POOL_AWAY,
        key=f"away:{pool}",
        happened=f"pool {pool} cannot be reached",
        means=f"Nothing was heard of it {since}. Its VMs go on, but no VF of it is looked after and no VM of it is saved until it answers. "
        "See whether its coordinator answers, and whether some process listens to it:",
        commands=("vfo doctor", "vfo cluster status"),
        level="failure",
        pool=pool,
        path=OVERVIEW,
    )


def pool_back(pool: str, away_since: datetime, now: datetime) -> News:
    """It answers again."""
    return News(
        kind=Kind.POOL_AWAY,
        key=f"back:{pool}:{away_since.isoformat()}",
        happened=f"pool {pool} answers again",
        means=f"That it could not be reached was told {in_minutes(now - away_since)} ago. All that happened meanwhile is made up for, but "
        "for the backups whose windows closed meanwhile:",
        commands=("vfo runs", "vfo report"),
        level="info",
        pool=pool,
        path=OVERVIEW,
        is_over=True,
    )


def dead_letters(count: int) -> News:
    """Messages that RabbitMQ gave up."""
    return News(
        kind=Kind.DEAD_LETTERS,
        key="dead-letters",
        happened=f"RabbitMQ gave up {counted(count, 'message', 'messages')}",
        means="Whoever took them died each time. Their runs are found without them, later; but something kills "
        "workers. See their logs, then send them again:",
        commands=("vfo cluster status", "vfo cluster requeue"),
    )


def no_worker(role: str, since: datetime | None, now: datetime) -> News:
    """Nobody does a role's work."""
    long = f" for {in_minutes(now - since)}" if since else ""
    return News(
        kind=Kind.NO_WORKER,
        key=f"no-{role}",
        happened=f"no process has the role {role}{long}",
        means="What was begun stands still, and nothing new is done, until one does:",
        commands=("vfo cluster status", f"vfo serve --role {role}"),
        level="failure",
    )


def moment(at: datetime) -> str:
    """A moment as messages have it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def in_minutes(span: timedelta) -> str:
    """A time span as messages have it."""
    minutes = max(0, round(span / timedelta(minutes=1)))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, one: str, several: str) -> str:
    """The number with its words."""
    return f"{number} {one if number == 1 else several}"


def listed(lines: Sequence[str], most: int = SHOWN) -> list[str]:
    """Each as a line, and how many more there are."""
    return [*(f"- {line}" for line in lines[:most]), *([f"- and {len(lines) - most} more"] if len(lines) > most else [])]
