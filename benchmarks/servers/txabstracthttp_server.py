"""txabstracthttp on Twisted's stock epoll reactor."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

from common import CHUNK, CHUNKS, MEBIBYTE, PIECE, PIECES, readOptions
from pieces import Pieces
from twisted.internet import reactor

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpSocket


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


ROUTES: dict[bytes, Callable[[HttpRequest, HttpSocket], bool | Awaitable[bool]]] = {
    b"/": hello,
    b"/1m": mebibyte,
    b"/chunked": chunked,
    b"/echo": echo,
    b"/up": upload,
    b"/100m": pieces,
    b"/1g": pieces,
}


class Routes(AbstractHttpServer):
    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool | Awaitable[bool]:
        return ROUTES[request.target](request, socket)

    def streamsBody(self, request: HttpRequest) -> bool:
        return request.target == b"/up"


if __name__ == "__main__":
    options = readOptions()
    server = Routes()
    if options.certificate is not None:
        server.sslSetup(options.certificate, options.key)
    if not server.listen("127.0.0.1", options.port):
        sys.exit("could not listen")
    reactor.run()
