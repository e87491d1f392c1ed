"""What becomes of a WebSocket upgrade (Qt 6.8: QHttpServerWebSocketUpgradeResponse)."""

from __future__ import annotations

__all__ = ["WebSocketUpgrade"]

from ._events import Fields
from .headers import TOKEN, HeadersLike, HttpHeaders, encodeFields
from .semantics import Content, composeHead, encodeContent, frameContent

#: What the handshake says itself, and nobody else.
_OWN_FIELDS = frozenset(
    (
        b"connection",
        b"content-length",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"transfer-encoding",
        b"upgrade",
    )
)


class WebSocketUpgrade:
    """The answer of a verifier; made by `accept`, `deny` or `passToNext`.

    :ivar outcome: ``"accept"``, ``"deny"`` or ``"pass"``.
    """

    __slots__ = ("body", "fields", "headers", "outcome", "status", "subprotocol")

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.subprotocol: str | None = None
        self.fields: Fields = []
        self.status = 0
        self.body: Content | None = None
        self.headers = HttpHeaders()

    @classmethod
    def accept(cls, subprotocol: str | None = None, headers: HeadersLike = ()) -> WebSocketUpgrade:
        """Take it (Qt: accept).

        :param subprotocol: one of those that the client offers (RFC 6455 section 1.9), or None.
        :param headers: more fields for the 101, or the 200 of HTTP/2.
        :raises ValueError: a subprotocol that is no token, or a field that must not be sent.
        """
        self = cls("accept")
        if subprotocol is not None and not _isToken(subprotocol):
            raise ValueError(f"a subprotocol is a token, not {subprotocol!r}")
        self.subprotocol = subprotocol
        self.fields = encodeFields(headers)
        for name, _ in self.fields:
            if name.lower() in _OWN_FIELDS:
                raise ValueError(f"{name.decode('ascii')} is for the handshake to say")
        return self

    @classmethod
    def deny(
        cls, status: int = 403, body: Content | None = None, headers: HeadersLike = None
    ) -> WebSocketUpgrade:
        """Refuse it, with an ordinary response (Qt: deny).

        :param status: 300 to 599.
        :param body: as `HttpSocket.respond` takes it; None is a page of our own.
        :param headers: more fields, such as ``WWW-Authenticate`` or ``Location``.
        :raises ValueError: another status, or a field that must not be sent.
        :raises TypeError: a body of no type that is taken.
        """
        if isinstance(status, bool) or not isinstance(status, int) or not 300 <= status <= 599:
            raise ValueError(f"an upgrade is denied with a status from 300 to 599, not {status!r}")
        self = cls("deny")
        self.status = status
        self.body = body
        # What is wrong shows where it was said.
        self.headers = HttpHeaders(headers)
        content = b"" if body is None else encodeContent(body)[0]
        frameContent("GET", status, content, composeHead(headers, None, b"").length)
        return self

    @classmethod
    def passToNext(cls) -> WebSocketUpgrade:
        """Let the next verifier decide; behind the last one, `missingHandler` (Qt: passToNext)."""
        return cls("pass")

    def __repr__(self) -> str:
        return f"<WebSocketUpgrade {self.outcome}>"


def _isToken(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and TOKEN.fullmatch(text.encode()) is not None
