"""Nothing is said to a server before it has shown who it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.xapi import tls
from orchestrator.xapi.client import Client
from tests.xapi.scripted import Server, certificate_context
from workflows.ports import Denied

Connect = Callable[..., Client]
Certificate = Callable[[str], tuple[str, str]]
OTHER = "00" * 32


@pytest.fixture
def server(serve: Callable[..., Server], certificate: Certificate) -> Server:
    """A server at 127.0.0.1 whose certificate names that address."""
    started = Server()
    started.tls = certificate_context(*certificate("127.0.0.1"))
    return started


@pytest.mark.parametrize("write", [str, str.lower, lambda text: text.replace(":", "")])
def test_a_pinned_certificate_is_trusted(server: Server, connect: Connect, write: Callable[[str], str]) -> None:
    """By its SHA-256 fingerprint, however it is written, also as one of several."""
    with server:
        pin = write(tls.fetch_certificate("127.0.0.1", server.port).fingerprint)
        client = connect(server, fingerprints=(OTHER, pin))
        client.call("VM.get_all")
        client.close()


def test_a_certificate_that_is_not_pinned_is_denied_before_anything_is_said(server: Server, connect: Connect) -> None:
    """The error names the fingerprint that was shown; the password stays here."""
    with server:
        shown = tls.fetch_certificate("127.0.0.1", server.port).fingerprint
        with pytest.raises(Denied, match="TLS_FINGERPRINT_DIFFERS") as caught:
            connect(server, fingerprints=(OTHER,)).call("VM.get_all")
        assert shown in caught.value.details
        assert server.calls == []


def test_by_default_an_unknown_authority_is_denied(server: Server, connect: Connect) -> None:
    """Verified by the system's authorities unless something else is said."""
    with server:
        with pytest.raises(Denied, match="TLS_NOT_VERIFIED"):
            connect(server).call("VM.get_all")
        assert server.calls == []


def test_insecure_verifies_nothing(server: Server, connect: Connect) -> None:
    """Only when it is said in so many words."""
    with server:
        client = connect(server, insecure=True)
        client.call("VM.get_all")
        client.close()


@pytest.mark.parametrize("names", ["127.0.0.1", "xen1.example.org"])
def test_a_ca_file_vouches_for_an_address_whatever_name_the_certificate_has(connect: Connect, certificate: Certificate, names: str) -> None:
    """Pools are configured by IP address and their certificates often name the host: the authority decides."""
    server = Server()
    files = certificate(names)
    server.tls = certificate_context(*files)
    with server:
        client = connect(server, ca_file=Path(files[0]))
        client.call("VM.get_all")
        client.close()


def test_a_ca_file_does_not_vouch_for_a_wrong_host_name(connect: Connect, certificate: Certificate) -> None:
    """Where the pool is configured by name, the name must be in the certificate."""
    server = Server()
    files = certificate("xen1.example.org")
    server.tls = certificate_context(*files)
    with server:
        settings: dict[str, Any] = {"url": f"https://localhost:{server.port}", "ca_file": Path(files[0])}
        with pytest.raises(Denied, match="TLS_NOT_VERIFIED"):
            connect(server, **settings).call("VM.get_all")


def test_another_authority_is_denied(server: Server, connect: Connect, certificate: Certificate) -> None:
    """The CA file is the only authority then."""
    with server, pytest.raises(Denied, match="TLS_NOT_VERIFIED"):
        connect(server, ca_file=Path(certificate("10.0.0.1")[0])).call("VM.get_all")


def test_a_certificate_can_be_looked_at_before_it_is_trusted(server: Server) -> None:
    """Its fingerprint, its subject and its end, without anything being sent."""
    with server:
        seen = tls.fetch_certificate("127.0.0.1", server.port)
    assert len(seen.fingerprint) == 95
    assert seen.subject == "CN=127.0.0.1"
    assert seen.not_after.tzinfo is not None
    assert server.calls == []


@pytest.mark.parametrize("text", ["", "12:34", "zz" * 32, "00" * 20])
def test_what_is_no_sha_256_fingerprint_is_refused(server: Server, text: str) -> None:
    """A SHA-1 or a typing mistake is found when the client is made."""
    with pytest.raises(ValueError, match="SHA-256"):
        Client(server.settings(fingerprints=(text,)))
