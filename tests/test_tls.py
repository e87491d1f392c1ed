"""`sslSetup` and the TLS that comes of it: material, handshakes, and that nothing leaves in the clear."""

from __future__ import annotations

import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import pytest
import pytest_twisted
from OpenSSL import SSL
from tlsmaterial import Issued, Material, material
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint, wrapServerTLS
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
)
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from zope.interface import implementer

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket
from txabstracthttp._secured import peerCertificate

SOON = 5
#: What nobody may see between the server and its client.
MARKER = b"the-body-of-the-answer"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

#: Twisted gives pyOpenSSL objects of types that it would rather not see any more.
twistedOnTLS = pytest.mark.filterwarnings(
    "ignore:Passing pyOpenSSL:DeprecationWarning", "ignore:X509:DeprecationWarning"
)
#: Python finds TLS 1.0 and 1.1 as outdated as we do.
oldVersions = pytest.mark.filterwarnings("ignore:.*TLSVersion.TLSv1.*:DeprecationWarning")


class Marked(AbstractHttpServer):
    """Answers with the marker, many times where ``/big`` is asked for; ``/fail`` fails.

    :ivar certificates: those of the peers.
    :ivar proved: the same, as `peerCertificate` has them.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.certificates: list[Any] = []
        self.proved: list[Any] = []
        self._built: list[Any] = []

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        built = super().buildProtocol(addr)
        self._built.append(built)
        return built

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        assert request.isSecure
        self.certificates.append(request.peerCertificate)
        (connection,) = (each for each in self._built if each.info is request.connection)
        self.proved.append(peerCertificate(connection.transport))
        if request.path == "/fail":
            raise RuntimeError(MARKER.decode())
        if request.path == "/missing":
            return False
        socket.respond(MARKER * (100_000 if request.path == "/big" else 1))
        return True


class Visit(NamedTuple):
    """What a client found.

    :ivar names: the DNS names and addresses that the certificate is for.
    """

    answer: bytes
    serial: int
    version: str
    cipher: str
    protocol: str | None
    names: list[str]


def clientContext(authority: Path | None = None, **attributes: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority or material().authority))
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


def connectTo(port: int, name: str, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    """Connect, and shake hands; for a thread."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=SOON)
    try:
        return (context or clientContext()).wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def visit(
    port: int,
    context: ssl.SSLContext | None = None,
    name: str = "localhost",
    data: bytes = GET,
) -> Visit:
    """One exchange over TLS; for a thread."""
    with connectTo(port, name, context) as connection:
        connection.sendall(data)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        cipher = connection.cipher()
        assert cipher is not None
        alternatives = (connection.getpeercert() or {}).get("subjectAltName", ())
        return Visit(
            answer,
            int((connection.getpeercert() or {}).get("serialNumber", "0"), 16),
            connection.version() or "",
            cipher[0],
            connection.selected_alpn_protocol(),
            [value for _, value in alternatives],
        )


async def visited(port: int, *arguments: Any, **more: Any) -> Visit:
    found = await deferToThread(visit, port, *arguments, **more)
    assert found.answer.startswith(b"HTTP/1.1 200 OK\r\n"), found
    assert found.answer.endswith(MARKER)
    return found


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    server = Marked()
    yield server
    await server.close(0).addTimeout(SOON, reactor)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """Critical events; a test must take away those it expects."""
    with capturedLogs() as events:
        yield events  # type: ignore[misc]
    assert [event for event in events if event["log_level"] is LogLevel.critical] == []


def twistedCertificate(path: Path) -> Certificate:
    return Certificate.loadPEM(path.read_bytes())


def twistedKey(path: Path) -> KeyPair:
    return KeyPair.load(path.read_bytes(), SSL.FILETYPE_PEM)


def options(certificate: Path, key: Path, **more: Any) -> CertificateOptions:
    return CertificateOptions(
        certificate=twistedCertificate(certificate).original, privateKey=twistedKey(key).original, **more
    )


def privateCertificate(m: Material) -> PrivateCertificate:
    return PrivateCertificate.fromCertificateAndKeyPair(twistedCertificate(m.certificate), twistedKey(m.key))


@implementer(IOpenSSLServerConnectionCreator)
class OwnCreator:
    """Neither Twisted's nor ours."""

    def __init__(self, m: Material) -> None:
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.use_certificate_file(str(m.certificate))
        self._context.use_privatekey_file(str(m.key))

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        return SSL.Connection(self._context)


