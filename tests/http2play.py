"""The same exchange on HTTP/1.1 and on HTTP/2, and all that can be seen of it."""

from __future__ import annotations

__all__ = ["Act", "Asking", "Outcome", "play", "same"]

from collections.abc import Callable
from typing import Any, NamedTuple

import h11
from connectionhelpers import (
    Conversation,
    FakeTcpTransport,
    SteadyClock,
    capturedFailures,
    get,
    take,
)
from http2helpers import Answer, StreamingServer, connect2
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket


class Outcome(NamedTuple):
    """All that can be seen of one exchange, but for what is about its connection.

    :ivar cut: the response ended early, or there was none.
    :ivar ends: what `notifyFinish` came to: None, or the name of an exception.
    :ivar states: of the socket: `status`, `bodyBytesSent`, `isResponseCanceled`.
    :ivar records: status and size, as the access log has them.
    :ivar failures: what was logged.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]]
    interim: list[tuple[int, list[tuple[str, str]]]]
    cut: bool
    ends: list[str | None]
    states: list[tuple[int, int, bool]]
    records: list[tuple[int, int]]
    failures: list[str]


Act = Callable[[HttpRequest, HttpSocket, Clock], Any]


class _Stage:
    """A server on which an act is played, and what can be seen from the inside."""

    def __init__(self, act: Act, policy: Any, configuration: dict[str, Any]) -> None:
        self.clock = SteadyClock()
        self.server = StreamingServer(self._handle, self.clock, HttpServerConfiguration(**configuration))
        self.server.policy = policy
        self._act = act
        self.sockets: list[HttpSocket] = []
        self.ends: list[str | None] = []
        self.records: list[tuple[int, int]] = []
        self.server.exchangeFinished.connect(lambda record: self.records.append((record.status, record.size)))

    def _handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        self.sockets.append(socket)
        socket.notifyFinish().addCallbacks(
            self.ends.append, lambda each: self.ends.append(each.type.__name__)
        )
        return self._act(request, socket, self.clock)

    @property
    def states(self) -> list[tuple[int, int, bool]]:
        return [(each.status, each.bodyBytesSent, each.isResponseCanceled) for each in self.sockets]


class Asking(NamedTuple):
    """What is asked, on either version.

    :ivar pieces: the content, each sent in a turn of its own.
    :ivar trailers: with them, or with `chunked`, nothing is said of the length before.
    """

    method: str = "GET"
    path: str = "/"
    fields: tuple[str, ...] = ()
    pieces: tuple[bytes, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """The fields, with Content-Length where there is one."""
        if not self.pieces or self.trailers or self.chunked:
            return self.fields
        return (*self.fields, f"Content-Length: {sum(map(len, self.pieces))}")


def play(version: str, act: Act, asking: Asking, policy: Any = False, **configuration: Any) -> Outcome:
    """Ask once, on `version`, and let ten seconds pass."""
    with capturedFailures() as failures:
        stage = _Stage(act, policy, configuration)
        seen = (_play1 if version == "1.1" else _play2)(stage, asking)
        logged = [each.__name__ for each in take(failures)]
    inside = (stage.ends, stage.states, stage.records, logged)
    return Outcome._make((*seen, *inside))


def same(act: Act, asking: Asking | None = None, **more: Any) -> Outcome:
    """What is seen on HTTP/2, which is what is seen on HTTP/1.1; `more` is of `play`."""
    asked = Asking() if asking is None else asking
    first, second = play("1.1", act, asked, **more), play("2", act, asked, **more)
    assert second == first
    return second


def _play1(stage: _Stage, asking: Asking) -> tuple[Any, ...]:
    chunked = bool(asking.trailers) or asking.chunked
    lines = (*asking.lines, *(("Transfer-Encoding: chunked",) if chunked else ()))
    peer = Conversation(stage.server, stage.clock, FakeTcpTransport())
    peer.send(get(asking.path, *lines, method=asking.method))
    for piece in asking.pieces:
        peer.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        peer.advance(0)
    if chunked:
        peer.send(b"0\r\n", *(f"{name}: {value}\r\n".encode() for name, value in asking.trailers), b"\r\n")
    peer.advance(10)
    if peer.transport.closed:
        peer.leave(ConnectionAborted() if peer.transport.aborted else None)
    return _parse1(peer.transport.value, asking.method)


def _parse1(data: bytes, method: str) -> tuple[Any, ...]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "example.com")]))
    client.send(h11.EndOfMessage())
    if data:
        client.receive_data(data)
    answer = Answer()
    while not answer.ended and (event := client.next_event()) is not h11.NEED_DATA:
        match event:
            case h11.InformationalResponse():
                answer.interim.append((event.status_code, _comparable(_text(event.headers))))
            case h11.Response():
                answer.status, answer.headers = event.status_code, _text(event.headers)
            case h11.Data():
                answer.pieces.append(bytes(event.data))
            case h11.EndOfMessage():
                answer.trailers, answer.ended = _text(event.headers), True
    return _visible(answer)


def _play2(stage: _Stage, asking: Asking) -> tuple[Any, ...]:
    peer = connect2(stage.server, stage.clock)
    streamId = peer.ask(
        asking.path, *asking.lines, method=asking.method, end=not (asking.pieces or asking.trailers)
    )
    for number, piece in enumerate(asking.pieces, 1):
        isLast = number == len(asking.pieces) and not asking.trailers
        peer.upload(streamId, piece, isLast)
        peer.advance(0)
    if asking.trailers and peer.answer(streamId).reset is None:
        peer.end(streamId, list(asking.trailers))
    # The client makes room between the steps only.
    peer.advance(*[0.5] * 20)
    return _visible(peer.answer(streamId))


def _visible(answer: Answer) -> tuple[Any, ...]:
    interim = [(status, _comparable(fields)) for status, fields in answer.interim]
    return answer.status, _comparable(answer.headers), answer.body, answer.trailers, interim, not answer.ended


def _text(fields: Any) -> list[tuple[str, str]]:
    return [(name.decode().lower(), value.decode("latin-1")) for name, value in fields]


def _comparable(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without what is about one connection of HTTP/1, and without the time."""
    own = ("connection", "keep-alive", "transfer-encoding")
    kept = [(name, "now" if name == "date" else value) for name, value in fields if name not in own]
    return sorted(kept, key=lambda field: field[0])
