"""What the administrator allows and wants, as frozen values: the configuration fills them, the steps read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from workflows.wanted import RebootPolicy, SriovPolicy
from workflows.windows import Window


@dataclass(frozen=True, slots=True)
class ReclaimPolicy:
    """How VFs are reclaimed.

    *grace*: how long after a deletion, and between the first and the last look, before a VF that is missing in the arithmetic
    is called leaked. *looks*: how many looks, spread over the grace period, must agree on a leak.
    *settle*: how long a port may stay in motion (starts, migrations, boots) before a person is told that no look was possible.
    """

    grace: timedelta = timedelta(seconds=30)
    looks: int = 3
    settle: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Policy:
    """All policies, by subject."""

    reclaim: ReclaimPolicy = field(default_factory=ReclaimPolicy)
    reboot: RebootPolicy = field(default_factory=RebootPolicy)
    sriov: Mapping[str, SriovPolicy] = field(default_factory=dict)
    maintenance: Mapping[str, Window] = field(default_factory=dict)
