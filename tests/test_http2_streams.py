"""Streams of one HTTP/2 connection: many at a time, how each ends, and that it takes nobody along."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, echoPath, results, take
from http2helpers import SETTINGS, Http2Peer, Keeper, frame, serve2
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpSocket
from txabstracthttp._http2exchange import Http2Exchange

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, CALM = 0, 1, 2, 7, 8, 11
KIB64 = 64 * 1024


class Oops(Exception):
    """What goes wrong here."""


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def kept(**options: Any) -> tuple[Http2Peer, Keeper]:
    keeper = Keeper()
    return serve2(keeper, **options), keeper


class TestMany:
    def test_oneAfterTheOther(self) -> None:
        peer = serve2(echoPath)
        for number in range(50):
            assert peer.got(f"/{number}").brief == (200, f"/{number}".encode())
        assert peer.isAlive

    def test_answeredInAnyOrder(self) -> None:
        peer, keeper = kept()
        streams = [peer.ask(f"/{number}") for number in range(100)]
        assert peer.answers.get(streams[0]) is None
        for socket in reversed(keeper.sockets):
            socket.respond(socket.request.path)
        assert [peer.brief(each) for each in streams] == [(200, b"/%d" % number) for number in range(100)]
        assert peer.isAlive

    def test_inOneSegment(self) -> None:
        """What they are answered with leaves together, too."""
        peer = serve2(echoPath)
        for number in range(20):
            peer.h2.send_headers(2 * number + 1, peer.head(f"/{number}", (), "GET"), True)
        writes: list[bytes] = []
        write = peer.transport.write
        peer.transport.write = lambda data: (writes.append(data), write(data))  # type: ignore[method-assign, assignment, func-returns-value]
        peer.say()
        assert [peer.brief(2 * number + 1)[1] for number in range(20)] == [b"/%d" % n for n in range(20)]
        assert len(writes) < 3

    def test_aHeadOfManyFrames(self) -> None:
        """What is larger than a frame is continued in others (section 6.10), both ways."""
        peer, keeper = kept()
        stream = peer.ask("/", "x: " + "a" * 40_000)
        assert keeper.request.value("x") == "a" * 40_000
        keeper.socket.respond("y", headers={"X-Back": "b" * 40_000})
        assert peer.answer(stream).all("x-back") == ["b" * 40_000]

    def test_octetByOctet(self) -> None:
        peer = serve2(echoPath)
        peer.h2.send_headers(1, peer.head("/slow", (), "POST"), False)
        peer.h2.send_data(1, b"abc", end_stream=True)
        peer.raw(*(bytes([each]) for each in peer.h2.data_to_send()))
        assert peer.brief(1) == (200, b"/slow")

    def test_beyondTheLimit(self) -> None:
        """SETTINGS_MAX_CONCURRENT_STREAMS (section 5.1.2): the one too many is refused, and may try again."""
        peer, keeper = kept(http2={"maxConcurrentStreams": 2})
        first, second = peer.ask("/1"), peer.ask("/2")
        # h2 keeps to the limit, as far as it knows of it.
        peer.h2.remote_settings = type(peer.h2.remote_settings)(client=False)
        assert peer.got("/3").reset == REFUSED_STREAM
        assert len(keeper.sockets) == 2
        for socket in keeper.sockets:
            socket.respond(socket.request.path)
        assert (peer.brief(first), peer.brief(second)) == ((200, b"/1"), (200, b"/2"))
        peer.ask("/4")
        keeper.socket.respond("again")
        assert peer.isAlive

    def test_aSlowOneHoldsBackNobody(self) -> None:
        peer, keeper = kept()
        slow = peer.ask("/slow")
        keeper.socket.write(b"begun")
        peer.server.handler = echoPath  # type: ignore[attr-defined]
        assert peer.got("/quick").brief == (200, b"/quick")
        keeper.socket.finish()
        assert peer.brief(slow) == (200, b"begun")

    def test_peerAttributes(self) -> None:
        peer, keeper = kept(secure=True)
        peer.ask("/a?b=c", authority="Example.com:8443")
        request = keeper.request
        assert (request.isSecure, request.version, request.value("host")) == (True, "2", "Example.com:8443")
        assert request.url.to_text() == "https://Example.com:8443/a?b=c"
        assert request.peerCertificate is None
        peer.ask("/", "cookie: a=1", "cookie: b=2")
        assert keeper.request.headers.getAll("Cookie") == ["a=1; b=2"]


class TestReset:
    """The peer resets a stream: the client has left, as far as its handler is concerned."""

    def test_beforeTheAnswer(self) -> None:
        peer, keeper = kept()
        stream, other = peer.ask("/1"), peer.ask("/2")
        socket = keeper.at("/1")
        (end,) = results(socket.notifyFinish())
        assert not socket.isResponseCanceled
        peer.reset(stream)
        assert (end[0].type, socket.isResponseCanceled) == (ConnectionLost, True)
        assert results(socket.notifyFinish())[0][0].check(ConnectionLost)
        # Nobody could have known.
        socket.respond("too late")
        socket.finish()
        socket.abortConnection()
        keeper.at("/2").respond("x")
        assert (peer.brief(other), peer.answer(stream).status) == ((200, b"x"), 0)
        assert peer.isAlive

    def test_behindTheHead(self) -> None:
        peer, keeper = kept()
        records: list[tuple[int, int]] = []
        peer.server.exchangeFinished.connect(lambda record: records.append((record.status, record.size)))
        stream = peer.ask()
        keeper.socket.write(b"abc")
        (end,) = results(keeper.socket.notifyFinish())
        assert (peer.brief(stream), end) == ((200, b"abc"), [])
        peer.reset(stream)
        assert end[0].check(ConnectionLost)
        keeper.socket.write(b"more")
        assert records == [(200, 3)]
        assert peer.isAlive

    def test_ofOneThatWaitsForRoom(self) -> None:
        peer, keeper = kept(client={"settings": {4: 10}, "acknowledging": False})
        stream = peer.ask("/big")
        keeper.socket.respond(bytes(100_000))
        assert len(peer.answer(stream).body) == 10
        peer.reset(stream)
        peer.server.handler = echoPath  # type: ignore[attr-defined]
        assert peer.got("/next").brief == (200, b"/next")

    @pytest.mark.parametrize("policy", [False, True])
    def test_inTheMiddleOfAnUpload(self, policy: bool) -> None:
        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            try:
                async for _ in request:
                    pass
            except ConnectionLost:
                ends.append("cut")
            return True

        ends: list[str] = []
        peer = serve2(handler, policy=policy)
        stream = peer.ask("/", method="POST", body=b"abc", end=False)
        peer.reset(stream)
        assert ends == (["cut"] if policy else [])
        peer.server.handler = echoPath  # type: ignore[attr-defined]
        assert peer.got("/next").brief == (200, b"/next")

    def test_togetherWithTheRequest(self) -> None:
        """Both are in one segment."""
        peer, keeper = kept()
        peer.h2.send_headers(1, peer.head("/", (), "GET"), True)
        peer.h2.reset_stream(1)
        peer.say()
        for socket in keeper.sockets:
            assert socket.isResponseCanceled
            socket.respond("x")
        assert peer.isAlive

    def test_ofAMalformedOneInOneSegment(self) -> None:
        """The stream is gone already when it is found out."""
        peer = serve2(echoPath)
        peer.h2.config.validate_outbound_headers = peer.h2.config.normalize_outbound_headers = False
        peer.h2.send_headers(1, peer.head("/", ("Bad Name: x",), "GET"), True)
        peer.h2.reset_stream(1)
        peer.say()
        assert peer.goneAway == []
        assert peer.got("/next").brief == (200, b"/next")

    def test_ofPaddedContentInOneSegment(self) -> None:
        """There is room to be given back for what was padding, on a stream that is gone already."""
        peer = serve2(Keeper(), policy=True, http2={"streamReceiveWindowSize": 300})
        stream = peer.ask("/", method="POST", end=False)
        peer.h2.send_data(stream, b"abc", pad_length=200)
        peer.h2.reset_stream(stream)
        peer.say()
        assert peer.isAlive

    def test_resettingManyIsTooMuch(self) -> None:
        """CVE-2023-44487; the wire's tests have more of it."""
        peer = serve2(Keeper())
        for _ in range(300):
            if peer.goneAway:
                break
            peer.reset(peer.ask())
        assert [code for code, _ in peer.goneAway] == [CALM]
        assert not peer.conversation.open


