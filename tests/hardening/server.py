"""A server for others to ill-treat, in a process of its own.

Run with a PEM file and the fields of a configuration in JSON; prints its ports: in cleartext, and with TLS.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger, globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure
from zope.interface import implementer

from txabstracthttp import (
    AbstractHttpServer,
    HttpRequest,
    HttpServerConfiguration,
    HttpServerService,
    HttpSocket,
    WebSocket,
)

log = Logger()

PIECE = bytes(range(256)) * 256


@implementer(IPullProducer)
class Pieces:
    """So many octets, when there is room for them."""

    def __init__(self, socket: HttpSocket, size: int) -> None:
        self._socket, self._left = socket, size
        socket.begin(headers={"Content-Length": str(size)})
        socket.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """One piece more."""
        piece = PIECE[: self._left]
        self._left -= len(piece)
        self._socket.write(piece)
        if not self._left:
            self._socket.unregisterProducer()
            self._socket.finish()

    def stopProducing(self) -> None:
        """The peer has gone."""


class Count(Protocol):
    """How much content there was."""

    def __init__(self, socket: HttpSocket) -> None:
        self._socket, self._size = socket, 0

    def dataReceived(self, data: bytes) -> None:
        """Some."""
        self._size += len(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All of it."""
        self._socket.respond(str(self._size))


class Relay(Protocol):
    """Sends back what comes, at the pace at which it is taken."""

    transport: Any

    def __init__(self, socket: HttpSocket) -> None:
        self._socket = socket

    def connectionMade(self) -> None:
        """Whoever does not take the answer need not send."""
        self._socket.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        """Some."""
        self._socket.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All of it."""
        self._socket.unregisterProducer()
        if not self._socket.isResponseCanceled:
            self._socket.finish()


def census() -> dict[str, Any]:
    """Open descriptors, and how many objects of our own there are, by class."""
    gc.collect()
    names = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    ours = {name: count for name, count in names.items() if name.startswith("txabstracthttp")}
    # What is remembered of heads belongs to no connection, and has a bound of its own.
    ours.pop("txabstracthttp.wire.recall.Known", None)
    return {"descriptors": len(list(Path("/proc/self/fd").iterdir())), "objects": ours}


class Server(AbstractHttpServer):
    """Each path is a behaviour; all WebSockets echo."""

    def __init__(self, configuration: HttpServerConfiguration) -> None:
        super().__init__(configuration=configuration)
        #: Requests that were handled: filters must keep the refused from here.
        self.handled = 0
        Deferred.fromCoroutine(self._welcome())

    async def _welcome(self) -> None:
        while True:
            webSocket = await self.whenWebSocketConnected()
            Deferred.fromCoroutine(self._echo(webSocket))

    async def _echo(self, webSocket: WebSocket) -> None:
        async for message in webSocket:
            if isinstance(message, str):
                await webSocket.sendTextMessage(message)
            else:
                await webSocket.sendBinaryMessage(message)

    def streamsBody(self, request: HttpRequest) -> bool:
        """What counts and mirrors does so while it comes."""
        return request.path in ("/count", "/mirror", "/relay")

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        """See the methods that follow."""
        self.handled += 1
        if request.isWebSocketUpgrade:
            return True
        behaviour = getattr(self, "do" + request.path[1:].capitalize(), None)
        return False if behaviour is None else behaviour(request, socket)

    def doSmall(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """A few octets."""
        socket.respond("small")
        return True

    def doEcho(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """What was sent."""
        socket.respond(request.body)
        return True

    def doBig(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """`size` octets, streamed."""
        Pieces(socket, int(request.query["size"]))
        return True

    def doWhole(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """`size` octets at once."""
        socket.respond(bytes(int(request.query["size"])))
        return True

    def doLength(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """How much was sent, collected."""
        socket.respond(str(len(request.body)))
        return True

    def doArguments(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """How many there are in the query, and of what length together."""
        items = list(request.query.items())
        socket.respond([len(items), sum(len(name) + len(value) for name, value in items)])
        return True

    def doCount(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """How much was sent, streamed."""
        request.deliverBody(Count(socket))
        socket.claim()
        return True

    async def doMirror(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """What is sent, while it comes."""
        async for piece in request:
            socket.write(piece)
            if socket.isResponseCanceled:
                return True
        socket.finish()
        return True

    def doRelay(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """As `doMirror`, with a producer."""
        request.deliverBody(Relay(socket))
        return True

    async def doSlow(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """A few octets, after `seconds`."""
        await deferLater(reactor, float(request.query["seconds"]))
        socket.respond("slow")
        return True

    def doRaise(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """Nothing."""
        raise RuntimeError("as it should")

    def doCensus(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """What there is in this process."""
        socket.respond({**census(), "handled": self.handled})
        return True


def main() -> None:
    """Serve until SIGTERM, which drains."""
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    pem, configuration = sys.argv[1:]
    server = Server(HttpServerConfiguration(**json.loads(configuration)))
    service = HttpServerService(server, [])
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.addSystemEventTrigger("after", "shutdown", lambda: log.info("handled {n}", n=server.handled))
    plain = server.listen("127.0.0.1")
    server.sslSetup(pem)
    secure = server.listen("127.0.0.1")
    # Not before signals are heard.
    reactor.callWhenRunning(say, f"{plain} {secure}\n")
    reactor.run()


def say(line: str) -> None:
    """Tell whoever has started this."""
    sys.stdout.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
