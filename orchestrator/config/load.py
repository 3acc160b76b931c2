"""Reads the configuration file; everything that is wrong with it is told at once, a line each."""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.config import known
from orchestrator.config import lines as toml_lines
from orchestrator.config.errors import ConfigError
from orchestrator.config.lines import Lines
from orchestrator.config.model import Config, Pool, Service
from orchestrator.config.notify import Channel, url_of
from orchestrator.xapi import tls
from orchestrator.xapi.settings import PoolSettings

UNKNOWN, MISSING = "extra_forbidden", "missing"
NAMED = re.compile(r"([a-z_]+)(?:, table (\d+))?((?:\.[A-Za-z0-9_-]+)*)")
IN_URL, HIDDEN = re.compile(r"(://[^\s/@:]*):[^\s/@]*@"), r"\1:***@"
SHOWN_OF_CHANNELS = Channel.model_fields.keys() - {"url"}  # a URL that was written under another name is as secret
SECRETS = ("password", "passphrase", "secret", "token")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that was read whole: the settings, and what had to be read besides."""

    path: Path
    settings: Config
    pools: dict[str, PoolSettings]
    database_url: str = field(repr=False)
    lines: Lines = field(default_factory=Lines)
    """Where what stands in the file: an error that is found later says it too."""
    broker_url: str = field(default="embedded://", repr=False)
    broker_ca_file: Path | None = None
    channels: dict[str, SecretStr] = field(default_factory=dict)
    """The URL of each channel of [notify]."""


class _Environment(BaseSettings):
    """The part of the settings that the environment may set: VFO_DATABASE__URL, VFO_BROKER__URL and the like go over the file's."""

    model_config = SettingsConfigDict(env_prefix="VFO_", env_nested_delimiter="__", extra="ignore")

    database: dict[str, Any] = {}
    broker: dict[str, Any] = {}
    log: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    console: dict[str, Any] = {}


def load(path: Path, *, need_pools: bool = True) -> Loaded:
    """Read and check the file. Raises ConfigError."""
    written, stands = _read(path)
    for section, values in _Environment().model_dump(exclude_unset=True).items():
        written[section] = {**written.get(section, {}), **values}
    try:
        settings = Config.model_validate(written)
    except ValidationError as error:
        raise ConfigError(lines(error, written, place=lambda *where: f"{stands.after(path, *where)}: ")) from None
    problems: list[str] = []
    pools = {name: _pool(path, stands, name, pool, problems) for name, pool in settings.pools.items()}
    if need_pools and not pools:
        problems.append(f"{path}: pools: there is none: `vfo init` writes one, or add a table [pools.NAME]")
    database_url = _database_url(path, settings.database.url, stands, problems)
    broker_url, broker_ca_file = _broker_url(path, settings.broker.url, stands, problems), settings.broker.ca_file
    if broker_ca_file and (problem := tls.problem_of(broker_ca_file := path.parent / broker_ca_file.expanduser())):
        problems.append(f"{stands.after(path, 'broker', 'ca_file')}: broker.ca_file = {str(settings.broker.ca_file)!r}: {problem}")
    database_url = _with_password(path, stands, ("database", settings.database), database_url, problems)
    broker_url = _with_password(path, stands, ("broker", settings.broker), broker_url, problems)
    channels = _channels(path, stands, settings.notify, problems)
    if problems:
        raise ConfigError(problems)
    return Loaded(
        path, settings, {name: pool for name, pool in pools.items() if pool}, database_url, stands, broker_url, broker_ca_file, channels
    )  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """What stands in the file, unchecked. Raises ConfigError when it cannot be read or is not TOML."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], Lines]:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), toml_lines.read(text)
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file: `vfo init --config {path}` writes it"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: it cannot be read: {error}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: it is not TOML: {error}"]) from None


def lines(error: ValidationError, written: dict[str, Any], *, place: Callable[..., str] = lambda *_: "") -> list[str]:
    """What is wrong, a line for each mistake: where it stands, what was written (never a secret), what to do.

    *place* gives what a line begins with, by where in the file the mistake is.
    """
    said = []
    for loc, hint in mistakes(error):
        where = ".".join(str(part) for part in loc)
        begins = place(*(loc or _named(hint)))
        said.append(f"{begins}{where}{_value(loc, written)}{': ' if where else ''}{hint}")
    return said


def mistakes(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """Where each mistake is, and what to do."""
    return [
        (problem["loc"], _hint(problem["type"], problem["loc"]) or problem["msg"].removeprefix("Value error, "))
        for problem in error.errors(include_url=False, include_context=False)
    ]


def _hint(kind: str, where: tuple[str | int, ...]) -> str:
    """What to do, where pydantic's own words would not say it."""
    if kind != UNKNOWN:
        return "it is needed" if kind == MISSING else ""
    there = ", ".join(known.keys(Config, where[:-1]))
    return f"there is no such setting{f'; there are {there}' if there else ': see the README for those there are'}"


