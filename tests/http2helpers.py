"""The peer's end of an HTTP/2 connection, for conversations without sockets (see `connectionhelpers`).

The client is h2's: it checks what it is sent by rules that are not ours.
"""

from __future__ import annotations

__all__ = [
    "PREFACE",
    "SETTINGS",
    "Answer",
    "Client",
    "Http2Peer",
    "Keeper",
    "StreamingServer",
    "connect2",
    "frame",
    "serve2",
]

from collections.abc import Callable, Mapping
from typing import Any

from connectionhelpers import (
    PEER,
    Conversation,
    FakeTcpTransport,
    FakeTlsTransport,
    FakeTransport,
    Handler,
    HandlerServer,
    SteadyClock,
)
from h2 import events as h2events
from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.settings import Settings
from twisted.internet.interfaces import IAddress

from txabstracthttp import Http2Configuration, HttpRequest, HttpServerConfiguration, HttpSocket

#: What every client says first (RFC 9113 section 3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int = 0, streamId: int = 0, payload: bytes = b"") -> bytes:
    """Any frame at all (section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + streamId.to_bytes(4, "big") + payload


#: An empty one, which is all that has to follow the preface.
SETTINGS = frame(4)


class Client(H2Connection):
    """A client that goes on behind GOAWAY, as RFC 9113 section 6.8 has it and h2 does not."""

    def __init__(self) -> None:
        super().__init__(H2Configuration(client_side=True, header_encoding="latin-1"))

    def clear_outbound_data_buffer(self) -> None:
        """Nothing is unsaid."""

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[Any]]:
        frames, events = super()._receive_goaway_frame(frame)
        self.state_machine.state = ConnectionState.CLIENT_OPEN
        return frames, events


class Answer:
    """What came back on one stream.

    :ivar status: 0 before there is one.
    :ivar headers: names and values, without those that begin with a colon.
    :ivar interim: status codes and fields of interim responses.
    :ivar pieces: the content, DATA frame by DATA frame.
    :ivar trailers: the trailer section.
    :ivar ended: END_STREAM was seen.
    :ivar reset: the code of a RST_STREAM, or None.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.interim: list[tuple[int, list[tuple[str, str]]]] = []
        self.pieces: list[bytes] = []
        self.trailers: list[tuple[str, str]] = []
        self.ended = False
        self.reset: int | None = None

    @property
    def body(self) -> bytes:
        """All the content so far."""
        return b"".join(self.pieces)

    @property
    def brief(self) -> tuple[int, bytes]:
        """The two things that most tests are about."""
        return self.status, self.body

    def all(self, name: str) -> list[str]:
        """Every value of the field `name`."""
        return [value for each, value in self.headers if each == name]

    def __repr__(self) -> str:
        return f"<Answer {self.status} {len(self.body)} octets, ended {self.ended}, reset {self.reset}>"


