"""HTTP/2 with a client that breaks no rule: h2's own, which looks at all that it gets by its own rules."""

from __future__ import annotations

__all__ = ["http2Client"]

from collections.abc import Callable
from typing import Any

from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError
from http2helpers import Client
from http2wirehelpers import CONNECT_WEBSOCKET, GET, POST, Clock

from fuzz.choices import Choices
from fuzz.http2 import BODIES, HTTP2, LIMITS
from txabstracthttp._events import BodyData, BodyEnd, Event, PeerError
from txabstracthttp._events import StreamReset as Lost
from txabstracthttp.wire.http2 import HIGHEST_STREAM, Http2Wire

FIELDS = [
    [],
    [(b"x", b"y")],
    [(b"cookie", b"a=b"), (b"cookie", b"c=d")],
    [(b"te", b"trailers"), (b"x", b"z" * 20)],
    [(b"expect", b"100-continue")],
]
SETTINGS = [(4, 0), (4, 1), (4, 100), (4, 70_000), (1, 0), (1, 4096), (1, 100_000), (5, 16384), (5, 50_000)]


class Exchange:
    """One request, and what its two ends know of it.

    :ivar sent: content of the answer that the application has given; `ended`: and that was all.
    :ivar got: what the client has of it; `complete`: and that was all.
    :ivar uploaded, received: the same for the request.
    :ivar lost: one of the two wants no more.
    """

    def __init__(self) -> None:
        self.sent = self.got = self.uploaded = self.received = b""
        self.begun = self.ended = self.complete = self.lost = False
        self.remoteEnded = self.told = False


