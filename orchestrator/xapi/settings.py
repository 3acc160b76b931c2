"""What the client must know to reach one pool; the configuration builds it."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

PATIENCE = timedelta(seconds=60)
CALLS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """One pool: where it is, who we are there, and how its servers prove who they are.

    *url* is "https://host[:port]" or "http://host[:port]" of any member. *fingerprints* are SHA-256 of certificates as hex, with or without
    colons: one for every host that may be spoken to. They go before *ca_file*; with neither, the system's authorities decide.
    *insecure* verifies nothing. *patience*: how long one call waits out a pool that cannot be reached, if the caller does not say.
    *calls_at_once*: how many calls of all workers together may be in flight.
    """

    name: str
    url: str
    username: str
    password: SecretStr
    fingerprints: tuple[str, ...] = ()
    ca_file: Path | None = None
    insecure: bool = False
    patience: timedelta = PATIENCE
    calls_at_once: int = CALLS_AT_ONCE
