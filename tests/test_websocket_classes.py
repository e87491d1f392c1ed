"""`webSocketProtocol`: classes of the application's own, derived from ours or from Autobahn's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from connectionhelpers import capturedFailures, get, results, serve, take
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from websockethelpers import (
    BINARY,
    PONG,
    Frame,
    Peer,
    another,
    connect,
    frame,
    offer,
    opened,
    ping,
    pong,
    text,
)

from txabstracthttp import HttpError, HttpRequest, HttpSocket, WebSocket, WebSocketUpgrade

PROTOCOLS = "Sec-WebSocket-Protocol: chat, superchat"


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class Bare(WebSocketServerProtocol):
    """An echo that knows Autobahn only, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def onConnect(self, request: ConnectionRequest) -> Any:
        self.told.append("connect")

    def onOpen(self) -> None:
        self.told.append("open")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.told.append((payload, isBinary))
        self.sendMessage(payload, isBinary)

    def onPong(self, payload: bytes) -> None:
        self.told.append(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.told.append((wasClean, code, reason))


class Derived(WebSocket):
    """Of ours, likewise."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


def connecting(answer: Any, base: type[Any] = WebSocket) -> type[Any]:
    """A class whose `onConnect` returns `answer`, or raises it."""

    def onConnect(self: Any, request: ConnectionRequest) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return type("Connecting", (base,), {"onConnect": onConnect})


def asked(answer: Any, *fields: str, base: type[Any] = WebSocket) -> Peer:
    """A peer that asked such a class for a WebSocket."""
    peer = offer()
    peer.server.webSocketProtocol = connecting(answer, base)
    peer.upgrade(*fields, early=text("early"))
    return peer


class TestOurs:
    def test_theDefault(self) -> None:
        _, webSocket = opened()
        assert type(webSocket) is WebSocket
        assert isinstance(webSocket, WebSocketServerProtocol)

    def test_derived(self) -> None:
        peer, webSocket = opened(kind=Derived)
        assert type(webSocket) is Derived
        peer.send(text("a"), frame(BINARY, b"b"))
        assert peer.messages() == ["a", b"b"]

    def test_itGetsTheMessagesAndNobodyElse(self) -> None:
        peer, webSocket = opened(kind=Derived)
        got: list[Any] = []
        webSocket.textMessageReceived.connect(got.append)
        (message,) = results(webSocket.receive())
        peer.advance(1)
        peer.send(text("a"))
        assert (peer.messages(), got, message) == (["a"], [], [])

    def test_forTheUpgradesToCome(self) -> None:
        peer, webSocket = opened()
        peer.server.webSocketProtocol = Derived
        assert type(connect(another(peer))) is Derived
        assert type(webSocket) is WebSocket

    def test_saidByTheClassOfTheServer(self) -> None:
        peer = offer()
        type(peer.server).webSocketProtocol = Derived
        try:
            assert type(connect(peer)) is Derived
        finally:
            del type(peer.server).webSocketProtocol

    def test_messagesInParts(self) -> None:
        """Autobahn's callbacks for those who want them before they are whole."""

        class Parts(WebSocket):
            told: list[Any] = []

            def onMessageFrameData(self, payload: bytes) -> None:
                self.told.append(bytes(payload))
                super().onMessageFrameData(payload)

            def onMessageEnd(self) -> None:
                self.told.append("end")
                super().onMessageEnd()

        peer, webSocket = opened(kind=Parts)
        peer.send(text("abc"), frame(1, b"d", fin=False), frame(0, b"e"))
        assert Parts.told == [b"abc", "end", b"d", b"e", "end"]
        assert results(webSocket.receive(), webSocket.receive()) == [["abc"], ["de"]]


class TestAutobahns:
    def test_itsLife(self) -> None:
        peer, webSocket = opened(kind=Bare)
        assert isinstance(webSocket, Bare)
        assert webSocket.told == ["connect", "open"]
        peer.send(text("a") + frame(BINARY, b"b") + pong(b"c") + ping(b"d"))
        assert peer.frames() == [Frame(1, b"a"), Frame(BINARY, b"b"), Frame(PONG, b"d")]
        peer.part(1000, "bye")
        told = ["connect", "open", (b"a", False), (b"b", True), b"c", (True, 1000, "bye")]
        assert webSocket.told == told

    def test_itHasWhatOursHas(self) -> None:
        peer, webSocket = opened(PROTOCOLS, kind=Bare)
        assert isinstance(webSocket, WebSocket)
        ended: list[Any] = []
        webSocket.disconnected.connect(lambda *args: ended.append(args))
        assert webSocket.request.path == "/chat"
        webSocket.sendTextMessage("a")
        assert peer.messages() == ["a"]
        (closed,) = results(webSocket.close(4000, "b"))
        assert peer.closed() == (4000, "b")
        peer.part(4000, "b")
        assert (ended, closed) == ([(4000, "b")], [None])

    def test_whatItMayLookUp(self) -> None:
        peer, webSocket = opened(PROTOCOLS, "Origin: http://example.com", kind=Bare)
        assert webSocket.http_headers["sec-websocket-protocol"] == "chat, superchat"
        assert (webSocket.http_request_path, webSocket.http_request_host) == ("/chat", "example.com")
        assert (webSocket.websocket_origin, webSocket.websocket_version) == ("http://example.com", 13)
        assert webSocket.websocket_protocols == ["chat", "superchat"]
        assert webSocket.peer == "tcp4:192.0.2.1:50000"
        (isOpen,) = results(webSocket.is_open)
        assert len(isOpen) == 1
        (isClosed,) = results(webSocket.is_closed)
        assert isClosed == []
        peer.part()
        assert isClosed == [webSocket]

    @pytest.mark.parametrize("kind", [int, object, object(), "WebSocket", lambda: None, WebSocketUpgrade])
    def test_anythingElse(self, kind: Any, failures: list[Failure]) -> None:
        peer = offer()
        peer.server.webSocketProtocol = kind
        peer.upgrade()
        assert peer.response().status == 500
        assert take(failures) == [TypeError]

    def test_oneThatCannotBeMade(self, failures: list[Failure]) -> None:
        class Unmakable(WebSocket):
            def __init__(self) -> None:
                raise ZeroDivisionError

        peer = offer()
        peer.server.webSocketProtocol = Unmakable
        peer.upgrade()
        assert peer.response().status == 500
        assert take(failures) == [ZeroDivisionError]

    def test_oneThatFailsToBegin(self, failures: list[Failure]) -> None:
        class Broken(WebSocket):
            def connectionMade(self) -> None:
                raise ZeroDivisionError

        peer = offer()
        peer.server.webSocketProtocol = Broken
        peer.upgrade()
        assert take(failures) == [ZeroDivisionError]
        peer.advance(1000)
        assert not peer.conversation.open


@pytest.mark.parametrize("base", [WebSocket, WebSocketServerProtocol])
class TestOnConnect:
    def test_whatItIsGiven(self, base: type[Any]) -> None:
        requests: list[ConnectionRequest] = []
        peer = offer()
        peer.server.webSocketProtocol = type("K", (base,), {"onConnect": lambda _, r: requests.append(r)})
        peer.upgrade(PROTOCOLS, "Origin: http://example.com", target="/a%20b?c=1&c=2&d")
        (request,) = requests
        assert (request.path, request.host, request.version) == ("/a b", "example.com", 13)
        assert request.params == {"c": ["1", "2"], "d": [""]}
        assert (request.protocols, request.origin) == (["chat", "superchat"], "http://example.com")
        assert request.headers["upgrade"] == "websocket"

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            (IPv4Address("TCP", "192.0.2.1", 50000), "tcp4:192.0.2.1:50000"),
            (IPv6Address("TCP", "2001:db8::1", 50000), "tcp6:2001:db8::1:50000"),
            (UNIXAddress(None), "unix"),
        ],
    )
    def test_whoIsThere(self, base: type[Any], address: Any, name: str) -> None:
        """In Autobahn's words, and the same before and after."""
        requests: list[ConnectionRequest] = []
        peer = offer(peer=address)
        peer.server.webSocketProtocol = type("K", (base,), {"onConnect": lambda _, r: requests.append(r)})
        webSocket = connect(peer)
        assert requests[0].peer == name
        assert webSocket.peer == name

    @pytest.mark.parametrize("wrap", [lambda answer: answer, succeed])
    @pytest.mark.parametrize(
        ("answer", "subprotocol", "fields"),
        [
            (None, None, []),
            ("chat", "chat", []),
            (("superchat", {"X-A": "1"}), "superchat", ["1"]),
            ((None, {"X-A": ["1", "2"]}), None, ["1", "2"]),
        ],
    )
    def test_whatItMaySay(
        self, base: type[Any], wrap: Any, answer: Any, subprotocol: str | None, fields: list[str]
    ) -> None:
        peer = asked(wrap(answer), PROTOCOLS, base=base)
        handshake = peer.handshake()
        assert handshake.status == 101
        assert handshake.all("Sec-WebSocket-Protocol") == ([subprotocol] if subprotocol else [])
        assert handshake.all("X-A") == fields
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        assert webSocket.subprotocol == webSocket.websocket_protocol_in_use == subprotocol

    def test_later(self, base: type[Any]) -> None:
        event: Deferred[Any] = Deferred()
        peer = asked(event, PROTOCOLS, base=base)
        assert peer.transport.writes == []
        assert not peer.server.hasPendingWebSocketConnections()
        event.callback("chat")
        assert peer.handshake().all("Sec-WebSocket-Protocol") == ["chat"]

    def test_theClientLeavesMeanwhile(self, base: type[Any]) -> None:
        event: Deferred[Any] = Deferred()
        peer = asked(event, base=base)
        peer.leave(ConnectionLost())
        event.callback(None)
        assert peer.transport.writes == []
        assert not peer.server.hasPendingWebSocketConnections()

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ("other", ValueError),
            ("a\r\nX: y", ValueError),
            ((None, {"X": "a\r\nY: b"}), ValueError),
            ((None, {"X": ["a", "b\nc"]}), ValueError),
            ((None, {"X\r\n": "a"}), ValueError),
            ((None, {"Upgrade": "h2c"}), ValueError),
            ((None, {"Sec-WebSocket-Accept": "x"}), ValueError),
            (ZeroDivisionError(), ZeroDivisionError),
            (fail(ZeroDivisionError()), ZeroDivisionError),
        ],
    )
    def test_whatItMayNot(
        self, base: type[Any], answer: Any, error: type[Exception], failures: list[Failure]
    ) -> None:
        if isinstance(answer, Deferred):
            answer = fail(error())
        peer = asked(answer, PROTOCOLS, base=base)
        assert peer.response().status == 500
        assert take(failures) == [error]
        assert not peer.server.hasPendingWebSocketConnections()

    def test_anHttpError(self, base: type[Any]) -> None:
        assert asked(HttpError(401), base=base).response().status == 401

    @pytest.mark.parametrize("late", [False, True])
    def test_autobahnsDenial(self, base: type[Any], late: bool) -> None:
        """Its code is the answer, as with Autobahn's own handshake; its reason stays at home."""
        answer = ConnectionDeny(ConnectionDeny.NOT_FOUND, "no such room\r\nX: y")
        peer = asked(fail(answer) if late else answer, base=base)
        response = peer.response()
        assert (response.status, response.all("X")) == (404, [])


