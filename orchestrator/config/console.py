"""`[console]`: the web console and the REST API, which one address serves."""

import ipaddress
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from orchestrator.config.durations import Duration
from orchestrator.config.section import Section

HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]")
WRITE = 'write ADDRESS:PORT, such as "127.0.0.1:8643" or "[::1]:8643"'


def split(listen: str) -> tuple[str, int]:
    """Address and port. ValueError when it is neither."""
    host, colon, port = listen.rpartition(":")
    if not colon or not HOST.fullmatch(host) or not port.isdecimal() or int(port) > 65535:
        raise ValueError(WRITE)
    return host.strip("[]"), int(port)


def _listen(value: str) -> str:
    split(value)
    return value


def is_loopback(host: str) -> bool:
    """Whether nobody on another machine reaches this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
        raise ValueError("write how people reach it, such as https://vfo.example.org")
    _ = parts.port
    return value.rstrip("/")


class Console(Section):
    """`[console]`: where console and API are served, and who may use them."""

    enabled: bool = True
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8643"
    """Address and port. One that other machines reach needs *certificate* and *key*: passwords and tokens go over it."""
    certificate: Path | None = None
    key: Path | None = None
    login: Literal["local", "pool"] = "local"
    """Who may sign in: users of `vfo user add`, or with "pool" also the pools' own, by their XenAPI roles."""
    url: Annotated[str, AfterValidator(_url)] | None = None
    """How people reach it, for links in what they are sent; left out: by *listen*."""
    hosts: tuple[str, ...] = ()
    """Other names that it answers to; that of *url*, of *listen* and localhost are known. A request for another is refused."""
    idle: Duration = timedelta(hours=1)
    """How long a browser may be silent before it has to sign in again."""
    session: Duration = Field(default=timedelta(hours=12))
    """How long a sign-in counts at most."""
    scratch: Path | None = None
    """Where disks of restore points are put while files are read from them, relative to the configuration; left out: TMPDIR."""

    @model_validator(mode="after")
    def _is_safe(self) -> "Console":
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise ValueError(f"{missing}: a certificate and its key go together: give both or none")
        if self.certificate is None and not is_loopback(self.address[0]):
            raise ValueError(
                f'listen = "{self.listen}": other machines reach this address, and passwords would go over the network in clear: '
                "give certificate and key, or listen on 127.0.0.1"
            )
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Address and port apart."""
        return split(self.listen)

    @property
    def names(self) -> frozenset[str]:
        """The host names that it answers to, in lower case."""
        known = {"localhost", "127.0.0.1", "::1", self.address[0], *self.hosts}
        if self.url is not None:
            known.add(urlsplit(self.url).hostname or "")
        return frozenset(name.lower().strip("[]") for name in known if name)
