"""Content that waits to be sent: streams take turns, frame by frame, as far as each has room."""

from __future__ import annotations

__all__ = ["LARGEST_FRAME", "Outgoing", "Turns"]

from collections import deque
from collections.abc import Callable, Mapping

#: The largest frame that is sent.
LARGEST_FRAME = 16 * 1024


class Outgoing:
    """The content of one response.

    :ivar waiting: octets of it that wait, and `sent`: those that were sent.
    :ivar isQueued: it waits for its turn.
    """

    __slots__ = ("_offset", "_pieces", "isQueued", "sent", "waiting")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._offset = self.waiting = self.sent = 0
        self.isQueued = False

    def put(self, data: bytes) -> None:
        """There is more of it."""
        self._pieces.append(data)
        self.waiting += len(data)

    def take(self, size: int) -> bytes:
        """The next `size` octets, or fewer where a piece ends."""
        piece, begin = self._pieces[0], self._offset
        if begin + size < len(piece):
            self._offset += size
            piece = piece[begin : self._offset]
        else:
            self._pieces.popleft()
            self._offset = 0
            piece = piece[begin:]
        self.waiting -= len(piece)
        self.sent += len(piece)
        return piece


class Turns:
    """Whose turn it is.

    Who has no room on its own stream waits elsewhere until it gets some.
    """

    def __init__(self, streams: Mapping[int, Outgoing], room: Callable[[int], int]) -> None:
        """
        :param streams: all of them, by number.
        :param room: how many octets a stream has room for, by its own window and that of the connection.
        """
        self._streams = streams
        self._room = room
        self._ready: deque[int] = deque()

    def __bool__(self) -> bool:
        return bool(self._ready)

    def join(self, streamId: int) -> None:
        """Let a stream have its turn, if it has anything to send."""
        stream = self._streams[streamId]
        if stream.waiting and not stream.isQueued:
            stream.isQueued = True
            self._ready.append(streamId)

    def leave(self, streamId: int, stream: Outgoing) -> None:
        """It is over."""
        if stream.isQueued:
            self._ready.remove(streamId)

    def clear(self) -> None:
        """They all are."""
        while self._ready:
            self._streams[self._ready.pop()].isQueued = False

    def next(self) -> tuple[int, int] | None:
        """The stream whose turn it is, and how many octets it may send now; None: nobody has room."""
        while self._ready:
            streamId = self._ready.popleft()
            self._streams[streamId].isQueued = False
            size = min(self._room(streamId), LARGEST_FRAME)
            if size > 0:
                return streamId, size
        return None
