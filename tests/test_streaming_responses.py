"""Responses that are sent piece by piece: framing, producers, files, and how they end."""

from __future__ import annotations

import array
import gzip
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from connectionhelpers import (
    Conversation,
    FakeTransport,
    Response,
    capturedFailures,
    get,
    serve,
    take,
)
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from zope.interface import implementer

from txabstracthttp import AlreadyAnswered, HttpHeaders, HttpRequest, HttpSocket
from txabstracthttp._stream import PULLS_PER_TURN


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def asked(request: bytes = get(), **options: Any) -> tuple[Conversation, HttpSocket]:
    """A request that waits for its answer."""
    sockets: list[HttpSocket] = []
    peer = serve(lambda request, socket: sockets.append(socket) or True, **options)
    if options.get("secure"):
        peer.connection.handshakeCompleted()
    peer.send(request)
    return peer, sockets[0]


def streamed(*pieces: bytes, request: bytes = get(), **begin: Any) -> Response:
    """The response that these pieces make."""
    peer, socket = asked(request)
    socket.begin(**begin)
    for piece in pieces:
        socket.write(piece)
    socket.finish()
    return peer.response(socket.request.method)


def turn(peer: Conversation) -> None:
    """One turn of the reactor: what is due now, but not what that makes due."""
    clock = peer.clock
    for call in [call for call in clock.getDelayedCalls() if call.getTime() <= clock.seconds()]:
        if call.active():
            function, args = call.func, call.args  # type: ignore[attr-defined]
            call.cancel()
            function(*args)


HTTP10 = get(version="1.0")
HEAD = get(method="HEAD")


class TestFraming:
    def test_chunked(self) -> None:
        peer, socket = asked()
        socket.begin()
        socket.write(b"abc")
        socket.write(b"0123456789abcdef")
        socket.finish()
        head, _, body = peer.transport.value.partition(b"\r\n\r\n")
        assert b"\r\nTransfer-Encoding: chunked" in head
        assert b"Content-Length" not in head
        assert body == b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
        assert peer.open

    def test_contentLength(self) -> None:
        response = streamed(b"ab", b"c", headers={"Content-Length": "3"})
        assert (response.body, response.all("content-length")) == (b"abc", ["3"])
        assert response.all("transfer-encoding") == []

    def test_http10(self) -> None:
        """Only the end of the connection tells the end."""
        peer, socket = asked(get(version="1.0"))
        socket.begin()
        socket.write(b"abc")
        socket.write(b"de")
        assert peer.open
        socket.finish()
        assert peer.halfClosed
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"abcde", ["close"])
        assert (response.all("transfer-encoding"), response.all("content-length")) == ([], [])

    def test_http10ThatWouldStay(self) -> None:
        peer, socket = asked(get("/", "Connection: keep-alive", version="1.0"))
        socket.write(b"abc")
        socket.finish()
        assert peer.response().all("connection") == ["close"]
        assert peer.halfClosed

    def test_http10WithALength(self) -> None:
        peer, socket = asked(get("/", "Connection: keep-alive", version="1.0"))
        socket.begin(headers={"Content-Length": "3"})
        socket.write(b"abc")
        socket.finish()
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"abc", ["keep-alive"])
        assert peer.open

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    @pytest.mark.parametrize(
        ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 205), ("GET", 304), ("HEAD", 404)]
    )
    def test_withoutContent(self, method: str, status: int, version: str) -> None:
        peer, socket = asked(get(method=method, version=version) + get("/next", version=version))
        socket.begin(status, {"X": "y"})
        socket.write(b"abc")
        assert socket.bodyBytesSent == 0
        socket.finish()
        response = peer.responses(method)[0]
        assert (response.status, response.body, response.all("x")) == (status, b"", ["y"])
        assert response.all("transfer-encoding") == []

    @pytest.mark.parametrize(
        ("method", "status", "lengths"), [("HEAD", 200, ["9"]), ("GET", 304, ["9"]), ("GET", 205, ["0"])]
    )
    def test_lengthWithoutContent(self, method: str, status: int, lengths: list[str]) -> None:
        """It says what GET would have sent; more or less than that may be written."""
        for pieces in ([], [b"abc"], [b"123456789", b"0"]):
            response = streamed(
                *pieces, request=get(method=method), status=status, headers={"Content-Length": "9"}
            )
            assert (response.body, response.all("content-length")) == (b"", lengths)

    def test_lengthOf204(self) -> None:
        """RFC 9110 section 8.6: a server must not send it."""
        response = streamed(status=204, headers={"Content-Length": "9"})
        assert response.all("content-length") == []

    def test_empty(self) -> None:
        for pieces in ([], [b""], [b"", b""]):
            response = streamed(*pieces)
            assert (response.body, response.all("transfer-encoding")) == (b"", ["chunked"])
        assert streamed(headers={"Content-Length": "0"}).all("content-length") == ["0"]
        peer, socket = asked()
        socket.finish()
        assert (peer.response().status, peer.open) == (200, True)

    def test_theNextIsFramedByItself(self) -> None:
        peer, socket = asked(get("/a") + get("/b") + get("/c"))
        sockets = [socket]
        peer.server.handler = lambda request, socket: sockets.append(socket) or True  # type: ignore[attr-defined]
        sockets[0].write(b"a")
        sockets[0].finish()
        sockets[1].begin(headers={"Content-Length": "1"})
        sockets[1].write(b"b")
        sockets[1].finish()
        sockets[2].respond("c")
        assert peer.bodies() == [b"a", b"b", b"c"]

    def test_closing(self) -> None:
        peer, socket = asked(get("/a") + get("/b"))
        socket.begin(headers={"Connection": "close"})
        socket.write(b"abc")
        socket.finish()
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"abc", ["close"])
        assert peer.halfClosed

    @given(st.lists(st.binary(max_size=300), max_size=8), st.sampled_from(["chunked", "length", "close"]))
    def test_whateverIsWrittenArrives(self, pieces: list[bytes], framing: str) -> None:
        size = sum(map(len, pieces))
        response = streamed(
            *pieces,
            request=HTTP10 if framing == "close" else get(),
            headers={"Content-Length": f"{size}"} if framing == "length" else None,
        )
        assert response.body == b"".join(pieces)


