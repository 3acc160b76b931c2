"""Reads the configuration file; everything that is wrong with it is told at once, a line each."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.config.errors import ConfigError
from orchestrator.config.model import Config, Pool
from orchestrator.xapi import tls
from orchestrator.xapi.settings import PoolSettings

HINTS = {
    "extra_forbidden": "there is no such setting: see `vfo serve --help` and the README for those there are",
    "missing": "it is needed",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that was read whole: the settings, and what had to be read besides."""

    path: Path
    settings: Config
    pools: dict[str, PoolSettings]
    database_url: str


class _Environment(BaseSettings):
    """The part of the settings that the environment may set: VFO_DATABASE__URL, VFO_BROKER__URL and the like go over the file's."""

    model_config = SettingsConfigDict(env_prefix="VFO_", env_nested_delimiter="__", extra="ignore")

    database: dict[str, Any] = {}
    broker: dict[str, Any] = {}
    log: dict[str, Any] = {}
    metrics: dict[str, Any] = {}


def load(path: Path, *, need_pools: bool = True) -> Loaded:
    """Read and check the file. Raises ConfigError."""
    written = read(path)
    for section, values in _Environment().model_dump(exclude_unset=True).items():
        written[section] = {**written.get(section, {}), **values}
    try:
        settings = Config.model_validate(written)
    except ValidationError as error:
        raise ConfigError(lines(error, written, prefix=f"{path}: ")) from None
    problems: list[str] = []
    pools = {name: _pool(path, name, pool, problems) for name, pool in settings.pools.items()}
    if need_pools and not pools:
        problems.append(f"{path}: pools: there is none: `vfo init` writes one, or add a table [pools.NAME]")
    database_url = _database_url(path, settings.database.url, problems)
    if problems:
        raise ConfigError(problems)
    return Loaded(path, settings, {name: pool for name, pool in pools.items() if pool}, database_url)


def read(path: Path) -> dict[str, Any]:
    """What stands in the file, unchecked. Raises ConfigError when it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file: `vfo init --config {path}` writes it"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: it cannot be read: {error}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: it is not TOML: {error}"]) from None


def lines(error: ValidationError, written: dict[str, Any], *, prefix: str) -> list[str]:
    """What is wrong, a line for each mistake: where it stands, what was written (never a secret), what to do."""
    said = []
    for problem in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in problem["loc"])
        hint = HINTS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
        said.append(f"{prefix}{where}{_value(problem['loc'], written)}{': ' if where else ''}{hint}")
    return said


def _value(where: tuple[int | str, ...], written: Any) -> str:
    """` = VALUE` as it was written, but for what may be a secret and for whole tables."""
    if any("password" in str(part) for part in where):
        return ""
    for part in where:
        written = written.get(part, {}) if isinstance(written, dict) else {}
    return "" if isinstance(written, dict) else f" = {written!r}"


def _pool(path: Path, name: str, pool: Pool, problems: list[str]) -> PoolSettings | None:
    password = _password(path, name, pool, problems)
    ca_file = pool.ca_file and path.parent / pool.ca_file.expanduser()
    if ca_file and (problem := tls.problem_of(ca_file)):
        problems.append(f"{path}: pools.{name}.ca_file = {str(pool.ca_file)!r}: {problem}")
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
    )


def _password(path: Path, name: str, pool: Pool, problems: list[str]) -> SecretStr | None:
    if pool.password_file:
        file = path.parent / pool.password_file.expanduser()
        try:
            return SecretStr(file.read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            why = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error}"
            problems.append(f"{path}: pools.{name}.password_file = {str(pool.password_file)!r}: {why}")
            return None
    if pool.password_env:
        if pool.password_env not in os.environ:
            problems.append(f"{path}: pools.{name}.password_env = {pool.password_env!r}: there is no such environment variable")
            return None
        return SecretStr(os.environ[pool.password_env])
    return pool.password


def _database_url(path: Path, url: str, problems: list[str]) -> str:
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return f"sqlite:///{(path.parent / Path(rest[1:]).expanduser()).resolve()}"
    if scheme.startswith("postgresql"):
        return url
    problems.append(f"{path}: database.url: write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")
    return url
