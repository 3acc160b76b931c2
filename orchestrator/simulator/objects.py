"""Small helpers that every behaviour module uses on rows: the null reference, dates, maps."""

import datetime

from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.schema import EPOCH, NULL

__all__ = ["EPOCH", "NULL", "coordinator_of", "is_live", "now_text", "pool_of", "with_key", "without_key"]


def now_text() -> str:
    """The wall clock as XenAPI writes it: YYYYMMDDTHH:MM:SSZ."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H:%M:%SZ")


def pool_of(db: Database) -> tuple[str, Row]:
    """The one pool: its ref and its row."""
    return next(iter(db.rows("pool")))


def coordinator_of(db: Database) -> str:
    """The ref of the host that is the coordinator now."""
    return str(pool_of(db)[1]["master"])


def is_live(db: Database, host: str) -> bool:
    """Whether the host counts as up: its metrics say so, and the coordinator always does (message_forwarding.ml)."""
    if host == coordinator_of(db):
        return True
    return bool(db.get("host_metrics", db.get("host", host)["metrics"])["live"])


def with_key(mapping: dict[str, str], key: str, value: str) -> dict[str, str]:
    """A copy of the map with the key set: rows are never changed in place."""
    return {**mapping, key: value}


def without_key(mapping: dict[str, str], key: str) -> dict[str, str]:
    """A copy of the map without the key."""
    return {name: value for name, value in mapping.items() if name != key}
