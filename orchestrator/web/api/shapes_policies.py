"""The shapes of policies and windows, as `shapes` has those of the rest."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from orchestrator.web.api.acting import Body


class Origin(BaseModel):
    """Who wrote it into the rows, and when; null: it stands in the configuration file. *revision*: what If-Match says to change it."""

    written_by: str | None
    written_at: datetime | None
    revision: str | None


class AmissRow(BaseModel):
    """What somebody wrote and this version cannot use, and why: it is never run."""

    name: str
    why: str
    by: str
    at: datetime
    revision: str
    table: dict[str, Any]


class Written(BaseModel):
    """What was written. *changed*: the keys that are not as they were."""

    name: str
    created: bool
    changed: list[str]
    revision: str
    by: str
    at: datetime


class Removed(BaseModel):
    """It is gone."""

    name: str
    removed: bool


class PolicyRow(Origin):
    """A policy. *vms*: whom it means, in words; *retention*: how many of which are kept."""

    name: str
    window: str | None
    product: str
    mode: str
    priority: int
    vms: str
    retention: dict[str, int]
    hooks: list[str]
    retries: int
    paused_by: str | None
    paused_at: datetime | None


class Policies(BaseModel):
    """All of the configuration and of the rows. *amiss*: what of the rows does not hold."""

    items: list[PolicyRow]
    amiss: list[AmissRow]


class MeantRow(BaseModel):
    """A VM that a policy means. *takes*: seconds, by estimate."""

    pool: str
    vm: str
    name: str
    saved_at: datetime | None
    takes: float


class PolicyDetail(PolicyRow):
    """A policy, its table, and the VMs that it means now, the most overdue first."""

    table: dict[str, Any]
    meant: list[MeantRow]


class PolicyStands(BaseModel):
    """Whether a policy is paused, by whom and since when."""

    policy: str
    paused: bool
    by: str | None
    at: datetime | None


class PolicyRunBody(Body):
    """Who is saved now."""

    vms: list[str] = Field(default_factory=list, max_length=1000, description="Only these, by uuid or name; left out: all it means.")


class WindowRow(Origin):
    """A window. *duration* in seconds; *limits*: how many backups at once; *open_until*: null while it is shut."""

    name: str
    schedule: str
    duration: float
    timezone: str
    blackouts: list[str]
    catch_up: str
    limits: dict[str, int | None]
    policies: list[str]
    open_until: datetime | None
    opens: datetime | None


class Windows(BaseModel):
    """All of the configuration and of the rows. *amiss*: what of the rows does not hold."""

    items: list[WindowRow]
    amiss: list[AmissRow]


class OpeningRow(BaseModel):
    """An opening that is to come."""

    window: str
    opens: datetime
    closes: datetime
    timezone: str


class Openings(BaseModel):
    """Openings, soonest first."""

    items: list[OpeningRow]


class PastRow(BaseModel):
    """What became of an opening."""

    pool: str
    opens: datetime
    closes: datetime
    status: str
    run: UUID | None


class WindowDetail(WindowRow):
    """A window, its table, its next openings, and what became of those of the last two weeks."""

    table: dict[str, Any]
    next: list[OpeningRow]
    last: list[PastRow]


class SlotRow(BaseModel):
    """When a VM's turn would come. *begins*, *ends*: null where it would be missed, and *why* says so. *takes*: seconds, by estimate."""

    vm: str
    name: str
    policy: str
    saved_at: datetime | None
    takes: float
    begins: datetime | None
    ends: datetime | None
    why: str


class NightRow(BaseModel):
    """How an opening would go in one pool. *paused*: policies that are left out, each with the reason."""

    window: str
    pool: str
    timezone: str
    begins: datetime
    closes: datetime
    paused: dict[str, str]
    slots: list[SlotRow]


class Nights(BaseModel):
    """An opening, pool by pool."""

    items: list[NightRow]


class WouldRow(MeantRow):
    """A VM that the policy would save: in which *mode* ("": not now), and *why*."""

    mode: str
    why: str


class Prospect(BaseModel):
    """*nights*: how the next opening would go. *unseen*: pools that did not answer, and why. *changed*: the keys that would be others."""

    table: dict[str, Any]
    nights: list[NightRow]
    unseen: dict[str, str]
    created: bool
    changed: list[str]


class PolicyProposal(PolicyRow, Prospect):
    """What a policy would do. *plans*: in words. *open_until*: its window is open, and would be used at once; *opens*: the next opening."""

    meant: list[WouldRow]
    plans: list[dict[str, Any]]
    opens: datetime | None
    open_until: datetime | None


class WindowProposal(WindowDetail, Prospect):
    """When a window would open, and how that would go."""
