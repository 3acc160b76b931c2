import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from orchestrator.xapi.settings import PoolSettings
from tests.xapi import acting, scripted


@pytest.fixture
def serve() -> Iterator[Callable[..., scripted.Server]]:
    """Start scripted servers; they stop with the test."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(scripted.Server(*args, **kwargs))


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    """Make clients; they are closed with the test, before the servers."""
    clients: list[Client] = []

    def make(server: scripted.Server, **changes: Any) -> Client:
        clients.append(Client(server.settings(**changes)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is so; fail after a minute."""

    def wait(true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        pause = threading.Event()
        while not true():
            assert time.monotonic() < deadline, "it did not come about within a minute"
            pause.wait(0.005)

    return wait


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """Make a self-signed certificate that names one address (IP or DNS name); its file and its key's."""

    def make(address: str) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        general: x509.GeneralName = x509.IPAddress(ip_address(address)) if address[0].isdigit() else x509.DNSName(address)
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([general]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        cert_file, key_file = tmp_path / f"{address}.pem", tmp_path / f"{address}.key"
        cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return str(cert_file), str(key_file)

    return make


@pytest.fixture
def join() -> Iterator[Callable[..., Client]]:
    """Make clients of simulated pools; they are closed with the test."""
    clients: list[Client] = []

    def make(pool: SimulatedPool, **changes: Any) -> Client:
        values: dict[str, Any] = {
            "name": "pool",
            "url": pool.url,
            "username": pool.user,
            "password": SecretStr(pool.password),
            "fingerprints": (pool.fingerprint,) if pool.fingerprint else (),
            "patience": timedelta(seconds=20),
        }
        clients.append(Client(PoolSettings(**(values | changes))))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def bench(make_simulated_pool: Callable[..., SimulatedPool], join: Callable[..., Client]) -> acting.Bench:
    """Make a pool and its port: `bench(hosts=2, vms=4)`."""

    def make(**fields: Any) -> acting.Workbench:
        pool = make_simulated_pool(**fields)
        return acting.Workbench(pool, PoolPort(join(pool)), join(pool, name="beside"))

    return make
