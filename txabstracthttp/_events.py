"""What a wire can tell the floors above it: plain records, no behaviour."""

from __future__ import annotations

__all__ = ["BodyData", "BodyEnd", "Event", "FieldPairs", "Fields", "Head", "PeerError", "StreamReset"]

from .errors import HttpError

#: A field section: names as received or as given, values without surrounding white space, in order.
Fields = list[tuple[bytes, bytes]]
#: The same, or a constant one that may be recognised when it comes again.
FieldPairs = Fields | tuple[tuple[bytes, bytes], ...]


class Head:
    """The head of one request.  `HttpRequest` extends it, so that a request costs one object, not two.

    :ivar streamId: which exchange of the connection this is; always 1 on HTTP/1.
    :ivar method: as received, for example ``GET``.
    :ivar target: the request target, as received (RFC 9112 section 3.2).
    :ivar version: ``"1.0"``, ``"1.1"`` or ``"2"``.
    :ivar fields: the header section: names as received, values without surrounding white space.  Not to be
        changed: other requests that said the same may share it.
    :ivar authority: the Host field (RFC 9110 section 7.2), or what the target says instead of it.
    :ivar contentLength: octets of content to come; 0 without any, None while only its end will tell.
    :ivar upgrade: the peer asks to leave HTTP behind (``Connection: upgrade``, or CONNECT).
    :ivar expectsContinue: the peer waits for ``100 Continue`` before it sends its content.
    """

    __slots__ = (
        "authority",
        "contentLength",
        "expectsContinue",
        "fields",
        "method",
        "streamId",
        "target",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        streamId: int,
        method: str,
        target: bytes,
        version: str,
        fields: Fields,
        authority: bytes,
        contentLength: int | None = 0,
        upgrade: bool = False,
        expectsContinue: bool = False,
    ) -> None:
        self.streamId = streamId
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.authority = authority
        self.contentLength = contentLength
        self.upgrade = upgrade
        self.expectsContinue = expectsContinue


class BodyData:
    """A piece of content arrived."""

    __slots__ = ("data", "streamId")

    def __init__(self, streamId: int, data: bytes) -> None:
        self.streamId = streamId
        self.data = data


class BodyEnd:
    """The content is complete; `trailers` is its trailer section (RFC 9110 section 6.5)."""

    __slots__ = ("streamId", "trailers")

    def __init__(self, streamId: int, trailers: Fields) -> None:
        self.streamId = streamId
        self.trailers = trailers


class PeerError:
    """The peer broke a rule: nothing it sends after this is looked at."""

    __slots__ = ("error", "streamId")

    def __init__(self, streamId: int, error: HttpError) -> None:
        self.streamId = streamId
        # Not the one that was raised: its traceback would keep all that was read so far.
        self.error = HttpError(error.status, error.reason)


class StreamReset:
    """An exchange is over before its time (RFC 9113 section 6.4)."""

    __slots__ = ("code", "streamId")

    def __init__(self, streamId: int, code: int) -> None:
        self.streamId = streamId
        self.code = code


Event = Head | BodyData | BodyEnd | PeerError | StreamReset
