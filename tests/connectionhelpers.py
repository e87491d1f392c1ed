"""A server, one connection and its peer, without sockets and without waiting.

`serve` gives a `Conversation`: say something as the peer, see what came back, let time pass.
"""

from __future__ import annotations

__all__ = [
    "LOCAL",
    "PEER",
    "Conversation",
    "FakeTcpTransport",
    "FakeTlsTransport",
    "FakeTransport",
    "Handler",
    "HandlerServer",
    "Later",
    "Response",
    "SteadyClock",
    "asked",
    "capturedFailures",
    "echoPath",
    "get",
    "parseResponses",
    "post",
    "results",
    "serve",
    "take",
]

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import h11
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableDescriptor,
    IPushProducer,
    ISSLTransport,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket

PEER = IPv4Address("TCP", "192.0.2.1", 50000)
LOCAL = IPv4Address("TCP", "192.0.2.80", 8080)

Handler = Callable[[HttpRequest, HttpSocket], Any]


@implementer(ITransport, IConsumer, IPushProducer)
class FakeTransport:
    """What Twisted's transports have in common, and what was asked of it.

    Octets that are written after the connection was told to close are lost, as they would be over TLS.

    :ivar log: the names of the methods that were called, in order; "write" among them.
    :ivar writes: what each `write` was given that reached the peer, or would.
    :ivar lost: what each `write` was given that did not.
    :ivar stuck: the peer does not read: what is written stays in `held` until `release`.
    """

    bufferSize = 64 * 1024

    def __init__(self, peer: IAddress = PEER, local: IAddress = LOCAL) -> None:
        self.peer, self.local = peer, local
        self.log: list[str] = []
        self.writes: list[bytes] = []
        self.lost: list[bytes] = []
        self.held: list[bytes] = []
        self.stuck = False
        self.reading = True
        self.producer: Any = None
        self.producerPaused = False
        self.noDelay = False

    @property
    def value(self) -> bytes:
        """All that has been written."""
        return b"".join(self.writes)

    @property
    def closed(self) -> bool:
        """Whether it was told to close, or to drop the connection."""
        return "loseConnection" in self.log or self.aborted

    @property
    def aborted(self) -> bool:
        """Whether it was told to drop the connection."""
        return "abortConnection" in self.log

    @property
    def _appSendBuffer(self) -> list[bytes]:
        # The name under which Twisted's TLS transports have it, and where our outlet looks.
        return self.held

    def release(self, size: int | None = None) -> None:
        """The peer reads: some octets, or all that there are."""
        data = b"".join(self.held)
        size = len(data) if size is None else size
        self.held[:] = [data[size:]] if data[size:] else []
        if not self.held and self.producerPaused and self.producer is not None:
            self.producerPaused = False
            self.producer.resumeProducing()

    # ITransport:

    def write(self, data: bytes) -> None:
        assert type(data) is bytes
        self.log.append("write")
        if self.closed or "loseWriteConnection" in self.log:
            self.lost.append(data)
            return
        self.writes.append(data)
        if self.stuck:
            self.held.append(data)
            if sum(map(len, self.held)) > self.bufferSize and self.producer is not None:
                self.producerPaused = True
                self.producer.pauseProducing()

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self.log.append("loseConnection")

    def abortConnection(self) -> None:
        self.log.append("abortConnection")

    def getPeer(self) -> IAddress:
        return self.peer

    def getHost(self) -> IAddress:
        return self.local

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.noDelay = enabled

    # IConsumer:

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        assert streaming
        self.log.append("registerProducer")
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.log.append("unregisterProducer")
        self.producer = None

    # IPushProducer:

    def pauseProducing(self) -> None:
        self.log.append("pauseProducing")
        self.reading = False

    def resumeProducing(self) -> None:
        self.log.append("resumeProducing")
        self.reading = True

    def stopProducing(self) -> None:
        self.loseConnection()