class Http2Peer:
    """A client on one connection of a `Conversation`.

    :ivar h2: the client's own state.
    :ivar answers: by stream.
    :ivar goneAway: codes and last streams of the GOAWAY frames that came.
    :ivar order: streams of the DATA frames that came, in order.
    :ivar acknowledging: whether what is received makes room for more at once.
    :ivar replying: whether h2 may answer by itself: acknowledge SETTINGS and PING.
    """

    def __init__(
        self,
        conversation: Conversation,
        settings: dict[Any, int] | None = None,
        acknowledging: bool = True,
        replying: bool = True,
    ) -> None:
        self.conversation = conversation
        self.server, self.clock = conversation.server, conversation.clock
        self.transport = conversation.transport
        self.acknowledging, self.replying = acknowledging, replying
        self.h2 = Client()
        self.answers: dict[int, Answer] = {}
        self.goneAway: list[tuple[int, int]] = []
        self.order: list[int] = []
        self.remoteSettings: dict[int, int] = {}
        if settings:
            # They are in the first frame, so h2 must not wait for them to be acknowledged.
            self.h2.local_settings = Settings(client=True, initial_values=settings)
            self.h2.max_inbound_frame_size = self.h2.local_settings.max_frame_size
        self.h2.initiate_connection()
        self.say()

    # What goes to the server:

    def say(self) -> None:
        """Send what h2 has to say, and read what comes back."""
        data = self.h2.data_to_send()
        if data:
            self.conversation.send(data)
        self.hear()

    def raw(self, *data: bytes) -> None:
        """Send octets that h2 knows nothing of, each in a piece of its own."""
        self.conversation.send(*data)
        self.hear()

    def head(self, path: str, fields: tuple[str, ...], method: str, **pseudo: str) -> list[tuple[str, str]]:
        """The field section of a request; `fields` are written as ``name: value``."""
        secure = isinstance(self.transport, FakeTlsTransport)
        section = {"method": method, "scheme": "https" if secure else "http", "path": path}
        section["authority"] = "example.com"
        section |= pseudo
        head = [(f":{name}", value) for name, value in section.items()]
        for each in fields:
            name, _, value = each.partition(": ")
            head.append((name.lower(), value))
        return head

    def ask(
        self,
        path: str = "/",
        *fields: str,
        method: str = "GET",
        body: bytes | None = None,
        end: bool = True,
        **pseudo: str,
    ) -> int:
        """Send a request, with as much of its content as the windows allow; the stream it is on."""
        streamId: int = self.h2.get_next_available_stream_id()
        self.h2.send_headers(streamId, self.head(path, fields, method, **pseudo), end and not body)
        if body:
            self.upload(streamId, body, end)
        else:
            self.say()
        return streamId

    def upload(self, streamId: int, body: bytes, end: bool = False, padding: int | None = None) -> bytes:
        """Send content, as much as there is room for.

        :return: the rest.
        """
        while body:
            size = self.h2.local_flow_control_window(streamId)
            size = min(size - (0 if padding is None else padding + 1), self.h2.max_outbound_frame_size)
            if size <= 0 or self.answer(streamId).reset is not None:
                self.say()
                break
            piece, body = body[:size], body[size:]
            self.h2.send_data(streamId, piece, end_stream=end and not body, pad_length=padding)
            self.say()
        return body

    def end(self, streamId: int, trailers: list[tuple[str, str]] | None = None) -> None:
        """That was all of a request."""
        if trailers:
            self.h2.send_headers(streamId, trailers, end_stream=True)
        else:
            self.h2.end_stream(streamId)
        self.say()

    def reset(self, streamId: int, code: int = 8) -> None:
        """Want no more of it; 8 is CANCEL."""
        self.h2.reset_stream(streamId, code)
        self.say()

    def makeRoom(self, size: int, streamId: int | None = None) -> None:
        """A WINDOW_UPDATE."""
        self.h2.increment_flow_control_window(size, streamId)
        self.say()

    # What comes from it:

    def hear(self) -> None:
        """Read what the server has sent, and say what h2 says to that."""
        while data := self.transport.value:
            self.transport.writes.clear()
            for event in self.h2.receive_data(data):
                self._note(event)
            if self.replying and (reply := self.h2.data_to_send()):
                self.conversation.send(reply)

    def _note(self, event: Any) -> None:
        answer = self.answers.setdefault(getattr(event, "stream_id", 0) or 0, Answer())
        match event:
            case h2events.ResponseReceived():
                answer.status, answer.headers = _split(event.headers)
            case h2events.InformationalResponseReceived():
                answer.interim.append(_split(event.headers))
            case h2events.DataReceived():
                self._noteData(event, answer)
            case h2events.TrailersReceived():
                answer.trailers = [(str(name), str(value)) for name, value in event.headers]
            case h2events.StreamEnded():
                answer.ended = True
            case h2events.StreamReset():
                answer.reset = int(event.error_code or 0)
            case h2events.ConnectionTerminated():
                self.goneAway.append((int(event.error_code or 0), event.last_stream_id or 0))
            case h2events.RemoteSettingsChanged():
                settings = event.changed_settings
                self.remoteSettings |= {int(key): each.new_value for key, each in settings.items()}

    def _noteData(self, event: Any, answer: Answer) -> None:
        if event.data:
            answer.pieces.append(event.data)
            self.order.append(event.stream_id)
        if self.acknowledging and event.flow_controlled_length:
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def answer(self, streamId: int) -> Answer:
        """What came back on a stream so far."""
        self.hear()
        return self.answers.setdefault(streamId, Answer())

    def got(self, path: str = "/", *fields: str, **more: Any) -> Answer:
        """Ask, and see what comes back at once."""
        return self.answer(self.ask(path, *fields, **more))

    def brief(self, streamId: int) -> tuple[int, bytes]:
        """As `Answer.brief`."""
        return self.answer(streamId).brief

    def window(self, streamId: int) -> int:
        """How much the server would take on a stream."""
        self.hear()
        room: int = self.h2.local_flow_control_window(streamId)
        return room

    @property
    def isAlive(self) -> bool:
        """Whether the server still answers, and has not said that it will stop."""
        self.hear()
        if self.goneAway or not self.conversation.open:
            return False
        self.h2.ping(b"are you?")
        self.say()
        return self.conversation.open and not self.goneAway

    # Time, and the end:

    def advance(self, *seconds: float) -> None:
        """Time passes; what the server sends meanwhile is read at the end of each step."""
        for step in seconds:
            self.conversation.advance(step)
            self.hear()

    def leave(self, reason: Exception | None = None) -> None:
        """The connection is gone."""
        self.conversation.leave(reason)


