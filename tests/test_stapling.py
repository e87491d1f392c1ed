"""OCSP stapling (RFC 6066 section 8), shown by handshakes in memory; and what keys are agreed upon with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseBuilder, OCSPResponseStatus
from OpenSSL import SSL
from OpenSSL._util import lib
from tlsmaterial import Issued, material
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.logger import LogLevel, capturedLogs, formatEvent
from zope.interface import implementer

from txabstracthttp._tls import connectionCreator, folderConnectionCreator


@implementer(IProtocolNegotiationFactory)
class Http:
    """Speaks HTTP/1.1."""

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]


class Client:
    """One handshake with what `creator` has for it.

    :ivar staple: what was stapled; None: nothing was.
    :ivar group: what keys were agreed upon with.
    :ivar serial: of the certificate.
    """

    def __init__(self, creator: Any, name: str | None = None, groups: bytes | None = None) -> None:
        self.staple: bytes | None = None
        protocol = SimpleNamespace(factory=SimpleNamespace(wrappedFactory=Http()))
        server = creator.serverConnectionForTLS(protocol)
        server.set_accept_state()
        client = self._connection(name, groups)
        for _ in range(6):
            _step(client, server)
            _step(server, client)
        self.group = client.get_group_name()
        certificate = client.get_peer_certificate()
        assert certificate is not None
        self.serial = certificate.get_serial_number()

    def _connection(self, name: str | None, groups: bytes | None) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_ocsp_client_callback(self._receive)
        if groups is not None:
            assert lib.SSL_CTX_set1_curves_list(context._context, groups)
        client = SSL.Connection(context)
        client.set_connect_state()
        client.request_ocsp()
        if name is not None:
            client.set_tlsext_host_name(name.encode())
        return client

    def _receive(self, connection: SSL.Connection, octets: bytes, data: None) -> bool:
        self.staple = octets or None
        return True


def _step(own: SSL.Connection, other: SSL.Connection) -> None:
    try:
        own.do_handshake()
    except SSL.WantReadError:
        pass
    try:
        other.bio_write(own.bio_read(1 << 16))
    except SSL.WantReadError:
        pass


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """Files of one certificate.

    :ivar issued: the certificate; `staple`: what is said of it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "host.pem"
        self.beside = folder / "host.pem.ocsp"
        self.clock = Clock()
        self.issued = self.write("localhost")
        self.staple = material().staple(self.issued.certificate)

    def write(self, *names: str) -> Issued:
        issued = material().issue(*names)
        self.path.write_bytes(issued.both)
        return issued

    def later(self) -> None:
        """Time for another look."""
        self.clock.now += 2


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(params=["file", "folder"])
def make(request: pytest.FixtureRequest, place: Place) -> Any:
    """How a creator is made of the place."""
    if request.param == "file":
        return lambda: connectionCreator(place.path, seconds=place.clock)
    return lambda: folderConnectionCreator(place.path.parent, seconds=place.clock)


