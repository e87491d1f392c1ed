"""Echoes WebSocket messages: the server that the conformance cases are run against.

``python echoserver.py [--deflate]`` listens on a free port of this host, says which on its standard output,
and runs until SIGTERM.
"""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater, react

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket, WebSocket

#: The longest message of the cases (9.1.6 and 9.2.6).
LONGEST = 16 * 1024 * 1024


class Echo(AbstractHttpServer):
    """Takes every WebSocket."""

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        return request.isWebSocketUpgrade


async def serve(reactor: IReactorTime, perMessageDeflate: bool) -> None:
    """Take WebSockets for ever."""
    configuration = HttpServerConfiguration(
        maximumWebSocketMessageSize=LONGEST, perMessageDeflate=perMessageDeflate
    )
    server = Echo(reactor, configuration)
    await server.bind("tcp:0:interface=127.0.0.1")
    # Not before the reactor runs: until then it would not end well by SIGTERM.
    await deferLater(reactor, 0)
    sys.stdout.write(f"{server.serverPorts()[0]}\n")
    sys.stdout.flush()
    while True:
        # Nobody waits for the end of an echo; should it fail, Twisted says so on standard error.
        Deferred.fromCoroutine(echo(await server.whenWebSocketConnected()))


async def echo(webSocket: WebSocket) -> None:
    """Send back what comes, at the pace of the peer."""
    async for message in webSocket:
        if isinstance(message, str):
            await webSocket.sendTextMessage(message)
        else:
            await webSocket.sendBinaryMessage(message)


def main(reactor: IReactorTime) -> Deferred[None]:
    return Deferred.fromCoroutine(serve(reactor, "--deflate" in sys.argv))


if __name__ == "__main__":
    react(main)