def _split(head: Any) -> tuple[int, list[tuple[str, str]]]:
    (status,) = (int(value) for name, value in head if name == ":status")
    return status, [(name, value) for name, value in head if not name.startswith(":")]


class StreamingServer(HandlerServer):
    """Says of every request's content what `policy` says."""

    policy: Any = False

    def streamsBody(self, request: HttpRequest) -> Any:
        return self.policy(request) if callable(self.policy) else self.policy


def connect2(
    server: StreamingServer,
    clock: SteadyClock,
    *,
    secure: bool = False,
    peer: IAddress = PEER,
    transport: FakeTransport | None = None,
    **more: Any,
) -> Http2Peer:
    """One more client of `server`; `more` is `Http2Peer`'s."""
    if transport is None:
        transport = (FakeTlsTransport if secure else FakeTcpTransport)(peer)
    if secure:
        transport.negotiatedProtocol = b"h2"  # type: ignore[attr-defined]
    conversation = Conversation(server, clock, transport)
    if secure:
        conversation.connection.handshakeCompleted()
    return Http2Peer(conversation, **more)


def serve2(
    handler: Handler | Callable[[HttpRequest, HttpSocket], Any],
    *,
    policy: Any = False,
    http2: Mapping[str, Any] | None = None,
    client: Mapping[str, Any] | None = None,
    secure: bool = False,
    **configuration: Any,
) -> Http2Peer:
    """A server whose requests go to `handler`, and an HTTP/2 client of it.

    :param policy: what `streamsBody` says.
    :param http2: `Http2Configuration`, where it is not the default.
    :param client: arguments of `Http2Peer`.
    """
    clock = SteadyClock()
    server = StreamingServer(handler, clock, HttpServerConfiguration(**configuration))
    server.policy = policy
    server.setHttp2Configuration(Http2Configuration(**(http2 or {})))
    return connect2(server, clock, secure=secure, **(client or {}))


class Keeper:
    """A handler that does nothing by itself."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.sockets: list[HttpSocket] = []

    def __call__(self, request: HttpRequest, socket: HttpSocket) -> bool:
        self.requests.append(request)
        self.sockets.append(socket)
        return True

    @property
    def request(self) -> HttpRequest:
        """The newest."""
        return self.requests[-1]

    @property
    def socket(self) -> HttpSocket:
        """The newest."""
        return self.sockets[-1]

    def at(self, path: str) -> HttpSocket:
        """The one that was asked for `path`."""
        (socket,) = (each for each in self.sockets if each.request.path == path)
        return socket