class TestMaterial:
    @pytest.mark.parametrize(
        "arguments",
        [
            lambda m: (str(m.certificate), str(m.key)),
            lambda m: (m.certificate, m.key),
            lambda m: (m.certificate.read_bytes(), m.key.read_bytes()),
            lambda m: (str(m.certificate), m.key.read_bytes()),
            lambda m: (str(m.both),),
            lambda m: (m.both,),
            lambda m: (m.both.read_bytes(),),
            lambda m: (m.certificate.read_bytes() + m.key.read_bytes(),),
            lambda m: (m.both, m.both),
            lambda m: (m.rsaCertificate, m.rsaKey),
            lambda m: (m.chain, m.chainKey),
            lambda m: (m.chain.read_bytes() + m.chainKey.read_bytes(),),
            lambda m: (twistedCertificate(m.certificate), twistedKey(m.key)),
            lambda m: (twistedCertificate(m.certificate), m.key),
            lambda m: (m.certificate, twistedKey(m.key)),
            lambda m: (privateCertificate(m),),
            lambda m: (privateCertificate(m), privateCertificate(m).privateKey),
            lambda m: (options(m.certificate, m.key),),
            lambda m: (privateCertificate(m).options(),),
            lambda m: (OwnCreator(m),),
        ],
        ids=[
            "paths",
            "PathLikes",
            "bytes",
            "path and bytes",
            "one path",
            "one PathLike",
            "one PEM",
            "one PEM, the key last",
            "one file twice",
            "RSA",
            "chain",
            "chain and key in one PEM",
            "Certificate and KeyPair",
            "Certificate and path",
            "path and KeyPair",
            "PrivateCertificate",
            "PrivateCertificate and KeyPair",
            "CertificateOptions",
            "PrivateCertificate.options()",
            "another creator",
        ],
    )
    @twistedOnTLS
    @pytest_twisted.ensureDeferred
    async def test_serves(self, server: Marked, arguments: Callable[[Material], tuple[Any, ...]]) -> None:
        server.sslSetup(*arguments(material()))
        await visited(server.listen("127.0.0.1"))

    def test_warnsOfNothing(self) -> None:
        # Warnings are errors here, and the test above has to look away for Twisted's sake.
        server = Marked()
        server.sslSetup(material().chain, material().chainKey)
        server.sslSetup(material().both, certificates={"alpha.test": (material().alpha, material().alphaKey)})

    @pytest_twisted.ensureDeferred
    async def test_chainIsNeeded(self, server: Marked) -> None:
        # So that the test above shows something: the leaf alone does not lead to the authority.
        server.sslSetup(material().leaf, material().chainKey)
        with pytest.raises(ssl.SSLCertVerificationError):
            await visited(server.listen("127.0.0.1"))

    @pytest_twisted.ensureDeferred
    async def test_expiredIsTheClientsBusiness(self, server: Marked) -> None:
        server.sslSetup(material().expired, material().expiredKey)
        port = server.listen("127.0.0.1")
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await visited(port)
        await visited(port, clientContext(check_hostname=False, verify_mode=ssl.CERT_NONE))

    @pytest_twisted.ensureDeferred
    async def test_lastSetupCounts(self, server: Marked) -> None:
        m = material()
        server.sslSetup(m.certificate, m.key)
        first = server.listen("127.0.0.1")
        server.sslSetup(m.alpha, m.alphaKey)
        second = server.listen("127.0.0.1")
        assert "localhost" in (await visited(first)).names
        assert (await visited(second, name="alpha.test")).names == ["alpha.test"]


