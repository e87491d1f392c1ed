"""The outlet: what it sends eagerly is what plain writing would have sent, whatever the socket does.

The transport is Twisted's own `tcp.Server` or `unix.Server`, over a scripted socket and reactor.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scriptedsocket import AGAIN, NO_BUFFERS, RESET, Mood, Reactor, ScriptedSocket
from twisted.internet import tcp, unix
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from txabstracthttp._outlet import EAGER_PER_TURN, EAGER_SIZE, EagerOutlet, Outlet, TlsOutlet, outletFor

KINDS = (tcp.Server, unix.Server)
PATTERN = random.Random(0).randbytes(16 * 1024 * 1024)


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    """Remembers why the connection was lost."""

    def __init__(self) -> None:
        self.reasons: list[Failure] = []
        self.halfClosed = 0

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.reasons.append(reason)

    def readConnectionLost(self) -> None: ...

    def writeConnectionLost(self) -> None:
        self.halfClosed += 1


class Push:
    """A push producer, that only remembers."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def pauseProducing(self) -> None:
        self.log.append("pause")

    def resumeProducing(self) -> None:
        self.log.append("resume")

    def stopProducing(self) -> None:
        self.log.append("stop")


class Pull:
    """A pull producer of `left` pieces."""

    def __init__(self, line: Line, left: int, size: int) -> None:
        self.line, self.left, self.size = line, left, size

    def resumeProducing(self) -> None:
        if self.left:
            self.left -= 1
            self.line.write(self.size)
        else:
            self.line.transport.unregisterProducer()

    def stopProducing(self) -> None:
        self.left = 0


class Line:
    """A connection with an outlet, and what was written to it."""

    def __init__(
        self, kind: type[tcp.Server], moods: list[Mood], outlet: Callable[[Any, Any], Outlet] = outletFor
    ) -> None:
        self.reactor, self.socket, self.protocol = Reactor(), ScriptedSocket(moods), Recorder()
        client: Any = ("192.0.2.1", 1)
        self.transport: Any = kind(self.socket, self.protocol, client, None, 0, self.reactor)  # type: ignore[arg-type]
        self.outlet = outlet(self.transport, self.reactor)
        #: How much was written in all; and before anybody began to close.
        self.written = self.owed = 0
        self.closing = self.aborted = False

    def write(self, size: int) -> bool:
        data = PATTERN[self.written : self.written + size]
        self.written += size
        if not self.closing:
            self.owed += size
        return self.outlet.write(data)

    def perform(self, step: tuple[Any, ...]) -> None:
        """One step of a script."""
        name, *args = step
        t = self.transport
        if name == "write":
            before, sends = len(self.socket.received), self.socket.sends
            emptied = self.write(args[0])
            if emptied:
                assert len(self.socket.received) == self.written
            if args[0] > EAGER_SIZE:
                assert self.socket.sends == sends
            assert len(self.socket.received) - before <= args[0]
        elif name == "turn":
            self.reactor.turn()
        elif name == "push":
            if t.producer is None:
                t.registerProducer(Push(), True)
        elif name == "pull":
            if t.producer is None and not self.closing:
                t.registerProducer(Pull(self, *args), False)
        elif name == "unregister":
            t.unregisterProducer()
        elif not self.protocol.reasons:
            self.closing = True
            self.aborted = self.aborted or name == "abortConnection"
            getattr(t, name)()

    def isWhole(self) -> bool:
        """Whether it still does what it was asked to."""
        return not (self.closing or self.socket.wasReset or self.protocol.reasons)

    def check(self) -> None:
        """What is true at any time."""
        received = len(self.socket.received)
        assert self.socket.received == PATTERN[:received]
        if self.isWhole():
            assert received + self.outlet.pending == self.written
            assert self.outlet.departed == received

    def end(self) -> None:
        """Let everything come to its end."""
        self.perform(("unregister",))
        for _ in range(2000):
            if not self.reactor.writers and not self.reactor.getDelayedCalls():
                break
            self.reactor.turn()
        assert not self.reactor.writers
        self.check()