class TestBegin:
    def test_status(self) -> None:
        assert streamed(b"x", status=404).status == 404

    @pytest.mark.parametrize("status", [100, 103, 101, 199, 600, True, 200.0, "200", None])
    def test_badStatus(self, status: Any) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.begin(status)
        peer.advance(0)
        assert "write" not in peer.transport.log
        socket.respond("ok")
        assert peer.bodies() == [b"ok"]

    @pytest.mark.parametrize(
        "headers",
        [
            *[{"X": "a\r\nb"}, {"X": "a\nb"}, {"X": "a\x00"}, {"X Y": "a"}, {"": "a"}, {"X\r\n": "a"}],
            *[{"Transfer-Encoding": "chunked"}, {"Content-Length": "x"}, {"Content-Length": ["1", "1"]}],
        ],
    )
    def test_badHeaders(self, headers: Any) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.begin(headers=headers)
        peer.advance(0)
        assert "write" not in peer.transport.log
        assert (socket.isBegun, socket.isAnswered, socket.status) == (False, False, 0)
        socket.respond("ok")
        assert peer.bodies() == [b"ok"]

    def test_noTypeIsGuessed(self) -> None:
        assert streamed(b"x").all("content-type") == []
        assert len(streamed(b"x").all("date")) == 1

    def test_withTheFirstContent(self) -> None:
        """Head and content are one packet."""
        peer, socket = asked()
        socket.begin()
        assert peer.transport.writes == []
        socket.write(b"abc")
        assert len(peer.transport.writes) == 1
        assert peer.transport.value.endswith(b"\r\n\r\n3\r\nabc\r\n")
        peer.advance(0)
        assert len(peer.transport.writes) == 1

    def test_atTheEndOfTheTurn(self) -> None:
        """A client may want to know the head before there is content."""
        peer, socket = asked()
        socket.begin()
        socket.write(b"")
        assert peer.transport.writes == []
        peer.advance(0)
        assert peer.transport.value.endswith(b"Transfer-Encoding: chunked\r\n\r\n")

    def test_inTheHandler(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.begin()
            return True

        peer = serve(handler)
        peer.send(get())
        assert peer.transport.value.endswith(b"\r\n\r\n")

    def test_allOfItInTheHandler(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            for piece in (b"a", b"b", b"c"):
                socket.write(piece)
            socket.finish()
            return True

        peer = serve(handler)
        peer.send(get() + get())
        assert len(peer.transport.writes) == 1
        assert peer.bodies() == [b"abc", b"abc"]

    def test_andThePeerLeavesInThatTurn(self) -> None:
        peer, socket = asked()
        socket.begin()
        peer.leave()
        peer.advance(0, 100)
        assert peer.transport.writes == []


class TestWrite:
    def test_withoutBegin(self) -> None:
        peer, socket = asked()
        socket.write(b"abc")
        assert (socket.isBegun, socket.status) == (True, 200)
        socket.finish()
        assert peer.bodies() == [b"abc"]

    @pytest.mark.parametrize("data", ["abc", None, 7, [b"a"], {"a": 1}])
    def test_otherTypes(self, data: Any) -> None:
        peer, socket = asked()
        with pytest.raises(TypeError):
            socket.write(data)
        assert not socket.isBegun
        socket.write(b"a")
        with pytest.raises(TypeError):
            socket.write(data)
        socket.finish()
        assert peer.bodies() == [b"a"]

    def test_bytesOfAnyKind(self) -> None:
        response = streamed(bytearray(b"ab"), memoryview(b"xcdx")[1:3], memoryview(b"e-f")[::2])
        assert response.body == b"abcdef"

    def test_itIsCopied(self) -> None:
        peer, socket = asked()
        data = bytearray(b"abc")
        socket.begin()
        socket.write(data)
        data[:] = b"xyz"
        socket.finish()
        assert peer.bodies() == [b"abc"]

    def test_lengthOfWideItems(self) -> None:
        """What counts is octets."""
        view = memoryview(array.array("I", [1, 2]))
        _, socket = asked()
        socket.begin(headers={"Content-Length": "2"})
        with pytest.raises(ValueError):
            socket.write(view)
        assert streamed(view, headers={"Content-Length": f"{view.nbytes}"}).body == view.tobytes()  # type: ignore[arg-type]

    def test_nothing(self) -> None:
        """An empty chunk would be the end."""
        peer, socket = asked()
        socket.write(b"a")
        before = peer.transport.value
        socket.write(b"")
        socket.writeSequence([])
        socket.writeSequence([b"", b""])
        assert peer.transport.value == before
        socket.write(b"b")
        socket.finish()
        assert peer.bodies() == [b"ab"]

    def test_sequence(self) -> None:
        peer, socket = asked()
        socket.writeSequence([b"a", b"", b"b"])
        socket.writeSequence(iter((b"c", b"d")))
        socket.finish()
        assert peer.bodies() == [b"abcd"]

    def test_sequenceOfOtherTypes(self) -> None:
        peer, socket = asked()
        with pytest.raises(TypeError):
            socket.writeSequence([b"a", "b"])  # type: ignore[list-item]
        socket.respond("ok")
        assert peer.bodies() == [b"ok"]

    @pytest.mark.parametrize("pieces", [[b"abcd"], [b"ab", b"cd"], [b"abc", b"d"]])
    def test_tooMuch(self, pieces: list[bytes]) -> None:
        """Nothing of the piece is sent: what is in excess would be taken for the next response."""
        peer, socket = asked()
        socket.begin(headers={"Content-Length": "3"})
        for piece in pieces[:-1]:
            socket.write(piece)
        with pytest.raises(ValueError, match="Content-Length"):
            socket.write(pieces[-1])
        sent = b"".join(pieces[:-1])
        socket.write(b"xyz"[: 3 - len(sent)])
        socket.finish()
        assert peer.bodies() == [sent + b"xyz"[: 3 - len(sent)]]
        assert peer.open

    def test_count(self) -> None:
        _, socket = asked()
        socket.write(b"abc")
        assert socket.bodyBytesSent == 3
        socket.writeSequence([b"d", b"e"])
        socket.finish()
        assert (socket.bodyBytesSent, socket.status) == (5, 200)


class TestFinish:
    @pytest.mark.parametrize("pieces", [[], [b"ab"]])
    def test_short(self, pieces: list[bytes]) -> None:
        """Nothing else can tell the peer."""
        peer, socket = asked(get() + get())
        socket.begin(headers={"Content-Length": "3"})
        for piece in pieces:
            socket.write(piece)
        with pytest.raises(ValueError, match=f"{3 - len(b''.join(pieces))} octets"):
            socket.finish()
        assert peer.transport.aborted

    def test_shortInTheHandler(self, failures: list[Failure]) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.begin(headers={"Content-Length": "3"})
            socket.finish()
            return True

        peer = serve(handler)
        peer.send(get())
        assert take(failures) == [ValueError]
        assert peer.transport.aborted

    def test_thePeerThatLeavesIsNotShort(self) -> None:
        peer, socket = asked()
        socket.begin(headers={"Content-Length": "3"})
        peer.leave()
        socket.finish()

    def test_pipelined(self) -> None:
        """What was asked next waits for the end of it."""
        peer, socket = asked(get("/a") + get("/b"))
        sockets: list[HttpSocket] = []
        peer.server.handler = lambda request, socket: sockets.append(socket) or True  # type: ignore[attr-defined]
        socket.write(b"a")
        peer.advance(1)
        peer.send(get("/c"))
        assert sockets == []
        socket.finish()
        assert [each.request.path for each in sockets] == ["/b"]
        sockets[0].respond("b")
        assert [each.request.path for each in sockets] == ["/b", "/c"]
        assert peer.bodies() == [b"a", b"b"]

    def test_recorded(self) -> None:
        peer, socket = asked()
        records: list[Any] = []
        peer.server.exchangeFinished.connect(records.append)
        socket.begin(202)
        socket.write(b"abc")
        assert records == []
        socket.finish()
        ((status, size),) = [(each.status, each.size) for each in records]
        assert (status, size) == (202, 3)

    def test_noDeadlineIsLeft(self) -> None:
        peer, socket = asked()
        socket.write(b"abc")
        socket.finish()
        peer.advance(0)
        peer.leave()
        assert peer.clock.getDelayedCalls() == []


class TestTrailers:
    def test_chunked(self) -> None:
        peer, socket = asked()
        socket.write(b"abc")
        socket.finish({"X-Sum": ["1", "2"], "x-Other": "ü"})
        assert peer.transport.value.endswith(b"\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\nx-Other: \xfc\r\n\r\n")
        assert peer.open

    @pytest.mark.parametrize("trailers", [HttpHeaders([("A", "b")]), [("A", "b")], {"A": "b"}])
    def test_forms(self, trailers: Any) -> None:
        peer, socket = asked()
        socket.finish(trailers)
        assert peer.transport.value.endswith(b"\r\n\r\n0\r\nA: b\r\n\r\n")

    @pytest.mark.parametrize("request_", [HTTP10, HEAD], ids=["1.0", "HEAD"])
    def test_noRoom(self, request_: bytes) -> None:
        peer, socket = asked(request_)
        socket.write(b"abc")
        socket.finish({"X-Sum": "1"})
        assert b"X-Sum" not in peer.transport.value

    def test_noRoomBehindALength(self) -> None:
        peer, socket = asked()
        socket.begin(headers={"Content-Length": "3"})
        socket.write(b"abc")
        socket.finish({"X-Sum": "1"})
        assert peer.transport.value.endswith(b"\r\n\r\nabc")

    @pytest.mark.parametrize(
        "name",
        [
            *[
                "Content-Length",
                "Transfer-Encoding",
                "Host",
                "Connection",
                "Content-Type",
                "Content-Encoding",
            ],
            *["content-range", "AUTHORIZATION", "Trailer", "TE", "Cookie", "Expect", "Upgrade"],
        ],
    )
    def test_forbidden(self, name: str) -> None:
        peer, socket = asked()
        socket.write(b"abc")
        before = peer.transport.value
        with pytest.raises(ValueError):
            socket.finish({name: "1"})
        assert (peer.transport.value, peer.open, socket.isAnswered) == (before, True, False)
        socket.finish()
        assert peer.bodies() == [b"abc"]

    @pytest.mark.parametrize("trailers", [{"X": "a\r\nb"}, {"X": "a\x00"}, {"X Y": "a"}, {"": "a"}])
    def test_malformed(self, trailers: dict[str, str]) -> None:
        for request in (get(), HTTP10, HEAD):
            peer, socket = asked(request)
            socket.write(b"abc")
            before = peer.transport.value
            with pytest.raises(ValueError):
                socket.finish(trailers)
            assert peer.transport.value == before


@implementer(IPushProducer)
class Push:
    def __init__(self) -> None:
        self.log: list[str] = []

    def pauseProducing(self) -> None:
        self.log.append("pause")

    def resumeProducing(self) -> None:
        self.log.append("resume")

    def stopProducing(self) -> None:
        self.log.append("stop")


@implementer(IPullProducer)
class Pull:
    """Writes `count` pieces of `size`, and finishes."""

    def __init__(self, socket: HttpSocket, count: int = 1_000_000, size: int = 10) -> None:
        self.socket, self.count, self.size = socket, count, size
        self.pulls = self.stops = 0

    def resumeProducing(self) -> None:
        self.pulls += 1
        if self.pulls <= self.count:
            self.socket.write(b"x" * self.size)
        else:
            self.socket.unregisterProducer()
            self.socket.finish()

    def stopProducing(self) -> None:
        self.stops += 1


def fill(transport: FakeTransport, socket: HttpSocket) -> None:
    """Write until the peer, which does not read, has had enough."""
    transport.stuck = True
    socket.write(b"x" * 100_000)


# What may be asked of a socket; each with the states in which it raises AlreadyAnswered.
ASKED: dict[str, tuple[Callable[[HttpSocket], object], str]] = {
    "respond": (lambda socket: socket.respond("x"), "BEGUN FINISHED"),
    "begin": (lambda socket: socket.begin(), "BEGUN FINISHED"),
    "sendFile": (lambda socket: socket.sendFile(__file__), "BEGUN FINISHED"),
    "inform": (lambda socket: socket.inform(103), "BEGUN FINISHED"),
    "detach": (lambda socket: socket.detach(Protocol()), "BEGUN FINISHED"),
    "write": (lambda socket: socket.write(b"x"), "FINISHED"),
    "write nothing": (lambda socket: socket.write(b""), "FINISHED"),
    "writeSequence": (lambda socket: socket.writeSequence([b"x"]), "FINISHED"),
    "finish": (lambda socket: socket.finish(), "FINISHED"),
    "finish with trailers": (lambda socket: socket.finish({"X": "y"}), "FINISHED"),
    "push producer": (lambda socket: socket.registerProducer(Push(), True), "FINISHED"),
    "pull producer": (lambda socket: socket.registerProducer(Pull(socket), False), "FINISHED"),
    "unregisterProducer": (lambda socket: socket.unregisterProducer(), ""),
    "claim": (lambda socket: socket.claim(), ""),
    "loseConnection": (lambda socket: socket.loseConnection(), ""),
    "abortConnection": (lambda socket: socket.abortConnection(), ""),
    "notifyFinish": (lambda socket: socket.notifyFinish().addErrback(lambda _: None), ""),
}


LEAVING = [("loseConnection", "NEW"), ("abortConnection", "NEW"), ("abortConnection", "BEGUN")]


def inState(state: str) -> tuple[Conversation, HttpSocket]:
    peer, socket = asked()
    if "BEGUN" in state:
        socket.begin()
        peer.advance(0)
    if "FINISHED" in state:
        socket.respond("finished")
    if "GONE" in state:
        peer.leave()
    return peer, socket


class TestStates:
    @pytest.mark.parametrize("state", ["NEW", "BEGUN", "FINISHED", "GONE", "BEGUN, then GONE"])
    @pytest.mark.parametrize("what", ASKED)
    def test_table(self, what: str, state: str) -> None:
        ask, refusing = ASKED[what]
        peer, socket = inState(state)
        before = peer.transport.value
        if state in refusing.split():
            with pytest.raises(AlreadyAnswered):
                ask(socket)
        else:
            ask(socket)
        if state not in ("NEW", "BEGUN"):
            # Neither the refused nor the departed get anything, not even later.
            peer.advance(0, 1)
            assert peer.transport.value == before
        assert socket.isResponseCanceled == ("GONE" in state or (what, state) in LEAVING)
        if "GONE" not in state:
            peer.leave()

    @pytest.mark.parametrize("state", ["NEW", "BEGUN", "FINISHED", "GONE"])
    def test_wrongTypesAreWrongInEveryState(self, state: str) -> None:
        _, socket = inState(state)
        with pytest.raises(TypeError):
            socket.write("text")  # type: ignore[arg-type]

    def test_whatIsKnown(self) -> None:
        for state, claimed, begun, answered in (
            ("NEW", False, False, False),
            ("BEGUN", True, True, False),
            ("FINISHED", True, False, True),
            ("GONE", True, False, True),
        ):
            _, socket = inState(state)
            assert (socket.isClaimed, socket.isBegun, socket.isAnswered) == (claimed, begun, answered)


class TestPushProducers:
    def test_itsPace(self) -> None:
        peer, socket = asked()
        push = Push()
        socket.registerProducer(push, True)
        assert push.log == []
        fill(peer.transport, socket)
        assert push.log == ["pause"]
        socket.write(b"y")
        peer.transport.release(50_000)
        assert push.log == ["pause"]
        peer.transport.release()
        assert push.log == ["pause", "resume"]
        fill(peer.transport, socket)
        assert push.log == ["pause", "resume", "pause"]
        peer.transport.release()
        socket.unregisterProducer()
        fill(peer.transport, socket)
        peer.transport.release()
        assert push.log == ["pause", "resume", "pause", "resume"]

    def test_itBegins(self) -> None:
        peer, socket = asked()
        socket.registerProducer(Push(), True)
        assert socket.isBegun
        peer.advance(0)
        assert peer.transport.value.startswith(b"HTTP/1.1 200 OK\r\n")

    def test_whenThePeerHasEnoughAlready(self) -> None:
        peer, socket = asked()
        fill(peer.transport, socket)
        push = Push()
        socket.registerProducer(push, True)
        assert push.log == ["pause"]
        peer.transport.release()
        assert push.log == ["pause", "resume"]

    @pytest.mark.parametrize("streaming", [True, False])
    def test_twice(self, streaming: bool) -> None:
        _, socket = asked()
        push = Push()
        socket.registerProducer(push, True)
        with pytest.raises(RuntimeError):
            socket.registerProducer(Push(), streaming)
        assert push.log == []
        socket.unregisterProducer()
        socket.registerProducer(Push(), True)

    def test_unregisteringDoesNotFinish(self) -> None:
        peer, socket = asked()
        socket.registerProducer(Push(), True)
        socket.unregisterProducer()
        socket.unregisterProducer()
        assert not socket.isAnswered
        socket.write(b"abc")
        socket.finish()
        assert peer.bodies() == [b"abc"]

    def test_thePeerLeaves(self) -> None:
        peer, socket = asked()
        push = Push()
        socket.registerProducer(push, True)
        peer.leave()
        assert push.log == ["stop"]

    def test_thePeerLeavesLater(self) -> None:
        """It concerns no producer that has gone before."""
        peer, socket = asked()
        push = Push()
        socket.registerProducer(push, True)
        socket.unregisterProducer()
        peer.leave()
        assert push.log == []

    @pytest.mark.parametrize("state", ["FINISHED", "GONE"])
    @pytest.mark.parametrize("streaming", [True, False])
    def test_tooLate(self, state: str, streaming: bool) -> None:
        _, socket = inState(state)
        push = Push()
        if state == "FINISHED":
            with pytest.raises(AlreadyAnswered):
                socket.registerProducer(push, streaming)
        else:
            socket.registerProducer(push, streaming)
        assert push.log == ["stop"]

    def test_ofAnotherResponse(self) -> None:
        """The transport's pace is no business of one that has finished."""
        peer, socket = asked(get() + get())
        sockets: list[HttpSocket] = []
        peer.server.handler = lambda request, socket: sockets.append(socket) or True  # type: ignore[attr-defined]
        push = Push()
        socket.registerProducer(push, True)
        socket.finish()
        fill(peer.transport, sockets[0])
        assert push.log == ["stop"]
        other = Push()
        sockets[0].registerProducer(other, True)
        assert other.log == ["pause"]

    def test_aStalledPeer(self) -> None:
        peer, socket = asked(writeTimeout=30)
        push = Push()
        socket.registerProducer(push, True)
        fill(peer.transport, socket)
        peer.advance(29)
        assert peer.open
        peer.advance(70)
        assert peer.transport.aborted
        peer.leave(ConnectionLost())
        assert push.log == ["pause", "stop"]

    def test_aSlowPeer(self) -> None:
        peer, socket = asked(writeTimeout=30)
        fill(peer.transport, socket)
        for _ in range(20):
            peer.advance(29)
            peer.transport.release(1000)
        assert peer.open


class TestPullProducers:
    def test_aFewTimesInATurn(self) -> None:
        peer, socket = asked()
        pull = Pull(socket, count=5 * PULLS_PER_TURN)
        socket.registerProducer(pull, False)
        for number in range(1, 6):
            assert pull.pulls == number * PULLS_PER_TURN
            assert not socket.isAnswered
            turn(peer)
        assert peer.response().body == b"x" * 50 * PULLS_PER_TURN

    def test_onceInATurnWithoutAnythingToSend(self) -> None:
        peer, socket = asked()
        pull = Pull(socket, size=0)
        socket.registerProducer(pull, False)
        for number in range(1, 6):
            assert pull.pulls == number
            turn(peer)

    def test_severalTakeTurns(self) -> None:
        peer, socket = asked()
        other = peer.another()
        sockets: list[HttpSocket] = []
        peer.server.handler = lambda request, socket: sockets.append(socket) or True  # type: ignore[attr-defined]
        other.send(get())
        pulls = [Pull(socket), Pull(sockets[0])]
        for each in pulls:
            each.socket.registerProducer(each, False)
        for _ in range(50):
            turn(peer)
            assert abs(pulls[0].pulls - pulls[1].pulls) <= PULLS_PER_TURN
        assert pulls[0].pulls > 40 * PULLS_PER_TURN

    def test_itsPace(self) -> None:
        peer, socket = asked()
        peer.transport.stuck = True
        pull = Pull(socket, size=10_000)
        socket.registerProducer(pull, False)
        for _ in range(100):
            turn(peer)
        assert sum(map(len, peer.transport.held)) < 80_000
        pulls = pull.pulls
        peer.transport.release()
        assert pulls < pull.pulls <= pulls + PULLS_PER_TURN
        for _ in range(100):
            turn(peer)
        assert pull.pulls <= 2 * pulls + 1

    def test_noMoreInATurnHoweverOftenItIsResumed(self) -> None:
        """A peer that stops and goes many times in one turn does not multiply the pulls."""
        peer, socket = asked()
        pull = Pull(socket)
        socket.registerProducer(pull, False)
        for _ in range(20):
            peer.connection.pauseProducing()
            peer.connection.resumeProducing()
        pulls = pull.pulls
        assert pulls == PULLS_PER_TURN
        for number in range(1, 20):
            turn(peer)
            assert pull.pulls == pulls + number * PULLS_PER_TURN

    def test_oneAfterTheOther(self) -> None:
        peer, socket = asked()
        for _ in range(20):
            socket.registerProducer(Pull(socket), False)
            socket.unregisterProducer()
        pull = Pull(socket)
        socket.registerProducer(pull, False)
        pulls = pull.pulls
        assert pulls == 0
        for number in range(1, 20):
            turn(peer)
            assert pull.pulls == pulls + number * PULLS_PER_TURN

    def test_pausedFromTheBeginning(self) -> None:
        peer, socket = asked()
        fill(peer.transport, socket)
        pull = Pull(socket, count=3)
        socket.registerProducer(pull, False)
        turn(peer)
        assert pull.pulls == 0
        peer.transport.release()
        peer.advance(0)
        assert socket.isAnswered

    def test_thePeerLeaves(self) -> None:
        peer, socket = asked()
        pull = Pull(socket)
        socket.registerProducer(pull, False)
        turn(peer)
        pulls = pull.pulls
        peer.leave()
        peer.advance(1)
        assert (pull.pulls, pull.stops) == (pulls, 1)
        assert peer.clock.getDelayedCalls() == []

    def test_twistedsFileSender(self) -> None:
        """As anything else in Twisted that writes to a consumer."""
        peer, socket = asked()
        content = b"".join(b"%06d" % number for number in range(50_000))
        done = FileSender().beginFileTransfer(io.BytesIO(content), socket)
        done.addCallback(lambda last: socket.finish())
        peer.advance(0)
        assert peer.response().body == content

    def test_twistedsFileSenderAndASlowPeer(self) -> None:
        peer, socket = asked()
        peer.transport.stuck = True
        file = io.BytesIO(b"x" * 1_000_000)
        done = FileSender().beginFileTransfer(file, socket)
        done.addCallback(lambda last: socket.finish())
        while not socket.isAnswered:
            peer.advance(0)
            assert sum(map(len, peer.transport.held)) < 200_000
            peer.transport.release()
        assert len(peer.response().body) == 1_000_000

    def test_twistedsFileSenderAndAPeerThatLeaves(self) -> None:
        peer, socket = asked()
        peer.transport.stuck = True
        outcomes: list[Any] = []
        FileSender().beginFileTransfer(io.BytesIO(b"x" * 1_000_000), socket).addBoth(outcomes.append)
        peer.leave()
        ((failure,),) = [outcomes]
        assert isinstance(failure, Failure)


class TestProducersThatFail:
    """It is logged once; that response ends as it must, and no other."""

    @pytest.mark.parametrize("when", ["at once", "later"])
    def test_pull(self, when: str, failures: list[Failure]) -> None:
        peer, socket = asked()
        other = peer.another()
        others: list[HttpSocket] = []
        peer.server.handler = lambda request, socket: others.append(socket) or True  # type: ignore[attr-defined]
        other.send(get())

        class Bad(Pull):
            def resumeProducing(self) -> None:
                super().resumeProducing()
                if self.pulls == (1 if when == "at once" else 3):
                    raise ZeroDivisionError

        bad = Bad(socket)
        socket.registerProducer(bad, False)
        for _ in range(10):
            turn(peer)
        assert take(failures) == [ZeroDivisionError]
        assert bad.pulls == (1 if when == "at once" else 3)
        assert peer.transport.aborted
        assert not peer.transport.value.endswith(b"0\r\n\r\n")
        others[0].respond("ok")
        assert other.bodies() == [b"ok"]
        peer.leave(ConnectionLost())

    @pytest.mark.parametrize("name", ["pauseProducing", "resumeProducing", "stopProducing"])
    def test_push(self, name: str, failures: list[Failure]) -> None:
        """Of all places, it is called by the transport."""
        peer, socket = asked()
        push = Push()
        setattr(push, name, lambda: 1 / 0)
        socket.registerProducer(push, True)
        fill(peer.transport, socket)
        peer.transport.release()
        peer.leave(ConnectionLost())
        assert take(failures) == [ZeroDivisionError]


class Opened(io.BytesIO):
    """A file in memory that can fail."""

    name = "memory.bin"

    def __init__(self, content: bytes = b"", failsAt: int | None = None) -> None:
        super().__init__(content)
        self.failsAt = failsAt

    def read(self, size: int | None = -1) -> bytes:
        if self.failsAt is not None and self.tell() >= self.failsAt:
            raise OSError(5, "Input/output error")
        return super().read(size)


def sendAll(peer: Conversation) -> None:
    peer.advance(0)


CONTENT = b"".join(b"%06d" % number for number in range(160_000))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_bytes(CONTENT)
    return path


class TestSendFile:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_path(self, path: Path, kind: Callable[[Path], Any]) -> None:
        peer, socket = asked()
        socket.sendFile(kind(path))
        sendAll(peer)
        response = peer.response()
        assert (response.status, response.body) == (200, CONTENT)
        assert response.all("content-length") == [str(len(CONTENT))]
        assert response.all("content-type") == ["text/plain"]
        assert peer.open

    @pytest.mark.parametrize(
        ("name", "mediaType"),
        [
            ("a.html", "text/html"),
            ("a.PNG", "image/png"),
            ("a.json", "application/json"),
            ("a", "application/octet-stream"),
            ("a.unknown-one", "application/octet-stream"),
            ("a.tar.gz", "application/octet-stream"),
            ("a.html.gz", "application/octet-stream"),
        ],
    )
    def test_mediaType(self, tmp_path: Path, name: str, mediaType: str) -> None:
        (tmp_path / name).write_bytes(b"x")
        peer, socket = asked()
        socket.sendFile(tmp_path / name)
        sendAll(peer)
        assert peer.response().all("content-type") == [mediaType]

    @pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
    def test_nothingButFiles(self, tmp_path: Path, kind: str) -> None:
        """To open a pipe would be to wait for somebody who writes to it; the server with us."""
        path = {"pipe": tmp_path / "pipe", "folder": tmp_path, "device": Path("/dev/zero")}[kind]
        if kind == "pipe":
            os.mkfifo(path)
        peer, socket = asked()
        socket.sendFile(path)
        assert peer.statuses() == [404]

    def test_headers(self, path: Path) -> None:
        peer, socket = asked()
        socket.sendFile(path, {"content-type": "x/y", "ETag": '"1"'})
        sendAll(peer)
        response = peer.response()
        assert (response.all("content-type"), response.all("etag")) == (["x/y"], ['"1"'])
        assert response.body == CONTENT

    def test_theCallersHeadersAreHisOwn(self, path: Path) -> None:
        headers = HttpHeaders([("ETag", '"1"')])
        peer, socket = asked()
        socket.sendFile(path, headers)
        assert headers.items() == [("ETag", '"1"')]
        peer.leave()

    def test_badHeaders(self, path: Path) -> None:
        for headers, error in (({"X": "a\nb"}, ValueError), ({"X": 1}, TypeError)):
            peer, socket = asked()
            file = path.open("rb")
            with pytest.raises(error):
                socket.sendFile(file, headers)  # type: ignore[arg-type]
            assert file.closed
            socket.respond("ok")
            assert peer.bodies() == [b"ok"]

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        peer, socket = asked()
        socket.sendFile(tmp_path / "empty")
        sendAll(peer)
        response = peer.response()
        assert (response.body, response.all("content-length")) == (b"", ["0"])

    def test_openFile(self, path: Path) -> None:
        """From where it stands."""
        peer, socket = asked()
        file = path.open("rb")
        file.seek(100_000)
        socket.sendFile(file)
        sendAll(peer)
        response = peer.response()
        assert response.body == CONTENT[100_000:]
        assert response.all("content-length") == [str(len(CONTENT) - 100_000)]
        assert response.all("content-type") == ["text/plain"]
        assert file.closed

    def test_inMemory(self) -> None:
        peer, socket = asked()
        file = io.BytesIO(CONTENT)
        socket.sendFile(file)
        sendAll(peer)
        response = peer.response()
        assert (response.body, response.all("content-type")) == (CONTENT, ["application/octet-stream"])
        assert file.closed

    def test_temporaryFile(self) -> None:
        peer, socket = asked()
        with tempfile.NamedTemporaryFile() as file:
            file.write(CONTENT)
            file.seek(0)
            socket.sendFile(file)  # type: ignore[arg-type]
            sendAll(peer)
        assert peer.response().body == CONTENT

    def test_pipe(self) -> None:
        """Which has no length."""
        reading, writing = os.pipe()
        os.write(writing, b"abc")
        os.close(writing)
        peer, socket = asked()
        socket.sendFile(os.fdopen(reading, "rb"))
        sendAll(peer)
        response = peer.response()
        assert (response.body, response.all("transfer-encoding")) == (b"abc", ["chunked"])

    def test_compressedFile(self, tmp_path: Path) -> None:
        """What is sent is what it reads as, and not as long as what lies on the disk."""
        with gzip.open(tmp_path / "x.gz", "wb") as file:
            file.write(CONTENT)
        peer, socket = asked()
        socket.sendFile(gzip.open(tmp_path / "x.gz"))  # type: ignore[arg-type]  # noqa: SIM115
        sendAll(peer)
        assert peer.response().body == CONTENT

    @pytest.mark.parametrize("name", ["missing", "missing/below", "file.txt/below", ".", "x" * 300])
    def test_missing(self, path: Path, name: str) -> None:
        """Directories, and what cannot be opened for any other reason, too."""
        peer, socket = asked()
        socket.sendFile(path.parent / name)
        assert socket.isAnswered
        response = peer.response()
        assert (response.status, response.all("x-content-type-options")) == (404, ["nosniff"])
        assert str(path.parent).encode() not in response.body
        assert peer.open

    def test_head(self, path: Path) -> None:
        peer, socket = asked(HEAD)
        socket.sendFile(path)
        sendAll(peer)
        response = peer.response("HEAD")
        assert (response.body, response.all("content-length")) == (b"", [str(len(CONTENT))])
        assert peer.open

    def test_headReadsNothing(self, path: Path) -> None:
        _, socket = asked(HEAD)
        socket.sendFile(Opened(CONTENT, failsAt=0))
        assert socket.isAnswered

    def test_http10(self, path: Path) -> None:
        peer, socket = asked(HTTP10)
        socket.sendFile(path)
        sendAll(peer)
        assert peer.response().body == CONTENT
        assert peer.halfClosed

    def test_boundedMemory(self, tmp_path: Path) -> None:
        big = tmp_path / "big"
        with big.open("wb") as file:
            file.truncate(10_000_000)
        peer, socket = asked()
        peer.transport.stuck = True
        socket.sendFile(big)
        received = 0
        while not socket.isAnswered:
            peer.advance(0)
            received += sum(map(len, peer.transport.held))
            assert sum(map(len, peer.transport.held)) < 200_000
            peer.transport.writes.clear()
            peer.transport.release()
        assert received >= 10_000_000
        assert socket.bodyBytesSent == 10_000_000

    def test_whatFollowsIsServed(self, path: Path) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.sendFile(path)
            return True

        peer = serve(handler)
        peer.send(get("/a") + get("/b"))
        sendAll(peer)
        assert peer.bodies() == [CONTENT, CONTENT]


class TestSendFileClosing:
    """The file is closed in every case."""

    def test_theEnd(self) -> None:
        peer, socket = asked()
        file = Opened(CONTENT)
        socket.sendFile(file)
        sendAll(peer)
        assert file.closed
        assert peer.response().body == CONTENT

    def test_thePeerLeaves(self) -> None:
        peer, socket = asked()
        file = Opened(CONTENT)
        socket.sendFile(file)
        assert not file.closed
        peer.leave()
        assert file.closed

    def test_abortConnection(self) -> None:
        peer, socket = asked()
        file = Opened(CONTENT)
        socket.sendFile(file)
        socket.abortConnection()
        peer.leave(ConnectionLost())
        assert file.closed

    def test_loseConnection(self, path: Path) -> None:
        """A producer has its time, as with any transport of Twisted's."""
        peer, socket = asked(get() + get())
        with path.open("rb") as file:
            socket.sendFile(file)
            socket.loseConnection()
            assert peer.open
            sendAll(peer)
            assert file.closed
        assert peer.response().body == CONTENT
        assert not peer.open

    def test_finishShortOfItsLength(self, path: Path) -> None:
        peer, socket = asked()
        with path.open("rb") as file:
            socket.sendFile(file)
            with pytest.raises(ValueError):
                socket.finish()
            assert peer.transport.aborted
            peer.leave(ConnectionLost())
            assert file.closed

    @pytest.mark.parametrize("end", [HttpSocket.loseConnection, HttpSocket.finish])
    def test_endingTheAnswerMeanwhile(self, end: Callable[[HttpSocket], None]) -> None:
        peer, socket = asked()
        file = Opened(CONTENT)
        socket.sendFile(file)
        end(socket)
        peer.leave()
        assert file.closed

    def test_readError(self, failures: list[Failure]) -> None:
        """The peer must not take what it has for the whole."""
        peer, socket = asked()
        file = Opened(CONTENT, failsAt=400_000)
        socket.sendFile(file)
        sendAll(peer)
        assert take(failures) == [OSError]
        assert file.closed
        assert peer.transport.aborted
        assert not peer.transport.value.endswith(b"0\r\n\r\n")
        peer.leave(ConnectionLost())

    def test_readErrorAtOnce(self, failures: list[Failure]) -> None:
        files: list[Opened] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            files.append(Opened(CONTENT, failsAt=0))
            socket.sendFile(files[0])
            return True

        peer = serve(handler)
        peer.send(get())
        assert take(failures) == [OSError]
        assert files[0].closed
        assert peer.transport.aborted

    def test_closedByItsOwner(self, failures: list[Failure]) -> None:
        peer, socket = asked()
        file = Opened(CONTENT)
        socket.sendFile(file)
        file.close()
        sendAll(peer)
        assert take(failures) == [ValueError]
        assert peer.transport.aborted

    def test_text(self, path: Path, failures: list[Failure]) -> None:
        """A mistake that shows late, since only reading tells."""
        peer, socket = asked()
        file: Any = path.open("r")
        socket.sendFile(file)
        sendAll(peer)
        assert take(failures) == [TypeError]
        assert file.closed
        assert peer.transport.aborted

    def test_truncatedMeanwhile(self, path: Path, failures: list[Failure]) -> None:
        peer, socket = asked()
        file = path.open("rb")
        socket.sendFile(file)
        os.truncate(path, 70_000)
        sendAll(peer)
        assert take(failures) == [ValueError]
        assert file.closed
        assert peer.transport.aborted

    def test_grownMeanwhile(self, path: Path) -> None:
        """A log, for example: it is as long as it was."""
        peer, socket = asked()
        socket.sendFile(path)
        with path.open("ab") as file:
            file.write(b"one more line\n")
        sendAll(peer)
        assert peer.response().body == CONTENT

    def test_answeredAlready(self) -> None:
        _, socket = asked()
        socket.respond()
        with pytest.raises(AlreadyAnswered):
            socket.sendFile("missing")
        file = Opened(CONTENT)
        with pytest.raises(AlreadyAnswered):
            socket.sendFile(file)
        assert file.closed

    def test_gone(self) -> None:
        peer, socket = asked()
        peer.leave()
        file = Opened(CONTENT)
        socket.sendFile(file)
        assert file.closed


class TestInform:
    def test_before(self) -> None:
        peer, socket = asked()
        socket.inform(103, {"Link": ["</a.css>", "</b.css>"]})
        assert peer.transport.value == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.css>\r\n\r\n"
        socket.inform(102)
        socket.write(b"abc")
        socket.finish()
        assert [(each.status, each.body) for each in peer.responses()] == [
            (103, b""),
            (102, b""),
            (200, b"abc"),
        ]

    def test_claimsNothing(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.inform(103)
            return False

        peer = serve(handler)
        peer.send(get())
        assert peer.statuses() == [103, 404]

    def test_afterBegin(self) -> None:
        peer, socket = asked()
        socket.begin()
        with pytest.raises(AlreadyAnswered):
            socket.inform(103)
        socket.finish()
        assert peer.statuses() == [200]

    def test_http10HasNone(self) -> None:
        peer, socket = asked(HTTP10)
        socket.inform(103, {"Link": "</a>"})
        assert peer.transport.value == b""
        socket.respond("ok")
        assert peer.statuses() == [200]

    @pytest.mark.parametrize("status", [101, 200, 99, 0, 199.0, True, "103", None, 1030, -103])
    def test_badStatus(self, status: Any) -> None:
        for request in (get(), HTTP10):
            peer, socket = asked(request)
            with pytest.raises(ValueError):
                socket.inform(status)
            assert peer.transport.value == b""

    @pytest.mark.parametrize("value", ["</a>\r\nX: y", "a\nb", "a\rb", "a\x00b", "\u20ac"])
    def test_badHeaders(self, value: str) -> None:
        for request in (get(), HTTP10):
            peer, socket = asked(request)
            with pytest.raises(ValueError):
                socket.inform(103, {"Link": value})
            assert peer.transport.value == b""
            socket.respond("ok")
            assert peer.bodies() == [b"ok"]

    @pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
    def test_framing(self, name: str) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.inform(103, {name: "1"})
        assert peer.transport.value == b""


class TestNotifyFinish:
    def test_finish(self) -> None:
        _, socket = asked()
        outcomes: list[Any] = []
        socket.notifyFinish().addBoth(outcomes.append)
        socket.write(b"abc")
        socket.notifyFinish().addBoth(outcomes.append)
        assert outcomes == []
        socket.finish()
        assert outcomes == [None, None]
        assert not socket.isResponseCanceled

    def test_thePeerLeaves(self) -> None:
        peer, socket = asked()
        outcomes: list[Any] = []
        socket.write(b"abc")
        socket.notifyFinish().addBoth(outcomes.append)
        reason = ConnectionDone()
        peer.leave(reason)
        assert [each.value for each in outcomes] == [reason]
        assert socket.isResponseCanceled
        socket.write(b"def")
        socket.finish()
        assert socket.isResponseCanceled

    def test_shortFinish(self) -> None:
        peer, socket = asked()
        outcomes: list[Any] = []
        socket.begin(headers={"Content-Length": "3"})
        socket.notifyFinish().addErrback(lambda failure: outcomes.append(failure.type))
        with pytest.raises(ValueError):
            socket.finish()
        peer.leave(ConnectionLost())
        assert outcomes == [ConnectionAborted]
        assert socket.isResponseCanceled

    def test_inOrder(self) -> None:
        """When it fires the next request may be at work already, but the response is out."""
        peer, socket = asked()
        seen: list[bytes] = []
        socket.notifyFinish().addCallback(lambda _: seen.append(peer.transport.value))
        socket.write(b"abc")
        socket.finish()
        assert seen[0].endswith(b"0\r\n\r\n")


class TestEnds:
    def test_loseConnection(self) -> None:
        peer, socket = asked(get() + get())
        socket.write(b"abc")
        socket.loseConnection()
        assert socket.isAnswered
        assert peer.bodies() == [b"abc"]
        assert not peer.open
        assert not peer.transport.aborted
        with pytest.raises(AlreadyAnswered):
            socket.write(b"more")

    def test_loseConnectionInTheHandler(self) -> None:
        for result in (True, None):

            def handler(request: HttpRequest, socket: HttpSocket, result: Any = result) -> Any:
                socket.write(b"abc")
                socket.loseConnection()
                return result

            peer = serve(handler)
            peer.send(get() + get())
            response = peer.response()
            assert response.body == b"abc"
            assert not peer.open

    def test_loseConnectionShortOfTheLength(self) -> None:
        peer, socket = asked()
        socket.begin(headers={"Content-Length": "3"})
        try:
            socket.loseConnection()
        except ValueError:
            pass
        assert peer.transport.aborted

    @pytest.mark.parametrize("request_", [get(), HTTP10], ids=["1.1", "1.0"])
    def test_abortConnection(self, request_: bytes) -> None:
        """Of a close-delimited answer above all: FIN would look complete."""
        peer, socket = asked(request_)
        socket.write(b"abc")
        before = peer.transport.value
        socket.abortConnection()
        assert peer.transport.aborted
        assert "loseConnection" not in peer.transport.log
        assert "loseWriteConnection" not in peer.transport.log
        peer.advance(0)
        assert peer.transport.value == before

    @pytest.mark.parametrize("request_", [get(), HTTP10], ids=["1.1", "1.0"])
    @pytest.mark.parametrize("late", [False, True])
    def test_anException(self, request_: bytes, late: bool, failures: list[Failure]) -> None:
        """No terminating chunk, no error page, no FIN; and it is logged once."""
        gate: Deferred[None] = Deferred()

        async def fail(socket: HttpSocket) -> bool:
            await gate
            raise ZeroDivisionError

        def handler(request: HttpRequest, socket: HttpSocket) -> Any:
            socket.write(b"abc")
            if late:
                return fail(socket)
            raise ZeroDivisionError

        peer = serve(handler)
        peer.send(request_ + request_)
        gate.callback(None)
        peer.leave(ConnectionLost())
        assert take(failures) == [ZeroDivisionError]
        assert peer.transport.aborted
        assert "loseConnection" not in peer.transport.log
        data = peer.transport.value
        assert b"0\r\n\r\n" not in data.partition(b"\r\n\r\n")[2]
        assert b"500" not in data

    def test_anExceptionAfterTheEnd(self, failures: list[Failure]) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> Any:
            socket.write(b"abc")
            socket.finish()
            raise ZeroDivisionError

        peer = serve(handler)
        peer.send(get() + get())
        assert take(failures) == [ZeroDivisionError, ZeroDivisionError]
        assert peer.bodies() == [b"abc", b"abc"]
        assert peer.open

    def test_falseAfterBegin(self) -> None:
        """`missingHandler` may look at it, but it is no 404."""
        seen: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.write(b"abc")
            return False

        peer = serve(handler)
        peer.server.missingHandler.connect(lambda request, socket: seen.append(socket))
        peer.send(get())
        seen[0].finish()
        assert peer.bodies() == [b"abc"]

    def test_noneAfterBegin(self) -> None:
        sockets: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> None:
            socket.begin()
            sockets.append(socket)

        peer = serve(handler)
        peer.send(get())
        sockets[0].finish()
        assert peer.statuses() == [200]

    def test_handlerTimeout(self) -> None:
        peer, socket = asked(handlerTimeout=5)
        socket.write(b"abc")
        peer.advance(5.1)
        assert peer.transport.aborted

    def test_halfClosed(self) -> None:
        """The peer has said all it wants to say, and still reads."""
        peer, socket = asked()
        socket.write(b"abc")
        peer.halfClose()
        peer.advance(100)
        socket.write(b"def")
        assert peer.open
        socket.finish()
        assert peer.bodies() == [b"abcdef"]
        assert peer.transport.closed

    def test_closingServer(self) -> None:
        peer, socket = asked(get() + get())
        socket.write(b"abc")
        peer.server.close(10)
        assert peer.open
        socket.finish()
        assert peer.bodies() == [b"abc"]
        assert not peer.open

    def test_closingServerAborts(self) -> None:
        peer, socket = asked()
        push = Push()
        socket.registerProducer(push, True)
        peer.server.close(10)
        peer.advance(10.1)
        assert peer.transport.aborted
        assert push.log == ["stop"]
        assert b"0\r\n\r\n" not in peer.transport.value


@pytest.mark.parametrize("secure", [False, True])
def test_overTls(secure: bool) -> None:
    peer, socket = asked(secure=secure)
    socket.begin()
    for _ in range(3):
        socket.write(b"x" * 50_000)
    socket.finish({"X": "y"})
    assert len(peer.response().body) == 150_000