class TestBadMaterial:
    @pytest.mark.parametrize(
        "arguments",
        [
            lambda m: (m.missing, m.key),
            lambda m: (str(m.missing), str(m.key)),
            lambda m: (m.certificate, m.missing),
            lambda m: (m.missing,),
            lambda m: (m.folder, m.key),
            lambda m: (m.certificate, m.folder),
            lambda m: (m.garbage, m.key),
            lambda m: (m.certificate, m.garbage),
            lambda m: (m.empty, m.key),
            lambda m: (m.certificate, m.empty),
            lambda m: (b"", b""),
            lambda m: ("", ""),
            lambda m: ("\0", m.key),
            lambda m: (m.certificate.read_bytes(), b"no PEM"),
            lambda m: (m.certificate.read_bytes()[:-60], m.key),
            lambda m: (m.certificate, m.key.read_bytes()[:-60]),
            lambda m: (m.certificate.read_text(), m.key),  # a str is a path
            lambda m: (m.certificate,),
            lambda m: (m.key,),
            lambda m: (m.key, m.certificate),
            lambda m: (m.certificate, m.certificate),
            lambda m: (m.certificate, m.encryptedKey),
            lambda m: (m.certificate, m.alphaKey),
            lambda m: (m.certificate, m.rsaKey),
            lambda m: (m.rsaCertificate, m.key),
            lambda m: (m.certificate, m.exchangeKey),
            lambda m: (twistedCertificate(m.certificate), twistedKey(m.alphaKey)),
            lambda m: (m.both, m.alphaKey),
        ],
        ids=[
            "no certificate",
            "no certificate, as str",
            "no key",
            "no file",
            "certificate is a folder",
            "key is a folder",
            "garbage for a certificate",
            "garbage for a key",
            "empty certificate",
            "empty key",
            "nothing",
            "no names",
            "NUL in a path",
            "no PEM",
            "half a certificate",
            "half a key",
            "PEM as str",
            "certificate alone",
            "key alone",
            "exchanged",
            "no key in it",
            "encrypted",
            "another's key",
            "RSA key for P-256",
            "P-256 key for RSA",
            "key that cannot sign",
            "another's key, Twisted",
            "another's key, not its own",
        ],
    )
    def test_valueErrorAtOnce(self, arguments: Callable[[Material], tuple[Any, ...]]) -> None:
        server = Marked()
        with pytest.raises(ValueError):
            server.sslSetup(*arguments(material()))
        # And in certificates=, where it is said whose.
        pair = (*arguments(material()), None)[:2]
        with pytest.raises(ValueError):
            server.sslSetup(material().both, certificates={"alpha.test": pair})

    def test_unreadable(self, tmp_path: Path) -> None:
        path = tmp_path / "key.pem"
        path.write_bytes(material().both.read_bytes())
        path.chmod(0)
        tmp_path.chmod(0)
        euid = os.geteuid()
        if euid == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(ValueError, match=r"key\.pem"):
                Marked().sslSetup(path)
        finally:
            os.seteuid(euid)
            tmp_path.chmod(0o700)

    def test_namesTheFile(self) -> None:
        with pytest.raises(ValueError, match=r"missing\.pem"):
            Marked().sslSetup(material().missing)
        with pytest.raises(ValueError, match=r"encrypted\.key"):
            Marked().sslSetup(material().certificate, material().encryptedKey)

    def test_keepsSecrets(self) -> None:
        secret = material().key.read_bytes().splitlines()[1]
        with pytest.raises(ValueError) as caught:
            Marked().sslSetup(material().certificate, material().key.read_bytes()[:-60])
        assert secret.decode() not in str(caught.value)

    @pytest.mark.parametrize(
        "arguments",
        [
            (None,),
            (1,),
            (object(),),
            (["cert.pem"],),
            (bytearray(b"x"),),
            (CertificateOptions,),
        ],
        ids=lambda arguments: repr(arguments).partition(" at 0x")[0],
    )
    def test_wrongTypes(self, arguments: tuple[Any, ...]) -> None:
        with pytest.raises(TypeError):
            Marked().sslSetup(*arguments)
        with pytest.raises(TypeError):
            Marked().sslSetup(arguments[0], material().key)

    @pytest.mark.parametrize(
        "key",
        [1, object(), ["key.pem"], bytearray(b"x"), True],
        ids=lambda key: repr(key).partition(" at 0x")[0],
    )
    def test_wrongTypesOfKeys(self, key: Any) -> None:
        with pytest.raises(TypeError):
            Marked().sslSetup(material().certificate, key)

    @pytest.mark.parametrize(
        "certificates",
        [
            [("alpha.test", ("a", "b"))],
            "alpha.test",
            {"alpha.test": 1},
            {b"alpha.test": ("a", "b")},
            {None: ("a", "b")},
        ],
        ids=repr,
    )
    def test_wrongTypesOfCertificates(self, certificates: Any) -> None:
        with pytest.raises(TypeError):
            Marked().sslSetup(material().both, certificates=certificates)

    def test_noMoreThanOptions(self) -> None:
        creator = OwnCreator(material())
        for more in (
            {"privateKey": material().key},
            {"protocol": TLSVersion.TLSv1_3},
            {"certificates": {"a": (material().alpha, material().alphaKey)}},
        ):
            with pytest.raises(ValueError):
                Marked().sslSetup(creator, **more)

    @pytest.mark.parametrize(
        "protocol", [TLSVersion.SSLv3, TLSVersion.TLSv1_0, TLSVersion.TLSv1_1, "TLSv1.2", 2]
    )
    def test_protocolsTooOldOrUnknown(self, protocol: Any) -> None:
        with pytest.raises((ValueError, TypeError)):
            Marked().sslSetup(material().certificate, material().key, protocol)


