"""The error tree: whose fault it was, and what to answer.

An :class:`HttpError` is the peer's fault and can be told to the peer, because it carries the status to
answer with.  The others are raised in the face of the application that erred.
"""

from __future__ import annotations

__all__ = ["AlreadyAnswered", "HttpError", "WebSocketClosed"]


class HttpError(Exception):
    """The peer broke a rule or a limit; it gets `status` as its answer, then the connection closes.

    An application may raise one, too: a handler that lets it pass is answered for as it says.

    :ivar status: the HTTP status code to answer with, 400 to 599.
    :ivar reason: one line for people who read logs; it never reaches the peer.
    """

    def __init__(self, status: int, reason: str = "") -> None:
        """
        :raises ValueError: another status than an `int` from 400 to 599.
        """
        if isinstance(status, bool) or not isinstance(status, int) or not 400 <= status <= 599:
            raise ValueError(f"an error has a status from 400 to 599, not {status!r}")
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


class AlreadyAnswered(RuntimeError):
    """A response was begun or finished twice, or written to after its end."""


class WebSocketClosed(Exception):
    """A WebSocket ended while somebody waited for its next message.

    :ivar code: the close code (RFC 6455 section 7.4).
    :ivar reason: the close reason, often empty.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
