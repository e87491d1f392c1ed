"""TLS by the short way is TLS by Twisted's: the same octets and the same ends.

Two connections get the same script: ours, and one that only Twisted has touched.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import example, given
from hypothesis import strategies as st
from OpenSSL import SSL
from scriptedsocket import AGAIN, RESET, Reactor, ScriptedSocket
from tlsmaterial import material
from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure

from txabstracthttp import _outlet
from txabstracthttp._outlet import EAGER_SIZE, RECORDS_OVERHEAD, Outlet, TlsOutlet, outletFor
from txabstracthttp._tls import connectionCreator
from txabstracthttp._tlsinlet import LeanTransport, receiveLean

VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)
PATTERN = random.Random(0).randbytes(4 * 1024 * 1024)
#: The types of records, and two messages (RFC 8446 appendix B).
ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23
CLOSE_NOTIFY, BAD_CERTIFICATE = b"\1\0", b"\2\x2a"
#: How octets arrive: each record by itself, or as many as a socket gives at once.
RECORDS, WHOLE = 0, 64 * 1024
CREATOR = connectionCreator(material().certificate, material().key)


class Socket(ScriptedSocket):
    """One that can also be read from."""

    def __init__(self) -> None:
        super().__init__([])
        self.arriving: list[bytes] = []

    def recv(self, size: int) -> bytes:
        assert len(self.arriving[0]) <= size
        return self.arriving.pop(0)


class Application(Protocol):
    """Remembers what it got, and does `reaction` when it gets something for the `turn`th time."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.reasons: list[Any] = []
        self.reactions: dict[int, Callable[[], object]] = {}

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)
        self.reactions.get(len(self.received), lambda: None)()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.reasons.append((type(reason.value), reason.value.args))


