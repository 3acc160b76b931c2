"""What was saved and what was not, as the rows and the pools say it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import WrongInput
from orchestrator.config import durations
from orchestrator.views import report as view
from orchestrator.views.report_asked import Asked, Named
from state import backups, openings
from workflows.policies import BackupPlan
from workflows.ports import PoolError
from workflows.selection import selects


@dataclass(frozen=True, slots=True)
class Wanted:
    """*since*, *until*: the time of the report. *policy*, *pool*: only these; None: all. *pools*: only those; none given: all."""

    since: datetime
    until: datetime
    policy: str | None = None
    pool: str | None = None
    pools: Collection[str] = ()

    def means(self, pool: str) -> bool:
        """Whether the pool is one of those."""
        return self.pool in (None, pool) and (not self.pools or pool in self.pools)


def moment(written: str, now: datetime, *, zoned: bool = False) -> datetime:
    """What was written as a duration before *now*, or as a day or moment: of this machine's zone, unless it must be *zoned*.

    Raises WrongInput.
    """
    try:
        return now - durations.parse(written)
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(written)
        if zoned and at.tzinfo is None:
            raise WrongInput("write it with its zone, as 2026-11-30T00:00:00Z", option="since", value=written)
        return at.astimezone()
    except (ValueError, OverflowError):
        raise WrongInput("write a duration (24h, 7d) or a day (2026-11-30)", option="since", value=written) from None


def report(at: Desk, wanted: Wanted) -> dict[str, Any]:
    """The report as plain values (`views.report`). Raises WrongInput where nobody knows the policy."""
    written, policy = at.policy.backups, wanted.policy
    plans = {name: plan for name, plan in written.policies.items() if policy in (None, name)}
    with at.store.read() as session:
        lines = [
            line
            for line in backups.since(session, wanted.since, policy=policy)
            if wanted.means(line.pool) and line.began_at <= wanted.until
        ]
        pauses = backups.paused(session)
        opened, watches = openings.since(session, wanted.since), openings.watches(session)
    if policy is not None and not plans and not lines:
        known = ", ".join(written.policies) or "none"
        raise WrongInput(f"there is no policy {policy!r}, and nothing was saved by one; there are {known}", option="policy",
                         value=policy)  # fmt: skip
    named, unseen = _named(at, plans, wanted.means)
    paused = {name: f"paused by {one.by} since {one.at:%Y-%m-%d %H:%M} UTC" for name, one in pauses.items()}
    paused_at = {name: one.at for name, one in pauses.items()}
    span = (wanted.since, wanted.until)
    return view.report(lines, Asked(*span, plans, written.windows, named, paused, paused_at, unseen, watches, opened))


def _named(at: Desk, plans: Mapping[str, BackupPlan], means: Callable[[str], bool]) -> tuple[dict[str, list[Named]], dict[str, str]]:
    """Whom the policies name in the pools now, and the pools that could not be asked."""
    wanted: dict[str, list[Named]] = {name: [] for name in plans}
    unseen: dict[str, str] = {}
    for access in at.pools if plans else ():
        if not means(access.name):
            continue
        try:
            vms = access.port.vms()
        except PoolError as error:
            unseen[access.name] = str(error)
            continue
        for name, plan in plans.items():
            wanted[name] += [Named(access.name, vm.uuid, vm.name) for vm in vms if selects(plan.vms, access.name, vm)]
    return wanted, unseen
