import hashlib
import ssl
import urllib.parse
import xmlrpc.client
from collections.abc import Callable

import pytest

from orchestrator.simulator.server import Server


def peer_certificate(url: str) -> bytes:
    address = urllib.parse.urlsplit(url)
    assert address.hostname
    assert address.port
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((address.hostname, address.port)))


@pytest.fixture
def secure(make_server: Callable[..., Server]) -> Server:
    """A server that speaks TLS."""
    return make_server(tls=True)


def test_the_fingerprint_is_that_of_the_certificate_that_is_served(secure: Server) -> None:
    """SHA-256, pairs joined by colons."""
    digest = hashlib.sha256(peer_certificate(secure.url)).hexdigest()
    assert secure.fingerprint is not None
    assert secure.fingerprint.replace(":", "") == digest


def test_every_host_has_a_certificate_of_its_own(secure: Server) -> None:
    """Who pins the coordinator's meets another one after a failover."""
    member = secure.url.replace("127.0.0.1", "127.0.0.2")
    assert peer_certificate(member) != peer_certificate(secure.url)


def test_a_client_that_trusts_the_certificate_accepts_the_address(secure: Server) -> None:
    """The certificate names the address it is served at, so verification may stay on."""
    context = ssl.create_default_context(cadata=secure.certificate(secure.coordinator).pem)
    with xmlrpc.client.ServerProxy(secure.url, context=context) as proxy:
        answer = proxy.session.login_with_password("root", "secret")
    assert isinstance(answer, dict)
    assert answer["Status"] == "Success"


def test_a_client_that_trusts_nobody_refuses(secure: Server) -> None:
    """Self-signed."""
    with xmlrpc.client.ServerProxy(secure.url, context=ssl.create_default_context()) as proxy, pytest.raises(ssl.SSLCertVerificationError):
        proxy.session.login_with_password("root", "secret")


def test_the_key_is_in_no_repr(secure: Server) -> None:
    """Neither whole nor in part."""
    assert "PRIVATE" not in repr(secure.certificate(secure.coordinator))
