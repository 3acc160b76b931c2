"""`[policies.NAME]`: which VMs are saved, when, by which product, how, and what is kept."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from orchestrator.config.backup import Fallback
from orchestrator.config.durations import Duration
from orchestrator.config.section import Section
from workflows.policies import BackupPlan, Keep, Selection, Timeouts


class Exclude(Section):
    """`exclude`: VMs that are not saved whatever else holds."""

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class VMs(Section):
    """`vms`: all of what is given must hold; of several values any one will do. Write `names = ["*"]` for every VM."""

    tags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Globs ("web-*"), compared without case."""
    folder: str = ""
    """XenCenter's, with the folders in it."""
    power_state: tuple[Literal["Running", "Halted", "Suspended", "Paused"], ...] = ()
    pools: tuple[str, ...] = ()
    exclude: Exclude = Exclude()

    @field_validator("power_state", "tags", "names", "pools", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _something(self) -> "VMs":
        if not (self.tags or self.names or self.folder or self.power_state or self.pools):
            raise ValueError('say which VMs: tags, names, folder, power_state or pools; names = ["*"] are all')
        return self

    def selection(self) -> Selection:
        """As the steps are given it."""
        return Selection(
            tags=frozenset(self.tags),
            names=self.names,
            folder=self.folder,
            power_state=frozenset(self.power_state),
            pools=frozenset(self.pools),
            exclude_names=self.exclude.names,
            exclude_tags=frozenset(self.exclude.tags),
        )


class Retention(Section):
    """`retention`: how many restore points of a VM stay; a point that any of these keeps stays. Left out: all of them, for ever."""

    last: int = Field(default=0, ge=0)
    daily: int = Field(default=0, ge=0)
    weekly: int = Field(default=0, ge=0)
    monthly: int = Field(default=0, ge=0)
    yearly: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _something(self) -> "Retention":
        if self.model_fields_set and not any(dict(self).values()):
            raise ValueError("it would keep nothing: leave it out to keep everything")
        return self


class Times(Section):
    """`timeouts`: how long what may take."""

    hook: Duration = timedelta(minutes=5)
    shutdown: Duration = timedelta(minutes=5)
    snapshot: Duration = timedelta(minutes=15)
    job: Duration = timedelta(hours=1)
    """How long the product may be without a word of progress."""


class PolicyTable(Section):
    """`[policies.NAME]`."""

    vms: VMs
    product: str
    """The NAME of a table [products.NAME]."""
    window: str = ""
    """The NAME of a table [windows.NAME]; left out: only `vfo policy run` begins it."""
    mode: Literal["auto", "online", "offline", "failover"] = "auto"
    retention: Retention = Retention()
    priority: int = Field(default=0, ge=-1000, le=1000)
    """The higher goes first."""
    on_vf_gone: tuple[Fallback, ...] | None = None
    """As [backup] no_vf, which holds where this is left out."""
    shutdown: Literal["give-up", "hard"] | None = None
    """As [backup] shutdown, which holds where this is left out."""
    hooks: tuple[str, ...] = ()
    """NAMES of tables [hooks.NAME], in the order in which they are called."""
    timeouts: Times = Times()
    retries: int = Field(default=1, ge=0, le=10)
    """How often a VM that failed is tried again in the same window."""
    changed_blocks: bool = False
    """Whether the pool keeps account of changed blocks (VDI.enable_cbt), so that the product reads what changed alone."""

    def plan(self, name: str) -> BackupPlan:
        """As the steps are given it."""
        return BackupPlan(
            name=name,
            product=self.product,
            vms=self.vms.selection(),
            mode=self.mode,
            window=self.window,
            keep=Keep(**dict(self.retention)),
            priority=self.priority,
            on_vf_gone=self.on_vf_gone,
            shutdown=self.shutdown,
            hooks=self.hooks,
            timeouts=Timeouts(**dict(self.timeouts)),
            retries=self.retries,
            changed_blocks=self.changed_blocks,
        )


def complaint(name: str, policy: PolicyTable, there: Mapping[str, Iterable[str]], *, has_fallback: bool) -> str | None:
    """What the policy names and nobody has written, in words; *there*: the names that may stand at each key."""
    found = objections(policy, there, has_fallback=has_fallback)
    return next((f"policies.{name}.{key} = {value!r}: {text}" for key, value, text in found), None)


def objections(policy: PolicyTable, there: Mapping[str, Iterable[str]], *, has_fallback: bool) -> Iterator[tuple[str, Any, str]]:
    """The same for each key: the key, what stands there, and what to do."""
    written = {
        "product": [policy.product],
        "window": [policy.window] * bool(policy.window),
        "hooks": policy.hooks,
        "vms.pools": policy.vms.pools,
    }
    for key, values in written.items():
        absent = next((value for value in values if value not in there[key]), None)
        if absent is not None:
            table = {"product": "products", "vms.pools": "pools", "window": "windows"}.get(key, key)
            known = ", ".join(sorted(there[key])) or "none"
            yield key, absent, f"there is no table [{table}.{absent}] (there are: {known})"
    if policy.mode == "failover" and not has_fallback:
        yield "mode", policy.mode, "it needs an ordinary network: write [backup] fallback_network"
