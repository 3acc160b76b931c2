"""The shapes of how it all stands, as `shapes` has those of the rest."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class FindingRow(BaseModel):
    """What was found. *level*: ok, warn or fail; *advice*: what to do about it."""

    pool: str
    level: str
    subject: str
    text: str
    advice: str


class Findings(BaseModel):
    """Of one pool."""

    items: list[FindingRow]


class ProcessRow(BaseModel):
    """A process. *leases*: what it holds since when; *lag*: after how many seconds it hears of each pool."""

    process: str
    roles: list[str]
    version: str
    since: datetime | None
    until: datetime | None
    leases: dict[str, datetime | None]
    lag: dict[str, float]
    broker: str
    pending: int | None


class LeaseRow(BaseModel):
    """A lease. *taken*: how often."""

    lease: str
    held: bool
    process: str
    since: datetime | None
    until: datetime | None
    taken: int


class CallsRow(BaseModel):
    """How many calls of steps and jobs may be in flight in a pool, and how many each process may have of them."""

    pool: str
    at_once: int
    processes: dict[str, int]


class Cluster(BaseModel):
    """All processes on one database. *lag*: seconds for which the first of what is *due* waits; *amiss*: what is to be looked after."""

    processes: list[ProcessRow]
    leases: list[LeaseRow]
    calls: list[CallsRow]
    runs: dict[str, int]
    due: int
    lag: float
    queue: dict[str, Any]
    amiss: list[str]


class CapacityRow(BaseModel):
    """The VFs of all ports of a network from a moment on. *free* counts those *promised*; *broken*: of ports that are not attached."""

    pool: str
    network: str
    name: str
    at: datetime
    ports: int
    total: int
    used: int
    free: int
    promised: int
    leaked: int
    broken: int


class CapacityPage(BaseModel):
    """Samples, oldest first. *counted_since*: when the first was written; None: none is yet."""

    counted_since: datetime | None
    items: list[CapacityRow]
    next: str | None
