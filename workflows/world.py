"""What a step may see and touch: the pool and the ledger through ports, the time, the policy. Nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from plugins.values import Happening
from workflows.accounts import Ledger
from workflows.policy import Policy
from workflows.ports import Pool
from workflows.services import Services


@dataclass(frozen=True, slots=True)
class World:
    """Handed to every step anew.

    *announce* tells the observing plugins and never raises. *held*: the things that the run has for itself (see `outcome.Need`).
    *approved_by*: who approved the run, "" while nobody has. *services*: what backups need besides; None where only VFs are looked after.
    *given_up*: why what the run did is being undone ("cancelled", or what went wrong), "" while it goes forward.
    """

    run_id: UUID
    title: str
    now: datetime
    pool: Pool
    ledger: Ledger
    policy: Policy
    announce: Callable[[Happening], None]
    held: frozenset[str] = frozenset()
    approved_by: str = ""
    services: Services | None = None
    given_up: str = ""
