"""txabstracthttp on Twisted's stock epoll reactor."""

from __future__ import annotations

import sys

from twisted.internet import reactor

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpSocket


class Hello(AbstractHttpServer):
    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        socket.respond("Hello, world")
        return True


if __name__ == "__main__":
    server = Hello()
    if not server.listen("127.0.0.1", int(sys.argv[1])):
        sys.exit("could not listen")
    reactor.run()
