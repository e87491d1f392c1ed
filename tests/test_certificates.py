"""Where TLS contexts come from: PEM texts, files that change, folders; shown by handshakes in memory."""

from __future__ import annotations

import errno
import gc
import os
import ssl
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from tlsmaterial import Issued, material
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolNegotiationFactory
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txabstracthttp._certificates import certificatesIn, hostNames, keysIn, loadCredentials
from txabstracthttp._secured import peerCertificate
from txabstracthttp._stapling import staplePath
from txabstracthttp._tls import connectionCreator, folderConnectionCreator


class Shaken(NamedTuple):
    """What a client learns in a handshake."""

    serial: int
    chain: int
    protocol: str | None


@implementer(IProtocolNegotiationFactory)
class Negotiating:
    """Speaks some protocols."""

    def __init__(self, *protocols: bytes) -> None:
        self._protocols = list(protocols)

    def acceptableProtocols(self) -> list[bytes]:
        return self._protocols


HTTP = Negotiating(b"h2", b"http/1.1")


def connect(creator: Any, factory: object = HTTP) -> SSL.Connection:
    """What Twisted does for a connection."""
    protocol = SimpleNamespace(factory=SimpleNamespace(wrappedFactory=factory))
    connection: SSL.Connection = creator.serverConnectionForTLS(protocol)
    connection.set_accept_state()
    return connection


def shake(
    creator: Any, name: str | None = None, offered: list[str] | None = None, factory: object = HTTP
) -> Shaken:
    """A whole handshake in memory."""
    return shakeHands(connect(creator, factory), name, offered)


def shakeHands(server: SSL.Connection, name: str | None = None, offered: list[str] | None = None) -> Shaken:
    context = ssl.create_default_context(cafile=str(material().authority))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if offered is not None:
        context.set_alpn_protocols(offered)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client: Any = context.wrap_bio(incoming, outgoing, server_hostname=name)
    serverError: SSL.Error | None = None
    for _ in range(4):
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
        if data := outgoing.read():
            server.bio_write(data)
        try:
            server.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            serverError = error
        try:
            incoming.write(server.bio_read(1 << 16))
        except SSL.WantReadError:
            assert serverError is not None
            raise serverError from None
    certificate = x509.load_der_x509_certificate(client.getpeercert(True))
    return Shaken(
        certificate.serial_number, len(client._sslobj.get_unverified_chain()), client.selected_alpn_protocol()
    )


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    with capturedLogs() as events:
        yield events  # type: ignore[misc]


def taken(logged: list[LogEvent], level: LogLevel) -> list[str]:  # type: ignore[valid-type]
    """What was logged at this level since the last time."""
    found = [formatEvent(event) for event in logged if event["log_level"] is level]
    logged[:] = [event for event in logged if event["log_level"] is not level]
    return found


def issue(*names: str, **more: Any) -> Issued:
    return material().issue(*(names or ("localhost",)), **more)


