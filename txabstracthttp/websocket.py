"""WebSockets: Autobahn's protocol behind a handshake that we have read (RFC 6455).

Imported at the first upgrade, since Autobahn takes its time to import.
"""

from __future__ import annotations

__all__ = ["WebSocket", "WebSocketFactory"]

from collections.abc import AsyncIterator, Callable, Hashable
from functools import lru_cache
from typing import Any, cast

from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet.defer import Deferred, succeed

from ._autobahn import Adopted, AdoptingFactory
from ._inbox import Inbox, Message, MessageSignal
from .errors import WebSocketClosed
from .signals import Signal

#: Close codes that a peer may be sent (RFC 6455 section 7.4): the others stand for what is never sent.
_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013))
_ABNORMAL, _NO_CODE = 1006, 1005


class WebSocket(Adopted):
    """One WebSocket (Qt: QWebSocket), over HTTP/1.1 or HTTP/2: an Autobahn protocol and something more.

    Each message goes to one of these, whichever is used first: `onMessage`, overridden in a subclass;
    `textMessageReceived` and `binaryMessageReceived`; `receive` and ``async for``.  Those that come before
    wait, in order; when many wait, the peer is not read from.

    :ivar request: the request that opened it.
    :ivar subprotocol: the one that was agreed upon, or None.
    :ivar disconnected: emitted with ``(code, reason)`` at the end; 1006 if it ended without a close code,
        1005 if the peer gave none (Qt: disconnected).
    """

    def _setUp(self) -> None:
        super()._setUp()
        self._inbox = Inbox(self._push, self._regulate)
        self._text = MessageSignal(self._attachSoon)
        self._binary = MessageSignal(self._attachSoon)
        self.disconnected = Signal()
        self._ends: list[Deferred[None]] = []
        self._roomWanted: list[Deferred[None]] = []
        self._ended = False
        self._lateEnd: tuple[int, str] | None = None
        #: The server wants to know of the end, too.
        self.left: Callable[[], object] | None = None

    @property
    def textMessageReceived(self) -> Signal:
        """Emitted with each text message, a `str` (Qt: textMessageReceived)."""
        return self._text

    @property
    def binaryMessageReceived(self) -> Signal:
        """Emitted with each binary message, `bytes` (Qt: binaryMessageReceived)."""
        return self._binary

    # What an application says:

    def sendTextMessage(self, message: str) -> Deferred[None]:
        """Send a text message (Qt: sendTextMessage); nothing happens if the WebSocket is closing.

        :return: a Deferred that fires when there is room for more: whoever waits for it keeps the pace of
            the peer.  It never fails; the end of the WebSocket fires it, too.
        :raises TypeError: no `str`.
        :raises ValueError: a surrogate, which UTF-8 does not have.
        """
        if not isinstance(message, str):
            raise TypeError(f"a text message is a str, not {type(message).__name__}")
        return self._sendWhole(message.encode(), False)

    def sendBinaryMessage(self, message: bytes) -> Deferred[None]:
        """Send a binary message (Qt: sendBinaryMessage); otherwise as `sendTextMessage`.

        :raises TypeError: not bytes.
        """
        if not isinstance(message, bytes | bytearray | memoryview):
            raise TypeError(f"a binary message is bytes, not {type(message).__name__}")
        return self._sendWhole(bytes(message), True)

    def receive(self) -> Deferred[Message]:
        """Wait for the next message.

        :return: it fires with a `str` or with `bytes`, and fails with `WebSocketClosed` when no more come.
            Cancelling it loses nothing.
        """
        taken = self._inbox.take()
        self._tellLateEnd()
        return taken

    async def __aiter__(self) -> AsyncIterator[Message]:
        """The messages, one after the other, until the WebSocket is closed."""
        while True:
            try:
                message = await self.receive()
            except WebSocketClosed:
                return
            yield message

    def close(self, code: int = 1000, reason: str = "") -> Deferred[None]:
        """Close, with a code for the peer (Qt: close); what was sent before still leaves.

        :param code: 1000 to 1003, 1007 to 1013, or 3000 to 4999 (RFC 6455 section 7.4).
        :param reason: at most 123 octets of UTF-8.
        :return: a Deferred that fires when the connection is closed; again and again, if need be.
        :raises ValueError: another code, or too long a reason.
        :raises TypeError: a reason that is no `str`.
        """
        _checkClose(code, reason)
        if self.isOpen:
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode() or None)
        if self._ended:
            return succeed(None)
        end: Deferred[None] = Deferred()
        self._ends.append(end)
        return end

    def outputFree(self) -> None:
        """The peer takes again what it is sent."""
        waiters, self._roomWanted = self._roomWanted, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(None)
        super().outputFree()

    # What Autobahn says:

    def onMessage(self, payload: bytes, isBinary: bool) -> Any:
        """A message arrived; to be overridden by those who want it by this name, in a subclass.

        It may be set on this object, too: what has come before is given to it with the next message.
        """
        self._put(payload if isBinary else payload.decode())

    def on(self, event: str, handler: Any) -> None:
        """Autobahn's own way to listen; to messages, also to those that have come already."""
        super().on(event, handler)
        for message in self._inbox.takeAll() if event == "message" else ():
            self.fire(
                event,
                message if isinstance(message, bytes) else message.encode(),
                is_binary=isinstance(message, bytes),
            )

    def _put(self, message: Message) -> None:
        # What comes while it closes must not fill up what nobody empties; and Autobahn's own listeners are
        # readers, too.
        if not self._isListenedTo and (self.isOpen or not self._inbox.isFull):
            self._inbox.put(message)

    def _deliver(self, message: Message) -> None:
        if type(self).onMessage is not WebSocket.onMessage or "onMessage" in self.__dict__:
            super()._deliver(message)
        else:
            self._put(message)

    def _onMessage(self, payload: bytes, isBinary: bool) -> None:
        if "onMessage" in self.__dict__ and self.hasUnread:
            # It was set on this very object, some time after the first messages had come.
            for message in self._inbox.takeAll():
                super()._deliver(message)
        super()._onMessage(payload, isBinary)

    @property
    def isReluctant(self) -> bool:
        """Whether it is our own reader who lets the peer wait."""
        return self._inbox.isFull

    # Who reads:

    @property
    def isClosed(self) -> bool:
        """Whether it has ended."""
        return self._ended

    @property
    def hasUnread(self) -> bool:
        """Whether messages wait."""
        return len(self._inbox) > 0

    def _attachSoon(self) -> None:
        self._inbox.attachPush()
        # In the next turn: whoever connects to the one signal may be about to connect to the other, too.
        self.factory.reactor.callLater(0, self._pushAll)

    def _pushAll(self) -> None:
        self._inbox.pushAll()
        self._tellLateEnd()

    def _push(self, message: Message) -> None:
        (self._text if isinstance(message, str) else self._binary).emit(message)

    def _regulate(self) -> None:
        if self._ended:
            return
        if self._inbox.isFull and self.isOpen:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def _sendWhole(self, payload: bytes, isBinary: bool) -> Deferred[None]:
        if self.isOpen:
            self.sendMessage(payload, isBinary)
            if not self.transport.isBlocked:
                return succeed(None)
        room: Deferred[None] = Deferred()
        if self._ended:
            # Not at once: whoever sends on and on, and looks at nothing else, must not stop everybody.
            self.factory.reactor.callLater(0, room.callback, None)
        else:
            self._roomWanted.append(room)
        return room

    def _finish(self) -> None:
        self._ended = True
        code, reason = self._outcome()
        self._inbox.close(WebSocketClosed(code, reason))
        self.outputFree()
        if self.left is not None:
            self.left()
        if self.disconnected.isConnected or self._inbox.isAttached or not self._inbox:
            self.disconnected.emit(code, reason)
        else:
            # Whoever comes for the last messages hears of the end behind them.
            self._lateEnd = code, reason
        ends, self._ends = self._ends, []
        for end in ends:
            if not end.called:
                end.callback(None)

    def _tellLateEnd(self) -> None:
        end = self._lateEnd
        if end is not None and not self._inbox:
            self._lateEnd = None
            self.disconnected.emit(*end)

    def _outcome(self) -> tuple[int, str]:
        if self.failedByMe:
            return self.localCloseCode or _ABNORMAL, (self.localCloseReason or b"").decode()
        if self.wasClean:
            return self.remoteCloseCode or _NO_CODE, self.remoteCloseReason or ""
        return _ABNORMAL, self.wasNotCleanReason or ""

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.request.target.decode('ascii')} of {self.request.remoteAddress}>"
        )