def _versionContext(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Speaks this version only, and is at peace with the ciphers and signatures of its time."""
    context = clientContext()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


def _tls12Ciphers() -> list[str]:
    """Whatever this OpenSSL can speak in TLS 1.2 and before, without those that need a shared secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:!PSK:!SRP:@SECLEVEL=0")
    return [each["name"] for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]


def isModern(cipher: str) -> bool:
    """Authenticated encryption and forward secrecy, going by OpenSSL's names."""
    return cipher.startswith(("ECDHE-", "DHE-")) and ("GCM" in cipher or "CHACHA20" in cipher)


#: The places where we choose the ciphers.
SETUPS = {
    "sslSetup": lambda server, m: server.sslSetup(m.rsaCertificate, m.rsaKey),
    "certificates": lambda server, m: server.sslSetup(
        m.alpha, m.alphaKey, certificates={"localhost": (m.rsaCertificate, m.rsaKey)}
    ),
}


async def _bySslSetup(server: Marked, folder: Path) -> int:
    server.sslSetup(material().certificate, material().key)
    return server.listen("127.0.0.1")


async def _byCertificates(server: Marked, folder: Path) -> int:
    m = material()
    server.sslSetup(m.alpha, m.alphaKey, certificates={"localhost": (m.certificate, m.key)})
    return server.listen("127.0.0.1")


async def _bySslEndpoint(server: Marked, folder: Path) -> int:
    m = material()
    bound = await server.bind(f"ssl:0:interface=127.0.0.1:privateKey={m.key}:certKey={m.certificate}")
    return bound.getHost().port  # type: ignore[attr-defined, no-any-return]


async def _byTlsEndpoint(server: Marked, folder: Path) -> int:
    (folder / "both.pem").write_bytes(material().both.read_bytes())
    bound = await server.bind(f"tls:{folder}:0:interface=127.0.0.1")
    return bound.getHost().port  # type: ignore[attr-defined, no-any-return]


#: Every way to a context of ours; localhost is who answers there.
HOWS = {
    "listen": _bySslSetup,
    "certificates": _byCertificates,
    "ssl": _bySslEndpoint,
    "tls": _byTlsEndpoint,
}


class TestHandshake:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
    @oldVersions
    @pytest_twisted.ensureDeferred
    async def test_oldVersionsAreRefused(self, server: Marked, version: ssl.TLSVersion) -> None:
        server.sslSetup(material().rsaCertificate, material().rsaKey)
        with pytest.raises(ssl.SSLError, match=r"(?i)version"):
            await visited(server.listen("127.0.0.1"), _versionContext(version))

    @pytest.mark.parametrize(
        ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
    )
    @pytest_twisted.ensureDeferred
    async def test_versions(self, server: Marked, version: ssl.TLSVersion, name: str) -> None:
        server.sslSetup(material().certificate, material().key)
        assert (await visited(server.listen("127.0.0.1"), _versionContext(version))).version == name

    @pytest_twisted.ensureDeferred
    async def test_leastVersion(self, server: Marked) -> None:
        server.sslSetup(material().certificate, material().key, TLSVersion.TLSv1_3)
        port = server.listen("127.0.0.1")
        with pytest.raises(ssl.SSLError, match=r"(?i)version"):
            await visited(port, _versionContext(ssl.TLSVersion.TLSv1_2))
        assert (await visited(port)).version == "TLSv1.3"
        server.sslSetup(material().certificate, material().key, protocol=TLSVersion.TLSv1_2)
        await visited(server.listen("127.0.0.1"), _versionContext(ssl.TLSVersion.TLSv1_2))

    @pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
    @pytest_twisted.ensureDeferred
    async def test_ciphers(self, server: Marked, setup: Callable[[Marked, Material], None]) -> None:
        setup(server, material())
        port = server.listen("127.0.0.1")
        accepted, offered = await deferToThread(_tryCiphers, port)
        assert {"AES128-GCM-SHA256", "AES128-SHA", "ECDHE-RSA-AES128-SHA256"} <= set(offered)
        assert all(map(isModern, accepted)), accepted
        assert {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"} <= set(accepted)

    @pytest_twisted.ensureDeferred
    async def test_ciphersOfSslEndpoints(self, server: Marked) -> None:
        m = material()
        bound = await server.bind(
            f"ssl:0:interface=127.0.0.1:privateKey={m.rsaKey}:certKey={m.rsaCertificate}"
        )
        accepted, _ = await deferToThread(_tryCiphers, bound.getHost().port)
        assert accepted
        assert all(map(isModern, accepted)), accepted

    @pytest_twisted.ensureDeferred
    async def test_ciphersOfTlsEndpoints(self, server: Marked, tmp_path: Path) -> None:
        m = material()
        (tmp_path / "pair.pem").write_bytes(m.rsaKey.read_bytes() + m.rsaCertificate.read_bytes())
        bound = await server.bind(f"tls:{tmp_path}:0")
        accepted, _ = await deferToThread(_tryCiphers, bound.getHost().port)
        assert accepted
        assert all(map(isModern, accepted)), accepted

    @pytest.mark.parametrize(
        ("offered", "selected"),
        [
            (["http/1.1"], "http/1.1"),
            (["h2"], "h2"),
            (["h2", "http/1.1"], "h2"),
            (["http/1.1", "h2"], "h2"),
            (None, None),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("how", HOWS)
    @pytest_twisted.ensureDeferred
    async def test_alpn(
        self, server: Marked, tmp_path: Path, offered: list[str] | None, selected: str | None, how: str
    ) -> None:
        port = await HOWS[how](server, tmp_path)
        context = clientContext()
        if offered is not None:
            context.set_alpn_protocols(offered)
        if selected != "h2":
            assert (await visited(port, context)).protocol == selected
            return
        found = await deferToThread(visit, port, context)
        # What is no preface is answered with SETTINGS (RFC 9113 section 3.4) and the end.
        assert (found.protocol, found.answer[3:5]) == ("h2", b"\x04\x00")

    @pytest.mark.parametrize("how", HOWS)
    @pytest_twisted.ensureDeferred
    async def test_alpnWithoutOverlap(self, server: Marked, tmp_path: Path, how: str) -> None:
        # RFC 7301 section 3.2 will have it refused, in these words.
        port = await HOWS[how](server, tmp_path)
        context = clientContext()
        context.set_alpn_protocols(["spdy/1", "x"])
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match=r"(?i)alert.no.application.protocol"):
                await visited(port, context)
        await visited(port)


def _tryCiphers(port: int) -> tuple[list[str], list[str]]:
    """Those of all ciphers that a server accepts, and all; for a thread."""
    accepted, offered = [], _tls12Ciphers()
    for cipher in offered:
        context = _versionContext(ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(cipher + ":@SECLEVEL=0")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", port), timeout=SOON) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="localhost") as connection:
                    found = connection.cipher()
                    assert found is not None
                    accepted.append(found[0])
            except ssl.SSLError:
                pass
    return accepted, offered


class TestServerNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("localhost", "localhost"),
            ("alpha.test", "alpha.test"),
            ("ALPHA.Test", "alpha.test"),
            ("a.wild.test", "*.wild.test"),
            ("B.wild.test", "*.wild.test"),
            # A wildcard is one label, and not none.
            ("a.b.wild.test", "localhost"),
            ("wild.test", "localhost"),
            ("beta.test", "localhost"),
            ("127.0.0.1", "localhost"),  # no SNI is sent for an address
        ],
    )
    @pytest_twisted.ensureDeferred
    async def test_choice(self, server: Marked, name: str, expected: str) -> None:
        m = material()
        server.sslSetup(
            m.certificate,
            m.key,
            certificates={
                "Alpha.test": (m.alpha, m.alphaKey),
                "*.wild.test": (str(m.wildcard), m.wildcardKey.read_bytes()),
            },
        )
        context = clientContext(check_hostname=False)
        assert (await visited(server.listen("127.0.0.1"), context, name)).names[0] == expected

    @pytest_twisted.ensureDeferred
    async def test_exactBeforeWildcard(self, server: Marked) -> None:
        m = material()
        server.sslSetup(
            m.both,
            certificates={
                "*.wild.test": (m.wildcard, m.wildcardKey),
                "a.wild.test": (m.alpha, m.alphaKey),
            },
        )
        context = clientContext(check_hostname=False)
        assert (await visited(server.listen("127.0.0.1"), context, "a.wild.test")).names == ["alpha.test"]

    @pytest_twisted.ensureDeferred
    async def test_leastVersionIsForAll(self, server: Marked) -> None:
        m = material()
        server.sslSetup(
            m.both, protocol=TLSVersion.TLSv1_3, certificates={"alpha.test": (m.alpha, m.alphaKey)}
        )
        with pytest.raises(ssl.SSLError, match=r"(?i)version"):
            await visited(server.listen("127.0.0.1"), _versionContext(ssl.TLSVersion.TLSv1_2), "alpha.test")

    @pytest_twisted.ensureDeferred
    async def test_keyInTheSamePem(self, server: Marked) -> None:
        m = material()
        pem = m.alpha.read_bytes() + m.alphaKey.read_bytes()
        server.sslSetup(m.both, certificates={"alpha.test": (pem, None)})
        assert (await visited(server.listen("127.0.0.1"), name="alpha.test")).names == ["alpha.test"]


async def _reloadingPaths(server: Marked, folder: Path) -> int:
    server.sslSetup(folder / "cert.pem", str(folder / "key.pem"))
    return server.listen("127.0.0.1")


async def _reloadingOnePem(server: Marked, folder: Path) -> int:
    server.sslSetup(folder / "both.pem")
    return server.listen("127.0.0.1")


async def _reloadingCertificates(server: Marked, folder: Path) -> int:
    server.sslSetup(material().both, certificates={"a.test": (folder / "cert.pem", folder / "key.pem")})
    return server.listen("127.0.0.1")


async def _reloadingSsl(server: Marked, folder: Path) -> int:
    bound = await server.bind(
        f"ssl:0:interface=127.0.0.1:privateKey={folder}/key.pem:certKey={folder}/cert.pem"
        f":extraCertChain={material().intermediate}"
    )
    return bound.getHost().port  # type: ignore[attr-defined, no-any-return]


async def _reloadingTls(server: Marked, folder: Path) -> int:
    (folder / "both.pem").unlink()
    bound = await server.bind(f"tls:{folder}:0:interface=127.0.0.1")
    return bound.getHost().port  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    "setup", [_reloadingPaths, _reloadingOnePem, _reloadingCertificates, _reloadingSsl, _reloadingTls]
)
class TestReload:
    """Files change, listeners stay; `tests/test_certificates.py` has the details."""

    @pytest_twisted.ensureDeferred
    async def test_reload(
        self, server: Marked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setup: Any
    ) -> None:
        monkeypatch.setattr("txabstracthttp._tls.RELOAD_INTERVAL", 0)
        first, second, third = (material().issue("a.test") for _ in range(3))
        names = ("key.pem", "cert.pem", "both.pem")

        def write(issued: Issued) -> None:
            for name, text in zip(names, (issued.key, issued.certificate, issued.both), strict=True):
                if not listening or (tmp_path / name).exists():
                    (tmp_path / name).write_bytes(text)

        listening = False
        write(first)
        port = await setup(server, tmp_path)
        listening = True
        ports = server.servers()
        assert (await visited(port, name="a.test")).serial == first.serial
        with await deferToThread(connectTo, port, "a.test") as idle:
            write(second)
            assert (await visited(port, name="a.test")).serial == second.serial
            # Those that were there before are not disturbed.
            idle.sendall(GET)
            assert MARKER in await deferToThread(idle.recv, 65536)
        write(third._replace(certificate=third.certificate[:-50], key=third.key[:-50]))
        with capturedLogs() as events:
            for _ in range(3):
                assert (await visited(port, name="a.test")).serial == second.serial
        said = {formatEvent(event) for event in events if event["log_level"] is LogLevel.error}
        assert len(said) == len([event for event in events if event["log_level"] is LogLevel.error])
        assert said
        assert all(str(tmp_path) in each for each in said)
        write(third)
        assert (await visited(port, name="a.test")).serial == third.serial
        assert server.servers() == ports


@pytest_twisted.ensureDeferred
async def test_reloadInItsOwnTime(server: Marked, tmp_path: Path) -> None:
    path, first, second = tmp_path / "both.pem", material().issue("a.test"), material().issue("a.test")
    path.write_bytes(first.both)
    server.sslSetup(path)
    port = server.listen("127.0.0.1")
    path.write_bytes(second.both)
    started, serial = monotonic(), first.serial
    while serial == first.serial and monotonic() < started + SOON:
        serial = (await visited(port, name="a.test")).serial
    assert serial == second.serial
    assert monotonic() - started < 2


def mutual(**more: Any) -> CertificateOptions:
    """Asks clients for a certificate."""
    authority = twistedCertificate(material().authority)
    return options(material().certificate, material().key, trustRoot=authority, **more)


async def _mutualByListen(server: Marked) -> int:
    server.sslSetup(mutual())
    return server.listen("127.0.0.1")


async def _mutualByBind(server: Marked) -> int:
    bound = await server.bind(wrapServerTLS(mutual(), TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")))
    return bound.getHost().port  # type: ignore[attr-defined, no-any-return]


def clientWith(certificate: Path, key: Path) -> ssl.SSLContext:
    context = clientContext()
    context.load_cert_chain(certificate, key)
    return context


@twistedOnTLS
@pytest.mark.parametrize("listen", [_mutualByListen, _mutualByBind])
class TestMutual:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest_twisted.ensureDeferred
    async def test_known(self, server: Marked, listen: Any, version: ssl.TLSVersion) -> None:
        context = clientWith(material().client, material().clientKey)
        context.maximum_version = version
        found = await visited(await listen(server), context)
        assert found.names[0] == "localhost"
        (certificate,) = server.proved
        assert isinstance(certificate, Certificate)
        assert certificate == twistedCertificate(material().client)

    @pytest_twisted.ensureDeferred
    async def test_request(self, server: Marked, listen: Any) -> None:
        await visited(await listen(server), clientWith(material().client, material().clientKey))
        (certificate,) = server.certificates
        assert isinstance(certificate, Certificate)
        assert certificate == twistedCertificate(material().client)
        assert certificate.getSubject().commonName == b"client"

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize("who", ["nobody", "a stranger", "a server"])
    @pytest_twisted.ensureDeferred
    async def test_refused(self, server: Marked, listen: Any, version: ssl.TLSVersion, who: str) -> None:
        m = material()
        context = {
            "nobody": clientContext,
            "a stranger": lambda: clientWith(m.stranger, m.strangerKey),
            "a server": lambda: clientWith(m.alpha, m.alphaKey),
        }[who]()
        context.maximum_version = version
        port = await listen(server)
        with pytest.raises(OSError):
            await visited(port, context)
        assert server.certificates == []
        await visited(port, clientWith(m.client, m.clientKey))


@pytest.mark.parametrize("optional", [False, True])
@twistedOnTLS
@pytest_twisted.ensureDeferred
async def test_noPeerCertificate(server: Marked, optional: bool) -> None:
    if optional:
        authority = twistedCertificate(material().authority).original
        server.sslSetup(
            options(
                material().certificate,
                material().key,
                verify=True,
                requireCertificate=False,
                caCerts=[authority],
            )
        )
    else:
        server.sslSetup(material().both)
    await visited(server.listen("127.0.0.1"))
    assert server.certificates == [None]
    assert server.proved == [None]


@pytest_twisted.ensureDeferred
async def test_closeTimeout() -> None:
    """A peer that never answers close_notify is dropped in time, and not before."""
    server = Marked(configuration=HttpServerConfiguration(closeTimeout=0.4))
    server.sslSetup(material().both)
    client = await deferToThread(connectTo, server.listen("127.0.0.1"), "localhost")

    def dwell() -> float:
        client.sendall(GET)
        while client.recv(65536):
            pass
        # Its close_notify has come.  Ours would leave with `unwrap`.
        started = monotonic()
        with socket.socket(fileno=client.detach()) as raw:
            raw.settimeout(SOON)
            with pytest.raises(ConnectionResetError):
                raw.recv(1)
        return monotonic() - started

    try:
        assert 0.3 < await deferToThread(dwell) < 2
    finally:
        await server.close(0).addTimeout(SOON, reactor)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
class TestCurl:
    async def curl(self, port: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(SOON)]
        command += ["--cacert", str(material().authority), *arguments, f"https://localhost:{port}/"]
        return await deferToThread(subprocess.run, command, capture_output=True)

    @pytest_twisted.ensureDeferred
    async def test_verifies(self, server: Marked) -> None:
        server.sslSetup(material().chain, material().chainKey)
        ran = await self.curl(server.listen("127.0.0.1"))
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, MARKER, b"")

    @pytest_twisted.ensureDeferred
    async def test_versions(self, server: Marked) -> None:
        server.sslSetup(material().both)
        port = server.listen("127.0.0.1")
        for option, version in (("--http2", b" 2"), ("--http1.1", b" 1.1")):
            ran = await self.curl(port, option, "-w", " %{http_version}")
            assert (ran.returncode, ran.stdout) == (0, MARKER + version)

    @pytest_twisted.ensureDeferred
    async def test_oldVersions(self, server: Marked) -> None:
        server.sslSetup(material().both)
        port = server.listen("127.0.0.1")
        ran = await self.curl(port, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0")
        assert ran.returncode == 35, ran
        for version in ("1.2", "1.3"):
            ran = await self.curl(port, f"--tlsv{version}", "--tls-max", version)
            assert (ran.returncode, ran.stdout) == (0, MARKER)


class TestHandshakeTimeout:
    @pytest.mark.parametrize("first", [b"", b"\x16\x03\x01"], ids=["silent", "half a record"])
    @pytest.mark.parametrize("how", ["listen", "ssl"])
    @pytest_twisted.ensureDeferred
    async def test_closes(self, how: str, first: bytes) -> None:
        m = material()
        server = Marked(configuration=HttpServerConfiguration(handshakeTimeout=0.2, headerTimeout=60))
        if how == "listen":
            server.sslSetup(m.both)
            port = server.listen("127.0.0.1")
        else:
            bound = await server.bind(f"ssl:0:interface=127.0.0.1:privateKey={m.both}")
            port = bound.getHost().port
        try:
            assert await deferToThread(_readAll, port, first) == b""
        finally:
            await server.close(0).addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_endsWithTheHandshake(self) -> None:
        server = Marked(configuration=HttpServerConfiguration(handshakeTimeout=0.3))
        server.sslSetup(material().both)
        port = server.listen("127.0.0.1")

        def dawdle() -> bytes:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=SOON) as plain,
                clientContext().wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                threading.Event().wait(0.6)
                connection.sendall(GET)
                return connection.recv(65536)

        try:
            assert (await deferToThread(dawdle)).startswith(b"HTTP/1.1 200 OK\r\n")
        finally:
            await server.close(0).addTimeout(SOON, reactor)


def _readAll(port: int, data: bytes, end: bool = False) -> bytes:
    """Everything that a TLS port says to a raw client; for a thread."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SOON) as connection:
        try:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                received += more
        except TimeoutError:
            raise
        except OSError:
            pass  # it was reset, at one point or another
    return received


class Relay:
    """Stands between a client and a server, and keeps the octets that the latter sends.

    :ivar port: where it listens, for one client.
    :ivar seen: those octets.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SOON)
        self.port: int = self._listener.getsockname()[1]
        self.seen = bytearray()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def finish(self) -> bytes:
        self._thread.join()
        return bytes(self.seen)

    def _run(self) -> None:
        with (
            self._listener,
            self._listener.accept()[0] as client,
            socket.create_connection(("127.0.0.1", self._target)) as server,
        ):
            ways = {client: server, server: client}
            while ways:
                ready, _, _ = select.select(list(ways), [], [], SOON)
                if not ready:
                    return
                try:
                    for source in ready:
                        data = source.recv(65536)
                        if source is server:
                            self.seen += data
                        if data:
                            ways[source].sendall(data)
                        else:
                            ways.pop(source).shutdown(socket.SHUT_WR)
                except OSError:
                    return  # one of them has reset it, and so do we


def _hello() -> bytes:
    """What a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = clientContext().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


class TestNothingInTheClear:
    @pytest_twisted.ensureDeferred
    async def test_nothingInTheClear(self, logged: list[LogEvent]) -> None:
        """Whatever a client does, not one octet of HTTP leaves a TLS port unencrypted."""
        configuration = HttpServerConfiguration(handshakeTimeout=0.3, headerTimeout=0.5, closeTimeout=0.3)
        m = material()
        server = Marked(configuration=configuration)
        server.sslSetup(m.both)
        bound = await server.bind(f"ssl:0:interface=127.0.0.1:privateKey={m.both}")
        ports = [server.listen("127.0.0.1"), bound.getHost().port]
        hello = _hello()
        seen: list[bytes] = []
        rude = [
            GET,
            b"GET / HTTP/1.0\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            bytes(range(256)) * 300,
            b"\0" * 100,
            b"\x16\x03\x01\xff\xff" + b"x" * 70_000,
            hello[:1],
            hello[: len(hello) // 2],
            hello,
            hello + GET,
            hello + b"\x15\x03\x03\0\x02\x02\x28",  # an alert
            hello + hello,
            b"",
        ]
        polite = [
            GET,
            GET.replace(b"GET /", b"GET /big"),
            GET.replace(b"GET /", b"GET /missing"),
            GET.replace(b"GET /", b"GET /fail"),
            GET.replace(b"close", b"keep-alive") * 3 + GET,
            b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx" + GET,
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100_000,
            b"no HTTP at all\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n",  # and no more: 408
            b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        ]
        answers: list[bytes] = []
        try:
            for port in ports:
                for data in rude:
                    seen.append(await deferToThread(_readAll, port, data))
                    seen.append(await deferToThread(_readAll, port, data, end=True))
                for data in polite:
                    relay = Relay(port)
                    answers.append((await deferToThread(visit, relay.port, data=data)).answer)
                    seen.append(await deferToThread(relay.finish))
            # A client that resets in the middle of a big answer, and one that is cut off by the end.
            relay = Relay(ports[0])
            await deferToThread(_hangUpInTheMiddle, relay.port)
            seen.append(await deferToThread(relay.finish))
        finally:
            await server.close(0).addTimeout(SOON, reactor)
        assert len(logged) > 0
        logged[:] = [event for event in logged if MARKER.decode() not in str(event.get("log_failure"))]
        # They did get answers, so there was something to be seen.
        assert sum(answer.count(MARKER) for answer in answers) > 200_000
        statuses = {answer[9:12] for answer in answers}
        assert statuses >= {b"200", b"400", b"404", b"408", b"413", b"500", b"505"}, statuses
        assert sum(map(len, seen)) > 2 * 100_000 * len(MARKER)
        for octets in seen:
            for clear in (b"HTTP/1", b"Content-", b"Date:", MARKER, b"Not Found", b"Bad Request"):
                assert clear not in octets


def _hangUpInTheMiddle(port: int) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SOON) as plain,
        clientContext().wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(GET.replace(b"GET /", b"GET /big"))
        assert connection.recv(1000)