def run(line: Line, steps: list[tuple[Any, ...]]) -> None:
    for step in steps:
        received, departed = bytes(line.socket.received), line.outlet.departed
        lost, whole, aborted = len(line.protocol.reasons), line.isWhole(), line.aborted
        line.perform(step)
        line.check()
        if aborted:
            assert line.socket.received == received
        if step[0] != "turn" and not (step[0] == "loseConnection" and line.protocol.halfClosed):
            assert len(line.protocol.reasons) == lost, "only the reactor says so"
        if whole and line.isWhole():
            assert line.outlet.departed - departed == len(line.socket.received) - len(received)
    line.end()


sizes = st.one_of(
    st.integers(1, 5),
    st.integers(1, 2000),
    st.sampled_from([EAGER_SIZE - 1, EAGER_SIZE, EAGER_SIZE + 1, 128 * 1024 + 1]),
)
moods = st.one_of(st.sampled_from([AGAIN, NO_BUFFERS, 0, 1]), st.integers(1, 3000), st.just(1 << 20))
writing = st.one_of(
    st.tuples(st.just("write"), sizes),
    st.tuples(st.just("write"), sizes),
    st.just(("turn",)),
    st.just(("push",)),
    st.just(("unregister",)),
    st.tuples(st.just("pull"), st.integers(0, 4), sizes),
)
closing = st.sampled_from([("loseConnection",), ("loseWriteConnection",)])
afterwards = st.lists(st.one_of(st.just(("turn",)), st.just(("unregister",)), closing), max_size=5)


# Drawn, not parametrized: pytest-twisted would wrap the test once for each.
kinds = st.sampled_from(KINDS)


class TestTheSameOctets:
    @given(
        kind=kinds,
        steps=st.lists(writing, max_size=25),
        script=st.lists(moods, max_size=25),
        closes=afterwards,
    )
    @example(kind=tcp.Server, steps=[("pull", 2, 10)], script=[], closes=[])
    @example(
        kind=tcp.Server,
        steps=[("write", 10), ("write", 10), ("turn",), ("write", 10)],
        script=[3, 2],
        closes=[],
    )
    @example(kind=tcp.Server, steps=[("write", EAGER_SIZE)] * 6, script=[], closes=[])
    def test_asPlainWriting(
        self,
        kind: type[tcp.Server],
        steps: list[tuple[Any, ...]],
        script: list[Mood],
        closes: list[tuple[Any, ...]],
    ) -> None:
        eager = Line(kind, script)
        plain = Line(kind, script, lambda transport, clock: Outlet(transport))
        assert type(eager.outlet) is EagerOutlet
        for line in (eager, plain):
            run(line, [*steps, ("unregister",), *closes])
            assert len(line.protocol.reasons) == (("loseConnection",) in closes)
            assert len(line.socket.received) == line.owed
        # A pull producer may be asked more often by one than by the other.
        if eager.written == plain.written:
            assert eager.socket.received == plain.socket.received

    @given(
        kind=kinds,
        steps=st.lists(writing | closing | st.just(("abortConnection",)), max_size=25),
        script=st.lists(moods | st.just(RESET), max_size=25),
    )
    @example(kind=tcp.Server, steps=[("abortConnection",), ("write", 5), ("turn",)], script=[])
    @example(kind=tcp.Server, steps=[("write", 5), ("write", 6), ("turn",), ("write", 7)], script=[RESET])
    def test_aPrefixOfThemWhateverHappens(
        self, kind: type[tcp.Server], steps: list[tuple[Any, ...]], script: list[Mood]
    ) -> None:
        """Nothing is raised, nothing changes places, and what was sent before a close arrives."""
        for line in (Line(kind, script), Line(kind, script, lambda transport, clock: Outlet(transport))):
            run(line, steps)
            if line.socket.wasReset or line.aborted:
                assert len(line.protocol.reasons) == 1
            else:
                assert len(line.socket.received) >= line.owed