class TestOnConnectAndVerifiers:
    def test_theVerifierComesFirst(self) -> None:
        peer = offer()
        peer.server.addWebSocketUpgradeVerifier(lambda request: WebSocketUpgrade.deny(403))
        peer.server.webSocketProtocol = connecting(AssertionError())
        peer.upgrade()
        assert peer.response().status == 403

    def test_bothHaveTheirSay(self) -> None:
        peer = offer()
        peer.server.addWebSocketUpgradeVerifier(
            lambda request: WebSocketUpgrade.accept("chat", {"X-A": "verifier"})
        )
        peer.server.webSocketProtocol = connecting(("superchat", {"X-A": "onConnect"}))
        peer.upgrade(PROTOCOLS)
        handshake = peer.handshake()
        assert handshake.all("Sec-WebSocket-Protocol") == ["chat"]
        assert handshake.all("X-A") == ["verifier", "onConnect"]


LAZY = """
import sys
sys.path.insert(0, sys.argv[1])
from txabstracthttp import tap

from connectionhelpers import get, serve
peer = serve(lambda request, socket: True)
server = peer.server
server.newWebSocketConnection.connect(lambda: None)
server.whenWebSocketConnected()
server.webSocketProtocol = None
assert not server.hasPendingWebSocketConnections()
peer.send(get("/", "Upgrade: websocket", "Connection: Upgrade"))
assert peer.response().status == 400
print("autobahn" in sys.modules, "txaio" in sys.modules)
peer = peer.another()
peer.send(get("/", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
assert peer.transport.value.startswith(b"HTTP/1.1 101 ")
print("autobahn" in sys.modules)
"""