class TestStapling:
    def test_none(self, make: Any) -> None:
        assert Client(make()).staple is None

    def test_one(self, place: Place, make: Any) -> None:
        place.beside.write_bytes(place.staple)
        assert Client(make()).staple == place.staple

    def test_itComesLater(self, place: Place, make: Any) -> None:
        creator = make()
        place.beside.write_bytes(place.staple)
        assert Client(creator).staple is None
        place.later()
        assert Client(creator).staple == place.staple

    def test_itIsRenewed(self, place: Place, make: Any) -> None:
        place.beside.write_bytes(place.staple)
        creator = make()
        newer = material().staple(place.issued.certificate, days=2)
        place.beside.write_bytes(newer)
        place.later()
        assert Client(creator).staple == newer

    def test_itGoes(self, place: Place, make: Any) -> None:
        place.beside.write_bytes(place.staple)
        creator = make()
        place.beside.unlink()
        place.later()
        assert Client(creator).staple is None

    def test_itsTimeHasPassed(self, place: Place, make: Any) -> None:
        place.beside.write_bytes(material().staple(place.issued.certificate, days=-1))
        assert Client(make()).staple is None

    def test_anUnusableOneLater(self, place: Place, make: Any) -> None:
        """It keeps nobody from using a certificate that was renewed."""
        place.beside.write_bytes(place.staple)
        creator = make()
        issued = place.write("localhost")
        place.beside.write_bytes(b"half of it")
        place.later()
        with capturedLogs() as events:
            client = Client(creator)
        assert (client.serial, client.staple) == (issued.serial, None)
        (complaint,) = (formatEvent(each) for each in events if each["log_level"] is LogLevel.error)
        assert "no usable OCSP response" in complaint
        assert "host.pem.ocsp" in complaint

    def test_theCertificateIsRenewedFirst(self, place: Place, make: Any) -> None:
        place.beside.write_bytes(place.staple)
        creator = make()
        issued = place.write("localhost")
        place.later()
        client = Client(creator)
        assert client.serial == issued.serial
        assert client.staple is None
        place.beside.write_bytes(material().staple(issued.certificate))
        place.later()
        assert Client(creator).staple is not None

    def test_theCertificateAndItsStapleAreRenewed(self, place: Place, make: Any) -> None:
        place.beside.write_bytes(place.staple)
        creator = make()
        issued = place.write("localhost")
        newer = material().staple(issued.certificate)
        place.beside.write_bytes(newer)
        place.later()
        assert Client(creator).staple == newer


class TestNames:
    def test_eachItsOwn(self, place: Place, tmp_path: Path) -> None:
        other = material().issue("other.test")
        (tmp_path / "other.pem").write_bytes(other.both)
        staple = material().staple(other.certificate)
        (tmp_path / "other.pem.ocsp").write_bytes(staple)
        creator = connectionCreator(place.path, certificates={"other.test": (tmp_path / "other.pem", None)})
        assert Client(creator, "localhost").staple is None
        assert Client(creator, "other.test").staple == staple


class TestUnusable:
    """What makes no sense is logged, and not sent."""

    def check(self, place: Place, *words: str) -> None:
        with capturedLogs() as events:
            creator = connectionCreator(place.path)
        (complaint,) = (formatEvent(each) for each in events if each["log_level"] >= LogLevel.warn)
        assert all(word in complaint for word in ("host.pem.ocsp", *words))
        assert Client(creator).staple is None

    @pytest.mark.parametrize("content", [b"", b"nonsense"])
    def test_noResponse(self, place: Place, content: bytes) -> None:
        place.beside.write_bytes(content)
        self.check(place, "no usable OCSP response")

    def test_anUnhappyResponder(self, place: Place) -> None:
        unhappy = OCSPResponseBuilder.build_unsuccessful(OCSPResponseStatus.TRY_LATER)
        place.beside.write_bytes(unhappy.public_bytes(Encoding.DER))
        self.check(place, "the responder says TRY_LATER")

    @pytest.mark.parametrize("status", [OCSPCertStatus.REVOKED, OCSPCertStatus.UNKNOWN])
    def test_badNews(self, place: Place, status: OCSPCertStatus) -> None:
        place.beside.write_bytes(material().staple(place.issued.certificate, status=status))
        self.check(place, f"the certificate is {status.name}")

    def test_ofAnotherCertificate(self, place: Place) -> None:
        place.beside.write_bytes(material().staple(material().issue("else.test").certificate))
        self.check(place, "is for another certificate")

    def test_unreadable(self, place: Place) -> None:
        place.beside.mkdir()
        self.check(place, "no usable OCSP response")


class TestGroups:
    """Mozilla's intermediate recommendation, and the hybrid one where OpenSSL has it."""

    @pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
    def test_offered(self, place: Place, group: str) -> None:
        found = Client(connectionCreator(place.path), groups=group.encode()).group
        assert found in (group.lower(), "x25519", {"P-256": "secp256r1", "P-384": "secp384r1"}.get(group))

    @pytest.mark.parametrize("group", ["X448", "P-521", "ffdhe2048"])
    def test_notOffered(self, place: Place, group: str) -> None:
        with pytest.raises(SSL.Error):
            Client(connectionCreator(place.path), groups=group.encode())
