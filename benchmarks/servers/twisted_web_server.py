"""Stock twisted.web: a Site with one Resource, on the stock epoll reactor, without an access log."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"text/plain")  # type: ignore[no-untyped-call]
        return b"Hello, world"


class QuietSite(Site):
    def log(self, request: Request) -> None:
        """No access log: none of the servers compared here writes one."""


if __name__ == "__main__":
    site: Any = QuietSite(Hello())  # type: ignore[no-untyped-call]
    reactor.listenTCP(int(sys.argv[1]), site, backlog=1024, interface="127.0.0.1")
    reactor.run()
