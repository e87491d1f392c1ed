"""A whole connection: an application that answers in several ways, and a peer that says anything."""

from __future__ import annotations

__all__ = ["connection"]

import random
import zlib
from typing import Any

from connectionhelpers import Conversation, FakeTcpTransport, SteadyClock, parseResponses
from http2helpers import StreamingServer
from http2wirehelpers import PREFACE, framesOf
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from websockethelpers import parseFrames
from wirehelpers import AT_END, feed
from zope.interface import implementer

from fuzz.http1 import pieces
from txabstracthttp import Http2Configuration, HttpRequest, HttpServerConfiguration, HttpSocket

CONFIGURATION = HttpServerConfiguration(
    maximumUrlSize=60,
    maximumHeaderFieldSize=100,
    maximumTotalHeaderSize=300,
    maximumHeaderFieldCount=8,
    maximumBodySize=50,
    maximumWebSocketMessageSize=1000,
)
HTTP2 = Http2Configuration(maxConcurrentStreams=3, streamReceiveWindowSize=100, maximumHeaderListSize=600)
#: More than any deadline, and than all of them.
LONG = 1000.0
SWITCHED = b"HTTP/1.1 101 "


class Application:
    """Answers in one of several ways: which, the length of the path tells."""

    def __init__(self) -> None:
        self.waiting: list[HttpSocket] = []
        self.webSockets: list[Any] = []

    def __call__(self, request: HttpRequest, socket: HttpSocket) -> Any:
        if request.isWebSocketUpgrade:
            return True
        # A tunnel would be no HTTP.
        way = 3 if request.method == "CONNECT" else len(request.path) % 6
        if way == 1:
            socket.respond("hello")
        elif way == 2:
            self.stream(socket)
        elif way == 3:
            return False
        elif way == 4:
            return self.read(request, socket)
        else:
            socket.claim()
            self.waiting.append(socket)
        return True

    def stream(self, socket: HttpSocket) -> None:
        socket.inform(103, {"Link": "a"})
        socket.begin(200, {"X": "y"})
        socket.write(b"some")
        socket.write(b"more" * 50)
        socket.finish({"Trailer-X": "z"})

    async def read(self, request: HttpRequest, socket: HttpSocket) -> bool:
        content = await request.content()
        assert len(content) <= 50
        socket.respond(content)
        return True

    def answer(self) -> None:
        """All that waits."""
        while self.waiting:
            self.waiting.pop(0).respond(b"late" * 20)

    def echo(self, webSocket: Any) -> None:
        self.webSockets.append(webSocket)
        webSocket.textMessageReceived.connect(webSocket.sendTextMessage)
        webSocket.binaryMessageReceived.connect(webSocket.sendBinaryMessage)


def streams(request: HttpRequest) -> bool:
    """Every other request with content is handled at its head."""
    return len(request.path) % 2 == 0


class Session:
    """One connection, from its first octet to its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.chance = random.Random(zlib.crc32(data) + 1)
        self.application = Application()
        clock = SteadyClock()
        server = StreamingServer(self.application, clock, CONFIGURATION)
        server.policy = streams
        server.setHttp2Configuration(HTTP2)
        server.newWebSocketConnection.connect(
            lambda: self.application.echo(server.nextPendingWebSocketConnection())
        )
        self.transport = FakeTcpTransport()
        self.conversation = Conversation(server, clock, self.transport)

    def run(self) -> None:
        """Say everything; look at what came back; wait until nobody can want anything; and go."""
        conversation = self.conversation
        for piece in pieces(self.data):
            if self.mayBeRead():
                conversation.send(piece)
            self.pass_()
        self.application.answer()
        self.look()
        if self.chance.randrange(3) and not self.transport.closed:
            conversation.halfClose()
            self.application.answer()
        if self.chance.randrange(3):
            conversation.advance(LONG)
            self.application.answer()
            conversation.advance(LONG)
            assert not conversation.open, "nothing lasts for ever"
        self.look()
        conversation.leave()
        self.application.answer()
        # What is on its way to a WebSocket gets there first.
        conversation.advance(0, 0)
        left = [call for call in conversation.clock.getDelayedCalls() if call.active()]
        assert not left, f"left behind: {left}"

    def mayBeRead(self) -> bool:
        """Whether the transport would hand on what arrives."""
        if not self.transport.reading:
            self.application.answer()
        return self.transport.reading and not self.transport.aborted

    def pass_(self) -> None:
        """Some time, and perhaps somebody answers."""
        if self.chance.randrange(2):
            self.conversation.advance(self.chance.choice([0, 0.1, 3]))
        if not self.chance.randrange(4):
            self.application.answer()

    def look(self) -> None:
        """What was sent is what its version of HTTP has."""
        said = self.transport.value
        if self.data.startswith(PREFACE):
            framesOf(said)
            return
        said, switched, frames = said.partition(SWITCHED)
        if not self.transport.aborted:
            # Who is asked to go on may go instead.
            said = said.removesuffix(b"HTTP/1.1 100 Continue\r\n\r\n")
            parseResponses(said, self.methods(), ended=not (self.conversation.open or switched))
        if switched:
            parseFrames(frames.partition(b"\r\n\r\n")[2])

    def methods(self) -> list[str]:
        """Of the requests that there are in the octets, as far as they can be told."""
        limits = {name: getattr(CONFIGURATION, name) for name in LIMITS}
        return [request.method for request in feed([self.data], answer=AT_END, **limits).requests]


LIMITS = ["maximumUrlSize", "maximumHeaderFieldSize", "maximumTotalHeaderSize", "maximumHeaderFieldCount"]


def connection(data: bytes) -> None:
    """Nothing is logged, nothing is left behind, and what comes back is HTTP."""
    logged: list[LogEvent] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        # Autobahn warns of peers that break its rules.
        if "log_failure" in event or event["log_level"] >= LogLevel.error:
            logged.append(event)

    globalLogPublisher.addObserver(observe)
    try:
        Session(data).run()
    finally:
        globalLogPublisher.removeObserver(observe)
    assert not logged, logged
