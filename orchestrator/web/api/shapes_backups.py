"""The shapes of what is about backups, as `shapes` has those of the rest."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.web.api.acting import Body


class DiskRow(BaseModel):
    """A disk of a restore point. *size* in bytes; *sha256*: of its contents, where the product knows it."""

    number: int
    device: str
    name: str
    size: int
    sha256: str | None


class PointRow(BaseModel):
    """A restore point. *size* in bytes, of all disks; *run*: that made it; *restorable*: it has what a VM is made of."""

    id: str
    product: str
    pool: str
    vm: str
    vm_name: str
    policy: str
    taken_at: datetime
    run: str
    whole_vm: bool
    size: int
    disks: list[DiskRow]
    restorable: bool


class PointPage(BaseModel):
    """Restore points, newest first.

    *next*: the cursor of the following page; null: this is the last. *silent*: products that keep points and list none. *unseen*: why there
    may be more, a sentence for each product that could not be asked.
    """

    items: list[PointRow]
    next: str | None
    silent: list[str]
    unseen: list[str]


class RestoreBody(Body):
    """How a VM is made of the point."""

    name: str | None = Field(default=None, max_length=200, description="The new VM's; left out: the one it had.")
    sr: str | None = Field(default=None, max_length=200, description="For its disks, by uuid or name; left out: where they were.")
    networks: dict[str, str] = Field(default_factory=dict, description="A network of the backup, and the one to take: uuid or name.")
    new_macs: bool = Field(default=False, description="Other MACs, as beside the VM that was saved.")
    start: bool = Field(default=False, description="Start it, and see that it holds its VFs.")


class BootBody(Body):
    """Where the point is booted beside."""

    sr: str | None = Field(default=None, max_length=200, description="By uuid or name; left out: where the disks were.")


class VerificationRow(BaseModel):
    """How verifying stands.

    *state*: running, done, failed or lost (its process is gone: begin it again). *fraction* of 1; *read* in bytes. *sound*: null until it
    is done; *checks*: what each found.
    """

    id: UUID
    state: str
    fraction: float | None
    read: int
    message: str
    sound: bool | None
    checks: list[dict[str, Any]]


class EntryRow(BaseModel):
    """A line of a directory. *kind*: file, directory, symlink or other; *mode*: its permissions; *size* in bytes."""

    name: str
    kind: str
    mode: int
    size: int


class Entries(BaseModel):
    """A directory, or the one line of a file."""

    items: list[EntryRow]


class ReportRow(BaseModel):
    """What became of a VM, by one policy, in one opening. *downtime* in seconds; *size*, *read*, *stored* in bytes."""

    model_config = ConfigDict(extra="allow")

    pool: str
    vm: str
    vm_name: str
    policy: str
    status: str
    why: str
    began_at: datetime | None
    ended_at: datetime | None
    downtime: float
    size: int
    read: int
    stored: int
    point: str
    mode: str


class Report(BaseModel):
    """What was saved and what was not. *well*: nothing that should have been saved was not. *unseen*: pools that could not be asked.

    *backups*: those that need somebody first. *next*: the cursor of the following page of them; null: this is the last.
    """

    model_config = ConfigDict(extra="allow")

    since: datetime
    until: datetime
    well: bool
    sums: dict[str, Any]
    policies: list[dict[str, Any]]
    unseen: list[dict[str, str]]
    backups: list[ReportRow]
    next: str | None


class PluginRow(BaseModel):
    """A plugin, or what a *table* of the configuration makes of one. *state*: ok, failed, or absent (it wants something installed)."""

    name: str
    table: str | None
    kind: str
    origin: str
    version: str
    hooks: list[str]
    state: str
    why: str


class Plugins(BaseModel):
    """All that are shipped or installed, and those of the configuration. *complaints*: what is wrong with some, a line each."""

    items: list[PluginRow]
    complaints: list[str]


class ProductRow(BaseModel):
    """A product of the configuration. *plugin*: what it is made of; *lists*: it can say which restore points it has."""

    name: str
    plugin: str
    state: str
    why: str
    hooks: list[str]
    lists: bool


class Products(BaseModel):
    """All of the configuration."""

    items: list[ProductRow]
