"""OCSP stapling (RFC 6066 section 8): an authority's word that a certificate is good, brought along."""

from __future__ import annotations

__all__ = ["Staple", "loadStaple", "readStaple", "staplePath"]

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.x509 import Certificate as X509Certificate
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponse, OCSPResponseStatus, load_der_ocsp_response
from twisted.logger import Logger

_log = Logger()


class Staple(NamedTuple):
    """A response of an OCSP responder (RFC 6960 section 4.2).

    :ivar octets: as it goes to clients.
    :ivar serial: of the certificate that it is about.
    :ivar until: when there will be a newer one; None: it does not say.
    """

    octets: bytes
    serial: int
    until: datetime | None

    def current(self) -> bytes:
        """What to send now; nothing, if its time has passed: a client would refuse the whole connection."""
        return self.octets if self.until is None or datetime.now(UTC) < self.until else b""

    def isAbout(self, certificate: X509Certificate) -> bool:
        """Whether it is for this one."""
        return self.serial == certificate.serial_number


def staplePath(certificate: str | os.PathLike[str]) -> Path:
    """Where the response for a certificate in a file is looked for: beside it, as HAProxy does."""
    return Path(f"{os.fspath(certificate)}.ocsp")


def loadStaple(path: Path, certificate: X509Certificate) -> Staple | None:
    """The response in a file; None if there is no such file, or it is for another certificate.

    The latter is so when a certificate was renewed, and must not keep the new one from being used.

    :raises ValueError: it cannot be read, or tells nothing good.
    """
    staple = readStaple(path)
    if staple is not None and not staple.isAbout(certificate):
        _log.warn("TLS: {file} is for another certificate, and not sent", file=str(path))
        return None
    return staple


def readStaple(path: Path) -> Staple | None:
    """The response in a file, for whatever certificate; None if there is no such file.

    :raises ValueError: it cannot be read, or tells nothing good.
    """
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror}") from error
    try:
        return _check(octets, load_der_ocsp_response(octets))
    except ValueError as error:
        raise ValueError(f"no usable OCSP response in {str(path)!r}: {error}") from error


def _check(octets: bytes, response: OCSPResponse) -> Staple:
    if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"the responder says {response.response_status.name}")
    if response.certificate_status is not OCSPCertStatus.GOOD:
        raise ValueError(f"the certificate is {response.certificate_status.name}")
    return Staple(octets, response.serial_number, response.next_update_utc)
