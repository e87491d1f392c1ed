"""A client of HTTP/2 on a real socket, which does what the h2 library says and no more than it is told."""

from __future__ import annotations

__all__ = ["LARGEST_WINDOW", "Http2Peer", "StreamView"]

import socket
import time
from collections import defaultdict
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes, Settings

LARGEST_WINDOW = 2**31 - 1
PIECE = bytes(16384)


@dataclass
class StreamView:
    """What came on one stream.

    :ivar status: of the response; 0: there is none yet.
    :ivar size: octets of its content; `content`: the first of them.
    :ivar reset: the code of RST_STREAM.
    """

    status: int = 0
    size: int = 0
    content: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def isOver(self) -> bool:
        """Nothing more will come."""
        return self.ended or self.reset is not None


class Http2Peer:
    """One connection.

    :ivar h2: the library's view of it.
    :ivar streams: what came, by stream.
    :ivar acknowledges: content that comes makes room for more.
    :ivar gone: the server has said GOAWAY, or closed.
    """

    def __init__(self, raw: socket.socket, window: int = 65535, connectionWindow: int = 65535) -> None:
        """
        :param window: of each stream; `connectionWindow`: of all together.
        """
        self.raw = raw
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.streams: defaultdict[int, StreamView] = defaultdict(StreamView)
        self.acknowledges = True
        self.gone = False
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.local_settings = Settings(True, {SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.initiate_connection()
        if connectionWindow > 65535:
            self.h2.increment_flow_control_window(connectionWindow - 65535)
        self.flush()
        # Only with the server's own settings is it known what it allows.
        while not self.h2.remote_settings.max_concurrent_streams < LARGEST_WINDOW:
            self.listen()

    def flush(self) -> None:
        """Send what the library has to say."""
        self.raw.sendall(self.h2.data_to_send())

    def ask(self, path: str, *fields: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """The head of a request; its stream."""
        stream: int = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        self.h2.send_headers(stream, [*pseudo, *fields], end_stream=end)
        self.flush()
        return stream

    def listen(self) -> list[Event]:
        """Take what comes next; all the content that is acknowledged makes room at once."""
        data = self.raw.recv(1 << 20)
        if not data:
            self.gone = True
            return []
        events = self.h2.receive_data(data)
        for event in events:
            self._take(event)
        self.flush()
        return events

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.gone = True
        stream = getattr(event, "stream_id", None)
        view = self.streams[stream] if stream else StreamView()
        if isinstance(event, DataReceived):
            self._takeContent(event, view)
        elif isinstance(event, ResponseReceived):
            view.status = int(event.headers[0][1])
        elif isinstance(event, StreamEnded):
            view.ended = True
        elif isinstance(event, StreamReset):
            view.reset = int(event.error_code)

    def _takeContent(self, event: DataReceived, view: StreamView) -> None:
        view.size += len(event.data)
        if len(view.content) < 65536:
            view.content += event.data
        if self.acknowledges and event.flow_controlled_length:
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def room(self, stream: int) -> int:
        """How much content may be sent there now."""
        return self.h2.local_flow_control_window(stream)

    def upload(self, stream: int, size: int) -> int:
        """Send content as far as there is room, at most `size` octets; how much is left."""
        most = self.h2.max_outbound_frame_size
        while size and (room := min(size, self.room(stream), most, len(PIECE))) > 0:
            self.h2.send_data(stream, PIECE[:room])
            size -= room
        self.flush()
        return size

    def wait(self, stream: int, seconds: float = 30.0) -> StreamView:
        """Take what comes until `stream` is over, or the connection is."""
        end = time.monotonic() + seconds
        while not self.streams[stream].isOver and not self.gone:
            assert time.monotonic() < end, self.streams[stream]
            self.listen()
        return self.streams[stream]

    def fetch(self, path: str) -> StreamView:
        """Ask, and wait for the answer."""
        return self.wait(self.ask(path))