class Keys:
    """Seals the records of a TLS 1.3 client, also such as OpenSSL's client would not send."""

    def __init__(self, secret: bytes) -> None:
        self._follow(secret)

    def _follow(self, secret: bytes) -> None:
        self._secret, self.sequence = secret, 0
        self._key, self._nonce = self._expand(b"key", 16), self._expand(b"iv", 12)

    def _expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(SHA256(), size, info).derive(self._secret)

    def seal(self, kind: int, content: bytes) -> bytes:
        inner = content + bytes([kind])
        header = bytes([APPLICATION_DATA, 3, 3]) + (len(inner) + 16).to_bytes(2, "big")
        nonce = (int.from_bytes(self._nonce, "big") ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return header + AESGCM(self._key).encrypt(nonce, inner, header)

    def update(self, answer: bool) -> bytes:
        record = self.seal(HANDSHAKE, bytes([24, 0, 0, 1, answer]))
        self._follow(self._expand(b"traffic upd", 32))
        return record


class Peer:
    """A client in memory; OpenSSL's, but what it says in TLS 1.3 is sealed here."""

    def __init__(self, version: int) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        if version == SSL.TLS1_3_VERSION:
            context.set_tls13_ciphersuites(b"TLS_AES_128_GCM_SHA256")
        self.keys: Keys | None = None
        context.set_keylog_callback(self._log)
        self.tls = SSL.Connection(context)
        self.tls.set_connect_state()
        #: What has come out of TLS, and how that ended.
        self.received = b""
        self.end: type[Exception] | None = None

    def _log(self, connection: SSL.Connection, line: bytes) -> None:
        name, _, secret = line.split()
        if name == b"CLIENT_TRAFFIC_SECRET_0":
            self.keys = Keys(bytes.fromhex(secret.decode()))

    def shake(self, octets: bytes) -> bytes:
        if octets:
            self.tls.bio_write(octets)
        try:
            self.tls.do_handshake()
        except SSL.WantReadError:
            pass
        return self._said()

    def _said(self) -> bytes:
        try:
            return self.tls.bio_read(1 << 20)
        except SSL.WantReadError:
            return b""

    def say(self, what: str, content: bytes | bytearray = b"") -> bytes:
        """One or more records."""
        if self.keys is None:
            try:
                if what == "data":
                    self.tls.sendall(content)
                elif what == "bye":
                    self.tls.shutdown()
            except SSL.Error:
                pass  # it has said goodbye already, or was told of an error
            record = self._said()
        elif what in ("ask", "update"):
            record = self.keys.update(what == "ask")
        else:
            kind = ALERT if what in ("bye", "alert") else APPLICATION_DATA
            said = {"bye": CLOSE_NOTIFY, "alert": BAD_CERTIFICATE}.get(what, content)
            pieces = [said[at : at + 16384] for at in range(0, len(said), 16384)] or [b""]
            record = b"".join(self.keys.seal(kind, piece) for piece in pieces)
        return record

    def listen(self, octets: bytes) -> None:
        if octets and self.end is None:
            self.tls.bio_write(octets)
        try:
            while self.end is None:
                self.received += self.tls.recv(65536)
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.end = type(error)


def cutUp(octets: bytes, cut: int) -> Iterator[bytes]:
    """In pieces of that size, or of one record each; but not in so many that it takes for ever."""
    while octets:
        size = max(cut, len(octets) // 1000)
        if cut == RECORDS:
            size = 5 + int.from_bytes(octets[3:5], "big")
        size = min(size, WHOLE)
        yield octets[:size]
        octets = octets[size:]


class Line:
    """A TLS connection over a scripted socket, taken up by us or, for comparison, by Twisted alone."""

    def __init__(self, version: int, ours: bool, cut: int = WHOLE) -> None:
        self.reactor, self.socket, self.peer = Reactor(), Socket(), Peer(version)
        self.application = Application()
        factory = ServerFactory()
        factory.buildProtocol = lambda address: self.application  # type: ignore[method-assign,assignment,return-value]
        wrapping = TLSMemoryBIOFactory(CREATOR, False, factory, clock=self.reactor)
        self.tls: Any = wrapping.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        client: Any = ("192.0.2.1", 1)
        self.tcp: Any = tcp.Server(self.socket, self.tls, client, None, 0, self.reactor)  # type: ignore[arg-type]
        self.outlet: Outlet
        self.application.connectionMade = lambda: self._takeUp(ours)  # type: ignore[method-assign]
        self.tls.makeConnection(self.tcp)
        #: What the peer has said and did not arrive yet; what was written here; how much the peer has taken.
        self.underway = b""
        self.written = self.heard = 0
        self.rough = False
        self._shake(cut)

    def _takeUp(self, ours: bool) -> None:
        transport = self.application.transport
        self.outlet = outletFor(transport, self.reactor) if ours else Outlet(transport)
        if ours:
            receiveLean(transport)
        assert (type(self.tls) is LeanTransport) is ours
        assert ISSLTransport.providedBy(transport)

    def _shake(self, cut: int) -> None:
        said = b""
        for _ in range(6):
            said = self.peer.shake(self._sent())
            self.arrive(said, cut)
            self.reactor.turn()
        self.listen()
        assert self.tls._handshakeDone

    def _sent(self) -> bytes:
        fresh = bytes(self.socket.received[self.heard :])
        self.heard += len(fresh)
        return fresh

    def listen(self) -> None:
        self.peer.listen(self._sent())

    def arrive(self, octets: bytes, cut: int = WHOLE) -> None:
        for piece in cutUp(octets, cut):
            if self.tcp in self.reactor.readers:
                self.socket.arriving.append(piece)
                assert self.tcp.doRead() is None

    def finish(self) -> None:
        """The peer closes, without a word about it in TLS."""
        if self.tcp in self.reactor.readers:
            self.socket.arriving.append(b"")
            self.tcp.readConnectionLost(Failure(self.tcp.doRead()))

    def write(self, size: int) -> bool:
        data = PATTERN[self.written : self.written + size]
        self.written += size
        return self.outlet.write(data)

    def writePast(self, size: int) -> None:
        """Around the outlet, as an application that has detached the connection does it."""
        self.tls.write(PATTERN[self.written : self.written + size])
        self.written += size

    def perform(self, step: tuple[Any, ...]) -> None:
        name, *args = step
        if name == "write":
            self.write(*args)
        elif name == "past":
            self.writePast(*args)
        elif name == "turn":
            self.reactor.turn()
        elif name == "say":
            what, size = args
            self.underway += self.peer.say(what, PATTERN[:size])
        elif name == "spoil":
            record = self.peer.say("data", b"spoilt")
            self.underway += record[:-1] + bytes([record[-1] ^ 1]) if record else b""
        elif name == "garbage":
            self.underway += args[0]
        elif name == "arrive":
            size, cut = args
            octets, self.underway = self.underway[:size], self.underway[size:]
            self.arrive(octets, cut)
        elif name == "react":
            count, then = args
            self.application.reactions[len(self.application.received) + count] = lambda: self.perform(then)
        elif name == "mood":
            self.socket.moods += args
            self.rough = self.rough or RESET in args
        elif name == "finish":
            self.finish()
        elif not self.application.reasons:
            self.rough = self.rough or name == "abortConnection"
            getattr(self.tls, name)()
        self.listen()

    def end(self) -> None:
        """Let everything come to its end."""
        for _ in range(200):
            if not self.reactor.writers and not self.reactor.getDelayedCalls():
                break
            self.reactor.turn()
        self.listen()
        assert not self.reactor.writers


def compare(version: int, cut: int, steps: list[tuple[Any, ...]]) -> tuple[Line, Line]:
    """Run the same script on both, and see what became of it.

    Where the connection is lost, we may have sent what Twisted still holds back.
    """
    ours, theirs = Line(version, True, cut), Line(version, False, cut)
    for line in (ours, theirs):
        for step in steps:
            line.perform(step)
        line.end()
        assert line.peer.received == PATTERN[: len(line.peer.received)]
    if ours.rough:
        # A reset may be found earlier by one than by the other.
        assert len(ours.application.reasons) == len(theirs.application.reasons)
    else:
        assert ours.application.received == theirs.application.received
        assert ours.application.reasons == theirs.application.reasons
        assert ours.peer.received.startswith(theirs.peer.received)
        assert theirs.peer.end in (None, ours.peer.end)
        assert ours.tcp.connected == theirs.tcp.connected
    return ours, theirs


sizes = st.one_of(st.integers(1, 300), st.sampled_from([16384, 16385, 40_000, 65536, 100_000]))
cuts = st.one_of(st.sampled_from([RECORDS, WHOLE, 1, 16384 + 22]), st.integers(1, 100))
arriving = st.tuples(st.just("arrive"), st.one_of(st.just(1 << 20), st.integers(1, 400)), cuts)
saying = st.tuples(st.just("say"), st.just("data"), sizes)
small = st.tuples(st.just("say"), st.sampled_from(["data", "ask", "update", "empty"]), st.integers(1, 50))
writing = st.tuples(st.sampled_from(["write", "write", "past"]), sizes)
moods = st.one_of(st.just(AGAIN), st.integers(0, 3000), st.just(1 << 20))
peaceful = st.one_of(
    arriving, arriving, saying, small, writing, st.just(("turn",)), st.tuples(st.just("mood"), moods)
)
ending = st.one_of(
    st.just(("loseConnection",)),
    st.just(("finish",)),
    st.just(("spoil",)),
    st.just(("say", "bye", 0)),
    st.just(("say", "alert", 0)),
    st.tuples(st.just("garbage"), st.binary(min_size=1, max_size=30)),
)
reacting = st.tuples(st.just("react"), st.integers(1, 3), writing | st.just(("loseConnection",)))
everything = st.tuples(st.just("arrive"), st.just(1 << 22), cuts)


class TestTheSame:
    @given(
        version=st.sampled_from(VERSIONS),
        cut=cuts,
        steps=st.lists(peaceful | reacting, max_size=20),
        last=cuts,
    )
    @example(version=VERSIONS[1], cut=WHOLE, steps=[("say", "ask", 0)], last=WHOLE)
    @example(version=VERSIONS[1], cut=WHOLE, steps=[("say", "ask", 0), ("say", "data", 3)], last=27)
    def test_inPeace(self, version: int, cut: int, steps: list[tuple[Any, ...]], last: int) -> None:
        """Every octet arrives on both sides."""
        for line in compare(version, cut, [*steps, ("arrive", 1 << 22, last)]):
            if ("loseConnection",) not in [step[-1] for step in steps]:
                assert len(line.peer.received) == line.written
                assert line.outlet.pending == 0
                assert line.peer.end is None

    @given(
        version=st.sampled_from(VERSIONS),
        cut=cuts,
        steps=st.lists(peaceful | reacting, max_size=10),
        ends=st.lists(ending | peaceful, min_size=1, max_size=6),
        last=everything,
    )
    @example(version=VERSIONS[1], cut=WHOLE, steps=[], ends=[("spoil",)], last=("arrive", 99, 99))
    @example(version=VERSIONS[0], cut=WHOLE, steps=[], ends=[("spoil",)], last=("arrive", 99, 99))
    @example(version=VERSIONS[1], cut=WHOLE, steps=[], ends=[("say", "bye", 0)], last=("arrive", 99, 99))
    @example(version=VERSIONS[1], cut=WHOLE, steps=[], ends=[("say", "alert", 0)], last=("arrive", 99, 99))
    @example(
        version=VERSIONS[1],
        cut=WHOLE,
        steps=[("react", 1, ("loseConnection",)), ("say", "data", 5)],
        ends=[("say", "data", 5)],
        last=("arrive", 99, 27),
    )
    def test_inTheEnd(
        self,
        version: int,
        cut: int,
        steps: list[tuple[Any, ...]],
        ends: list[tuple[Any, ...]],
        last: tuple[Any, ...],
    ) -> None:
        """Nor does anything differ in why the connection was lost, or in what the peer is told of it."""
        compare(version, cut, [*steps, *ends, last, ("finish",)])

    @given(
        version=st.sampled_from(VERSIONS),
        steps=st.lists(
            peaceful
            | ending
            | st.just(("abortConnection",))
            | st.just(("mood", RESET))
            | st.just(("react", 1, ("abortConnection",))),
            max_size=20,
        ),
        last=everything,
    )
    @example(
        version=VERSIONS[1],
        steps=[("react", 1, ("abortConnection",)), ("say", "data", 5), ("say", "data", 5)],
        last=("arrive", 99, 27),
    )
    def test_whateverHappens(self, version: int, steps: list[tuple[Any, ...]], last: tuple[Any, ...]) -> None:
        """Nothing is raised, nothing changes places, and everybody is told of the end, once."""
        for line in compare(version, RECORDS, [*steps, last, ("finish",)]):
            assert len(line.application.reasons) <= 1
            assert PATTERN.startswith(line.peer.received)


def counted(line: Line) -> list[str]:
    """The calls of OpenSSL that Twisted or we make from now on."""
    calls: list[str] = []

    class Counting:
        def __init__(self, tls: SSL.Connection) -> None:
            self._tls = tls

        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            return getattr(self._tls, name)

    line.tls._tlsConnection = Counting(line.tls._tlsConnection)
    return calls


@pytest.fixture(params=VERSIONS, ids=["1.2", "1.3"])
def line(request: pytest.FixtureRequest) -> Line:
    return Line(request.param, True)


class TestReceiving:
    def test_nothingIsAskedTwice(self, line: Line) -> None:
        calls = counted(line)
        for number in range(1, 4):
            line.arrive(line.peer.say("data", b"hello"))
            assert calls == ["bio_write", "recv"] * number
        assert line.application.received == [b"hello"] * 3

    @pytest.mark.parametrize("cut", [1, 4, 5, 6, 20])
    def test_afterRecordsInPieces(self, line: Line, cut: int) -> None:
        line.arrive(line.peer.say("data", b"x" * 50) + line.peer.say("data", b"y" * 60), cut)
        calls = counted(line)
        line.arrive(line.peer.say("data", b"hello"))
        assert calls == ["bio_write", "recv"]
        assert b"".join(line.application.received) == b"x" * 50 + b"y" * 60 + b"hello"

    def test_theLargestRecord(self, line: Line) -> None:
        calls = counted(line)
        line.arrive(line.peer.say("data", PATTERN[:16384]))
        assert calls == ["bio_write", "recv"]
        assert line.application.received == [PATTERN[:16384]]

    def test_severalRecords(self, line: Line) -> None:
        calls = counted(line)
        line.arrive(line.peer.say("data", b"hello") + line.peer.say("data", b"world"))
        assert calls.count("recv") == 3
        assert line.application.received == [b"hello", b"world"]

    @pytest.mark.parametrize(("size", "cut"), [(40, 15), (6, 4)])
    def test_whatLooksLikeARecord(self, size: int, cut: int) -> None:
        """The rest of one may, by chance; what comes behind it is not overlooked.

        The second cut leaves but the last octet of a header, a length that is also the type of content.
        """
        line = Line(SSL.TLS1_3_VERSION, True)
        keys = line.peer.keys
        assert keys is not None
        left = (5 + size + 17) + (5 + 5 + 17) - cut
        wanted = bytes([APPLICATION_DATA, 3, 3, 0, left - 5])
        sealed = keys.seal(APPLICATION_DATA, bytes(size))
        keys.sequence -= 1
        content = bytearray(size)
        for at in range(max(cut, 5), cut + 5):
            content[at - 5] = sealed[at] ^ wanted[at - cut]
        octets = line.peer.say("data", content) + line.peer.say("data", b"hello")
        assert len(octets) == cut + left
        assert octets[cut : cut + 5] == wanted
        line.arrive(octets[:cut])
        line.arrive(octets[cut:])
        assert line.application.received == [content, b"hello"]

    def test_newKeys(self) -> None:
        """A peer that asks for some gets an answer, though it says nothing to the application."""
        line = Line(SSL.TLS1_3_VERSION, True)
        line.arrive(line.peer.say("ask"))
        line.arrive(line.peer.say("data", b"hello"))
        assert line.application.received == [b"hello"]
        before = len(line.socket.received)
        line.write(3)
        line.end()
        assert len(line.socket.received) - before == (5 + 5 + 17) + (5 + 3 + 17)
        assert line.peer.received == PATTERN[:3]

    def test_whatOpensslSaysOnce(self, line: Line) -> None:
        line.perform(("spoil",))
        line.arrive(line.underway)
        line.end()
        ((kind, (errors,)),) = line.application.reasons
        assert kind is SSL.Error
        assert any("bad record mac" in each for error in errors for each in error)
        assert line.peer.end is SSL.Error

    def test_theProtocolOfTheMoment(self, line: Line) -> None:
        """It may be another one meanwhile, or have another method."""
        received: list[bytes] = []
        line.application.dataReceived = received.append  # type: ignore[method-assign]
        line.arrive(line.peer.say("data", b"hello"))
        assert received == [b"hello"]

    def test_theHandshakeInRecords(self) -> None:
        """One of them looks like content (RFC 8446 section 5)."""
        for version in VERSIONS:
            line = Line(version, True, RECORDS)
            line.arrive(line.peer.say("data", b"hello"))
            assert line.application.received == [b"hello"]

    def test_notAfterAnAbort(self, line: Line) -> None:
        record = line.peer.say("data", b"hello")
        line.tls.abortConnection()
        line.tls.dataReceived(record)
        assert line.application.received == []

    def test_notAfterTheEnd(self, line: Line) -> None:
        line.arrive(line.peer.say("bye"))
        assert line.tls._lostTLSConnection
        calls = counted(line)
        line.tls.dataReceived(bytes([APPLICATION_DATA, 3, 3, 0, 1, 0]))
        assert "recv" not in calls

    def test_recordsWithoutContent(self) -> None:
        """In TLS 1.2 they say so, and are Twisted's."""
        line = Line(SSL.TLS1_2_VERSION, True)
        calls = counted(line)
        line.arrive(line.peer.say("bye"))
        assert calls.count("recv") == 1

    def test_whatCouldNotBeWritten(self, line: Line) -> None:
        """Twisted tries again when something has arrived."""
        line.tls._appSendBuffer.append(PATTERN[:1])
        line.written = 1
        assert line.write(3) is False
        line.arrive(line.peer.say("data", b"hello"))
        line.end()
        assert line.peer.received == PATTERN[:4]

    @pytest.mark.parametrize("greeting", [b"\x80\x2e\x01\x03\x03", b"GET / HTTP/1.1\r\n\r\n"])
    def test_noRecords(self, greeting: bytes) -> None:
        transport = LeanTransport.__new__(LeanTransport)
        transport._followRecords(greeting)
        assert transport._missing > 1 << 60


class TestExactClass:
    def make(self, kind: type[BufferingTLSTransport], below: Any) -> Any:
        factory = TLSMemoryBIOFactory(CREATOR, False, ServerFactory.forProtocol(Protocol), clock=Reactor())
        factory.protocol = kind
        tls: Any = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        tls.wrappedProtocol.connectionMade = lambda: receiveLean(tls)
        tls.makeConnection(below)
        return tls

    def server(self, kind: type[tcp.Server] = tcp.Server) -> Any:
        client: Any = ("192.0.2.1", 1)
        return kind(Socket(), Protocol(), client, None, 0, Reactor())  # type: ignore[arg-type]

    def test_twistedsOwn(self) -> None:
        assert type(self.make(BufferingTLSTransport, self.server())) is LeanTransport

    def test_somebodyElses(self) -> None:
        class Derived(BufferingTLSTransport):
            pass

        class Server(tcp.Server):
            pass

        assert type(self.make(Derived, self.server())) is Derived
        assert type(self.make(BufferingTLSTransport, self.server(Server))) is BufferingTLSTransport
        assert type(self.make(BufferingTLSTransport, StringTransport())) is BufferingTLSTransport

    @pytest.mark.parametrize("version", VERSIONS)
    def test_notInMid(self, version: int) -> None:
        """Whoever hands a connection over late has seen records that we have not."""
        line = Line(version, False)
        receiveLean(line.tls)
        line.write(3)
        line.end()
        receiveLean(line.tls)
        assert type(line.tls) is BufferingTLSTransport

    def test_notWhenTheHandshakeWasTried(self) -> None:
        tls = self.make(BufferingTLSTransport, server := self.server())
        tls.__class__ = BufferingTLSTransport
        tls.dataReceived(b"\x16\x03\x01")
        receiveLean(tls)
        assert type(tls) is BufferingTLSTransport
        assert server.connected


class TestWriting:
    def test_sentAtOnce(self, line: Line) -> None:
        for size in (1, 1000, 16384, 65536):
            assert line.write(size) is True
            line.listen()
            assert len(line.peer.received) == line.written
        assert line.outlet.pending == 0
        assert not line.reactor.writers

    def test_nothing(self, line: Line) -> None:
        line.outlet.write(b"")
        line.end()
        assert line.peer.received == b""
        assert line.peer.end is None

    def test_tooMuchForThat(self, line: Line) -> None:
        sends, calls = line.socket.sends, counted(line)
        assert line.write(EAGER_SIZE) is False
        assert line.socket.sends == sends
        assert calls == ["send", "bio_read"] * 5, "Twisted takes it by the record"
        line.end()
        assert line.peer.received == PATTERN[:EAGER_SIZE]

    def test_inOrder(self, line: Line) -> None:
        """Some by us, and some in Twisted's way."""
        line.write(10)
        line.writePast(20)
        assert line.write(30) is False
        line.write(100_000)
        line.reactor.turn()
        line.write(40)
        line.end()
        assert line.peer.received == PATTERN[: line.written]

    def test_thenClosed(self, line: Line) -> None:
        line.write(10)
        line.write(70_000)
        line.write(20)
        line.tls.loseConnection()
        calls = counted(line)
        assert line.write(30) is False
        line.end()
        assert "send" not in calls
        assert line.peer.received == PATTERN[: line.written - 30]
        assert line.peer.end is SSL.ZeroReturnError

    def test_whatWaits(self, line: Line) -> None:
        line.socket.moods = [7, AGAIN]
        assert line.write(100) is False
        overhead = line.outlet.pending - 93
        assert 0 < overhead < 100
        assert (line.write(50), line.outlet.pending) == (False, 143 + 2 * overhead)
        line.writePast(5)
        assert line.outlet.pending == 148 + 2 * overhead
        line.end()
        assert line.outlet.pending == 0
        assert line.outlet.departed > 0
        assert line.peer.received == PATTERN[: line.written]

    def test_recordsOfAnySize(self, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
        """A peer that asks for small ones (RFC 6066 section 4) gets more overhead than is expected."""
        for overhead in (0, -50, -900, 18, 22, 24, 29):
            monkeypatch.setattr(_outlet, "RECORDS_OVERHEAD", overhead)
            assert line.write(1000) is True
            line.listen()
            assert len(line.peer.received) == line.written
        line.socket.moods = [1 << 20, AGAIN]
        monkeypatch.setattr(_outlet, "RECORDS_OVERHEAD", 0)
        assert line.write(1000) is False

    def test_whatFiveRecordsNeed(self, line: Line) -> None:
        line.write(EAGER_SIZE - RECORDS_OVERHEAD)
        assert len(line.socket.received) - line.heard < EAGER_SIZE
        line.listen()
        assert len(line.peer.received) == line.written

    def test_notBeforeTheHandshake(self) -> None:
        line = Line.__new__(Line)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Line, "_shake", lambda self, cut: None)
            line.__init__(SSL.TLS1_3_VERSION, True)  # type: ignore[misc]
        assert type(line.outlet) is TlsOutlet
        calls = counted(line)
        assert line.write(10) is False
        assert "send" not in calls
        assert line.socket.received == b""
        assert line.outlet.pending == 10

    def test_notWhenItIsGone(self, line: Line) -> None:
        line.finish()
        assert line.application.reasons
        assert line.write(10) is False

    def test_notWhenTlsHasEnded(self, line: Line) -> None:
        line.arrive(line.peer.say("bye"))
        calls = counted(line)
        assert line.write(10) is False
        line.end()
        assert "send" not in calls

    def test_notInOneGo(self, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
        """OpenSSL may want to read first, in the midst of it; Twisted knows how to wait for that."""
        tls = line.tls._tlsConnection
        sends = [tls.send, tls.send]

        def send(data: bytes) -> int:
            if not sends:
                raise SSL.WantReadError
            return sends.pop()(data)  # type: ignore[no-any-return]

        monkeypatch.setattr(tls, "send", send)
        assert line.write(60_000) is False
        assert line.outlet.pending == 60_000 - 2 * 16384
        line.listen()
        assert line.peer.received == PATTERN[: 2 * 16384]
        line.reactor.turn()
        assert line.outlet.pending == 60_000 - 2 * 16384
        monkeypatch.undo()
        line.arrive(line.peer.say("data", b"hello"))
        line.end()
        assert line.peer.received == PATTERN[:60_000]

    def test_asItGoes(self, line: Line) -> None:
        """TLS has something left to say, and the socket is gone already."""
        answers: list[bool] = []
        line.tls._lostTLSConnection = False
        line.application.reactions[1] = lambda: answers.append(line.write(10))
        line.tls._tlsConnection.bio_write(line.peer.say("data", b"late"))
        line.finish()
        assert line.application.received == [b"late"]
        assert answers == [False]
