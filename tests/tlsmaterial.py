"""Certificates and keys for the TLS tests, made when they are first asked for."""

from __future__ import annotations

__all__ = ["Issued", "Material", "material"]

import atexit
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponderEncoding, OCSPResponseBuilder
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = CertificateIssuerPrivateKeyTypes
Issuer = tuple[x509.Certificate, Key]

NOW = datetime.now(UTC)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certify(
    subject: str,
    key: Key,
    issuer: Issuer | None,
    names: tuple[str, ...] = (),
    until: datetime = NOW + timedelta(days=2),
    authority: bool | None = None,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> x509.Certificate:
    """Sign a certificate for `key`.

    :param authority: None: it is one if `names` is empty, and somebody in particular otherwise.
    """
    issuerName, issuerKey = (_name(subject), key) if issuer is None else (issuer[0].subject, issuer[1])
    public, issuerPublic = key.public_key(), issuerKey.public_key()
    if authority is None:
        authority = not names
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuerName)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=9))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuerPublic), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=isinstance(key, rsa.RSAPrivateKey),
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if names:
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuerKey, hashes.SHA256())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(what: x509.Certificate | Key | x25519.X25519PrivateKey, password: bytes | None = None) -> bytes:
    if isinstance(what, x509.Certificate):
        return what.public_bytes(Encoding.PEM)
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return what.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


class Issued(NamedTuple):
    """A certificate and its key, as PEM.

    :ivar issuer: the certificate of whoever signed it.
    """

    certificate: bytes
    key: bytes
    serial: int
    issuer: bytes

    @property
    def both(self) -> bytes:
        return self.key + self.certificate


class Material:
    """A folder full of PEM files.

    :ivar authority: what clients trust.
    :ivar certificate, key: a server's on localhost; P-256.
    :ivar rsaCertificate, rsaKey: the same, RSA, which is what older cipher suites need.
    :ivar both: certificate and key in one file.
    :ivar chain, chainKey: a server's with the certificate of an intermediate authority behind it.
    :ivar leaf, intermediate: that chain in two files.
    :ivar alpha, alphaKey: for ``alpha.test``.
    :ivar wildcard, wildcardKey: for ``*.wild.test``.
    :ivar expired, expiredKey: for localhost, a while ago.
    :ivar encryptedKey: `key`, behind a pass phrase.
    :ivar client, clientKey: a client's.
    :ivar stranger, strangerKey: a client's, of an authority that nobody has heard of.
    :ivar exchangeKey: a key that can sign nothing (X25519).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        here = ("localhost", "127.0.0.1", "::1")
        ca = self._authority = self._newAuthority("test authority")
        self.authority = self._write("authority.crt", _pem(ca[0]))

        key = self._newKey()
        certificate = _certify("server", key, ca, here)
        self.certificate = self._write("server.crt", _pem(certificate))
        self.key = self._write("server.key", _pem(key))
        self.both = self._write("both.pem", _pem(key) + _pem(certificate))
        self.encryptedKey = self._write("encrypted.key", _pem(key, b"secret"))

        rsaKey = rsa.generate_private_key(65537, 2048)
        self.rsaCertificate = self._write("rsa.crt", _pem(_certify("server", rsaKey, ca, here)))
        self.rsaKey = self._write("rsa.key", _pem(rsaKey))

        self._middle = middle, middleKey = self._newAuthority("test intermediate", ca)
        leafKey = self._newKey()
        leaf = _certify("chained", leafKey, (middle, middleKey), here)
        self.chain = self._write("chain.crt", _pem(leaf) + _pem(middle))
        self.chainKey = self._write("chain.key", _pem(leafKey))
        self.leaf = self._write("leaf.crt", _pem(leaf))
        self.intermediate = self._write("intermediate.crt", _pem(middle))

        self.alpha, self.alphaKey = self._server("alpha", ca, ("alpha.test",))
        self.wildcard, self.wildcardKey = self._server("wildcard", ca, ("*.wild.test",))
        self.expired, self.expiredKey = self._server("expired", ca, here, NOW - timedelta(days=1))
        self.client, self.clientKey = self._client("client", ca)
        self.stranger, self.strangerKey = self._client("stranger", self._newAuthority("another authority"))
        self.exchangeKey = self._write("exchange.key", _pem(x25519.X25519PrivateKey.generate()))
        self.garbage = self._write("garbage.pem", b"\0\xff no PEM at all\n")
        self.empty = self._write("empty.pem", b"")
        self.missing = folder / "missing.pem"

    def _newKey(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def issue(
        self,
        *names: str,
        subject: str = "issued",
        days: float = 2,
        chained: bool = False,
        key: bytes | None = None,
    ) -> Issued:
        """A new certificate.

        :param names: none: there is the subject's common name alone.
        :param chained: signed by the intermediate authority.
        :param key: for this one; None: for a new one.
        """
        own = self._newKey() if key is None else load_pem_private_key(key, None)
        assert isinstance(own, ec.EllipticCurvePrivateKey)
        issuer = self._middle if chained else self._authority
        certificate = _certify(subject, own, issuer, names, NOW + timedelta(days=days), authority=False)
        return Issued(_pem(certificate), _pem(own), certificate.serial_number, _pem(issuer[0]))

    def staple(
        self, certificate: bytes, days: float = 1, status: OCSPCertStatus = OCSPCertStatus.GOOD
    ) -> bytes:
        """What the authority's OCSP responder says of a certificate of its own.

        :param days: from now, until when it says so.
        """
        authority, key = self._authority
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        isRevoked = status is OCSPCertStatus.REVOKED
        builder = OCSPResponseBuilder().add_response(
            cert=x509.load_pem_x509_certificate(certificate),
            issuer=authority,
            algorithm=hashes.SHA256(),
            cert_status=status,
            this_update=NOW - timedelta(days=9),
            next_update=NOW + timedelta(days=days),
            revocation_time=NOW if isRevoked else None,
            revocation_reason=None,
        )
        response = builder.responder_id(OCSPResponderEncoding.HASH, authority).sign(key, hashes.SHA256())
        return response.public_bytes(Encoding.DER)

    def _newAuthority(self, subject: str, issuer: Issuer | None = None) -> Issuer:
        key = self._newKey()
        return _certify(subject, key, issuer), key

    def _client(self, subject: str, issuer: Issuer) -> tuple[Path, Path]:
        key = self._newKey()
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = _certify(subject, key, issuer, (f"{subject}.test",), usage=usage)
        return self._write(f"{subject}.crt", _pem(certificate)), self._write(f"{subject}.key", _pem(key))

    def _server(
        self, subject: str, issuer: Issuer, names: tuple[str, ...], until: datetime = NOW + timedelta(days=2)
    ) -> tuple[Path, Path]:
        key = self._newKey()
        certificate = _certify(subject, key, issuer, names, until)
        return (
            self._write(f"{subject}.crt", _pem(certificate)),
            self._write(f"{subject}.key", _pem(key)),
        )

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path


@cache
def material() -> Material:
    """The one folder of this test run; it goes when the run ends."""
    folder = tempfile.TemporaryDirectory(prefix="txabstracthttp-tls-")
    atexit.register(folder.cleanup)
    return Material(Path(folder.name))