class Dialogue:
    """A client, a wire, and an application that answers as it likes."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.wire = Http2Wire(LIMITS, HTTP2, Clock())
        self.client = Client()
        self.client.initiate_connection()
        self.exchanges: dict[int, Exchange] = {}
        self.calm = True
        self.last = HIGHEST_STREAM
        self.flush()

    def run(self) -> None:
        """All of it; then both say what they still have to say, and nothing is missing."""
        while self.choices.more and self.calm:
            step = self.choices.pick(STEPS)
            try:
                step(self)
            except ProtocolError:
                # The client would not break a rule.
                if step not in CLIENTS:
                    raise
        self.flush()
        self.finish()
        if self.calm:
            self.judge()

    def finish(self) -> None:
        """Every request and every answer comes to its end."""
        for streamId, exchange in self.exchanges.items():
            if exchange.begun and not exchange.ended and streamId in self.wire._streams:
                exchange.ended = True
                self.wire.sendEnd(streamId, [])
        self.flush()
        for _ in range(20):
            if not any(each.ended and not (each.complete or each.lost) for each in self.exchanges.values()):
                break
            self.makeRoom()
            self.flush()

    def makeRoom(self) -> None:
        """The client lets everything come that is kept back."""
        for streamId in [None, *self.open()]:
            try:
                self.client.increment_flow_control_window(200_000, streamId)
            except ProtocolError:
                # The stream takes nothing any more.
                continue

    def judge(self) -> None:
        """What was sent has arrived, where nobody has had enough."""
        for exchange in self.exchanges.values():
            if not exchange.lost:
                assert exchange.got == exchange.sent
                assert exchange.complete == exchange.ended
                assert exchange.received == exchange.uploaded
                assert exchange.told == exchange.remoteEnded

    # Between the two:

    def flush(self) -> None:
        """What either has to say reaches the other, until there is nothing more."""
        while True:
            said = self.client.data_to_send()
            for event in self.wire.receiveData(said) if said else ():
                self.take(event)
            heard = self.wire.dataToSend()
            for each in self.client.receive_data(heard) if heard else ():
                self.note(each)
            if not (said or heard):
                return

    def take(self, event: Event) -> None:
        """What the wire tells the application."""
        if isinstance(event, PeerError):
            # Only what was too much for a limit.
            assert event.streamId or event.error.reason.startswith("too many")
            self.calm = self.calm and event.streamId > 0
            if event.streamId:
                self.exchanges[event.streamId].lost = True
                self.wire.sendResponse(event.streamId, event.error.status, [], 0, b"")
                self.wire.leave(event.streamId)
            return
        exchange = self.exchanges[event.streamId]
        if isinstance(event, BodyData):
            exchange.received += event.data
            self.wire.credit(event.streamId, len(event.data))
        elif isinstance(event, BodyEnd):
            exchange.told = True
        elif isinstance(event, Lost):
            exchange.lost = True
        elif event.contentLength == 0:
            exchange.told = exchange.told or exchange.remoteEnded

    def note(self, event: Any) -> None:
        """What h2 tells the client."""
        if isinstance(event, ConnectionTerminated):
            self.leftOut(event.last_stream_id or 0)
        exchange = self.exchanges.get(getattr(event, "stream_id", None) or 0)
        if exchange is None:
            return
        match event:
            case DataReceived():
                exchange.got += event.data
                if event.stream_id in self.open():
                    self.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                exchange.complete = True
            case StreamReset():
                exchange.lost = True
            case ResponseReceived() | TrailersReceived():
                assert all(name == name.lower() for name, _ in event.headers)

    def leftOut(self, last: int) -> None:
        """Of streams beyond the `last` that the server takes nothing will come (section 6.8)."""
        self.last = min(self.last, last)
        for streamId, exchange in self.exchanges.items():
            exchange.lost = exchange.lost or streamId > self.last

    # What the client does:

    def stream(self) -> int:
        """One of those that are open for the client."""
        return self.pick(self.open())

    def uploading(self) -> int:
        """One whose request is not complete."""
        return self.pick([number for number in self.open() if not self.exchanges[number].remoteEnded])

    def pick(self, streams: list[int]) -> int:
        if not streams:
            raise ProtocolError("there is no such stream")
        return self.choices.pick(streams)

    def open(self) -> list[int]:
        """What is open for the client."""
        return [number for number, each in self.client.streams.items() if not each.closed]

    def request(self) -> None:
        section = [*self.choices.pick([GET, POST, CONNECT_WEBSOCKET]), *self.choices.pick(FIELDS)]
        ends = self.choices.flag()
        if self.last != HIGHEST_STREAM:
            raise ProtocolError("the server takes no more")
        streamId = self.client.get_next_available_stream_id()
        self.client.send_headers(streamId, section, end_stream=ends)
        self.exchanges[streamId] = Exchange()
        self.exchanges[streamId].remoteEnded = ends

    def upload(self) -> None:
        streamId, padding = self.uploading(), self.choices.pick([None, 0, 7])
        room = min(self.client.local_flow_control_window(streamId) - 8, 16000)
        content = b"u" * min(room, self.choices.octet())
        ends = self.choices.flag()
        if content:
            self.client.send_data(streamId, content, end_stream=ends, pad_length=padding)
            self.exchanges[streamId].uploaded += content
            self.exchanges[streamId].remoteEnded = ends

    def endUpload(self) -> None:
        streamId = self.uploading()
        if self.choices.flag():
            self.client.send_headers(streamId, [(b"x-trailer", b"y")], end_stream=True)
        else:
            self.client.end_stream(streamId)
        self.exchanges[streamId].remoteEnded = True

    def cancel(self) -> None:
        streamId = self.stream()
        self.client.reset_stream(streamId, 8)
        self.exchanges[streamId].lost = True

    def change(self) -> None:
        code, value = self.choices.pick(SETTINGS)
        if code == 4 and self.exchanges:
            # To h2, an empty frame is too much for a window below 0 (but see section 6.9.1).
            raise ProtocolError("windows stay as they are")
        self.client.update_settings({code: value})

    def grant(self) -> None:
        streamId = self.stream() if self.choices.flag() else None
        self.client.increment_flow_control_window(self.choices.octet() + 1, streamId)

    def ping(self) -> None:
        self.client.ping(b"12345678")

    # What the application does:

    def some(self) -> tuple[int, Exchange]:
        """An exchange that waits for more of its answer; or one of nobody's."""
        open_ = [number for number, each in self.exchanges.items() if not (each.ended or each.lost)]
        fit = [number for number in open_ if number in self.wire._streams]
        if not fit:
            return 0, Exchange()
        streamId = self.choices.pick(fit)
        return streamId, self.exchanges[streamId]

    def respond(self) -> None:
        streamId, exchange = self.some()
        if not exchange.begun:
            exchange.sent = self.choices.pick([b"", *BODIES])
            exchange.begun = exchange.ended = True
            self.wire.sendResponse(streamId, 200, [(b"X", b"y")], len(exchange.sent), exchange.sent)

    def body(self) -> None:
        streamId, exchange = self.some()
        if not exchange.begun:
            exchange.begun = True
            self.wire.sendHead(streamId, 200, [(b"Connection", b"close")], None, True)
        elif not self.wire.isFull(streamId):
            piece = self.choices.pick(BODIES)
            exchange.sent += piece
            self.wire.sendBody(streamId, piece)

    def end(self) -> None:
        streamId, exchange = self.some()
        if exchange.begun:
            exchange.ended = True
            self.wire.sendEnd(streamId, self.choices.pick([[], [(b"X", b"y")]]))

    def inform(self) -> None:
        # For what it has reset, h2 can read everything but this.
        self.flush()
        streamId, exchange = self.some()
        if not exchange.begun:
            self.wire.sendInformational(streamId, 103, [(b"Link", b"a")])
        self.flush()

    def giveUp(self) -> None:
        streamId, exchange = self.some()
        exchange.lost = True
        self.choices.pick([lambda: self.wire.reset(streamId, 8), lambda: self.wire.leave(streamId)])()

    def drain(self) -> None:
        self.choices.pick([self.wire.drain, self.wire.beLast])()


#: As often as they stand here.
CLIENTS: list[Callable[[Dialogue], None]] = [
    Dialogue.request, Dialogue.request, Dialogue.upload, Dialogue.endUpload, Dialogue.cancel,
    Dialogue.change, Dialogue.grant, Dialogue.ping,
]  # fmt: skip
STEPS: list[Callable[[Dialogue], None]] = [
    *CLIENTS, Dialogue.flush, Dialogue.flush, Dialogue.respond, Dialogue.body, Dialogue.body, Dialogue.end,
    Dialogue.inform, Dialogue.giveUp, Dialogue.drain,
]  # fmt: skip


def http2Client(data: bytes) -> None:
    """A dialogue in which the client breaks no rule, so that h2's client finds nothing to say against us."""
    Dialogue(Choices(data)).run()
