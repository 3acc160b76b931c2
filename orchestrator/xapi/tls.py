"""Who is at the other end: verified by the system's authorities, by a CA file, or by the certificate's own fingerprint."""

import contextlib
import functools
import hashlib
import hmac
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from orchestrator.xapi.settings import PoolSettings
from workflows.ports import LockedOut

CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server showed: *fingerprint* is its SHA-256 as upper-case hex with colons; *subject* in RFC 4514 form; *not_after* in UTC."""

    fingerprint: str
    subject: str
    not_after: datetime


class Trust:
    """How the servers of one pool prove who they are, from its settings.

    Raises ValueError for a fingerprint that is none, OSError for a bad CA file.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self.pins = tuple(pin_of(text) for text in settings.fingerprints)
        self._ca_file = settings.ca_file
        self._insecure = settings.insecure
        if self._ca_file is not None:
            self._context()  # a bad file is an error now, not at the first connection

    @functools.cached_property
    def _named(self) -> ssl.SSLContext:
        """Made when it is first used: reading the system's authorities takes a pool that has none longer than it takes to ask it."""
        return self._context()

    @functools.cached_property
    def _by_address(self) -> ssl.SSLContext:
        context = self._context()
        if self._ca_file is not None:
            # a host's own certificate seldom names its IP address; the file says which authority may speak for the pool
            context.check_hostname = False
        return context

    def _context(self) -> ssl.SSLContext:
        if self._ca_file is None and (self.pins or self._insecure):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nobody's word counts: no authorities are read
        else:
            context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        if self._ca_file is not None:
            # xapi's certificates lack the key identifiers that the strict profile (default from Python 3.13) asks for
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.pins or self._insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def described(self) -> str:
        """How a server is verified, in words."""
        if self.pins:
            return f"by SHA-256 fingerprint ({len(self.pins)} pinned)"
        if self._insecure:
            return "not at all (insecure = true)"
        return f"by the authorities in {self._ca_file}" if self._ca_file else "by the system's authorities"

    def wrap(self, sock: socket.socket, host: str) -> ssl.SSLSocket:
        """TLS over a connected socket, verified before a byte of ours is sent; `LockedOut` when the server is not who it must be."""
        context = self._by_address if is_address(host) else self._named
        try:
            wrapped = context.wrap_socket(sock, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise LockedOut("TLS_NOT_VERIFIED", (host, error.verify_message)) from None
        if self.pins:
            shown = hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").digest()
            # every pin is compared, so that the time taken tells nothing
            if not sum(hmac.compare_digest(shown, pin) for pin in self.pins):
                wrapped.close()
                raise LockedOut("TLS_FINGERPRINT_DIFFERS", (host, readable(shown)))
        return wrapped

    def probe(self, host: str, port: int, timeout: float = CONNECT_SECONDS) -> None:
        """Whether the server there would be trusted; nothing is sent. `LockedOut` when not, OSError when it is not reached."""
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(socket.create_connection((host, port), timeout))
            stack.enter_context(self.wrap(plain, host))


def is_address(host: str) -> bool:
    """Whether the host is given as an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def pin_of(text: str) -> bytes:
    """A SHA-256 fingerprint as 32 bytes, from hex in any case, with or without colons; ValueError when it is not one."""
    try:
        pin = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        pin = b""
    if len(pin) != hashlib.sha256().digest_size:
        raise ValueError(f"not a SHA-256 fingerprint (64 hex digits): {text!r}")
    return pin


def readable(digest: bytes) -> str:
    """A fingerprint as people compare it: upper-case hex with colons."""
    return digest.hex(":").upper()


def problem_of(ca_file: Path) -> str:
    """Why this file cannot say which authorities to trust; empty when it can."""
    try:
        ssl.create_default_context(cafile=str(ca_file))
    except FileNotFoundError:
        return "there is no such file"
    except ssl.SSLError:
        return "it holds no certificate in PEM form"
    except OSError as error:
        return f"it cannot be read: {error}"
    return ""


def fetch_certificate(host: str, port: int = 443, timeout: float = CONNECT_SECONDS) -> Certificate:
    """What the server shows, without trusting it and without sending anything: for a person to compare and pin. Raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection((host, port), timeout))
        wrapped = stack.enter_context(context.wrap_socket(plain, server_hostname=host))
        shown = wrapped.getpeercert(binary_form=True) or b""
    certificate = x509.load_der_x509_certificate(shown)
    return Certificate(readable(hashlib.sha256(shown).digest()), certificate.subject.rfc4514_string(), certificate.not_valid_after_utc)
