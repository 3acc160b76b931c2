"""What the report of backups is made of, besides the lines of the catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from state.openings import Opening
from workflows.policies import BackupPlan, BackupWindow


@dataclass(frozen=True, slots=True)
class Named:
    """A VM that a policy names, as it is in the pool now."""

    pool: str
    vm: str
    name: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the report is made of.

    *since*, *until*: its time. *wanted*: the VMs of each policy. *paused*: by whom a policy is and since when, in words; *paused_at*: since
    when. *unseen*: pools that could not be asked whom the policies name there, each with the reason. *watches*: of each window and pool,
    for which schedule somebody looks, and after which moment an opening counts by it; *opened*: the openings of the time as they were
    dealt with.
    """

    since: datetime
    until: datetime
    plans: Mapping[str, BackupPlan] = field(default_factory=dict)
    windows: Mapping[str, BackupWindow] = field(default_factory=dict)
    wanted: Mapping[str, Sequence[Named]] = field(default_factory=dict)
    paused: Mapping[str, str] = field(default_factory=dict)
    paused_at: Mapping[str, datetime] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    watches: Mapping[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    opened: Sequence[Opening] = ()
