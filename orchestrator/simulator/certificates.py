"""A self-signed certificate for each host, as a fresh XenServer has."""

import dataclasses
import datetime
import hashlib
import ipaddress
import pathlib
import ssl
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

YEARS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """A host's certificate and key in PEM; the key is nobody's business but the listener's."""

    pem: str
    key: str = dataclasses.field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, lower-case hexadecimal pairs joined by colons."""
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem)).hexdigest()
        return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))

    def context(self) -> ssl.SSLContext:
        """What a server needs to speak TLS with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:  # ssl takes files only
            path = pathlib.Path(folder, "host.pem")
            path.touch(mode=0o600)
            path.write_text(self.pem + self.key)
            context.load_cert_chain(path)
        return context


def make(address: str) -> Certificate:
    """A new self-signed certificate for a host at this address, valid for ten years."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName([alternative_name(address)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificate(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())


def alternative_name(address: str) -> "x509.GeneralName":
    """The address as an IP when it is one, as a DNS name otherwise."""
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
