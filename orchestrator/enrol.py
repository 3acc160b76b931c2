"""Makes a pool known: tries its address and login, collects the certificates of its hosts, and writes the configuration."""

import hashlib
import json
import os
import ssl
import tempfile
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from orchestrator.config import load, model
from orchestrator.config.errors import ConfigError
from orchestrator.xapi import tls
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from workflows.ports import PoolError

PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person said of a pool; of *password*, *password_file* and *password_env* one is given."""

    url: str
    name: str
    username: str
    password: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    ca_file: Path | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        return f"Answers({self.name!r}, {self.url!r})"

    @property
    def pinned(self) -> bool:
        """Whether the hosts are to be known by the fingerprints of their certificates."""
        return self.url.startswith("https://") and not self.ca_file and not self.insecure

    def table(self, pins: tuple[str, ...]) -> dict[str, Any]:
        """The pool as a table of the configuration."""
        settings: dict[str, Any] = {"url": self.url, "username": self.username}
        if self.password_file:
            settings["password_file"] = str(self.password_file.absolute())
        elif self.password_env:
            settings["password_env"] = self.password_env
        else:
            settings["password"] = self.password or ""
        if pins:
            settings["fingerprint"] = list(pins)
        if self.ca_file:
            settings["ca_file"] = str(self.ca_file.absolute())
        if self.insecure:
            settings["insecure"] = True
        return settings


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of the pool: its name_label, its hosts' names, and the fingerprints of the certificates to pin."""

    pool: str
    hosts: list[str]
    fingerprints: tuple[str, ...]


def check(answers: Answers, path: Path) -> None:
    """Whether the answers can be written, before anybody is contacted. Raises ConfigError."""
    try:
        model.Pool.model_validate(answers.table(()))
    except ValidationError as error:
        raise ConfigError(load.lines(error, answers.table(()))) from None
    if answers.ca_file and (problem := tls.problem_of(answers.ca_file)):
        raise ConfigError([f"--ca-file {str(answers.ca_file)!r}: {problem}"])
    if path.exists():
        there = load.read(path).get("pools", {})
        if answers.name in there:
            raise ConfigError([f"--name {answers.name!r}: {path} has a pool of that name already: choose another, or edit the file"])


def certificate(answers: Answers) -> tls.Certificate:
    """The certificate that the server shows, which nobody has agreed to yet. Raises ConfigError when there is none."""
    parts = urlsplit(answers.url)
    try:
        return tls.fetch_certificate(parts.hostname or "", parts.port or 443)
    except OSError as error:
        raise ConfigError([f"--url {answers.url!r}: no certificate could be fetched: {error}"]) from None


def compare(expected: str, shown: str) -> None:
    """Raises ConfigError unless the fingerprint that was shown is the expected one."""
    try:
        same = tls.pin_of(expected) == tls.pin_of(shown)
    except ValueError as error:
        raise ConfigError([f"--fingerprint: {error}"]) from None
    if not same:
        raise ConfigError([f"--fingerprint {expected}: the server shows {shown}: it is another server, or its certificate was renewed"])


def log_in(answers: Answers, pins: tuple[str, ...]) -> Found:
    """Log in, and learn the pool's name, hosts and certificates. Raises ConfigError, or a PoolError that says what the pool answered."""
    settings = PoolSettings(
        name=answers.name,
        url=answers.url,
        username=answers.username,
        password=_password(answers),
        fingerprints=pins,
        ca_file=answers.ca_file,
        insecure=answers.insecure,
        patience=PATIENCE,
    )
    client = Client(settings)
    try:
        pool = next(iter(client.call("pool.get_all_records").values()))
        hosts = client.call("host.get_all_records")
        if pins:
            others = (_fingerprint_of(client, ref) for ref in hosts)
            pins = tuple(dict.fromkeys((*pins, *(one for one in others if one))))
        return Found(pool["name_label"], sorted(host["name_label"] for host in hosts.values()), pins)
    finally:
        client.close()


def _fingerprint_of(client: Client, host: str) -> str | None:
    """The host's certificate as the coordinator knows it; None when it cannot say (an old version, a host that is down)."""
    try:
        pem = client.call("host.get_server_certificate", host)
        return tls.readable(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest())
    except (PoolError, ValueError):
        return None


def _password(answers: Answers) -> SecretStr:
    if answers.password_file:
        try:
            return SecretStr(answers.password_file.read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"--password-file {str(answers.password_file)!r}: it cannot be read: {error}"]) from None
    if answers.password_env:
        if answers.password_env not in os.environ:
            raise ConfigError([f"--password-env {answers.password_env!r}: there is no such environment variable"])
        return SecretStr(os.environ[answers.password_env])
    return SecretStr(answers.password or "")


def write(answers: Answers, found: Found, path: Path) -> None:
    """Write the configuration, or add the pool to the one that is there: whole or not at all, mode 0600."""
    before = path.read_text(encoding="utf-8").rstrip() + "\n\n" if path.exists() else ""
    text = before + _toml(answers.name, answers.table(found.fingerprints))
    tomllib.loads(text)
    descriptor, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=".vfo-", suffix=".toml")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)


def _toml(name: str, settings: dict[str, Any]) -> str:
    """A table in TOML, whose basic strings, numbers and arrays are written as JSON's are."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    return "\n".join([f"[pools.{json.dumps(name)}]", *lines]) + "\n"
