"""Stock twisted.web: a Site with one Resource, on the stock epoll reactor, without an access log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common import CHUNK, CHUNKS, KEEP, MEBIBYTE, PIECE, PIECES, readOptions
from endpoints import endpoint
from pieces import Pieces
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site


def hello(request: Any) -> bytes:
    request.setHeader(b"content-type", b"text/plain")
    return b"Hello, world"


def echo(request: Any) -> bytes:
    content: bytes = request.content.read()
    return content


def mebibyte(request: Any) -> bytes:
    return MEBIBYTE


def chunked(request: Any) -> int:
    for _ in range(CHUNKS):
        request.write(CHUNK)
    request.finish()
    return NOT_DONE_YET


def pieces(request: Any) -> int:
    count = PIECES[request.path.decode()]
    request.setHeader(b"content-length", b"%d" % (count * len(PIECE)))
    Pieces(request, count).start()
    return NOT_DONE_YET


ROUTES: dict[bytes, Callable[[Any], bytes | int]] = {
    b"/": hello,
    b"/1m": mebibyte,
    b"/chunked": chunked,
    b"/echo": echo,
    b"/100m": pieces,
    b"/1g": pieces,
}


class Routes(Resource):
    isLeaf = True

    def render(self, request: Any) -> bytes | int:
        return ROUTES[request.path](request)


class QuietSite(Site):
    def log(self, request: Request) -> None:
        """No access log: none of the servers compared here writes one."""


if __name__ == "__main__":
    site: Any = QuietSite(Routes(), timeout=KEEP)
    serverFromString(reactor, endpoint(readOptions())).listen(site)
    reactor.run()
