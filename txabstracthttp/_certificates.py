"""Certificates and keys: from what a person names to what OpenSSL can be given."""

from __future__ import annotations

__all__ = [
    "CertificateLike",
    "Credentials",
    "KeyLike",
    "certificatesIn",
    "hostNames",
    "keysIn",
    "loadCredentials",
    "publicOctets",
    "readFile",
]

import os
import re
from pathlib import Path
from typing import NamedTuple, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509 import Certificate as X509Certificate
from cryptography.x509 import (
    DNSName,
    ExtensionNotFound,
    InvalidVersion,
    NameOID,
    SubjectAlternativeName,
    load_pem_x509_certificate,
)
from twisted.internet.ssl import Certificate, KeyPair, PrivateCertificate

from ._stapling import Staple, loadStaple, staplePath

CertificateLike = str | os.PathLike[str] | bytes | Certificate
KeyLike = str | os.PathLike[str] | bytes | KeyPair

#: One object, from its first boundary to its last (RFC 7468 section 3).
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_BEGIN = b"-----BEGIN "


class Credentials(NamedTuple):
    """What a server says that it is, and proves it with.

    :ivar chain: the certificates between its own and an authority that peers know.
    :ivar staple: an authority's word for it.
    """

    key: PrivateKeyTypes
    certificate: X509Certificate
    chain: list[X509Certificate]
    staple: Staple | None = None


def loadCredentials(certificate: object, privateKey: object, extraChain: object = None) -> Credentials:
    """Read a certificate, with its chain behind it, and the key for it.

    :param privateKey: None: where the certificate is.
    :raises ValueError: unreadable, incomplete, encrypted, or of two minds.
    :raises TypeError: none of the types that are taken.
    """
    leaf, *chain = _loadCertificates(certificate)
    key = _loadKey(certificate if privateKey is None else privateKey)
    if publicOctets(leaf) != publicOctets(key):
        raise ValueError(
            f"the private key{_place(privateKey)} does not belong to the certificate{_place(certificate)}"
        )
    if extraChain is not None:
        chain += _loadCertificates(extraChain)
    staple = None
    if isinstance(certificate, str | os.PathLike):
        staple = loadStaple(staplePath(certificate), leaf)
    return Credentials(key, leaf, chain, staple)


def _place(source: object) -> str:
    return f" in {str(source)!r}" if isinstance(source, str | os.PathLike) else ""


def _loadCertificates(source: object) -> list[X509Certificate]:
    """At least one, the server's own first."""
    if isinstance(source, Certificate):
        return [source.original.to_cryptography()]
    text, name = _read(source, "certificate")
    try:
        certificates = certificatesIn(text)
    except ValueError as error:
        raise ValueError(f"no usable certificate in {name}: {error}") from error
    if not certificates:
        raise ValueError(f"there is no PEM certificate in {name}")
    return certificates


def _loadKey(source: object) -> PrivateKeyTypes:
    if isinstance(source, PrivateCertificate):
        source = source.privateKey
    if isinstance(source, KeyPair):
        return cast("PrivateKeyTypes", source.original.to_cryptography_key())
    text, name = _read(source, "private key")
    try:
        keys = keysIn(text)
    except ValueError as error:
        raise ValueError(f"no usable private key in {name}: {error}") from error
    if not keys:
        raise ValueError(f"there is no PEM private key in {name}")
    return keys[0]


def _read(source: object, what: str) -> tuple[bytes, str]:
    """The PEM text, and what to call it in messages."""
    if isinstance(source, bytes):
        return source, f"the {what} given as bytes"
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"a {what} is a path, PEM bytes or Twisted's object, not {type(source).__name__}")
    return readFile(Path(source)), str(source)


def readFile(path: Path) -> bytes:
    """What stands in a file.

    :raises ValueError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror}") from error


def certificatesIn(text: bytes) -> list[X509Certificate]:
    """Every certificate in a PEM text.

    :raises ValueError: one of them is broken, or the text is cut short.
    """
    return [_parseCertificate(block) for label, block in _blocks(text) if label in _CERTIFICATES]


_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")


def _parseCertificate(block: bytes) -> X509Certificate:
    try:
        return load_pem_x509_certificate(block)
    except InvalidVersion as error:
        raise ValueError(str(error)) from error


def keysIn(text: bytes) -> list[PrivateKeyTypes]:
    """Every private key in a PEM text.

    :raises ValueError: one of them is broken or encrypted, or the text is cut short.
    """
    return [_parseKey(block) for label, block in _blocks(text) if label.endswith(b"PRIVATE KEY")]


def _parseKey(block: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(block, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # TypeError: it is encrypted.  A server that asks for a pass phrase cannot be restarted.
        raise ValueError(str(error)) from error


def _blocks(text: bytes) -> list[tuple[bytes, bytes]]:
    """Label and text of each object."""
    # The parsers that we use overlook an object without its end: a chain would be cut unnoticed.
    rest = _BLOCK.sub(b"", text)
    last = rest.rpartition(b"\n")[2]
    if _BEGIN in rest or (last and _BEGIN.startswith(last)):
        raise ValueError("the text is cut short")
    return [(match[1], match[0]) for match in _BLOCK.finditer(text)]


def publicOctets(holder: X509Certificate | PrivateKeyTypes) -> bytes:
    """The public key, as octets that can be compared.

    :raises ValueError: a kind of key that nobody knows.
    """
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        return holder.public_key().public_bytes(encoding, form)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error


def hostNames(certificate: X509Certificate) -> list[str]:
    """The DNS names that a certificate is for; its common name, if it is from before there were any.

    An extension that is broken raises one or another of the exceptions of `cryptography.x509`.
    """
    try:
        alternatives = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [str(each.value) for each in common[:1]]
    return alternatives.get_values_for_type(DNSName)