class TestOwnEnds:
    """How the application ends a stream."""

    @pytest.mark.parametrize("begun", [False, True])
    def test_abort(self, begun: bool) -> None:
        peer, keeper = kept()
        stream, other = peer.ask("/1"), peer.ask("/2")
        socket = keeper.at("/1")
        if begun:
            socket.write(b"abc")
        socket.abortConnection()
        socket.abortConnection()
        assert (peer.answer(stream).reset, peer.answer(stream).ended) == (CANCEL, False)
        assert socket.isResponseCanceled
        keeper.at("/2").respond("x")
        assert peer.brief(other) == (200, b"x")
        assert peer.isAlive

    def test_whatAnAbortIsCalled(self) -> None:
        peer, keeper = kept()
        peer.ask()
        (end,) = results(keeper.socket.notifyFinish())
        keeper.socket.abortConnection()
        assert end[0].check(ConnectionAborted)

    def test_abortBehindTheAnswer(self) -> None:
        """As long as it is not all sent."""
        peer, keeper = kept(client={"settings": {4: 10}, "acknowledging": False})
        stream = peer.ask("/big")
        keeper.socket.respond(bytes(100))
        keeper.socket.abortConnection()
        assert peer.answer(stream).reset == CANCEL
        quick = peer.ask("/quick")
        keeper.socket.respond("x")
        keeper.socket.abortConnection()
        assert (peer.answer(quick).reset, peer.answer(quick).ended) == (None, True)
        assert peer.isAlive

    def test_loseWithoutAnAnswer(self) -> None:
        peer, keeper = kept()
        stream = peer.ask()
        (end,) = results(keeper.socket.notifyFinish())
        keeper.socket.loseConnection()
        assert (peer.answer(stream).reset, peer.answer(stream).status) == (CANCEL, 0)
        assert end[0].check(ConnectionDone)
        assert peer.isAlive

    def test_loseFinishesTheStreamOnly(self) -> None:
        peer, keeper = kept()
        stream = peer.ask()
        keeper.socket.write(b"abc")
        keeper.socket.loseConnection()
        assert (peer.brief(stream), peer.answer(stream).ended) == ((200, b"abc"), True)
        assert peer.isAlive

    @pytest.mark.parametrize("late", [False, True])
    def test_failureBehindTheHead(self, late: bool, failures: list[Failure]) -> None:
        event: Deferred[Any] = Deferred()

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.write(b"abc")
            if late:
                await event
            raise Oops

        peer = serve2(handler)
        stream = peer.ask()
        if late:
            event.callback(None)
        assert take(failures) == [Oops]
        assert (peer.answer(stream).reset, peer.answer(stream).ended) == (INTERNAL_ERROR, False)
        assert peer.isAlive

    def test_failureBeforeTheHead(self, failures: list[Failure]) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            raise Oops("secret")

        peer = serve2(handler)
        answer = peer.got()
        assert take(failures) == [Oops]
        assert (answer.brief, answer.reset) == ((500, b"500 Internal Server Error\n"), None)
        assert peer.isAlive

    def test_short(self) -> None:
        peer, keeper = kept()
        stream = peer.ask()
        keeper.socket.begin(headers={"Content-Length": "9"})
        keeper.socket.write(b"abc")
        with pytest.raises(ValueError, match="6 octets short"):
            keeper.socket.finish()
        assert peer.answer(stream).reset == CANCEL
        assert peer.isAlive

    def test_detach(self) -> None:
        """A stream is no connection; and nothing has happened."""
        peer, keeper = kept()
        stream = peer.ask()
        with pytest.raises(RuntimeError, match="HTTP/2"):
            keeper.socket.detach(Protocol())
        assert not keeper.socket.isDetached
        keeper.socket.respond("x")
        assert peer.brief(stream) == (200, b"x")

    @pytest.mark.parametrize(
        "fields", [{"Connection": "X-Hop"}, {"Upgrade": "h2c"}, {"Proxy-Connection": "x"}]
    )
    @pytest.mark.parametrize("call", ["respond", "begin", "inform"])
    def test_fieldsOfConnections(self, call: str, fields: dict[str, str]) -> None:
        """They are left out or refused; the client calls it a protocol error if they arrive."""
        peer, keeper = kept()
        stream = peer.ask()
        try:
            if call == "inform":
                keeper.socket.inform(103, fields)
            else:
                getattr(keeper.socket, call)(headers=fields)
        except ValueError:
            keeper.socket.respond("x")
        else:
            if call != "respond":
                keeper.socket.finish()
        answer = peer.answer(stream)
        sent = answer.headers + [field for _, fields in answer.interim for field in fields]
        assert answer.status == 200
        assert {name for name, _ in sent}.isdisjoint({"connection", "upgrade", "proxy-connection"})


