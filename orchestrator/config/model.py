"""What may stand in the configuration file: every setting with its unit, its default and what leaving it out means."""

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from orchestrator.config.assignment import Assignment, AssignRule
from orchestrator.config.backup import Backup
from orchestrator.config.console import Console
from orchestrator.config.durations import Duration, parse
from orchestrator.config.notify import Channel, complaint_of_channels
from orchestrator.config.plugins import Name, PluginFiles, PluginTable
from orchestrator.config.policies import PolicyTable, complaint
from orchestrator.config.section import Section
from orchestrator.config.sriov import Reboot, Sriov
from orchestrator.config.windows import BackupWindows, Maintenance
from orchestrator.xapi.settings import CALLS_AT_ONCE
from workflows.downtime import problem_with
from workflows.policy import ReclaimPolicy

FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def _pool_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("write the coordinator's address such as https://xen1.example.org")
    if parts.username or parts.password:
        raise ValueError("no user or password in the address: write username and password_file instead")
    _ = parts.port
    return value.rstrip("/")


def _fingerprints(value: object) -> object:
    written = [value] if isinstance(value, str) else value
    if not isinstance(written, list | tuple):
        return value
    plain = [str(one).lower().replace(":", "").removeprefix("sha256") for one in written]
    if any(not FINGERPRINT.fullmatch(one) for one in plain):
        raise ValueError("write the SHA-256 of the certificate, 64 hexadecimal digits; `vfo init` shows it")
    return tuple(plain)


