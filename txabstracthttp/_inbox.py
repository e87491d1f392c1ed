"""Messages of a WebSocket on their way to the application, in order, for one of its readers."""

from __future__ import annotations

__all__ = ["Inbox", "MessageSignal"]

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from .errors import WebSocketClosed
from .signals import Signal

Observer = TypeVar("Observer", bound=Callable[..., object])
Message = str | bytes

#: Reading from the peer stops when messages of more than so many octets wait; each counts some octets more,
#: so that empty ones count, too.
BACKLOG = 64 * 1024
OVERHEAD = 64


class MessageSignal(Signal):
    """A signal that messages go to as soon as somebody connects to it."""

    __slots__ = ("_attach",)

    def __init__(self, attach: Callable[[], None]) -> None:
        super().__init__()
        self._attach = attach

    def connect(self, observer: Observer) -> Observer:
        """See `Signal.connect`."""
        super().connect(observer)
        self._attach()
        return observer

    def next(self) -> Deferred[Message]:
        """See `Signal.next`."""
        waiter = super().next()
        self._attach()
        return waiter


class Inbox:
    """Keeps messages until somebody takes them; the first who does gets them all.

    :ivar isAttached: somebody takes them.
    """

    __slots__ = (
        "_end",
        "_held",
        "_isPushed",
        "_messages",
        "_push",
        "_regulate",
        "_size",
        "_waiters",
        "isAttached",
    )

    def __init__(self, push: Callable[[Message], object], regulate: Callable[[], object]) -> None:
        """
        :param push: gives a message to the signals.
        :param regulate: called when `isFull` has changed.
        """
        self._push = push
        self._regulate = regulate
        self._messages: deque[Message] = deque()
        self._waiters: deque[Deferred[Message]] = deque()
        self._size = 0
        self._end: WebSocketClosed | None = None
        self.isAttached = False
        #: They go to the signals; but are held back until everybody had the time to connect.
        self._isPushed = self._held = False

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def isFull(self) -> bool:
        """Whether nothing more should come for now."""
        return self._size > BACKLOG

    def put(self, message: Message) -> None:
        """One more message arrived."""
        if self._isPushed and not (self._held or self._messages):
            self._push(message)
        elif self._waiters and not self._isPushed:
            self._waiters.popleft().callback(message)
        else:
            wasFull = self.isFull
            self._messages.append(message)
            self._size += len(message) + OVERHEAD
            if self.isFull and not wasFull:
                self._regulate()

    def attachPush(self) -> None:
        """Messages go to the signals, soon; unless they are taken by other means already."""
        if not self.isAttached:
            self.isAttached = self._isPushed = self._held = True

    def pushAll(self) -> None:
        """Messages go to the signals from now on; unless they are taken by other means already."""
        self.attachPush()
        self._held = False
        while self._isPushed and self._messages:
            self._push(self._take())

    def takeAll(self) -> list[Message]:
        """Whatever waits, for one who will not wait in `take`."""
        self.isAttached = True
        return [self._take() for _ in range(len(self._messages))]

    def take(self) -> Deferred[Message]:
        """The next message, now or later; a failure with `WebSocketClosed` behind the last one."""
        waiter: Deferred[Message] = Deferred(self._forget)
        self.isAttached = True
        if self._messages and not self._isPushed:
            waiter.callback(self._take())
        elif self._end is not None:
            waiter.errback(self._end)
        else:
            self._waiters.append(waiter)
        return waiter

    def close(self, end: WebSocketClosed) -> None:
        """No more will come."""
        self._end = end
        while self._waiters:
            self._waiters.popleft().errback(end)

    def _take(self) -> Message:
        message = self._messages.popleft()
        wasFull = self.isFull
        self._size -= len(message) + OVERHEAD
        if wasFull and not self.isFull:
            self._regulate()
        return message

    def _forget(self, waiter: Deferred[Message]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
