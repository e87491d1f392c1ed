"""Peers of `faultsworld.Application` that break off anywhere; they read with parsers that are not ours."""

from __future__ import annotations

__all__ = ["Http1Client", "Http2Client", "Peer", "Request", "Sent"]

from typing import Any, NamedTuple

import h11
from connectionhelpers import Conversation, get
from hardening.faults import FaultyTransport
from hardening.faultsworld import Application
from http2helpers import Http2Peer
from twisted.internet.task import Clock
from websockethelpers import CLOSE, TEXT, closing, parseFrames, upgrade

#: Answers of the server's own, by what the application does; 408 and more are for what the peer does.
OWN = {"raise": {500}, "missing": {404}, "wait": {500}, "read": {413}, "iterate": {413}}
#: The last words on a connection, or on a stream.
REFUSALS = {400, 408, 413, 429, 431, 500, 501, 503, 505}

GARBAGE = [
    b"\x00",
    b"GET\r\n\r\n",
    b"\r\n",
    b"zz\r\n",
    b"G",
    b"POST /now/1 HTTP/1.1\r\n",
    b"\xff" * 9,
    b"\xff\xff",
    closing(1000),
    closing(),
    closing(1),
]


class Sent(NamedTuple):
    """A request on its way; `isWhole`: with its end."""

    number: int
    behaviour: str
    method: str
    isWhole: bool = True


class Request(NamedTuple):
    """A request as it is to be made.

    :ivar size: of its content; None is no content at all.
    :ivar framing: of that on HTTP/1: "length", "chunked", or "expect" for 100 Continue.
    :ivar streamed: the application takes the content as it comes.
    :ivar isOld: by HTTP/1.0.
    :ivar isWhole: else the end of its content is never sent, on HTTP/2.
    """

    behaviour: str
    size: int | None
    framing: str
    streamed: bool
    isOld: bool
    isWhole: bool

    @property
    def method(self) -> str:
        return "GET" if self.size is None else "POST"

    @property
    def body(self) -> bytes:
        return bytes(self.size or 0)

    def compose(self, path: str) -> bytes:
        """For HTTP/1."""
        version, body = "1.0" if self.isOld else "1.1", self.body
        if self.size is None:
            return get(path, version=version)
        if self.framing == "chunked" and not self.isOld:
            return get(path, "Transfer-Encoding: chunked", method="POST") + _chunked(body)
        more = ["Expect: 100-continue"] if self.framing == "expect" else []
        return get(path, f"Content-Length: {len(body)}", *more, method="POST", version=version) + body


def _chunked(body: bytes) -> bytes:
    half = len(body) // 2
    pieces = [piece for piece in (body[:half], body[half:]) if piece]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Peer(Conversation):
    """A connection whose octets arrive when the test says so."""

    transport: FaultyTransport

    def __init__(self, server: Application, clock: Clock) -> None:
        self.sent: list[Sent] = []
        self.isCalm = True
        transport = FaultyTransport(clock)
        protocol = server.buildProtocol(transport.getPeer())
        assert protocol is not None
        self.server, self.clock, self.transport, self.connection = server, clock, transport, protocol
        transport.protocol = protocol
        protocol.makeConnection(transport)

    def send(self, *data: bytes) -> None:
        """Send; it arrives later."""
        self.transport.arriving.extend(data)

    @property
    def isOpen(self) -> bool:
        """Whether the connection goes on, as far as the server is concerned."""
        return self.open and not self.transport.gone

    def number(self) -> int:
        """Of a new request."""
        server: Any = self.server
        return int(server.number())

    def path(self, request: Request) -> tuple[int, str]:
        """The number of a new request, and its path."""
        number = self.number()
        return number, f"/{request.behaviour}/{number}" + ("/streamed" if request.streamed else "")

    # Trouble:

    def end(self, what: int) -> None:
        """Send no more."""
        self.isCalm = False
        self.transport.end()

    def reset(self, what: int) -> None:
        """Drop the connection."""
        self.isCalm = False
        self.transport.reset()

    def vanish(self, what: int) -> None:
        """Never to be heard of again."""
        self.isCalm = False
        self.transport.arriving.clear()
        self.transport.stuck = True

    def spoil(self, what: int) -> None:
        """Say something that makes no sense."""
        self.isCalm = False
        self.send(GARBAGE[what % len(GARBAGE)])

    def cancel(self, what: int) -> None:
        """Nothing of that kind."""


