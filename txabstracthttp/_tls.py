"""TLS as a person configures it: certificate and key in, a connection creator for Twisted out."""

from __future__ import annotations

__all__ = ["CIPHERS", "CertificateLike", "KeyLike", "connectionCreator"]

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.x509 import Certificate as X509Certificate
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL.SSL import Context
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import (
    AcceptableCiphers,
    Certificate,
    CertificateOptions,
    DiffieHellmanParameters,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
)

if TYPE_CHECKING:
    from constantly import NamedConstant
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

#: Authenticated encryption with forward secrecy alone; TLS 1.3 has its own list, all of that kind.
CIPHERS = AcceptableCiphers.fromOpenSSLCipherString(
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
)

CertificateLike = str | os.PathLike[str] | bytes | Certificate
KeyLike = str | os.PathLike[str] | bytes | KeyPair

_VERSIONS = (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)


def connectionCreator(
    certificate: CertificateLike | CertificateOptions | IOpenSSLServerConnectionCreator,
    privateKey: KeyLike | None = None,
    protocol: NamedConstant | None = None,
    certificates: Mapping[str, tuple[CertificateLike, KeyLike | None]] | None = None,
    dhParameters: DiffieHellmanParameters | None = None,
    extraChain: CertificateLike | None = None,
) -> IOpenSSLServerConnectionCreator:
    """See `AbstractHttpServer.sslSetup`.

    :raises ValueError: material that would fail at the first handshake.
    :raises TypeError: none of the types that are taken.
    """
    if IOpenSSLServerConnectionCreator.providedBy(certificate):
        if privateKey is not None or protocol is not None or certificates:
            raise ValueError("a ready connection creator has its own key, protocol and certificates")
        _check(certificate)
        return certificate
    minimum = TLSVersion.TLSv1_2 if protocol is None else protocol
    if minimum not in _VERSIONS:
        raise ValueError(f"the least TLS version is TLSv1_2 or TLSv1_3, not {protocol!r}")
    byName = {
        name.lower().encode("ascii"): _options(each, key, minimum, dhParameters=dhParameters).getContext()
        for name, each, key in _named(certificates)
    }
    return _options(certificate, privateKey, minimum, byName, dhParameters, extraChain)


def _named(certificates: object) -> Iterator[tuple[str, object, object]]:
    """Name, certificate and key of each entry."""
    if certificates is None:
        return
    if not isinstance(certificates, Mapping):
        raise TypeError(f"certificates is a mapping of host names, not {type(certificates).__name__}")
    for name, pair in certificates.items():
        if not isinstance(name, str) or not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"certificates maps a host name to a certificate and its key, not {name!r}")
        yield name, *pair


def _options(
    certificate: object,
    privateKey: object,
    minimum: NamedConstant,
    byName: Mapping[bytes, Context] | None = None,
    dhParameters: DiffieHellmanParameters | None = None,
    extraChain: CertificateLike | None = None,
) -> CertificateOptions:
    leaf, chain = _loadCertificate(certificate)
    key = _loadKey(certificate if privateKey is None else privateKey)
    if _publicOctets(leaf.public_key()) != _publicOctets(key.public_key()):
        raise ValueError("the private key does not belong to the certificate")
    if extraChain is not None:
        first, rest = _loadCertificate(extraChain)
        chain = [*chain, first, *rest]
    # Twisted hands these on to pyOpenSSL, which would rather not see the types that Twisted declares.
    options = CertificateOptions(
        privateKey=cast("Any", key),
        certificate=cast("Any", leaf),
        extraCertChain=cast("Any", chain) or None,
        raiseMinimumTo=minimum,
        acceptableCiphers=CIPHERS,
        dhParameters=dhParameters,
        contextForServerName=_lookup(byName) if byName else None,
    )
    _check(options)
    return options


def _lookup(byName: Mapping[bytes, Context]) -> Callable[[bytes | None], Context | None]:
    """Find a context by the name that the client asks for (RFC 6066 section 3); None is the default one."""

    def find(name: bytes | None) -> Context | None:
        if name is None:
            return None
        lowered = name.lower()
        return byName.get(lowered) or byName.get(b"*." + lowered.partition(b".")[2])

    return find


def _check(options: object) -> None:
    """Build the context now, so that what is wrong with it is said now."""
    if isinstance(options, CertificateOptions):
        try:
            options.getContext()
        except Exception as error:
            raise ValueError(f"unusable TLS material: {error}") from error


def _loadCertificate(source: object) -> tuple[X509Certificate, list[X509Certificate]]:
    if isinstance(source, Certificate):
        return source.original.to_cryptography(), []
    text, name = _read(source, "certificate")
    try:
        leaf, *chain = load_pem_x509_certificates(text)
    except ValueError as error:
        raise ValueError(f"no PEM certificate in {name}: {error}") from error
    return leaf, chain


def _loadKey(source: object) -> PrivateKeyTypes:
    if isinstance(source, PrivateCertificate):
        source = source.privateKey
    if isinstance(source, KeyPair):
        return cast("PrivateKeyTypes", source.original.to_cryptography_key())
    text, name = _read(source, "private key")
    try:
        return serialization.load_pem_private_key(text, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # TypeError: it is encrypted.  A server that asks for a pass phrase cannot be restarted.
        raise ValueError(f"no usable private key in {name}: {error}") from error


def _read(source: object, what: str) -> tuple[bytes, str]:
    """The PEM text, and what to call it in messages."""
    if isinstance(source, bytes):
        return source, f"the {what} given as bytes"
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"a {what} is a path, PEM bytes or Twisted's object, not {type(source).__name__}")
    try:
        return Path(source).read_bytes(), str(source)
    except OSError as error:
        raise ValueError(f"cannot read the {what} {str(source)!r}: {error.strerror}") from error


def _publicOctets(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