class Pool(Section):
    """`[pools.NAME]`: how to reach a pool and how to know that it is the right one.

    One of *password*, *password_file*, *password_env* gives the password. At most one of *fingerprint* (one, or one for each host of the
    pool), *ca_file* and *insecure* = true; with none of them the certificate must be valid by the system's authorities.
    """

    url: Annotated[str, AfterValidator(_pool_url)]
    username: str = "root"
    password: SecretStr | None = None
    password_file: Path | None = None
    password_env: str | None = None
    fingerprint: Annotated[tuple[str, ...], BeforeValidator(_fingerprints)] = ()
    ca_file: Path | None = None
    insecure: bool = False
    patience: Duration = timedelta(seconds=60)
    """How long a call waits for a pool that restarts or changes its coordinator, before the step is tried again later."""
    calls_at_once: int = Field(default=CALLS_AT_ONCE, ge=1, le=500)
    """How many XenAPI calls of steps and jobs may be in flight in the pool, of all worker processes together; more wait for their turn."""

    @model_validator(mode="after")
    def _one_of_each(self) -> "Pool":
        given = [name for name in ("password", "password_file", "password_env") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of password, password_file, password_env (given: {', '.join(given) or 'none'})")
        trust = [name for name in ("fingerprint", "ca_file", "insecure") if getattr(self, name)]
        if len(trust) > 1:
            raise ValueError(f"give at most one of fingerprint, ca_file, insecure (given: {', '.join(trust)})")
        return self


class Service(Section):
    """What is reached by a URL, and may want a password: at most one of the URL itself, *password_file* and *password_env* gives it."""

    url: str = Field(repr=False)
    password_file: Path | None = None
    password_env: str | None = None

    @model_validator(mode="after")
    def _at_most_one(self) -> "Service":
        try:
            parts = urlsplit(self.url)
            inside, _ = parts.password, parts.port
        except ValueError:
            raise ValueError("url: it is not a URL") from None
        given = [name for name in ("password_file", "password_env") if getattr(self, name) is not None]
        if len(given) + (inside is not None) > 1:
            raise ValueError(f"the password is given twice: by {' and '.join([*(['the url'] if inside is not None else []), *given])}")
        if given and not parts.username:
            raise ValueError(f"{given[0]}: the url names no user whose password it is")
        return self


class Database(Service):
    """`[database]`: where runs are kept. A relative SQLite path is beside the configuration file; PostgreSQL serves several machines."""

    url: str = Field(default="sqlite:///vfo.sqlite3", repr=False)


class Broker(Service):
    """`[broker]`: how roles nudge each other. The default is inside the process; RabbitMQ (amqp, or amqps with TLS) serves several."""

    url: str = Field(default="embedded://", repr=False)
    ca_file: Path | None = None
    """With amqps: the authority whose certificate the server shows. Left out: the system's authorities."""


Cure = Literal["forget", "power-state-reset", "reinit-port", "restart-toolstack", "reboot-in-window"]


class Reclaim(Section):
    """`[reclaim]`: getting VFs back."""

    grace: Duration = timedelta(seconds=30)
    """After a deletion, before the first look; and between the first and the last look that agree on a leak."""
    looks: int = Field(default=3, ge=1, le=100)
    """How many looks must agree before a VF is called leaked."""
    settle: Duration = timedelta(minutes=30)
    """How long a port may stay in motion (starts, migrations, boots) before a person is told that no look was possible."""
    every: Duration = timedelta(minutes=10)
    """How often all ports are accounted for without a reason."""
    allow: tuple[Cure, ...] = ("forget", "power-state-reset", "reinit-port")
    """The cures that may be tried on lost VFs; "restart-toolstack" and "reboot-in-window" are tried only where they stand here."""
    halted_longer_than: Duration | None = None
    """VMs that were seen halted for longer lose their VIFs on SR-IOV networks (release-vf), so that others get the VFs. Left out: never."""

    def policy(self) -> ReclaimPolicy:
        """As the steps are told it."""
        return ReclaimPolicy(self.grace, self.looks, self.settle, frozenset(self.allow), self.halted_longer_than)


class Listener(Section):
    """`[listener]`: following the pools."""

    reconcile: Duration = timedelta(minutes=15)
    """How often everything is loaded anew and compared, whatever the events say."""
    watchdog: Duration = timedelta(minutes=1)
    """How often the event stream must prove that it is not deaf."""
    lease: Duration = timedelta(seconds=15)
    """How long a listener that died keeps another process, or itself started anew, from listening."""


class Serve(Section):
    """`[serve]`: the daemon."""

    workers: int = Field(default=8, ge=1, le=64)
    """How many steps may be at work at once."""
    stop_within: Duration = timedelta(seconds=10)
    """How long SIGTERM waits for the steps at hand; what is not finished then is taken up again at the next start."""
    lease: Duration = timedelta(seconds=30)
    """How long a worker that died keeps others from taking its run."""
    jobs: int = Field(default=4, ge=1, le=64)
    """How many jobs of products (backups, restores) may be at work at once in this process; more wait."""


class Log(Section):
    """`[log]`: what the daemon writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Metrics(Section):
    """`[metrics]`: Prometheus metrics by HTTP; none are served unless *port* is set."""

    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=0, le=65535)


SHORTEST = timedelta(days=1)


def _kept(value: object) -> timedelta | None:
    if not isinstance(value, bool) and value in ("forever", 0, "0"):
        return None
    kept = parse(value)
    if kept < SHORTEST:
        raise ValueError('write a day ("1d") at least, or "forever": what runs leave in a pool is cleaned up by what is known of them')
    return kept


class History(Section):
    """`[history]`: what is kept of the past."""

    keep: Annotated[timedelta | None, BeforeValidator(_kept)] = timedelta(days=90)
    """How long runs that have ended, and their lines in `vfo report`, are kept. 0 or "forever": always."""
    audit: Annotated[timedelta | None, BeforeValidator(_kept)] = timedelta(days=400)
    """How long it is kept who did what. 0 or "forever": always."""


class Config(Section):
    """The whole file."""

    pools: dict[str, Pool] = Field(default_factory=dict)
    database: Database = Database()
    broker: Broker = Broker()
    reclaim: Reclaim = Reclaim()
    backup: Backup = Backup()
    listener: Listener = Listener()
    serve: Serve = Serve()
    history: History = History()
    log: Log = Log()
    metrics: Metrics = Metrics()
    console: Console = Console()
    reboot: Reboot = Reboot()
    sriov: dict[str, Sriov] = Field(default_factory=dict)
    maintenance: dict[str, Maintenance] = Field(default_factory=dict)
    assignment: Assignment = Assignment()
    assign: tuple[AssignRule, ...] = ()
    products: dict[Name, PluginTable] = Field(default_factory=dict)
    hooks: dict[Name, PluginTable] = Field(default_factory=dict)
    plugins: PluginFiles = PluginFiles()
    windows: dict[Name, BackupWindows] = Field(default_factory=dict)
    policies: dict[Name, PolicyTable] = Field(default_factory=dict)
    notify: dict[Name, Channel] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_there(self) -> "Config":
        for number, rule in enumerate(self.assign, 1):
            if rule.pool is not None and rule.pool not in self.pools:
                raise ValueError(f"assign, table {number}: pool = {rule.pool!r}: there is no pool of that name")
            if problem := problem_with(rule.when, self.maintenance):
                raise ValueError(f'assign, table {number}: when = "{rule.when}": {problem}')
        for name, wanted in self.sriov.items():
            if wanted.pool is not None and wanted.pool not in self.pools:
                raise ValueError(f"sriov.{name}.pool = {wanted.pool!r}: there is no pool of that name")
            absent = [window for window in wanted.maintenance if window not in self.maintenance]
            if absent or (wanted.reboot == "window" and not self.maintenance):
                missing = repr(absent[0]) if absent else "a window"
                raise ValueError(f"sriov.{name}.maintenance: there is no table [maintenance.NAME] for {missing}")
        _assert_one_each(self.sriov)
        there: dict[str, Iterable[str]] = {"product": self.products, "window": self.windows, "hooks": self.hooks, "vms.pools": self.pools}
        for name, policy in self.policies.items():
            if problem := complaint(name, policy, there, has_fallback=bool(self.backup.fallback_network)):
                raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _channels_are_so(self) -> "Config":
        if problem := complaint_of_channels(self.notify, self.pools, self.hooks):
            raise ValueError(problem)
        return self


def _assert_one_each(wanted: dict[str, Sriov]) -> None:
    """Two tables for one network of one pool would undo each other."""
    seen: dict[str, tuple[str, str | None]] = {}
    for name, one in wanted.items():
        for other, (network, pool) in seen.items():
            if network == one.network and (pool is None or one.pool is None or pool == one.pool):
                raise ValueError(f"sriov.{name}.network = {one.network!r}: sriov.{other} has it already")
        seen[name] = (one.network, one.pool)
