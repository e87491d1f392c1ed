"""How an HTTP/2 connection ends (RFC 9113 section 6.8), and what can be set while it is open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, echoPath, results
from http2helpers import Http2Peer, Keeper, connect2, frame, serve2
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.python.failure import Failure

from txabstracthttp import Http2Configuration, HttpRequest, HttpServerConfiguration, HttpSocket
from txabstracthttp._http2 import PARTING

NO_ERROR, FRAME_SIZE_ERROR, REFUSED_STREAM = 0, 6, 7
HIGHEST = 2**31 - 1
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    1,
    3,
    4,
    5,
    6,
)
ENABLE_CONNECT_PROTOCOL = 8


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def busy(**options: Any) -> tuple[Http2Peer, Keeper, int]:
    """A request that waits for its answer."""
    keeper = Keeper()
    peer = serve2(keeper, **options)
    return peer, keeper, peer.ask("/first")


class TestClose:
    def test_idle(self) -> None:
        peer = serve2(echoPath)
        peer.got()
        closed = peer.server.close()
        peer.hear()
        assert peer.goneAway == [(NO_ERROR, HIGHEST), (NO_ERROR, 1)]
        assert not peer.conversation.open
        peer.leave()
        assert closed.called

    def test_new(self) -> None:
        peer = serve2(echoPath)
        peer.server.close()
        peer.hear()
        assert peer.goneAway == [(NO_ERROR, HIGHEST), (NO_ERROR, 0)]
        assert not peer.conversation.open

    def test_aRequestOnItsWayToAnIdleServer(self) -> None:
        peer = serve2(echoPath)
        peer.replying = False
        peer.server.close()
        assert peer.got("/late").brief == (200, b"/late")
        peer.replying = True
        peer.say()
        assert [last for _, last in peer.goneAway] == [HIGHEST, 1]
        assert not peer.conversation.open

    def test_anIdlePeerThatDoesNotReply(self) -> None:
        peer = serve2(echoPath, client={"replying": False})
        peer.got()
        closed = peer.server.close()
        peer.advance(PARTING / 2)
        assert peer.conversation.open
        peer.raw(frame(6, 0, 0, bytes(8)))
        peer.advance(PARTING / 2)
        assert not peer.conversation.open
        assert [last for _, last in peer.goneAway] == [HIGHEST, 1]
        peer.leave()
        assert closed.called

    def test_streamsMayFinish(self) -> None:
        peer, keeper, stream = busy()
        upload = peer.ask("/upload", method="POST", end=False)
        closed = peer.server.close()
        peer.hear()
        # Section 6.8: first that it will be, then, when that is known, what it is.
        assert peer.goneAway == [(NO_ERROR, HIGHEST), (NO_ERROR, upload)]
        assert peer.conversation.open
        keeper.socket.write(b"still ")
        peer.upload(upload, b"abc", end=True)
        keeper.at("/upload").respond("uploaded")
        assert peer.conversation.open
        keeper.at("/first").write(b"here")
        keeper.at("/first").finish()
        assert peer.brief(stream)[1].endswith(b"here")
        assert peer.brief(upload) == (200, b"uploaded")
        assert not peer.conversation.open
        peer.leave()
        assert closed.called

    def test_newStreamsAreRefused(self) -> None:
        """They may be tried again elsewhere (section 8.7)."""
        peer, keeper, stream = busy()
        peer.server.close()
        peer.hear()
        late = peer.got("/late")
        assert (late.reset, late.status) == (REFUSED_STREAM, 0)
        assert [request.path for request in keeper.requests] == ["/first"]
        keeper.socket.respond("x")
        assert peer.brief(stream) == (200, b"x")
        assert not peer.conversation.open

    def test_whatWasOnItsWay(self) -> None:
        """It was sent before the peer could know."""
        peer, keeper, stream = busy()
        peer.replying = False
        peer.server.close()
        late = peer.ask("/late")
        keeper.at("/late").respond("late")
        assert peer.brief(late) == (200, b"late")
        peer.replying = True
        peer.say()
        assert [last for _, last in peer.goneAway] == [HIGHEST, late]
        keeper.at("/first").respond("x")
        assert peer.brief(stream) == (200, b"x")
        assert not peer.conversation.open

    def test_aPeerThatDoesNotReply(self) -> None:
        """The end is not put off for ever."""
        peer, keeper, _ = busy(client={"replying": False})
        closed = peer.server.close(5)
        keeper.socket.respond("x")
        peer.advance(5.1)
        assert peer.transport.aborted or not peer.conversation.open
        peer.leave()
        assert closed.called

    def test_aPeerThatReadsLate(self) -> None:
        """Its answers wait for room; it has all the grace there is."""
        keeper = Keeper()
        peer = serve2(keeper, client={"settings": {INITIAL_WINDOW_SIZE: 2**24}})
        peer.makeRoom(2**24)
        large, small = peer.ask("/large"), peer.ask("/small", method="DELETE")
        peer.transport.stuck = True
        keeper.at("/large").respond(bytes(65536))
        peer.conversation.advance(0.01)
        keeper.at("/small").respond(b"", status=204)
        peer.server.close(30)
        peer.conversation.advance(PARTING, PARTING)
        peer.transport.release()
        peer.advance(0.1)
        assert len(peer.answer(large).body) == 65536
        assert (peer.answer(small).status, peer.answer(small).ended) == (204, True)

    def test_inAHandler(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            peer.server.close()
            socket.respond("last")
            return True

        peer = serve2(handler)
        assert peer.got().brief == (200, b"last")
        assert not peer.conversation.open

    @pytest.mark.parametrize("grace", [0, 3])
    def test_graceIsOver(self, grace: float) -> None:
        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            return await waiting

        cancelled: list[Any] = []
        waiting: Deferred[bool] = Deferred(cancelled.append)
        peer = serve2(handler)
        peer.ask()
        peer.server.close(grace)
        if grace:
            peer.advance(grace - 0.1)
            assert cancelled == []
        peer.advance(0.2)
        assert peer.transport.aborted
        assert len(cancelled) == 1
        results(waiting)

    def test_graceIsOverForThoseWhoWait(self) -> None:
        peer, keeper, _ = busy()
        (end,) = results(keeper.socket.notifyFinish())
        peer.server.close(0)
        peer.advance(0)
        assert end[0].check(ConnectionAborted, CancelledError)
        assert keeper.socket.isResponseCanceled

    def test_twice(self) -> None:
        peer, keeper, stream = busy()
        peer.server.close()
        peer.server.close()
        peer.hear()
        assert len(peer.goneAway) == 2
        keeper.socket.respond("x")
        assert peer.brief(stream) == (200, b"x")

    def test_aLargeAnswerIsFinished(self) -> None:
        peer, keeper, stream = busy(client={"settings": {INITIAL_WINDOW_SIZE: 1000}, "acknowledging": False})
        keeper.socket.respond(bytes(10_000))
        peer.server.close()
        assert len(peer.answer(stream).body) == 1000
        peer.makeRoom(9000, stream)
        assert (len(peer.answer(stream).body), peer.answer(stream).ended) == (10_000, True)
        assert not peer.conversation.open


class TestPeersEnd:
    def test_goaway(self) -> None:
        """It wants its answers still, and asks for nothing more."""
        peer, keeper, stream = busy()
        peer.raw(frame(7, 0, 0, bytes(8)))
        keeper.socket.write(b"still ")
        keeper.socket.write(b"here")
        keeper.socket.finish()
        assert peer.brief(stream) == (200, b"still here")
        assert not peer.conversation.open

    def test_goawayWithNothingToDo(self) -> None:
        peer = serve2(echoPath)
        peer.got()
        peer.raw(frame(7, 0, 0, bytes(8)))
        assert not peer.conversation.open

    def test_halfClosedAndIdle(self) -> None:
        """Nobody is there who could say that he has heard of the end."""
        peer = serve2(echoPath)
        peer.got()
        peer.conversation.halfClose()
        assert not peer.conversation.open

    def test_halfClosed(self) -> None:
        """What it has asked for is answered; what it had not finished is lost."""
        peer, keeper, stream = busy()
        upload = peer.ask("/upload", method="POST", end=False)
        (end,) = results(keeper.socket.notifyFinish()) if len(keeper.sockets) > 1 else ([],)
        peer.conversation.halfClose()
        keeper.at("/first").respond("x")
        assert peer.brief(stream) == (200, b"x")
        assert (peer.answer(upload).status, end) == (0, [])
        peer.advance(20)
        assert peer.transport.closed

    @pytest.mark.parametrize("reason", [ConnectionLost(), None])
    def test_gone(self, reason: Exception | None) -> None:
        peer, keeper, _ = busy()
        peer.ask("/second")
        keeper.at("/second").write(b"begun")
        records: list[int] = []
        peer.server.exchangeFinished.connect(lambda record: records.append(record.status))
        ends = results(*(socket.notifyFinish() for socket in keeper.sockets))
        peer.leave(reason)
        assert all(isinstance(end[0], Failure) for end in ends)
        assert [socket.isResponseCanceled for socket in keeper.sockets] == [True, True]
        assert records == [200]
        keeper.sockets[0].respond("nobody is there")
        peer.advance(0)
        assert [call for call in peer.clock.getDelayedCalls() if call.active()] == []

    def test_aProtocolErrorTakesAllAlong(self) -> None:
        peer, keeper, _ = busy()
        (end,) = results(keeper.socket.notifyFinish())
        # DATA on stream 0.
        peer.raw(frame(0, 0, 0, b"x"))
        assert [code for code, _ in peer.goneAway] == [1]
        assert end[0].check(ConnectionLost)
        assert not peer.conversation.open


class TestSetConfiguration:
    """At once, and for connections that are open too."""

    def test_limits(self) -> None:
        peer = serve2(echoPath)
        assert peer.got("/" + "a" * 20, "x: " + "b" * 100).status == 200
        peer.server.setConfiguration(HttpServerConfiguration(maximumUrlSize=10))
        assert peer.got("/" + "a" * 20).status == 414
        peer.server.setConfiguration(HttpServerConfiguration(maximumTotalHeaderSize=100))
        assert peer.got("/" + "a" * 20).status == 200
        assert peer.got("/", "x: " + "b" * 100).status == 431

    def test_contentThatIsArriving(self) -> None:
        peer = serve2(echoPath)
        stream = peer.ask("/", method="POST", body=b"abc", end=False)
        peer.server.setConfiguration(HttpServerConfiguration(maximumBodySize=5))
        peer.upload(stream, b"def")
        assert peer.answer(stream).status == 413

    def test_keepAlive(self) -> None:
        peer = serve2(echoPath, keepAliveTimeout=100)
        peer.got()
        peer.server.setConfiguration(HttpServerConfiguration(keepAliveTimeout=3))
        peer.advance(3.1)
        assert not peer.conversation.open

    def test_serverField(self) -> None:
        peer = serve2(echoPath)
        assert peer.got().all("server") == []
        peer.server.setConfiguration(HttpServerConfiguration(serverHeader="test"))
        assert peer.got().all("server") == ["test"]

    def test_handlerTimeout(self) -> None:
        peer, _, stream = busy(handlerTimeout=5)
        peer.server.setConfiguration(HttpServerConfiguration(handlerTimeout=0))
        peer.advance(10)
        assert peer.answer(stream).status == 0


class TestHttp2Configuration:
    def test_defaults(self) -> None:
        peer = serve2(echoPath)
        told = peer.remoteSettings
        assert told[MAX_CONCURRENT_STREAMS] == 100
        assert told[ENABLE_CONNECT_PROTOCOL] == 1
        assert told[MAX_HEADER_LIST_SIZE] == 65536
        assert (peer.h2.remote_settings.initial_window_size, peer.h2.max_outbound_frame_size) == (
            65535,
            16384,
        )
        assert peer.h2.outbound_flow_control_window == 1024 * 1024

    @pytest.mark.parametrize(
        ("field", "value", "setting"),
        [
            ("maxConcurrentStreams", 7, MAX_CONCURRENT_STREAMS),
            ("maxConcurrentStreams", 0, MAX_CONCURRENT_STREAMS),
            ("streamReceiveWindowSize", 1, INITIAL_WINDOW_SIZE),
            ("streamReceiveWindowSize", 2**31 - 1, INITIAL_WINDOW_SIZE),
            ("maxFrameSize", 2**24 - 1, MAX_FRAME_SIZE),
            ("maximumHeaderListSize", 1000, MAX_HEADER_LIST_SIZE),
        ],
    )
    def test_settings(self, field: str, value: int, setting: int) -> None:
        peer = serve2(echoPath, http2={field: value})
        assert peer.remoteSettings[setting] == value
        if field != "maxConcurrentStreams" or value:
            assert peer.got("/x").brief == (200, b"/x")

    def test_sessionReceiveWindowSize(self) -> None:
        assert (
            serve2(echoPath, http2={"sessionReceiveWindowSize": 65535}).h2.outbound_flow_control_window
            == 65535
        )
        peer = serve2(echoPath, http2={"sessionReceiveWindowSize": 10**8})
        assert peer.h2.outbound_flow_control_window == 10**8

    @pytest.mark.parametrize(("size", "allowed"), [(16384, True), (16385, False), (20_000, False)])
    def test_maxFrameSize(self, size: int, allowed: bool) -> None:
        for limit in (16384, 20_000):
            peer = serve2(
                lambda request, socket: socket.respond(str(len(request.body))) or True,
                http2={"maxFrameSize": limit},
            )
            stream = peer.ask("/", method="POST", end=False)
            peer.raw(frame(0, 1, stream, bytes(size)))
            if allowed or limit >= size:
                assert peer.brief(stream) == (200, str(size).encode())
            else:
                assert [code for code, _ in peer.goneAway] == [FRAME_SIZE_ERROR]

    @pytest.mark.parametrize("huffman", [True, False])
    def test_huffmanCompressionEnabled(self, huffman: bool) -> None:
        peer = serve2(
            lambda request, socket: socket.respond(headers={"X-Secret": "abcdefghijkl"}) or True,
            http2={"huffmanCompressionEnabled": huffman},
        )
        written: list[bytes] = []
        write = peer.transport.write

        def spy(data: bytes) -> None:
            written.append(data)
            write(data)

        peer.transport.write = spy  # type: ignore[method-assign]
        assert peer.got().all("x-secret") == ["abcdefghijkl"]
        assert (b"abcdefghijkl" in b"".join(written)) != huffman

    def test_maximumHeaderListSize(self) -> None:
        """What is told is kept to; a name and a value count 32 more (section 6.5.2)."""
        peer = serve2(echoPath, http2={"maximumHeaderListSize": 500})
        used = sum(len(name) + len(value) + 32 for name, value in peer.head("/", (), "GET"))
        fits = "x: " + "a" * (500 - used - 33)
        assert peer.got("/", fits).status == 200
        peer = serve2(echoPath, http2={"maximumHeaderListSize": 500})
        answer = peer.got("/", fits + "a" * 100)
        assert answer.status == 431
        assert peer.isAlive

    def test_noMaximumHeaderListSize(self) -> None:
        peer = serve2(
            echoPath,
            http2={"maximumHeaderListSize": None},
            maximumHeaderFieldSize=None,
            maximumTotalHeaderSize=None,
        )
        assert MAX_HEADER_LIST_SIZE not in peer.remoteSettings
        assert peer.got("/", "x: " + "a" * 90_000).status == 200

    def test_forConnectionsToCome(self) -> None:
        first = serve2(echoPath)
        first.server.setHttp2Configuration(Http2Configuration(maxConcurrentStreams=7))
        second = connect2(first.server, first.clock)  # type: ignore[arg-type]
        assert first.remoteSettings[MAX_CONCURRENT_STREAMS] == 100
        assert second.remoteSettings[MAX_CONCURRENT_STREAMS] == 7
        assert first.got("/x").brief == second.got("/x").brief == (200, b"/x")