class TestUnread:
    """Content that nobody wants, behind the answer."""

    @pytest.mark.parametrize("policy", [True, 1_000_000])
    def test_resetWithNoError(self, policy: Any) -> None:
        """RFC 9113 section 8.1."""
        peer = serve2(echoPath, policy=policy)
        stream = peer.ask("/up", method="POST", body=b"abc", end=False)
        answer = peer.answer(stream)
        assert (answer.brief, answer.ended, answer.reset) == ((200, b"/up"), True, NO_ERROR)
        assert peer.isAlive

    def test_notWhenItHasAllCome(self) -> None:
        peer = serve2(echoPath, policy=True)
        answer = peer.got("/up", method="POST", body=b"abc")
        assert (answer.ended, answer.reset) == (True, None)

    def test_whatIsStillOnItsWay(self) -> None:
        """It is thrown away, and the connection's window stays as it is."""
        peer = serve2(echoPath, policy=True)
        for _ in range(10):
            stream = peer.ask("/up", method="POST", end=False)
            # Sent before the reset arrived.
            data = b"".join(frame(0, 0, stream, bytes(1000)) for _ in range(60))
            peer.raw(data)
        peer.server.policy = False  # type: ignore[attr-defined]
        assert peer.got("/next", method="POST", body=bytes(60_000)).brief == (200, b"/next")
        assert peer.isAlive

    def test_notBeforeTheResponseIsSent(self) -> None:
        peer = serve2(
            lambda request, socket: socket.respond(bytes(100)) or True,
            policy=True,
            client={"settings": {4: 10}, "acknowledging": False},
        )
        stream = peer.ask("/", method="POST", body=b"abc", end=False)
        assert (len(peer.answer(stream).body), peer.answer(stream).reset) == (10, None)
        peer.makeRoom(1000, stream)
        answer = peer.answer(stream)
        assert (len(answer.body), answer.ended, answer.reset) == (100, True, NO_ERROR)

    @pytest.mark.parametrize("status", [413, 429])
    def test_refusals(self, status: int) -> None:
        limits = {"maximumBodySize": 2} if status == 413 else {"rateLimitPerSecond": 1}
        peer = serve2(echoPath, **limits)  # type: ignore[arg-type]
        if status == 429:
            peer.got()
        stream = peer.ask("/", method="POST", body=b"abc", end=False)
        answer = peer.answer(stream)
        assert (answer.status, answer.ended, answer.reset) == (status, True, NO_ERROR)
        assert peer.isAlive