class TestLaziness:
    def run(self, script: str) -> list[str]:
        folder = __file__.rpartition("/")[0]
        done = subprocess.run(
            [sys.executable, "-c", script, folder], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def test_theFirstUpgradeImportsAutobahn(self) -> None:
        """It takes its time to import, and many never need it."""
        assert self.run(LAZY) == ["False", "False", "True"]

    def test_theNameImportsIt(self) -> None:
        script = "import sys, txabstracthttp as t; t.WebSocketUpgrade; print('autobahn' in sys.modules)"
        assert self.run(script) == ["False"]
        script += "; t.WebSocket; print('autobahn' in sys.modules)"
        assert self.run(script) == ["False", "True"]

    def test_noOtherName(self) -> None:
        import txabstracthttp

        with pytest.raises(AttributeError, match="no attribute 'WebSockets'"):
            _ = txabstracthttp.WebSockets


def test_anOrdinaryRequestToAServerOfWebSockets() -> None:
    """It is handled as ever, and may be followed by an upgrade."""

    def handler(request: HttpRequest, socket: HttpSocket) -> bool:
        if not request.isWebSocketUpgrade:
            socket.respond("ordinary")
        return True

    peer = Peer(serve(handler))
    peer.server.newWebSocketConnection.connect(lambda: None)
    peer.send(get())
    assert peer.conversation.bodies() == [b"ordinary"]
    connect(peer)