def _named(hint: str) -> tuple[str | int, ...]:
    """Where a mistake is that was found in several tables together: its text begins with that."""
    found = NAMED.match(hint)
    if not found:
        return ()
    number = () if found[2] is None else (int(found[2]) - 1,)
    return (found[1], *number, *filter(None, found[3].split(".")))


def _value(where: tuple[int | str, ...], written: Any) -> str:
    """` = VALUE` as it was written, but for what may be a secret and for whole tables."""
    if any(word in str(part) for part in where for word in SECRETS) or _may_be_a_url(where):
        return ""
    for part in where:
        written = written.get(part, {}) if isinstance(written, dict) else {}  # an array's part is shown by its place alone
    return "" if isinstance(written, dict) else f" = {IN_URL.sub(HIDDEN, repr(written))}"


def _may_be_a_url(where: tuple[int | str, ...]) -> bool:
    """Whatever stands in a channel's table under another name, or in the place of the table."""
    return where[:1] == ("notify",) and (len(where) < 3 or where[2] not in SHOWN_OF_CHANNELS)


def _pool(path: Path, stands: Lines, name: str, pool: Pool, problems: list[str]) -> PoolSettings | None:
    password, problem = _password(path, pool)
    if problem:
        key = problem.partition(" ")[0]
        problems.append(f"{stands.after(path, 'pools', name, key)}: pools.{name}.{problem}")
    ca_file = pool.ca_file and path.parent / pool.ca_file.expanduser()
    if ca_file and (problem := tls.problem_of(ca_file)):
        problems.append(f"{stands.after(path, 'pools', name, 'ca_file')}: pools.{name}.ca_file = {str(pool.ca_file)!r}: {problem}")
    if password is None:
        return None
    return PoolSettings(
        name=name,
        url=pool.url,
        username=pool.username,
        password=password,
        fingerprints=pool.fingerprint,
        ca_file=ca_file,
        insecure=pool.insecure,
        patience=pool.patience,
        calls_at_once=pool.calls_at_once,
    )


def _channels(path: Path, stands: Lines, written: Mapping[str, Channel], problems: list[str]) -> dict[str, SecretStr]:
    found = {name: url_of(path, channel) for name, channel in written.items()}
    for name, (_, problem) in found.items():
        if problem:
            key = problem.replace(":", " ").split()[0]
            problems.append(f"{stands.after(path, 'notify', name, key)}: notify.{name}.{problem}")
    return {name: url for name, (url, _) in found.items() if url is not None}


class _Locked(Protocol):
    """What has its password in a file or in the environment."""

    @property
    def password_file(self) -> Path | None:
        """The file that holds nothing else."""

    @property
    def password_env(self) -> str | None:
        """The environment variable."""


def _password(path: Path, pool: Pool) -> tuple[SecretStr | None, str]:
    """The password, and what is wrong with where it was to be found."""
    found, problem = _kept(path, pool)
    return (found, problem) if found or problem else (pool.password, "")


def _with_password(path: Path, stands: Lines, section: tuple[str, Service], url: str, problems: list[str]) -> str:
    """The URL with the password that is kept elsewhere, where one is."""
    name, service = section
    password, problem = _kept(path, service)
    if problem:
        problems.append(f"{stands.after(path, name, problem.partition(' ')[0])}: {name}.{problem}")
    if password is None:
        return url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password.get_secret_value(), safe='')}@{host}"))


def _kept(path: Path, pool: _Locked) -> tuple[SecretStr | None, str]:
    """The password that is kept in a file or in the environment; None where none is. What is wrong, in words."""
    if pool.password_file:
        file = path.parent / pool.password_file.expanduser()
        try:
            return SecretStr(file.read_text(encoding="utf-8").rstrip("\r\n")), ""
        except (OSError, UnicodeDecodeError) as error:
            why = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error}"
            return None, f"password_file = {str(pool.password_file)!r}: {why}"
    if pool.password_env:
        if pool.password_env not in os.environ:
            return None, f"password_env = {pool.password_env!r}: there is no such environment variable"
        return SecretStr(os.environ[pool.password_env]), ""
    return None, ""


def _database_url(path: Path, url: str, stands: Lines, problems: list[str]) -> str:
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return f"sqlite:///{(path.parent / Path(rest[1:]).expanduser()).resolve()}"
    if scheme in ("postgresql", "postgresql+psycopg"):
        return url
    problems.append(f"{stands.after(path, 'database', 'url')}: database.url: write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")
    return url


def _broker_url(path: Path, url: str, stands: Lines, problems: list[str]) -> str:
    parts = urlsplit(url)
    if parts.scheme in ("amqp", "amqps") and not parts.hostname:
        problems.append(f"{stands.after(path, 'broker', 'url')}: broker.url: write embedded:// or amqp://USER@HOST/VHOST")
    return url