@implementer(IHalfCloseableDescriptor)
class FakeTcpTransport(FakeTransport):
    """A plain connection: either side can be closed alone."""

    def loseWriteConnection(self) -> None:
        self.log.append("loseWriteConnection")


@implementer(ISSLTransport)
class FakeTlsTransport(FakeTransport):
    """A connection through TLS.

    It offers half-closing, as Twisted's own do: they provide what they wrap, and hand it through.
    """

    def loseWriteConnection(self) -> None:
        raise AssertionError("this would have gone behind TLS's back")

    def getPeerCertificate(self) -> None:
        return None


class SteadyClock(Clock):
    """A clock that notices when somebody spins instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[float, int] = {}

    def callLater(self, when: float, what: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        now = self.seconds()
        self._calls[now] = self._calls.get(now, 0) + 1
        assert self._calls[now] < 500, f"{what} is called again and again"
        return super().callLater(when, what, *args, **kwargs)


class HandlerServer(AbstractHttpServer):
    """Has its requests handled by a function."""

    def __init__(self, handler: Handler, clock: Clock, configuration: HttpServerConfiguration) -> None:
        super().__init__(clock, configuration)
        self.handler = handler

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        return self.handler(request, socket)


class Response(NamedTuple):
    """One response; names of fields in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of the field `name`."""
        return [value for each, value in self.headers if each == name.lower()]


def parseResponses(data: bytes, methods: list[str], ended: bool) -> list[Response]:
    """Read responses as another implementation does: strictly.

    :param methods: of the requests that are answered; GET for those beyond.
    :param ended: nothing will follow.
    """
    responses: list[Response] = []
    finals = 0
    while data:
        method = methods[finals] if finals < len(methods) else "GET"
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "example.com")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        if ended:
            client.receive_data(b"")
        while type(event := client.next_event()) is not h11.EndOfMessage:
            assert event is not h11.NEED_DATA, f"incomplete: {data!r}"
            if isinstance(event, h11.Data):
                last = responses.pop()
                responses.append(last._replace(body=last.body + bytes(event.data)))
            else:
                assert isinstance(event, h11.InformationalResponse | h11.Response)
                fields = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
                responses.append(Response(event.status_code, fields, b""))
        data = client.trailing_data[0]
        finals += 1
    return responses


class Conversation:
    """One connection to `server`, seen from the peer's side."""

    def __init__(self, server: AbstractHttpServer, clock: Clock, transport: FakeTransport) -> None:
        self.server, self.clock, self.transport = server, clock, transport
        protocol = server.buildProtocol(transport.getPeer())
        assert protocol is not None
        self.connection: Any = protocol
        self.connection.makeConnection(transport)

    def send(self, *data: bytes) -> None:
        """The peer sends, in as many pieces."""
        for piece in data:
            self.connection.dataReceived(piece)

    def advance(self, *seconds: float) -> None:
        """Time passes, and all that is due happens when it is due."""
        clock = self.clock
        for step in seconds:
            until = clock.seconds() + step
            while (due := self._due()) is not None and due <= until:
                clock.advance(max(due - clock.seconds(), 0))
            clock.advance(until - clock.seconds())

    def _due(self) -> float | None:
        return min((call.getTime() for call in self.clock.getDelayedCalls()), default=None)

    def leave(self, reason: Exception | None = None) -> None:
        """The connection is gone."""
        self.connection.connectionLost(Failure(reason or ConnectionDone()))

    def halfClose(self) -> None:
        """The peer has sent its last."""
        self.connection.readConnectionLost()

    def responses(self, *methods: str) -> list[Response]:
        """All that came back; none of it twice."""
        data = self.transport.value
        self.transport.writes.clear()
        ended = self.transport.closed or "loseWriteConnection" in self.transport.log
        return parseResponses(data, list(methods), ended)

    def response(self, method: str = "GET") -> Response:
        """The one response that came back."""
        (response,) = self.responses(method)
        return response

    def statuses(self, *methods: str) -> list[int]:
        """The status codes of all that came back."""
        return [response.status for response in self.responses(*methods)]

    def bodies(self) -> list[bytes]:
        """The contents of all that came back."""
        return [response.body for response in self.responses()]

    @property
    def halfClosed(self) -> bool:
        """Whether our end was closed and the other was not."""
        return "loseWriteConnection" in self.transport.log and not self.transport.closed

    @property
    def open(self) -> bool:
        """Whether nobody has begun to close."""
        return not self.transport.closed and "loseWriteConnection" not in self.transport.log

    def another(self, peer: IAddress = PEER, transport: FakeTransport | None = None) -> Conversation:
        """One more connection to the same server."""
        return Conversation(self.server, self.clock, transport or FakeTcpTransport(peer))