class Reply(NamedTuple):
    """One final response as h11 reads it."""

    status: int
    number: int | None
    body: bytes
    complete: bool


def _frameEnd(data: bytes) -> int:
    """Where the first frame ends, which is not masked; 0 if nobody knows yet (RFC 6455 section 5.2)."""
    size = {126: 2, 127: 8}.get(data[1], 0) if len(data) > 1 else 8
    if len(data) < 2 + size:
        return 0
    return 2 + size + (int.from_bytes(data[2 : 2 + size], "big") if size else data[1])


class Http1Client(Peer):
    """A client of HTTP/1.1 that sends ahead without looking."""

    def __init__(self, server: Application, clock: Clock) -> None:
        super().__init__(server, clock)
        self.replies: list[Reply] = []
        self._texts: list[str] = []
        self._isClosed = False
        self._unread = b""

    @property
    def mayAsk(self) -> bool:
        """Whether a request would be one."""
        return self.isCalm and not any(each.behaviour == "upgrade" for each in self.sent)

    def ask(self, request: Request) -> None:
        """Send one."""
        number, path = self.path(request)
        self.send(request.compose(path))
        self.sent.append(Sent(number, request.behaviour, request.method))

    def upgrade(self) -> None:
        """Ask for a WebSocket."""
        number = self.number()
        self.send(upgrade(f"/upgrade/{number}"))
        self.sent.append(Sent(number, "upgrade", "GET"))

    def say(self, text: str, frame: bytes) -> None:
        """A message, if this is a WebSocket by now."""
        if self.isSwitched and self.isCalm:
            self._texts.append(text)
            self.send(frame)

    @property
    def isSwitched(self) -> bool:
        """Whether this is a WebSocket."""
        return bool(self.replies and self.replies[-1].status == 101)

    def check(self) -> None:
        """What came so far makes sense."""
        self._unread += self.transport.value
        self.transport.writes.clear()
        while not self.isSwitched and self._unread:
            reply, rest = self._next(self._unread)
            if reply is None:
                break
            assert not self.replies or self.replies[-1].complete
            self.replies.append(reply)
            self._unread = rest
            self._judge(len(self.replies) - 1)
        if self.isSwitched:
            self._checkEcho()

    def _next(self, data: bytes) -> tuple[Reply | None, bytes]:
        """The next response; None as long as it is not complete and may still be."""
        sent = self.sent[len(self.replies)] if len(self.replies) < len(self.sent) else None
        client = h11.Connection(h11.CLIENT)
        fields = [("Host", "a")]
        if sent is not None and sent.behaviour == "upgrade":
            fields += [("Connection", "Upgrade"), ("Upgrade", "websocket")]
        client.send(h11.Request(method="GET" if sent is None else sent.method, target="/", headers=fields))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        if not self.isOpen and not self.transport.aborted:
            client.receive_data(b"")
        return self._read(client)

    def _read(self, client: h11.Connection) -> tuple[Reply | None, bytes]:
        reply: Reply | None = None
        while True:
            try:
                event = client.next_event()
            except h11.RemoteProtocolError:
                # It ends in the middle: so it must look, where it was not meant to end there.
                assert not self.isOpen
                return None, b""
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return (reply, client.trailing_data[0]) if reply and reply.status == 101 else (None, b"")
            if isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse) and event.status_code == 101
            ):
                numbers = [int(value) for name, value in event.headers if name == b"x-number"]
                reply = Reply(
                    event.status_code, numbers[0] if numbers else None, b"", event.status_code == 101
                )
            elif isinstance(event, h11.Data):
                assert reply is not None
                reply = reply._replace(body=reply.body + bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                assert reply is not None
                return reply._replace(complete=True), client.trailing_data[0]

    def _judge(self, index: int) -> None:
        reply = self.replies[index]
        if index >= len(self.sent):
            assert not self.isCalm or reply.status in (408, 429), reply
            assert not self.isOpen
            return
        sent = self.sent[index]
        if reply.number is not None:
            assert reply.number == sent.number, (reply, sent)
        elif sent.behaviour != "upgrade" and reply.status not in OWN.get(sent.behaviour, ()):
            assert reply.status in REFUSALS, (reply, sent)
            assert self.mayRefuse(reply.status), (reply, sent)

    def mayRefuse(self, status: int) -> bool:
        """Whether the server has a reason to answer in its own name."""
        return status != 500

    def _checkEcho(self) -> None:
        """Every message comes back once, and in order."""
        while 0 < (end := _frameEnd(self._unread)) <= len(self._unread):
            (frame,) = parseFrames(self._unread[:end])
            self._unread = self._unread[end:]
            if frame.opcode == TEXT:
                assert frame.payload.decode() == self._texts.pop(0)
            assert not self._isClosed
            self._isClosed = frame.opcode == CLOSE

    def finishUp(self) -> None:
        """All that was sent has arrived, and everybody has had his say: every request has its answer."""
        self.check()
        if not self.isOpen or not self.isCalm:
            return
        assert self.isSwitched or len(self.replies) == len(self.sent), (self.replies, self.sent)


class Http2Client(Peer):
    """A client of HTTP/2, which is h2's."""

    def __init__(self, server: Application, clock: Clock) -> None:
        super().__init__(server, clock)
        self.streams: dict[int, Sent] = {}
        self.cancelled: set[int] = set()
        self._rest: dict[int, bytes] = {}
        self.h2 = Http2Peer(self)

    @property
    def mayAsk(self) -> bool:
        """Whether a new request makes sense."""
        return self.isCalm and self.isOpen and not self.h2.goneAway

    def ask(self, request: Request) -> None:
        """Send one; if it has content, all that there is room for."""
        number, path = self.path(request)
        stream = self.h2.h2.get_next_available_stream_id()
        self.streams[stream] = Sent(number, request.behaviour, request.method, request.isWhole)
        self.h2.ask(path, method=request.method, end=request.isWhole and not request.body)
        self._rest[stream] = request.body
        self._upload(stream)

    def _upload(self, stream: int) -> None:
        """As much as there is room for."""
        if self._rest[stream] and not self._isOver(stream) and self.mayAsk:
            sent = self.streams[stream]
            self._rest[stream] = self.h2.upload(stream, self._rest[stream], sent.isWhole)

    def cancel(self, what: int) -> None:
        """Want no more of one stream."""
        streams = [stream for stream in self.streams if not self._isOver(stream)]
        if streams and self.mayAsk:
            stream = streams[what % len(streams)]
            self.cancelled.add(stream)
            self.h2.reset(stream)

    def _isOver(self, stream: int) -> bool:
        answer = self.h2.answers.get(stream)
        return stream in self.cancelled or (answer is not None and (answer.ended or answer.reset is not None))

    def check(self) -> None:
        """What came so far makes sense: h2 would complain of much."""
        self.h2.hear()
        for stream in self._rest:
            self._upload(stream)
        for stream, answer in self.h2.answers.items():
            if stream and answer.status:
                self._judge(stream, answer)

    def _judge(self, stream: int, answer: Any) -> None:
        sent = self.streams.get(stream)
        if sent is None:
            # Its head is being sent in this very moment.
            return
        (number,) = answer.all("x-number") or [""]
        if number:
            assert int(number) == sent.number, (answer, sent)
        elif answer.status not in OWN.get(sent.behaviour, ()):
            assert answer.status in REFUSALS - {500}, (answer, sent)

    def finishUp(self) -> None:
        """Every request that was sent whole has an answer."""
        self.check()
        if not self.isOpen or not self.isCalm:
            return
        for stream, sent in self.streams.items():
            if sent.isWhole:
                assert self._isOver(stream), (stream, sent, self.h2.answers.get(stream))
