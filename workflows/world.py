"""What a step may see and touch: the pool and the ledger through ports, the time, the policy. Nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from plugins.values import Happening
from workflows.policy import Policy
from workflows.ports import Ledger, Pool


@dataclass(frozen=True, slots=True)
class World:
    """Handed to every step anew.

    *announce* tells the observing plugins and never raises. *held*: the things that the run has for itself (see `outcome.Need`).
    *approved_by*: who approved the run, "" while nobody has.
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