class WebSocketFactory(AdoptingFactory):
    """Makes the WebSockets of one server."""

    def make(self, kind: type[Any] | None) -> WebSocket:
        """A WebSocket that is not open yet.

        :param kind: a class derived from Autobahn's `WebSocketServerProtocol`; None is `WebSocket`.
        :raises TypeError: another one.
        """
        webSocket = cast("WebSocket", _combine(cast("Hashable", kind or WebSocket))())
        webSocket.factory = self
        webSocket.configuration = self.configuration
        return webSocket


@lru_cache(maxsize=64)
def _combine(kind: Hashable) -> type[Any]:
    """`kind` itself, or, if it knows nothing of ours, with ours below it."""
    if not (isinstance(kind, type) and issubclass(kind, WebSocketServerProtocol)):
        raise TypeError(f"webSocketProtocol is no WebSocketServerProtocol, but {kind!r}")
    if issubclass(WebSocket, kind):
        return WebSocket
    return kind if issubclass(kind, WebSocket) else type(kind.__name__, (kind, WebSocket), {})


def _checkClose(code: int, reason: str) -> None:
    isCode = isinstance(code, int) and (code in _CODES or 3000 <= code <= 4999)
    if not isCode:
        raise ValueError(f"a close code is 1000 to 1003, 1007 to 1013 or 3000 to 4999, not {code!r}")
    if not isinstance(reason, str):
        raise TypeError(f"a close reason is a str, not {type(reason).__name__}")
    if len(reason.encode()) > 123:
        raise ValueError("a close reason is at most 123 octets of UTF-8")
