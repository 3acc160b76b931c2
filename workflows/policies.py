"""What a backup administrator writes: which VMs, when, where to, how, and what is kept. Frozen values; the configuration fills them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from workflows.windows import Window


@dataclass(frozen=True, slots=True)
class Selection:
    """Which VMs: all of what is given must hold; of the values of one field any one will do. What is empty asks for nothing.

    *names*: globs, compared without case. *folder*: XenCenter's, and the folders in it. *power_state*: XenAPI's. *pools*: as configured.
    *exclude_names* (globs) and *exclude_tags* go over everything. A selection that asks for nothing takes every VM.
    """

    tags: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    folder: str = ""
    power_state: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    exclude_names: tuple[str, ...] = ()
    exclude_tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Keep:
    """How many restore points of a VM are kept: the *last* ones, and the newest of each day, week (ISO), month, year; all 0: every one."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long what may take: a *hook*, the guest's *shutdown*, the *snapshot*, the product's *job* without a word of progress."""

    hook: timedelta = timedelta(minutes=5)
    shutdown: timedelta = timedelta(minutes=5)
    snapshot: timedelta = timedelta(minutes=15)
    job: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """`[policies.NAME]`.

    *window*: the NAME of [windows.NAME], "" when only people and programs run it. *mode* as in `vfo backup prepare`. *priority*: the higher
    goes first. *on_vf_gone*, *shutdown*: as [backup] no_vf and shutdown, None: as they are there. *hooks*: NAMES of [hooks.NAME], in
    their order. *retries*: how often a VM is tried again in the window after a failure. *changed_blocks*: whether the pool keeps account
    of changed blocks for the product.
    """

    name: str
    product: str
    vms: Selection = field(default_factory=Selection)
    mode: str = "auto"
    window: str = ""
    keep: Keep = field(default_factory=Keep)
    priority: int = 0
    on_vf_gone: tuple[str, ...] | None = None
    shutdown: str | None = None
    hooks: tuple[str, ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 1
    changed_blocks: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How many VMs may be at work at the same time: in a pool, of a host, of an SR (their disks), of a port (their VFs); None: no limit."""

    pool: int | None = 4
    host: int | None = 2
    sr: int | None = 2
    port: int | None = 1


@dataclass(frozen=True, slots=True)
class BackupWindow:
    """`[windows.NAME]`: when backups may begin.

    *catch_up*: what becomes of an opening that nobody was there for: "skip", "run-once" (now, for its whole duration), "if-time-left".
    """

    name: str
    window: Window
    catch_up: str = "if-time-left"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Backups:
    """Everything of it: policies and windows by name."""

    policies: Mapping[str, BackupPlan] = field(default_factory=dict)
    windows: Mapping[str, BackupWindow] = field(default_factory=dict)