class TestNothingIsLeft:
    """Whatever has ended is gone."""

    ENDS = ["answered", "reset", "aborted", "failed", "refused", "unread", "upload", "missing"]

    def play(self, peer: Http2Peer, keeper: Keeper, end: str) -> None:
        peer.server.policy = end == "unread"  # type: ignore[attr-defined]
        if end in ("upload", "refused"):
            stream = peer.ask("/", method="POST", body=bytes(1000 if end == "refused" else 10))
            if end == "refused":
                return
        else:
            stream = peer.ask("/", method="POST" if end == "unread" else "GET", end=end != "unread")
        socket = keeper.socket
        match end:
            case "reset":
                peer.reset(stream)
            case "aborted":
                socket.abortConnection()
            case "failed":
                socket.fail()
            case _:
                socket.respond("x")

    @pytest.mark.parametrize("end", ENDS)
    def test_exchanges(self, end: str) -> None:
        keeper = Keeper()
        peer = serve2(keeper, maximumBodySize=100)
        for _ in range(3):
            self.play(peer, keeper, end)
        peer.hear()
        peer.advance(0)
        session = peer.conversation.connection.session
        assert session._exchanges == {}
        assert session.wire._streams == {}
        assert len(session.wire.ended) == len(session.wire.relieved) == 0
        assert peer.isAlive

    def test_noCycles(self) -> None:
        peer = serve2(echoPath)
        peer.got()
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                peer.got()
            left = [each for each in gc.get_objects() if type(each) is Http2Exchange]
        finally:
            gc.enable()
        assert left == []

    def test_noExchangesWhenTheConnectionIsGone(self) -> None:
        peer, keeper = kept()
        for _ in range(3):
            peer.ask()
        ends = results(*(socket.notifyFinish() for socket in keeper.sockets))
        peer.leave(ConnectionLost())
        assert [end[0].type for end in ends] == [ConnectionLost] * 3
        assert [call for call in peer.clock.getDelayedCalls() if call.active()] == []
        keeper.sockets.clear()
        keeper.requests.clear()
        del peer, ends
        gc.collect()
        assert [each for each in gc.get_objects() if type(each) is Http2Exchange] == []


class TestUnknown:
    def test_framesAndSettingsOfLaterTimes(self) -> None:
        """Section 5.5: they are ignored."""
        peer = serve2(echoPath)
        peer.raw(frame(0xEE, 0, 0, b"x"), frame(4, 0, 0, b"\xff\xfe\0\0\0\1"), SETTINGS)
        assert peer.got("/x").brief == (200, b"/x")
