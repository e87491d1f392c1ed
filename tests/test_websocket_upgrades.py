"""Who may open a WebSocket: interest, verifiers, `handleRequest`, and what becomes of a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, echoPath, get, results, serve, take
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from websockethelpers import Peer, accepting, another, connect, offer, text, upgrade

from txabstracthttp import HttpError, HttpRequest, HttpSocket, WebSocketUpgrade

ACCEPTED, PASSED = WebSocketUpgrade.accept(), WebSocketUpgrade.passToNext()


class Oops(Exception):
    """What goes wrong here."""


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def untouched(request: HttpRequest, socket: HttpSocket) -> bool:
    raise AssertionError("nobody should have asked")


def noting(notes: list[HttpRequest], answer: Any) -> Callable[[HttpRequest], Any]:
    """A verifier that gives `answer`, and notes what it was given."""

    def verifier(request: HttpRequest) -> Any:
        notes.append(request)
        return answer

    return verifier


def verified(*answers: Any) -> Peer:
    """A peer of a server whose verifiers give `answers`, and who handles nothing else."""
    peer = Peer(serve(untouched))
    for answer in answers:
        peer.server.addWebSocketUpgradeVerifier(noting([], answer))
    return peer


class TestInterest:
    @pytest.mark.parametrize(
        "show",
        [
            lambda server: server.newWebSocketConnection.connect(lambda: None),
            lambda server: server.newWebSocketConnection.next(),
            lambda server: server.whenWebSocketConnected(),
            lambda server: server.addWebSocketUpgradeVerifier(lambda request: ACCEPTED),
        ],
    )
    def test_eachWayToShowIt(self, show: Callable[[Any], object]) -> None:
        peer = Peer(serve(accepting))
        show(peer.server)
        peer.upgrade()
        assert peer.handshake().status == 101

    def test_without(self) -> None:
        """`handleRequest` is not called, and nothing behind the upgrade is looked at (request smuggling)."""
        missed: list[str] = []
        peer = Peer(serve(untouched))
        peer.server.missingHandler.connect(lambda request, socket: missed.append(request.path))
        peer.upgrade(early=get("/smuggled"))
        assert peer.response().status == 404
        assert missed == ["/chat"]

    def test_toLookIsNoInterest(self) -> None:
        peer = Peer(serve(untouched))
        assert not peer.server.hasPendingWebSocketConnections()
        assert peer.server.nextPendingWebSocketConnection() is None
        assert not peer.server.newWebSocketConnection.isConnected
        peer.upgrade()
        assert peer.response().status == 404

    def test_itLastsWhenAnObserverHasGone(self) -> None:
        peer = Peer(serve(accepting))
        signal = peer.server.newWebSocketConnection
        signal.disconnect(signal.connect(lambda: None))
        connect(peer)

    def test_itLastsBetweenTwoWaits(self) -> None:
        peer = Peer(serve(accepting))
        (first,) = results(peer.server.whenWebSocketConnected())
        peer.upgrade()
        assert len(first) == 1
        connect(another(peer))

    def test_itLastsWhenAWaitWasCancelled(self) -> None:
        peer = Peer(serve(accepting))
        waiter = peer.server.whenWebSocketConnected()
        results(waiter)
        waiter.cancel()
        connect(peer)

    def test_itIsOfOneServer(self) -> None:
        offer()
        peer = Peer(serve(untouched))
        peer.upgrade()
        assert peer.response().status == 404


class TestVerifiers:
    def test_order(self) -> None:
        asked: list[list[HttpRequest]] = [[], [], [], []]
        peer = Peer(serve(untouched))
        for notes, answer in zip(asked, [PASSED, PASSED, ACCEPTED, WebSocketUpgrade.deny()], strict=True):
            peer.server.addWebSocketUpgradeVerifier(noting(notes, answer))
        connect(peer)
        assert [len(notes) for notes in asked] == [1, 1, 1, 0]

    def test_whatTheyAreGiven(self) -> None:
        requests: list[HttpRequest] = []
        peer = Peer(serve(untouched))
        for answer in (PASSED, ACCEPTED):
            peer.server.addWebSocketUpgradeVerifier(noting(requests, answer))
        webSocket = connect(peer, "X-Key: secret", target="/chat?room=1")
        assert [each is webSocket.request for each in requests] == [True, True]
        assert webSocket.request.isWebSocketUpgrade
        assert webSocket.request.query["room"] == "1"
        assert webSocket.request.headers["x-key"] == "secret"

    def test_twiceIsAskedTwice(self) -> None:
        asked: list[HttpRequest] = []

        def verifier(request: HttpRequest) -> WebSocketUpgrade:
            asked.append(request)
            return PASSED if len(asked) == 1 else ACCEPTED

        peer = Peer(serve(untouched))
        peer.server.addWebSocketUpgradeVerifier(verifier)
        peer.server.addWebSocketUpgradeVerifier(verifier)
        connect(peer)
        assert len(asked) == 2

    def test_allPass(self) -> None:
        """Qt 6.8: then it is missing its handler."""
        missed: list[HttpRequest] = []
        peer = verified(PASSED, PASSED)
        peer.server.missingHandler.connect(lambda request, socket: missed.append(request))
        peer.upgrade(early=get("/smuggled"))
        assert peer.response().status == 404
        assert [each.path for each in missed] == ["/chat"]

    def test_missingHandlerAnswersLater(self) -> None:
        sockets: list[HttpSocket] = []
        peer = verified(PASSED)

        @peer.server.missingHandler.connect
        def observer(request: HttpRequest, socket: HttpSocket) -> None:
            socket.claim()
            sockets.append(socket)

        peer.upgrade()
        assert peer.transport.writes == []
        sockets[0].respond("gone", 410)
        assert (peer.response().status, peer.conversation.open) == (410, False)

    @pytest.mark.parametrize("early", [False, True])
    @pytest.mark.parametrize("answer", [ACCEPTED, PASSED, WebSocketUpgrade.deny(451)])
    @pytest.mark.parametrize("kind", ["Deferred", "coroutine", "future"])
    def test_awaitables(self, kind: str, answer: WebSocketUpgrade, early: bool) -> None:
        loop = asyncio.new_event_loop()
        event: Deferred[Any] = Deferred()
        future = loop.create_future()

        async def wait() -> WebSocketUpgrade:
            result: WebSocketUpgrade = await event
            return result

        def answerNow() -> None:
            event.callback(answer)
            future.set_result(answer)

        peer = Peer(serve(untouched))
        peer.server.addWebSocketUpgradeVerifier(
            lambda request: {"Deferred": lambda: event, "coroutine": wait, "future": lambda: future}[kind]()
        )
        if early:
            answerNow()
        peer.upgrade()
        if not early:
            assert peer.transport.writes == []
            answerNow()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        expected = {ACCEPTED: 101, PASSED: 404}.get(answer, 451)
        assert peer.handshake().status == expected

    def test_theNextIsAskedWhenTheFirstHasAnswered(self) -> None:
        event: Deferred[WebSocketUpgrade] = Deferred()
        asked: list[HttpRequest] = []
        peer = verified(event)
        peer.server.addWebSocketUpgradeVerifier(noting(asked, ACCEPTED))
        peer.upgrade()
        assert asked == []
        event.callback(PASSED)
        assert peer.handshake().status == 101
        assert len(asked) == 1

    @pytest.mark.parametrize("how", ["raise", "Deferred", "coroutine"])
    def test_oneThatFails(self, how: str, failures: list[Failure]) -> None:
        async def coroutine() -> WebSocketUpgrade:
            raise Oops("a secret")

        def verifier(request: HttpRequest) -> Any:
            if how == "raise":
                raise Oops("a secret")
            return fail(Oops("a secret")) if how == "Deferred" else coroutine()

        peer = Peer(serve(untouched))
        peer.server.addWebSocketUpgradeVerifier(verifier)
        peer.server.addWebSocketUpgradeVerifier(lambda request: ACCEPTED)
        peer.upgrade(early=get("/smuggled"))
        response = peer.response()
        assert (response.status, b"secret" in response.body) == (500, False)
        assert take(failures) == [Oops]
        assert not peer.server.hasPendingWebSocketConnections()

    @pytest.mark.parametrize("late", [False, True])
    def test_anHttpErrorIsAnAnswer(self, late: bool) -> None:
        """As from a handler, it is not worth a line in the log."""

        def verifier(request: HttpRequest) -> Any:
            if late:
                return fail(HttpError(429))
            raise HttpError(429)

        peer = Peer(serve(untouched))
        peer.server.addWebSocketUpgradeVerifier(verifier)
        peer.upgrade()
        assert peer.response().status == 429

    @pytest.mark.parametrize("answer", [None, True, False, "accept", 101, WebSocketUpgrade, object()])
    @pytest.mark.parametrize("late", [False, True])
    def test_wrongAnswers(self, answer: object, late: bool, failures: list[Failure]) -> None:
        peer = verified(succeed(answer) if late else answer, ACCEPTED)
        peer.upgrade()
        assert peer.response().status == 500
        assert take(failures) == [TypeError]

    def test_oneAddedMeanwhileIsForTheNextUpgrade(self) -> None:
        asked: list[HttpRequest] = []
        peer = Peer(serve(untouched))

        def late(request: HttpRequest) -> WebSocketUpgrade:
            asked.append(request)
            return ACCEPTED

        def verifier(request: HttpRequest) -> WebSocketUpgrade:
            peer.server.addWebSocketUpgradeVerifier(late)
            return PASSED

        peer.server.addWebSocketUpgradeVerifier(verifier)
        peer.upgrade()
        assert (peer.response().status, asked) == (404, [])
        connect(another(peer))
        assert len(asked) == 1

    @pytest.mark.parametrize("verifier", [None, 1, ACCEPTED])
    def test_noVerifier(self, verifier: Any) -> None:
        peer = Peer(serve(untouched))
        with pytest.raises(TypeError, match="a verifier is a callable"):
            peer.server.addWebSocketUpgradeVerifier(verifier)
        peer.upgrade()
        assert peer.response().status == 404


class TestDenial:
    def test_plain(self) -> None:
        peer = verified(WebSocketUpgrade.deny())
        peer.upgrade(early=get("/smuggled"))
        response = peer.response()
        assert (response.status, response.body) == (403, b"403 Forbidden\n")

    @pytest.mark.parametrize(
        ("body", "sent", "mediaType"),
        [
            ("no", b"no", "text/plain; charset=utf-8"),
            (b"no", b"no", "application/octet-stream"),
            ({"why": "no"}, b'{"why":"no"}', "application/json"),
            ("", b"", "text/plain; charset=utf-8"),
        ],
    )
    def test_body(self, body: Any, sent: bytes, mediaType: str) -> None:
        peer = verified(WebSocketUpgrade.deny(404, body))
        peer.upgrade()
        response = peer.response()
        assert (response.status, response.body) == (404, sent)
        assert response.all("content-type") == [mediaType]

    @pytest.mark.parametrize("body", [None, "who are you?"])
    @pytest.mark.parametrize(
        ("status", "name", "value"),
        [(401, "WWW-Authenticate", "Basic realm=x"), (302, "Location", "https://example.com/login")],
    )
    def test_fields(self, status: int, name: str, value: str, body: str | None) -> None:
        peer = verified(WebSocketUpgrade.deny(status, body, {name: value}))
        peer.upgrade()
        response = peer.response()
        assert (response.status, response.all(name)) == (status, [value])

    @pytest.mark.parametrize("status", [99, 101, 200, 299, 600, 403.0, "403", None, True])
    def test_noStatusOfADenial(self, status: Any) -> None:
        with pytest.raises(ValueError, match="300 to 599"):
            WebSocketUpgrade.deny(status)

    @pytest.mark.parametrize("fields", [{"X": "a\r\nb"}, {"X\r\n": "a"}, {"X": "a\0"}, {"": "a"}])
    def test_noFieldsOfADenial(self, fields: dict[str, str]) -> None:
        with pytest.raises(ValueError):
            WebSocketUpgrade.deny(403, headers=fields)

    @pytest.mark.parametrize("answer", [ACCEPTED, PASSED, WebSocketUpgrade.deny()])
    def test_repr(self, answer: WebSocketUpgrade) -> None:
        assert repr(answer) == f"<WebSocketUpgrade {answer.outcome}>"


class TestHandleRequest:
    """Qt 6.4: where there is no verifier, `handleRequest` decides."""

    @pytest.mark.parametrize("late", [False, True])
    def test_true(self, late: bool) -> None:
        connect(offer(lambda request, socket: succeed(True) if late else True))

    def test_trueLater(self) -> None:
        event: Deferred[bool] = Deferred()

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            return await event

        peer = offer(handler)
        peer.upgrade()
        assert peer.transport.writes == []
        event.callback(True)
        assert peer.handshake().status == 101
        assert peer.server.hasPendingWebSocketConnections()

    @pytest.mark.parametrize("late", [False, True])
    def test_false(self, late: bool) -> None:
        missed: list[str] = []
        peer = offer(lambda request, socket: succeed(False) if late else False)
        peer.server.missingHandler.connect(lambda request, socket: missed.append(request.path))
        peer.upgrade(early=get("/smuggled"))
        assert (peer.response().status, missed) == (404, ["/chat"])

    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize("result", [None, 1, "yes", ACCEPTED])
    def test_neither(self, result: Any, late: bool, failures: list[Failure]) -> None:
        peer = offer(lambda request, socket: succeed(result) if late else result)
        peer.upgrade()
        assert peer.response().status == 500
        assert take(failures) == [TypeError]

    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize("result", [True, False, None])
    def test_anAnswerStands(self, result: bool | None, late: bool) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> Any:
            socket.respond("no WebSocket here", 200)
            return succeed(result) if late else result

        peer = offer(handler)
        peer.upgrade(early=get("/smuggled"))
        assert (peer.response().body, peer.server.hasPendingWebSocketConnections()) == (
            b"no WebSocket here",
            False,
        )

    @pytest.mark.parametrize("result", [True, None])
    def test_aClaimIsAnAnswerToCome(self, result: bool | None) -> None:
        sockets: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> Any:
            socket.claim()
            sockets.append(socket)
            return result

        peer = offer(handler)
        peer.upgrade(early=get("/smuggled"))
        assert peer.transport.writes == []
        sockets[0].respond("later")
        assert peer.response().body == b"later"
        assert len(sockets) == 1

    def test_aStreamedAnswerIsSentInFull(self) -> None:
        sockets: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.write(b"a")
            sockets.append(socket)
            return True

        peer = offer(handler)
        peer.upgrade(early=get("/smuggled"))
        assert peer.conversation.open
        sockets[0].write(b"b")
        sockets[0].finish()
        assert peer.response().body == b"ab"
        assert len(sockets) == 1

    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize(
        ("error", "status", "logged"), [(Oops(), 500, [Oops]), (HttpError(418), 418, [])]
    )
    def test_raising(
        self, error: Exception, status: int, logged: list[type], late: bool, failures: list[Failure]
    ) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> Any:
            if late:
                return fail(error)
            raise error

        peer = offer(handler)
        peer.upgrade()
        assert peer.response().status == status
        assert take(failures) == logged

    def test_behindAnOrdinaryRequest(self) -> None:
        """What is pipelined before an upgrade has its answer first."""
        peer = offer(
            lambda request, socket: True if request.isWebSocketUpgrade else echoPath(request, socket)
        )
        peer.send(get("/a") + upgrade() + text("b"))
        data = peer.transport.value
        assert data.index(b"\r\n\r\n/aHTTP/1.1 101 ") > 0
