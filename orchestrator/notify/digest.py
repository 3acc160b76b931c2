"""The morning's message: what was saved since the last one, what was missed, and what needs a person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.actions.desk import Desk
from orchestrator.actions.report import Wanted, report
from orchestrator.config.notify import Channel
from orchestrator.notify.kinds import LASTING
from orchestrator.notify.news import Message
from orchestrator.notify.words import counted, listed
from orchestrator.views.report import WELL, in_a_line
from orchestrator.views.report_page import page
from state import told
from state.told import Notice


@dataclass(frozen=True, slots=True)
class Digest:
    """*desk*: opens what the report is made of; asked when a digest is sent, in the thread of its channel, since a pool may be slow."""

    desk: Callable[[], Desk]

    def __call__(self, channel: Channel, notice: Notice) -> Message | None:
        """The message; None when there is nothing to say, and that is not to be said."""
        at = self.desk()
        since, until = (datetime.fromisoformat(notice.data[name]) for name in ("since", "until"))
        made = report(at, Wanted(since, until, pools=channel.pools))
        with at.store.read() as session:
            stands = [one for one in told.standing(session, LASTING) if not one.pool or not channel.pools or one.pool in channel.pools]
        if not made["backups"] and not stands and not made["unseen"] and not channel.digest_when_quiet:
            return None
        return message(made, stands, channel, page(made) if channel.report else "")


def message(made: Mapping[str, Any], stands: Sequence[Notice] | None, channel: Channel, page: str = "") -> Message:
    """A report of backups, and what stands so beside it (None: that was not asked). Pure."""
    zone = ZoneInfo(channel.timezone)
    rows, line, saved = made["backups"], in_a_line(made), made["sums"]["saved"]
    amiss = [row for row in rows if row["status"] not in WELL]
    since, until = (f"{made[name].astimezone(zone):%Y-%m-%d %H:%M %Z}" for name in ("since", "until"))
    lines = [f"From {since} to {until}", "", f"{line[:1].upper()}{line[1:]}."]
    lines += listed([f"{row['vm_name']} ({row['policy']}): {row['status']}{': ' + row['why'] if row['why'] else ''}" for row in amiss])
    lines += [f"- pool {one['pool']} could not be asked whom the policies name there: {one['reason']}" for one in made["unseen"]]
    if amiss:
        lines.append("The whole report: vfo report")
    if stands is not None:
        lines += ["", "What needs somebody:" if stands else "Nothing needs anybody."]
        lines += listed([f"{one.title}, since {one.seen_at.astimezone(zone):%Y-%m-%d %H:%M}" for one in stands])
    if stands:
        lines.append("See: vfo runs, vfo vfs, vfo doctor")
    parts = [counted(len(amiss), "VM is not saved", "VMs are not saved")] * bool(amiss)
    parts += [counted(len(stands or ()), "thing needs somebody", "things need somebody")] * bool(stands)
    title = "; ".join(parts) or (f"all is well, {counted(saved, 'VM is saved', 'VMs are saved')}" if rows else "all is well")
    return Message(f"vfo: {title}", "\n".join(lines), "warning" if parts else "info", page)