class Files:
    """A pair in two files.

    :ivar now: what stands in them.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "a.crt", folder / "a.key"
        self.now = self.write(issue())

    def write(self, issued: Issued) -> Issued:
        self.certificate.write_bytes(issued.certificate)
        self.key.write_bytes(issued.key)
        self.now = issued
        return issued

    def renew(self) -> Issued:
        return self.write(issue())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class TestPem:
    @pytest.mark.parametrize("name", ["chain", "both", "rsaCertificate", "key", "rsaKey"])
    def test_cutShort(self, name: str) -> None:
        """Whatever is missing at the end: the objects before it are whole, or it is an error."""
        text: bytes = getattr(material(), name).read_bytes()
        ends = [at + len(end) for end in ENDS for at in _find(text, end)]
        for size in range(len(text)):
            try:
                found = len(certificatesIn(text[:size])) + len(keysIn(text[:size]))
            except ValueError:
                assert size not in ends
            else:
                assert found == sum(end <= size for end in ends)
                # Nothing was begun that is not there.
                assert text[:size].count(b"-----BEGIN") == found

    @given(st.binary(max_size=300))
    def test_garbage(self, junk: bytes) -> None:
        for text in (junk, b"-----BEGIN CERTIFICATE-----\n" + junk + b"\n-----END CERTIFICATE-----\n"):
            for parse in (certificatesIn, keysIn):
                try:
                    assert parse(text) == []
                except ValueError:
                    pass

    def test_whatStandsBetween(self) -> None:
        issued = issue()
        text = b"# a comment\r\n--- and a rule\n" + issued.certificate.replace(b"\n", b"\r\n") + b"Bag\n"
        text += b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + issued.key
        assert [each.serial_number for each in certificatesIn(text)] == [issued.serial]
        assert len(keysIn(text)) == 1

    def test_encrypted(self) -> None:
        with pytest.raises(ValueError):
            keysIn(material().encryptedKey.read_bytes())

    def test_mismatchSaysWhere(self) -> None:
        m = material()
        with pytest.raises(ValueError, match=r"alpha\.key.*server\.crt"):
            loadCredentials(m.certificate, m.alphaKey)

    def test_whoseKeyIsNotAsked(self) -> None:
        # The certificate's file may hold a key that nobody needs.
        text = material().encryptedKey.read_bytes() + material().certificate.read_bytes()
        credentials = loadCredentials(text, material().key)
        assert credentials.chain == []

    def test_hostNames(self) -> None:
        def names(issued: Issued) -> list[str]:
            return hostNames(certificatesIn(issued.certificate)[0])

        assert names(issue("a.test", "*.b.test", "192.0.2.1")) == ["a.test", "*.b.test"]
        assert names(material().issue(subject="old.test")) == ["old.test"]
        assert names(issue("192.0.2.1", subject="not.test")) == [], "there are alternatives"


ENDS = (b"-----END CERTIFICATE-----", b"-----END PRIVATE KEY-----")


def _find(text: bytes, what: bytes) -> Iterator[int]:
    at = text.find(what)
    while at >= 0:
        yield at
        at = text.find(what, at + 1)


class TestReload:
    def test_changed(self, files: Files, clock: Clock, logged: list[LogEvent]) -> None:
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        verifyObject(IOpenSSLServerConnectionCreator, creator)
        assert shake(creator).serial == files.now.serial
        for _ in range(3):
            former = files.now
            renewed = files.renew()
            assert shake(creator).serial == former.serial, "not before its time"
            clock.now += 1
            assert shake(creator).serial == renewed.serial
            clock.now += 1
            connect(creator)
        assert len(taken(logged, LogLevel.info)) == 3
        assert taken(logged, LogLevel.error) == []

    def test_onceASecond(self, files: Files, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        looks: list[Path] = []
        original = Path.stat
        monkeypatch.setattr(
            Path,
            "stat",
            lambda self, **more: looks.append(self) or original(self, **more),  # type: ignore[func-returns-value]
        )
        reads: list[Path] = []
        monkeypatch.setattr(Path, "read_bytes", reads.append)
        for _ in range(10):
            connect(creator)
        assert looks == []
        clock.now += 1
        for _ in range(10):
            connect(creator)
            clock.now += 0.09
        assert looks == [files.certificate, files.key, staplePath(files.certificate)]
        clock.now += 3600
        connect(creator)
        assert len(looks) == 6
        assert reads == []

    def test_nothingToReload(self, files: Files, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        creator = connectionCreator(files.now.certificate, files.now.key, seconds=clock)
        serial = files.now.serial
        files.renew()
        monkeypatch.setattr(Path, "stat", None)
        clock.now += 9
        assert shake(creator).serial == serial

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda files: files.certificate.write_bytes(issue().certificate[:-40]),
            lambda files: files.key.write_bytes(issue().key[:40]),
            lambda files: files.key.write_bytes(b""),
            lambda files: files.certificate.write_bytes(b""),
            lambda files: files.certificate.write_bytes(b"\0garbage"),
            lambda files: files.certificate.write_bytes(issue().certificate),
            lambda files: files.key.write_bytes(issue().key),
            lambda files: files.key.write_bytes(material().encryptedKey.read_bytes()),
            lambda files: files.key.unlink(),
            lambda files: (files.certificate.unlink(), files.certificate.mkdir()),
        ],
        ids=[
            "half a certificate",
            "half a key",
            "empty key",
            "empty certificate",
            "garbage",
            "another certificate",
            "another key",
            "encrypted",
            "missing",
            "a folder",
        ],
    )
    def test_broken(
        self, files: Files, clock: Clock, logged: list[LogEvent], spoil: Callable[[Files], object]
    ) -> None:
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        former = files.now
        spoil(files)
        for _ in range(5):
            clock.now += 1
            assert shake(creator).serial == former.serial
        (said,) = taken(logged, LogLevel.error)
        assert "a.crt" in said
        assert "a.key" in said
        assert taken(logged, LogLevel.info) == []
        if files.certificate.is_dir():
            files.certificate.rmdir()
        renewed = files.renew()
        clock.now += 1
        assert shake(creator).serial == renewed.serial
        assert taken(logged, LogLevel.info) != []
        spoil(files)
        clock.now += 1
        assert shake(creator).serial == renewed.serial
        assert len(taken(logged, LogLevel.error)) == 1, "it is another time"
        assert all(event["log_level"] < LogLevel.critical for event in logged)

    def test_oneAfterTheOther(self, files: Files, clock: Clock, logged: list[LogEvent]) -> None:
        """The usual renewal: first the certificate, then the key."""
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        former, renewed = files.now, issue()
        files.certificate.write_bytes(renewed.certificate)
        clock.now += 1
        assert shake(creator).serial == former.serial
        files.key.write_bytes(renewed.key)
        clock.now += 1
        assert shake(creator).serial == renewed.serial
        assert len(taken(logged, LogLevel.error)) == 1

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.lists(st.floats(0, 0.99) | st.none(), max_size=6))
    def test_writtenBitByBit(self, tmp_path: Path, parts: list[float | None]) -> None:
        clock, path = Clock(), tmp_path / "both.pem"
        former, renewed = issue(chained=True), issue(chained=True)
        path.write_bytes(former.both + former.issuer)
        creator = connectionCreator(path, seconds=clock)
        text, whole = renewed.both + renewed.issuer, len(renewed.both)
        expected = former.serial, 2
        for size in sorted(whole if part is None else int(part * len(text)) for part in parts):
            path.write_bytes(text[:size])
            clock.now += 1
            if size in (whole - 1, whole):
                # Nothing of the chain is there yet, and nobody could know that it is missing.
                expected = renewed.serial, 1
            assert shake(creator)[:2] == expected
        path.write_bytes(text)
        clock.now += 1
        assert shake(creator)[:2] == (renewed.serial, 2)

    def test_sameTimeAndSize(self, files: Files, clock: Clock) -> None:
        """As ``cp -p`` and ``rsync`` leave them."""
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        for _ in range(2):
            renewed = issue()
            for path, text in ((files.certificate, renewed.certificate), (files.key, renewed.key)):
                path.write_bytes(text.ljust(2000, b"\n"))
                os.utime(path, ns=(1_000_000_000, 1_000_000_000))
            clock.now += 1
            assert shake(creator).serial == renewed.serial
        files.renew()
        clock.now += 1
        assert shake(creator).serial == files.now.serial

    def test_replaced(self, files: Files, clock: Clock, tmp_path: Path) -> None:
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        renewed = issue()
        for path, content in ((files.certificate, renewed.certificate), (files.key, renewed.key)):
            new = tmp_path / "new"
            new.write_bytes(content)
            new.rename(path)
        clock.now += 1
        assert shake(creator).serial == renewed.serial

    def test_linkThatTurns(self, tmp_path: Path, clock: Clock) -> None:
        """As Let's Encrypt's clients and Kubernetes do it."""
        first, second = issue(), issue()
        for name, issued in (("1", first), ("2", second)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "both.pem").write_bytes(issued.both)
        link = tmp_path / "live"
        link.symlink_to("1")
        creator = connectionCreator(link / "both.pem", seconds=clock)
        assert shake(creator).serial == first.serial
        link.unlink()
        link.symlink_to("2")
        clock.now += 1
        assert shake(creator).serial == second.serial

    def test_anotherDirectory(self, files: Files, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(files.key.parent)
        creator = connectionCreator("a.crt", "a.key", seconds=clock)
        monkeypatch.chdir("/")
        files.renew()
        clock.now += 1
        assert shake(creator).serial == files.now.serial

    def test_unreadableForAMoment(
        self, files: Files, clock: Clock, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No descriptors are left, say; nothing about the file changes when there are some again."""
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        former, renewed = files.now, files.renew()

        def fail(path: Path) -> bytes:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", fail)
            for _ in range(3):
                clock.now += 1
                assert shake(creator).serial == former.serial
        (said,) = taken(logged, LogLevel.error)
        assert "Too many open files" in said
        clock.now += 1
        assert shake(creator).serial == renewed.serial

    def test_neverRaises(
        self, files: Files, clock: Clock, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        former = files.now
        files.renew()
        monkeypatch.setattr(Path, "read_bytes", lambda self: 1 / 0)
        clock.now += 1
        assert shake(creator).serial == former.serial
        assert len(taken(logged, LogLevel.error)) == 1

    def test_oldConnectionsKeepTheirs(self, files: Files, clock: Clock) -> None:
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        former, begun = files.now, connect(creator)
        renewed = files.renew()
        clock.now += 1
        assert shake(creator).serial == renewed.serial
        assert shakeHands(begun).serial == former.serial

    def test_oldContextsGo(self, files: Files, clock: Clock) -> None:
        creator = connectionCreator(files.certificate, files.key, seconds=clock)
        connection = connect(creator)
        context = weakref.ref(connection.get_context())
        files.renew()
        clock.now += 1
        shake(creator)
        del connection
        gc.collect()
        assert context() is None

    def test_chain(self, tmp_path: Path, clock: Clock) -> None:
        certificate, key, chain = tmp_path / "a.crt", tmp_path / "a.key", tmp_path / "chain.crt"
        issued = issue(chained=True)
        certificate.write_bytes(issued.certificate)
        key.write_bytes(issued.key)
        chain.write_bytes(issued.issuer)
        creator = connectionCreator(certificate, key, extraChain=chain, seconds=clock)
        assert shake(creator).chain == 2
        chain.write_bytes(issued.issuer + material().authority.read_bytes())
        clock.now += 1
        assert shake(creator).chain == 3
        chain.write_bytes(issued.issuer[:-9])
        clock.now += 1
        assert shake(creator).chain == 3

    def test_dhParameters(self, files: Files, clock: Clock, logged: list[LogEvent]) -> None:
        path = files.key.parent / "dh.pem"
        path.write_text(DH)
        creator = connectionCreator(files.certificate, files.key, dhParameters=str(path), seconds=clock)
        path.write_text(DH[:-60])
        clock.now += 1
        shake(creator)
        (said,) = taken(logged, LogLevel.error)
        assert "dh.pem" in said

    def test_byName(self, files: Files, clock: Clock, logged: list[LogEvent], tmp_path: Path) -> None:
        """Each pair on its own: one that is broken does not hold up the others."""
        (tmp_path / "beta").mkdir()
        beta = Files(tmp_path / "beta")
        default = issue()
        creator = connectionCreator(
            default.both,
            certificates={
                "alpha.test": (files.certificate, files.key),
                "*.beta.test": (beta.certificate, beta.key),
            },
            seconds=clock,
        )
        former = files.now
        files.key.write_bytes(issue().key)
        beta.renew()
        clock.now += 1
        assert shake(creator, "alpha.test").serial == former.serial
        assert shake(creator, "www.beta.test").serial == beta.now.serial
        assert shake(creator, "gamma.test").serial == default.serial
        (said,) = taken(logged, LogLevel.error)
        assert str(files.key) in said
        files.renew()
        clock.now += 1
        assert shake(creator, "alpha.test").serial == files.now.serial


DH = """-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""


class TestNames:
    @pytest.mark.parametrize(
        "name", ["", "*", "a b", "a..b", ".a", "a.", "a.*.b", "*.*.a", "www.*", "bücher.test", "a/b", "a\n"]
    )
    def test_noHostNames(self, name: str) -> None:
        with pytest.raises(ValueError):
            connectionCreator(material().both, certificates={name: (material().both, None)})

    @pytest.mark.parametrize("name", ["a", "A.Test", "*.a", "xn--bcher-kva.test", "_a.b-c.d1", "127.0.0.1"])
    def test_hostNames(self, name: str) -> None:
        connectionCreator(material().both, certificates={name: (material().both, None)})

    @settings(max_examples=50, deadline=None)
    @given(st.binary(max_size=260))
    def test_whateverIsAskedFor(self, name: bytes) -> None:
        """Nobody raises in OpenSSL's callback."""
        m = material()
        creator: Any = connectionCreator(m.both, certificates={"*.wild.test": (m.wildcard, m.wildcardKey)})
        server = connect(creator)
        client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
        client.set_connect_state()
        if b"\0" not in name:
            client.set_tlsext_host_name(name)
        for _ in range(3):
            for one, other in ((client, server), (server, client)):
                try:
                    one.do_handshake()
                except SSL.Error:
                    pass
                try:
                    other.bio_write(one.bio_read(1 << 16))
                except SSL.Error:
                    pass
        # A name that is too long is OpenSSL's to refuse; all others get the default.
        certificate = client.get_peer_certificate(as_cryptography=True)
        if len(name) <= 255:
            assert certificate == certificatesIn(m.both.read_bytes())[0]


class TestAlpn:
    @pytest.mark.parametrize(
        ("offered", "selected"),
        [
            (None, None),
            (["http/1.1"], "http/1.1"),
            (["http/1.1", "h2"], "h2"),
            (["x", "http/1.1"], "http/1.1"),
        ],
    )
    def test_selected(self, offered: list[str] | None, selected: str | None) -> None:
        assert shake(connectionCreator(material().both), None, offered).protocol == selected

    @pytest.mark.parametrize("factory", [object(), None])
    def test_factoryWithoutNegotiation(self, factory: object) -> None:
        assert shake(connectionCreator(material().both), None, ["h2"], factory).protocol is None

    @pytest.mark.parametrize("name", [None, "alpha.test"])
    def test_noOverlap(self, name: str | None) -> None:
        m = material()
        creator = connectionCreator(m.both, certificates={"alpha.test": (m.alpha, m.alphaKey)})
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                shake(creator, name, ["spdy/1"])
            assert shake(creator, name, ["h2"]).protocol == "h2", "that was for the other connection"

    def test_noProtocols(self) -> None:
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            shake(connectionCreator(material().both), None, ["h2"], Negotiating())


class TestPeerCertificate:
    def test_withoutTLS(self) -> None:
        assert peerCertificate(object()) is None
        assert peerCertificate(None) is None


class Folder:
    """PEM files in a folder, and what serves from it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        self.creator: Any = None

    def write(self, name: str, *contents: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(contents))

    def open(self) -> None:
        self.creator = folderConnectionCreator(self.path, self.clock)

    def serial(self, name: str | None = None) -> int:
        return shake(self.creator, name).serial

    def later(self, name: str | None = None) -> int:
        self.clock.now += 1
        return self.serial(name)


@pytest.fixture
def folder(tmp_path: Path, clock: Clock) -> Folder:
    path = tmp_path / "certificates"
    path.mkdir()
    return Folder(path, clock)


class TestFolder:
    @pytest.mark.parametrize(
        "contents",
        [
            {},
            {"a.txt": b"", "b.pem.bak": b""},
            {"a.pem": b""},
            {"a.pem": b"garbage"},
            {"a.crt": "both"},
            {"a.pem": "certificate"},
            {"a.pem": "key"},
            {"a.pem": "key", "b.pem": "alpha"},
            {"a.pem": "encryptedKey", "b.pem": "certificate"},
        ],
        ids=repr,
    )
    def test_noPair(self, folder: Folder, contents: dict[str, Any]) -> None:
        for name, content in contents.items():
            text = getattr(material(), content).read_bytes() if isinstance(content, str) else content
            folder.write(name, text)
        with pytest.raises(ValueError, match="certificate"):
            folder.open()

    def test_noFolder(self, folder: Folder) -> None:
        folder.write("file.pem", issue().both)
        for path in (folder.path / "missing", folder.path / "file.pem", folder.path / "\0"):
            with pytest.raises(ValueError):
                folderConnectionCreator(path)

    def test_unreadable(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.write("a.pem", issue().both)

        def fail(path: Path) -> bytes:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "read_bytes", fail)
        with pytest.raises(ValueError, match=r"a\.pem.*Permission denied"):
            folder.open()

    @pytest.mark.parametrize("layout", ["one file", "two files", "folders", "all in one"])
    def test_layouts(self, folder: Folder, layout: str) -> None:
        a, b = issue("a.test"), issue("b.test", "*.c.test")
        if layout == "one file":
            folder.write("a.pem", a.both)
            folder.write("b.pem", b.certificate, b.key)
        elif layout == "two files":
            folder.write("a.pem", a.certificate)
            folder.write("a.key.pem", a.key)
            folder.write("x.pem", b.key)
            folder.write("y.pem", b.certificate)
        elif layout == "folders":
            folder.write("live/a.test/cert.pem", a.certificate)
            folder.write("live/a.test/fullchain.pem", a.certificate, a.issuer)
            folder.write("live/a.test/privkey.pem", a.key)
            folder.write("live/b.test/both.pem", b.both)
        else:
            folder.write("all.pem", a.certificate, b.certificate, b.key, a.key)
        folder.open()
        assert folder.serial("a.test") == a.serial
        assert folder.serial("A.Test") == a.serial
        assert folder.serial("b.test") == b.serial
        assert folder.serial("www.c.test") == b.serial
        assert folder.serial("WWW.C.test") == b.serial
        for other in (None, "c.test", "x.y.c.test", "unknown.test", "xa.test"):
            assert folder.serial(other) == a.serial, "the first is for all others"

    def test_commonNameWhereThereIsNoOther(self, folder: Folder) -> None:
        first, old = issue("a.test"), material().issue(subject="old.test")
        folder.write("a.pem", first.both)
        folder.write("b.pem", old.both)
        folder.write("c.pem", issue("c.test", subject="common.test").both)
        folder.open()
        assert folder.serial("old.test") == old.serial
        assert folder.serial("common.test") == first.serial

    def test_defaultIsTheFirstFile(self, folder: Folder) -> None:
        a, b = issue("a.test"), issue("b.test")
        folder.write("2.pem", a.both)
        folder.write("1.pem", b.both)
        folder.open()
        assert folder.serial() == b.serial
        # Of two files with the same certificate, the first counts.
        for number in range(3, 9):
            folder.write(f"{number}.pem", b.certificate)
        assert folder.later() == b.serial

    def test_namesInAnyCase(self, folder: Folder) -> None:
        folder.write("a.pem", issue("a.test").both)
        upper = issue("Upper.Test", "*.Wild.Test")
        folder.write("b.pem", upper.both)
        folder.open()
        for name in ("upper.test", "UPPER.TEST", "x.wild.test"):
            assert folder.serial(name) == upper.serial

    def test_exactBeforeWildcard(self, folder: Folder) -> None:
        wild, exact = issue("*.a.test"), issue("www.a.test")
        folder.write("1.pem", wild.both)
        folder.write("2.pem", exact.both)
        folder.open()
        assert folder.serial("www.a.test") == exact.serial
        assert folder.serial("ftp.a.test") == wild.serial

    def test_chain(self, folder: Folder) -> None:
        issued = issue("a.test", chained=True)
        folder.write("a.pem", issued.both)
        folder.write("authorities/intermediate.pem", issued.issuer)
        folder.write("authorities/root.pem", material().authority.read_bytes())
        folder.open()
        assert shake(folder.creator).chain == 2, "clients know the root"
        (folder.path / "authorities" / "intermediate.pem").unlink()
        folder.clock.now += 1
        assert shake(folder.creator).chain == 1

    def test_chainInItsOwnFile(self, folder: Folder) -> None:
        folder.write("fullchain.pem", material().chain.read_bytes())
        folder.write("privkey.pem", material().chainKey.read_bytes())
        folder.open()
        assert shake(folder.creator).chain == 2

    @pytest.mark.parametrize("names", [("1.pem", "2.pem"), ("2.pem", "1.pem")])
    def test_longestValid(self, folder: Folder, names: tuple[str, str]) -> None:
        old = issue("a.test", days=1)
        sameKey = issue("a.test", days=3, key=old.key)
        folder.write(names[0], old.both)
        folder.write(names[1], sameKey.certificate)
        folder.open()
        assert folder.serial("a.test") == sameKey.serial
        another = issue("a.test", days=4)
        folder.write("0.pem", another.both)
        folder.write("3.pem", issue("a.test", days=2).both)
        assert folder.later("a.test") == another.serial
        last = issue("a.test", days=5)
        folder.write("4.pem", last.both)
        assert folder.later("a.test") == last.serial
        assert folder.serial() == another.serial, "the first file all the same"

    def test_linksInCircles(self, folder: Folder) -> None:
        issued = issue("a.test")
        folder.write("real/a.pem", issued.both)
        for number in range(3):
            (folder.path / "real" / f"loop{number}").symlink_to(folder.path)
            (folder.path / f"loop{number}").symlink_to(".")
        (folder.path / "dangling.pem").symlink_to("nowhere")
        (folder.path / "folder.pem").mkdir()
        folder.open()
        assert folder.serial("a.test") == issued.serial

    def test_goodAmongBad(self, folder: Folder, logged: list[LogEvent]) -> None:
        issued, stray = issue("a.test"), issue("stray.test")
        folder.write("a.pem", issued.both)
        folder.write("bad.pem", issue().both[:-9])
        folder.write("stray.pem", stray.key)
        folder.open()
        said = sorted(taken(logged, LogLevel.error))
        assert len(said) == 2
        assert "bad.pem" in said[0]
        assert "stray.pem" in said[1]
        for _ in range(3):
            assert folder.later("a.test") == issued.serial
        assert taken(logged, LogLevel.error) == []
        folder.write("stray.crt.pem", stray.certificate)
        assert folder.later("stray.test") == stray.serial

    def test_brokenNames(
        self, folder: Folder, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`cryptography` has more exceptions for that than one would think."""
        bad, good = issue("bad.test"), issue("good.test")
        folder.write("bad.pem", bad.both)
        folder.write("good.pem", good.both)

        def names(certificate: x509.Certificate) -> list[str]:
            if certificate.serial_number == bad.serial:
                raise x509.DuplicateExtension("twice", x509.ObjectIdentifier("2.5.29.17"))
            return hostNames(certificate)

        monkeypatch.setattr("txabstracthttp._pemfolder.hostNames", names)
        folder.open()
        assert folder.serial("bad.test") == good.serial
        (said,) = taken(logged, LogLevel.error)
        assert "bad.pem" in said


class TestFolderReload:
    def test_renewed(self, folder: Folder, logged: list[LogEvent]) -> None:
        a, b = issue("a.test"), issue("b.test")
        folder.write("a.pem", a.both)
        folder.write("b.pem", b.both)
        folder.open()
        for _ in range(2):
            former, a = a, issue("a.test")
            folder.write("a.pem", a.both)
            assert folder.serial("a.test") == former.serial
            assert folder.later("a.test") == a.serial
            assert folder.serial() == a.serial
            assert folder.serial("b.test") == b.serial
        assert len(taken(logged, LogLevel.info)) == 2
        assert taken(logged, LogLevel.error) == []

    def test_onlyWhatHasChangedIsRead(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(5):
            folder.write(f"{number}.pem", issue(f"{number}.test").both)
        folder.open()
        reads: list[str] = []
        original = Path.read_bytes
        monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self.name) or original(self))  # type: ignore[func-returns-value]
        folder.later()
        assert reads == []
        renewed = issue("3.test")
        folder.write("3.pem", renewed.both)
        assert folder.later("3.test") == renewed.serial
        assert reads == ["3.pem", "3.pem.ocsp"]

    def test_noScanForConnections(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.write("a.pem", issue("a.test").both)
        folder.open()
        scans: list[object] = []
        original = os.walk
        monkeypatch.setattr(os, "walk", lambda *a, **k: scans.append(a) or original(*a, **k))  # type: ignore[func-returns-value]
        for name in ("a.test", "unknown.test", None):
            folder.serial(name)
        assert scans == []
        folder.later("unknown.test")
        folder.serial("unknown.test")
        assert len(scans) == 1

    def test_comeAndGone(self, folder: Folder) -> None:
        a, b = issue("a.test"), issue("b.test")
        folder.write("a.pem", a.both)
        folder.open()
        folder.write("sub/b.pem", b.both)
        assert folder.later("b.test") == b.serial
        (folder.path / "a.pem").unlink()
        assert folder.later("a.test") == b.serial, "it was the only one left"
        folder.write("a.pem", a.both)
        assert folder.later("a.test") == a.serial
        (folder.path / "sub" / "b.pem").rename(folder.path / "0.pem")
        assert folder.later() == b.serial, "now it is the first"

    def test_allGone(self, folder: Folder, logged: list[LogEvent]) -> None:
        issued = issue("a.test")
        folder.write("a.pem", issued.both)
        folder.open()
        (folder.path / "a.pem").unlink()
        for _ in range(3):
            assert folder.later("a.test") == issued.serial
        folder.path.rmdir()
        for _ in range(3):
            assert folder.later("a.test") == issued.serial
        assert len(taken(logged, LogLevel.error)) == 2
        renewed = issue("a.test")
        folder.write("a.pem", renewed.both)
        assert folder.later("a.test") == renewed.serial
        assert taken(logged, LogLevel.error) == []

    @pytest.mark.parametrize("size", [0, 10, 200, -40])
    def test_halfWritten(self, folder: Folder, logged: list[LogEvent], size: int) -> None:
        a, b = issue("a.test"), issue("b.test")
        folder.write("a.pem", a.both)
        folder.write("b.pem", b.both)
        folder.open()
        newA, newB = issue("a.test"), issue("b.test")
        folder.write("a.pem", newA.both[:size])
        folder.write("b.pem", newB.both)
        for _ in range(3):
            assert folder.later("a.test") == a.serial
            assert folder.serial("b.test") == newB.serial
        (said,) = taken(logged, LogLevel.error)
        assert "a.pem" in said
        assert ("empty" in said) == (size == 0)
        folder.write("a.pem", newA.both)
        assert folder.later("a.test") == newA.serial
        assert taken(logged, LogLevel.error) == []

    def test_cutBetweenTheObjects(self, folder: Folder, logged: list[LogEvent]) -> None:
        former, renewed = issue("a.test"), issue("a.test")
        folder.write("a.pem", former.certificate, former.key)
        folder.open()
        for half in (renewed.certificate, renewed.key):
            folder.write("a.pem", half)
            assert folder.later("a.test") == former.serial
            assert folder.later("a.test") == former.serial
        (said,) = taken(logged, LogLevel.error)
        assert "a.pem" in said
        folder.write("a.pem", renewed.certificate, renewed.key)
        assert folder.later("a.test") == renewed.serial

    def test_unreadableForAMoment(
        self, folder: Folder, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        former, renewed = issue("a.test"), issue("a.test")
        folder.write("a.pem", former.both)
        folder.open()
        folder.write("a.pem", renewed.both)

        def fail(path: Path) -> bytes:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", fail)
            for _ in range(3):
                assert folder.later("a.test") == former.serial
        assert len(taken(logged, LogLevel.error)) == 1
        assert folder.later("a.test") == renewed.serial

    @pytest.mark.parametrize("first", ["certificate", "key"])
    def test_renewedByHalves(self, folder: Folder, logged: list[LogEvent], first: str) -> None:
        former, renewed, other = issue("a.test"), issue("a.test"), issue("b.test")
        folder.write("a/cert.pem", former.certificate)
        folder.write("a/privkey.pem", former.key)
        folder.write("b.pem", other.both)
        folder.open()
        halves = [("a/cert.pem", renewed.certificate), ("a/privkey.pem", renewed.key)]
        if first == "key":
            halves.reverse()
        folder.write(*halves[0])
        for _ in range(3):
            assert folder.later("a.test") == former.serial
            assert folder.serial() == former.serial, "still the first"
        folder.write("b.pem", other.both + b"\n")
        assert folder.later("a.test") == former.serial
        (said,) = taken(logged, LogLevel.error)
        assert "privkey.pem" in said
        folder.write(*halves[1])
        assert folder.later("a.test") == renewed.serial
        assert taken(logged, LogLevel.error) == []

    def test_neverRaises(
        self, folder: Folder, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        issued = issue("a.test")
        folder.write("a.pem", issued.both)
        folder.open()
        monkeypatch.setattr(os, "walk", lambda *a, **k: 1 / 0)
        for _ in range(3):
            assert folder.later("a.test") == issued.serial
        assert len(taken(logged, LogLevel.error)) == 1