def serve(
    handler: Handler, *, peer: IAddress = PEER, secure: bool = False, **configuration: Any
) -> Conversation:
    """A server whose requests go to `handler`, and a connection to it; over TLS without its handshake."""
    clock = SteadyClock()
    server = HandlerServer(handler, clock, HttpServerConfiguration(**configuration))
    return Conversation(server, clock, (FakeTlsTransport if secure else FakeTcpTransport)(peer))


def get(target: str = "/", *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without content."""
    lines = [f"{method} {target} HTTP/{version}", "Host: example.com", *fields, "", ""]
    return "\r\n".join(lines).encode("ascii")


def post(body: bytes, *fields: str, target: str = "/") -> bytes:
    """A request with content."""
    return get(target, f"Content-Length: {len(body)}", *fields, method="POST") + body


class Later:
    """A handler that answers when it is told to."""

    def __init__(self) -> None:
        self.sockets: list[HttpSocket] = []

    def __call__(self, request: HttpRequest, socket: HttpSocket) -> bool:
        self.sockets.append(socket)
        return True

    @property
    def paths(self) -> list[str]:
        """What was asked so far."""
        return [socket.request.path for socket in self.sockets]

    def answer(self, number: int = -1, body: Any = None) -> None:
        """Answer one of them, the newest unless it is said; with its path."""
        socket = self.sockets[number]
        socket.respond(socket.request.path if body is None else body)


def echoPath(request: HttpRequest, socket: HttpSocket) -> bool:
    """A handler that answers at once, with the path."""
    socket.respond(request.path)
    return True


def asked(request: bytes | None = None, **options: Any) -> tuple[Conversation, HttpSocket]:
    """A request that waits for its answer; `options` are those of `serve`."""
    later = Later()
    peer = serve(later, **options)
    if options.get("secure"):
        peer.connection.handshakeCompleted()
    peer.send(get() if request is None else request)
    return peer, later.sockets[0]


def results(*deferreds: Deferred[Any]) -> list[list[Any]]:
    """What each comes to; empty until then."""
    outcomes: list[list[Any]] = [[] for _ in deferreds]
    for deferred, outcome in zip(deferreds, outcomes, strict=True):
        deferred.addBoth(outcome.append)
    return outcomes


@contextmanager
def capturedFailures() -> Iterator[list[Failure]]:
    """Failures that are logged, which must be taken out by those who expected them."""
    failures: list[Failure] = []

    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            assert formatEvent(event)
            failures.append(event["log_failure"])

    globalLogPublisher.addObserver(observe)
    # What is there already need not be looked through.
    gc.freeze()
    try:
        yield failures
        # A Deferred that failed and that nobody listens to complains when it is collected.
        gc.collect()
    finally:
        gc.unfreeze()
        globalLogPublisher.removeObserver(observe)
    assert failures == []


def take(failures: list[Failure]) -> list[type[BaseException]]:
    """The types of the failures logged so far, which are then forgotten."""
    types = [failure.type for failure in failures]
    failures.clear()
    return types
