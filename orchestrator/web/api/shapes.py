"""The shapes of answers, as OpenAPI shows them: those of `--json`. Fields may be added, none is renamed or removed within v1."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

Verb = Literal["approve", "retry", "cancel"]


class PlanRow(BaseModel):
    """What one run would do. *refusals*: why it would not be done at all."""

    title: str
    sentences: list[str]
    calls: list[str]
    refusals: list[str]


class BegunRow(BaseModel):
    """A run that was asked for. *created* false: it was at work already."""

    run: UUID
    created: bool
    workflow: str
    pool: str
    subject: str
    title: str
    status: str
    reason: str
    next_command: str


class Begun(BaseModel):
    """The runs, or with dry_run their plans."""

    runs: list[BegunRow]
    plans: list[PlanRow]


class RunRow(BaseModel):
    """One run."""

    id: UUID
    workflow: str
    pool: str
    subject: str
    title: str
    status: str
    phase: str
    step: str | None
    reason: str
    next_command: str
    approved_by: str | None
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class HistoryRow(BaseModel):
    """What was recorded of a run."""

    seq: int
    at: datetime
    step: str
    outcome: str
    message: str
    data: dict[str, Any] | None


class RunDetail(RunRow):
    """One run with its evidence, what it has for itself, and its history, oldest entry first."""

    evidence: dict[str, Any] | None
    held: list[str]
    history: list[HistoryRow]


class CallRow(BaseModel):
    """A call into the pool, or several that read the same. *milliseconds*: of all of them; *error*: the pool's code; null: it went well."""

    call: str
    subject: str | None
    milliseconds: float
    error: str | None
    times: int


class StepCalls(BaseModel):
    """What a step called. *entry*: of the history; null, as its *outcome*: of the step at hand. *more*: calls too many to tell."""

    entry: int | None
    at: datetime
    step: str
    outcome: str | None
    count: int
    milliseconds: float
    calls: list[CallRow]
    more: int


class RunPage(BaseModel):
    """Runs, newest first. *next*: the cursor of the following page; null: this is the last."""

    items: list[RunRow]
    next: str | None


class Me(BaseModel):
    """Who asks."""

    name: str
    scope: str


class AuditRow(BaseModel):
    """One act."""

    seq: int
    at: datetime
    who: str
    how: str
    what: str
    thing: str
    outcome: str
    details: dict[str, Any]


class AuditPage(BaseModel):
    """Acts, newest first. *next*: the cursor of the following page; null: this is the last."""

    items: list[AuditRow]
    next: int | None


class PoolRow(BaseModel):
    """A pool of the configuration."""

    name: str
    url: str


class PoolDetail(PoolRow):
    """*name_label*: what it calls itself. *restricted*: its licence forbids SR-IOV."""

    uuid: str
    name_label: str
    coordinator: str
    ha_enabled: bool
    restricted: bool
    default_SR: str | None


class HostRow(BaseModel):
    """*iommu* null: XenAPI does not tell."""

    pool: str
    uuid: str
    name: str
    address: str
    enabled: bool
    live: bool
    is_coordinator: bool
    iommu: bool | None


class PortRow(BaseModel):
    """A physical NIC. *sriov*: the uuid of its network_sriov; null: not enabled."""

    pool: str
    uuid: str
    host: str
    host_name: str
    device: str
    vendor: str
    device_name: str
    driver: str
    capable: bool
    managed: bool
    bond_slave: bool
    management: bool
    tags: list[str]
    sriov: str | None
    mode: str
    requires_reboot: bool
    network: str | None
    attached: bool


class UserRow(BaseModel):
    """Who has a VF."""

    vm: str
    name: str
    vif: str
    device: str


class OddRow(BaseModel):
    """What is not as it was, and no leak."""

    kind: str
    text: str
    advice: str


class VfsRow(BaseModel):
    """A port's VFs, as `vfo vfs --json` has them; without the moment, so that what has not changed has the same ETag."""

    pool: str
    port: str
    name: str
    network: str
    mode: str
    attached: bool
    total: int
    free: int
    promised: int
    leaked: int
    missing: int | None
    in_flight: list[str]
    users: list[UserRow]
    odd: list[OddRow]


class NetworkRow(BaseModel):
    """A network. *is_parking*: ours, for VIFs that are off their network for a while."""

    pool: str
    uuid: str
    name: str
    is_sriov: bool
    is_parking: bool
    tags: list[str]
    vifs: int
    pifs: int


class VifRow(BaseModel):
    """A VIF that takes a VF when its VM runs."""

    uuid: str
    device: str
    MAC: str
    network: str
    network_name: str
    attached: bool


class HeldRow(BaseModel):
    """A VF that a VM has: of which port, by which VIF."""

    port: str
    name: str
    vif: str
    device: str


class VmRow(BaseModel):
    """A VM. *lost*: VFs that its record names and nothing has any more. *blocked*: calls that are, with the reasons."""

    pool: str
    uuid: str
    name: str
    power_state: str
    host: str | None
    tags: list[str]
    vifs: list[VifRow]
    vfs: list[HeldRow]
    lost: int
    blocked: dict[str, str]


class VmPage(BaseModel):
    """VMs, by name; *total*: how many fit. *next*: for *after* of the following page; null: this is the last."""

    items: list[VmRow]
    next: str | None
    total: int


class MayRow(BaseModel):
    """Whether a VM may have a VF of a network: *refusals* says why not."""

    network: str
    network_name: str
    free: int
    refusals: list[str]


class PrepareRow(BaseModel):
    """How a VM would be prepared for a backup, or why not."""

    refusals: list[str]
    sentences: list[str]


class VmDetail(VmRow):
    """*stays*: why it cannot be moved, suspended or checkpointed. *runs*: those about it."""

    may: list[MayRow]
    backup: PrepareRow
    stays: list[str]
    runs: list[RunRow]


class SriovPort(BaseModel):
    """A port that [sriov.NAME] means."""

    host: str
    device: str
    state: str
    mode: str
    vlans: list[int]
    free: int
    total: int


class SriovRow(BaseModel):
    """How SR-IOV stands in a pool, as `vfo sriov status --json` has it."""

    pool: str
    name: str
    network: str
    is_so: bool
    kept: bool
    why: str
    run: UUID | None
    refusals: list[str]
    ports: list[SriovPort]
