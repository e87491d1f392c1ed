"""The floor: a bare Twisted Protocol that parses nothing and writes a constant, eagerly.

It takes every piece of input for exactly one request, which holds for the clients used here.  It is no HTTP
server; it shows what the reactor, the kernel and the interpreter cost before HTTP begins.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Protocol, ServerFactory

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello, world"


class Constant(Protocol):
    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        sent = self.transport.writeSomeData(RESPONSE)  # type: ignore[union-attr]
        if sent != len(RESPONSE):
            self.transport.loseConnection()  # type: ignore[union-attr]


if __name__ == "__main__":
    factory: Any = ServerFactory.forProtocol(Constant)
    reactor.listenTCP(int(sys.argv[1]), factory, backlog=1024, interface="127.0.0.1")
    reactor.run()