class TestEagerness:
    def test_sentAtOnce(self) -> None:
        line = Line(tcp.Server, [])
        assert line.write(100) is True
        assert len(line.socket.received) == 100
        assert line.reactor.writers == set()
        assert line.outlet.pending == 0

    def test_upToALimit(self) -> None:
        line = Line(tcp.Server, [])
        assert line.write(EAGER_SIZE) is True
        assert line.write(EAGER_SIZE + 1) is False
        assert line.socket.sends == 1
        assert line.outlet.pending == EAGER_SIZE + 1

    def test_notPastWhatWaits(self) -> None:
        line = Line(tcp.Server, [3])
        assert line.write(10) is False
        assert line.write(10) is False
        assert line.socket.sends == 1
        assert line.outlet.pending == 17
        line.reactor.turn()
        assert line.write(10) is True
        assert len(line.socket.received) == 30

    def test_notPastWhatIsPartlySent(self) -> None:
        """The transport has moved what waits to another buffer, and is in the middle of it."""
        line = Line(tcp.Server, [3, 2])
        line.write(10)
        line.reactor.turn()
        assert not line.transport._tempDataBuffer
        assert line.write(10) is False
        assert line.outlet.pending == 15

    @pytest.mark.parametrize("mood", [AGAIN, NO_BUFFERS, 0])
    def test_aFullSocket(self, mood: Mood) -> None:
        line = Line(tcp.Server, [mood])
        assert line.write(10) is False
        assert line.reactor.writers == {line.transport}
        assert (line.outlet.pending, line.outlet.departed) == (10, 0)
        line.reactor.turn()
        assert (line.outlet.pending, line.outlet.departed) == (0, 10)

    def test_aReset(self) -> None:
        """Only the reactor finds out."""
        line = Line(tcp.Server, [RESET])
        assert line.write(10) is False
        assert line.protocol.reasons == []
        assert line.reactor.writers == {line.transport}
        line.reactor.turn()
        assert len(line.protocol.reasons) == 1
        assert line.write(10) is False
        assert line.socket.sends == 2

    def test_soMuchInATurn(self) -> None:
        line = Line(tcp.Server, [])
        for _ in range(EAGER_PER_TURN // 32768 + 8):
            line.write(32768)
        assert len(line.socket.received) == EAGER_PER_TURN
        while line.outlet.pending:
            line.reactor.turn()
        before = len(line.socket.received)
        for _ in range(EAGER_PER_TURN // 32768 + 8):
            line.write(32768)
        assert len(line.socket.received) - before == EAGER_PER_TURN

    def test_noTimerForThoseWhoWriteLittle(self) -> None:
        line = Line(tcp.Server, [])
        for _ in range(EAGER_PER_TURN // 2 // 1024):
            line.write(1024)
        assert line.reactor.getDelayedCalls() == []
        for _ in range(10):
            line.write(1024)
        assert len(line.reactor.getDelayedCalls()) == 1

    def test_notWhileAPullProducerWrites(self) -> None:
        """Twisted asks it for more when it has sent what waits; if nothing waits, it never does."""
        line = Line(tcp.Server, [])
        line.transport.registerProducer(Pull(line, 3, 10), False)
        assert line.socket.sends == 0
        for _ in range(5):
            line.reactor.turn()
        assert len(line.socket.received) == 30
        assert line.transport.producer is None

    def test_whileAPushProducerWrites(self) -> None:
        line = Line(tcp.Server, [])
        line.transport.registerProducer(Push(), True)
        assert line.write(10) is True

    def test_aPushProducerIsPausedAndResumed(self) -> None:
        line = Line(tcp.Server, [AGAIN, AGAIN])
        producer = Push()
        line.transport.registerProducer(producer, True)
        line.write(10)
        assert producer.log == []
        line.write(100_000)
        assert producer.log == ["pause"]
        line.reactor.turn()
        assert producer.log == ["pause"]
        line.reactor.turn()
        assert producer.log == ["pause", "resume"]

    @pytest.mark.parametrize("name", ["loseConnection", "loseWriteConnection", "abortConnection"])
    def test_notBehindAClose(self, name: str) -> None:
        line = Line(tcp.Server, [])
        line.perform((name,))
        assert line.write(10) is False
        assert line.socket.sends == 0

    def test_notWhenThePeerHasClosed(self) -> None:
        line = Line(tcp.Server, [])
        line.transport.connectionLost(Failure(ConnectionDone()))
        assert line.write(10) is False
        assert line.socket.sends == 0
        assert line.reactor.writers == set()

    def test_notWhenItIsGone(self) -> None:
        line = Line(tcp.Server, [])
        line.perform(("abortConnection",))
        line.reactor.turn()
        assert len(line.protocol.reasons) == 1
        assert line.write(10) is False
        assert line.socket.sends == 0


class TestFiles:
    def test_theyGoWithTheirOctets(self) -> None:
        """Over a Unix socket, as a protocol that has taken the connection over may wish."""
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            transport: Any = unix.Server(ours, Recorder(), "", None, 0, Reactor())  # type: ignore[arg-type]
            outlet = outletFor(transport, transport.reactor)
            transport.sendFileDescriptor(theirs.fileno())
            outlet.write(b"abc")
            octets, files, *_ = socket.recv_fds(theirs, 10, 1)
            for each in files:
                os.close(each)
            transport.reactor.turn()
            assert (octets + theirs.recv(10), len(files)) == (b"abc", 1)


class TestExactClass:
    @pytest.mark.parametrize("kind", KINDS)
    def test_twistedsOwn(self, kind: type[tcp.Server]) -> None:
        assert type(Line(kind, []).outlet) is EagerOutlet

    @pytest.mark.parametrize("kind", KINDS)
    def test_aSubclassMayEncrypt(self, kind: type[tcp.Server]) -> None:
        class Derived(kind):  # type: ignore[misc, valid-type]
            written: list[bytes] = []

            def write(self, data: bytes) -> None:
                self.written.append(data)

        line = Line(Derived, [])
        assert type(line.outlet) is Outlet
        assert line.write(3) is False
        assert (line.socket.sends, Derived.written) == (0, [PATTERN[:3]])

    def test_tlsWasStarted(self) -> None:
        line = Line(tcp.Server, [])
        line.transport.TLS = True
        assert type(outletFor(line.transport, line.reactor)) is Outlet

    def test_aWrapperAnswersForWhatItWraps(self) -> None:
        """Its `__getattr__` has everything that an eager write would need, past the encryption."""

        class Wrapper(ProtocolWrapper):
            def write(self, data: bytes) -> None:
                encrypted.append(data)

        encrypted: list[bytes] = []
        line = Line(tcp.Server, [])
        wrapper = Wrapper(WrappingFactory(ServerFactory()), Protocol())
        wrapper.makeConnection(line.transport)
        assert wrapper.writeSomeData is not None
        outlet = outletFor(wrapper, line.reactor)
        assert type(outlet) is Outlet
        assert outlet.write(b"secret") is False
        assert (encrypted, line.socket.sends) == ([b"secret"], 0)

    def test_anythingElse(self) -> None:
        transport = StringTransport()
        outlet = outletFor(transport, Clock())
        assert type(outlet) is Outlet
        assert outlet.write(b"abc") is False
        assert transport.value() == b"abc"
        assert (outlet.pending, outlet.departed) == (0, 3)


class TestPending:
    def test_thatOfTheTransportBelowToo(self) -> None:
        line = Line(tcp.Server, [AGAIN])
        wrapper = ProtocolWrapper(WrappingFactory(ServerFactory()), Protocol())
        wrapper.makeConnection(line.transport)
        outlet = outletFor(wrapper, line.reactor)
        outlet.write(b"abc")
        assert (outlet.pending, outlet.departed) == (3, 0)
        line.reactor.turn()
        line.reactor.turn()
        assert (outlet.pending, outlet.departed) == (0, 3)

    def test_whatTlsHoldsBack(self) -> None:
        """As `twisted.protocols.tls.BufferingTLSTransport` has it."""

        class Aggregator:
            _buffer = [b"ab", b"c"]

        class Tls:
            _aggregator = Aggregator()
            _appSendBuffer = [b"defg"]
            transport: Any = None

        line = Line(tcp.Server, [AGAIN])
        line.write(5)
        tls = Tls()
        assert outletFor(tls, line.reactor).pending == 7
        tls.transport = line.transport
        assert outletFor(tls, line.reactor).pending == 12

    def test_realTlsHoldsItUnderThoseNames(self) -> None:
        from twisted.internet.ssl import CertificateOptions
        from twisted.protocols.tls import TLSMemoryBIOFactory

        line = Line(tcp.Server, [])
        factory = ServerFactory.forProtocol(Protocol)
        wrapping = TLSMemoryBIOFactory(CertificateOptions(), False, factory, clock=line.reactor)
        tls = wrapping.buildProtocol(line.transport.getPeer())
        assert tls is not None
        tls.makeConnection(line.transport)
        outlet = outletFor(tls, line.reactor)
        assert type(outlet) is TlsOutlet
        outlet.write(b"abc")
        assert outlet.pending == 3
        line.reactor.turn()
        # No handshake yet, so there is nothing to encrypt it with; and it never leaves as it is.
        assert outlet.pending == 3
        assert outlet.departed == 0
        assert b"abc" not in line.socket.received
