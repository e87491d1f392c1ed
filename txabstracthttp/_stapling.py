"""OCSP stapling (RFC 6066 section 8): an authority's word that a certificate is good, brought along."""

from __future__ import annotations

__all__ = ["Staple", "loadStaple", "readStaple", "staplePath"]

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import Certificate as X509Certificate
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponse, OCSPResponseStatus, load_der_ocsp_response
from twisted.logger import Logger

_log = Logger()


class Staple(NamedTuple):
    """A response of an OCSP responder (RFC 6960 section 4.2).

    :ivar octets: as it goes to clients.
    :ivar certificate: which one it is about: its serial number, and a digest of its issuer's name.
    :ivar until: when there will be a newer one; None: it does not say.
    """

    octets: bytes
    certificate: tuple[int, bytes, str]
    until: datetime | None

    def current(self) -> bytes:
        """What to send now; nothing, if its time has passed: a client would refuse the whole connection."""
        return self.octets if self.until is None or datetime.now(UTC) < self.until else b""

    def isAbout(self, certificate: X509Certificate) -> bool:
        """Whether it is for this one."""
        serial, issuer, algorithm = self.certificate
        name = certificate.issuer.public_bytes()
        return serial == certificate.serial_number and _digest(algorithm, name) == issuer


def _digest(algorithm: str, octets: bytes) -> bytes:
    # Which certificate is meant is no secret; SHA-1 is what most responders say it with.
    return hashlib.new(algorithm, octets, usedforsecurity=False).digest()


def staplePath(certificate: str | os.PathLike[str]) -> Path:
    """Where the response for a certificate in a file is looked for: beside it, as HAProxy does."""
    return Path(f"{os.fspath(certificate)}.ocsp")


def loadStaple(path: Path, certificate: X509Certificate) -> Staple | None:
    """The response for a certificate in a file; None if there is none that could be sent.

    What is wrong with it is logged, and no more: it must not keep a server from starting, nor a certificate
    that was renewed from being used.
    """
    staple = readStaple(path)
    if staple is not None and not staple.isAbout(certificate):
        _log.warn("TLS: {file} is for another certificate, and not sent", file=str(path))
        return None
    return staple


def readStaple(path: Path) -> Staple | None:
    """The response in a file, for whatever certificate; None likewise."""
    try:
        octets = path.read_bytes()
        return _check(octets, load_der_ocsp_response(octets))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        _log.error("TLS: no usable OCSP response in {file}: {error}", file=str(path), error=error)
        return None


def _check(octets: bytes, response: OCSPResponse) -> Staple:
    """
    :raises ValueError: it tells nothing good.
    """
    if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"the responder says {response.response_status.name}")
    if response.certificate_status is not OCSPCertStatus.GOOD:
        raise ValueError(f"the certificate is {response.certificate_status.name}")
    about = response.serial_number, response.issuer_name_hash, response.hash_algorithm.name
    return Staple(octets, about, response.next_update_utc)
