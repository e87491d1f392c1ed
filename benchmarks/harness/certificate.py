"""One certificate for all the servers, made when the run begins: a key of 256 bits on the curve P-256."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from .target import HOST, Credentials


def makeCredentials(folder: Path) -> Credentials:
    """PEM files in `folder`."""
    made = Credentials(folder / "certificate.pem", folder / "key.pem")
    key = generate_private_key(SECP256R1())
    made.certificate.write_bytes(_certificate(key).public_bytes(Encoding.PEM))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


def _certificate(key: EllipticCurvePrivateKey) -> x509.Certificate:
    """Signed by itself, for the address that the servers listen on."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
    return builder.add_extension(address, critical=False).sign(key, SHA256())
