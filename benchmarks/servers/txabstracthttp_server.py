"""txabstracthttp on Twisted's stock epoll reactor."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from common import CHUNK, CHUNKS, KEEP, MEBIBYTE, PIECE, PIECES, TAKES_SECONDS, readOptions
from pieces import Pieces
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket

if TYPE_CHECKING:
    from txabstracthttp import WebSocket


def hello(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.respond("Hello, world")
    return True


def echo(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.respond(request.body)
    return True


def mebibyte(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.respond(MEBIBYTE)
    return True


def chunked(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.begin()
    for _ in range(CHUNKS):
        socket.write(CHUNK)
    socket.finish()
    return True


def pieces(request: HttpRequest, socket: HttpSocket) -> bool:
    count = PIECES[request.path]
    socket.begin(headers={"Content-Length": str(count * len(PIECE))})
    Pieces(socket, count).start()
    return True


async def upload(request: HttpRequest, socket: HttpSocket) -> bool:
    size = 0
    async for piece in request:
        size += len(piece)
    socket.respond(str(size))
    return True


def modules(request: HttpRequest, socket: HttpSocket) -> bool:
    """What is loaded by now."""
    socket.respond("\n".join(sys.modules))
    return True


def accept(request: HttpRequest, socket: HttpSocket) -> bool:
    return request.isWebSocketUpgrade


async def takeMessages(webSocket: WebSocket) -> None:
    clock: Any = reactor
    async for _ in webSocket:
        await deferLater(clock, TAKES_SECONDS)


ROUTES: dict[bytes, Callable[[HttpRequest, HttpSocket], bool | Awaitable[bool]]] = {
    b"/": hello,
    b"/1m": mebibyte,
    b"/chunked": chunked,
    b"/echo": echo,
    b"/up": upload,
    b"/100m": pieces,
    b"/1g": pieces,
    b"/modules": modules,
    b"/ws": accept,
    b"/ws-slow": accept,
}


class Routes(AbstractHttpServer):
    def __init__(self) -> None:
        super().__init__()
        self.newWebSocketConnection.connect(self.serveWebSocket)

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool | Awaitable[bool]:
        return ROUTES[request.target](request, socket)

    def streamsBody(self, request: HttpRequest) -> bool:
        return request.target == b"/up"

    def serveWebSocket(self) -> None:
        webSocket = self.nextPendingWebSocketConnection()
        assert webSocket is not None
        if webSocket.request.target == b"/ws-slow":
            Deferred.fromCoroutine(takeMessages(webSocket))
        else:
            webSocket.textMessageReceived.connect(webSocket.sendTextMessage)
            webSocket.binaryMessageReceived.connect(webSocket.sendBinaryMessage)


def main() -> None:
    options = readOptions()
    server = Routes()
    server.setConfiguration(HttpServerConfiguration(keepAliveTimeout=KEEP))
    if options.certificate is not None:
        server.sslSetup(options.certificate, options.key)
    if not server.listen("127.0.0.1", options.port):
        sys.exit("could not listen")
    reactor.run()


if __name__ == "__main__":
    main()
