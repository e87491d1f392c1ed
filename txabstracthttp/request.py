"""One request, as an application sees it: the same on every version of HTTP."""

from __future__ import annotations

__all__ = ["ConnectionInfo", "HttpQuery", "HttpRequest"]

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress

from ._events import Fields, Head
from .body import RequestBody
from .headers import HttpHeaders
from .wire.target import splitTarget

if TYPE_CHECKING:
    from hyperlink import DecodedURL


class ConnectionInfo:
    """What all requests of one connection have in common."""

    __slots__ = (
        "isSecure",
        "localAddress",
        "maximumBodySize",
        "peerCertificate",
        "remoteAddress",
        "tlsCipher",
        "tlsVersion",
    )

    def __init__(self, remoteAddress: IAddress, localAddress: IAddress, isSecure: bool) -> None:
        self.remoteAddress = remoteAddress
        self.localAddress = localAddress
        self.isSecure = isSecure
        self.maximumBodySize: int | None = None
        self.peerCertificate: Any = None
        self.tlsVersion = self.tlsCipher = ""


class HttpRequest(Head):
    """One request (Qt's QHttpServerRequest).  It may be kept for as long as you like.

    :ivar method: as received, for example ``"GET"``; methods are case-sensitive (RFC 9110 section 9.1).
    :ivar target: the request target, as received (RFC 9112 section 3.2).
    :ivar version: ``"1.0"``, ``"1.1"`` or ``"2"``.
    :ivar connection: what it has in common with the others that came by the same connection.
    """

    __slots__ = ("__weakref__", "_content", "_headers", "_path", "_query", "connection")

    connection: ConnectionInfo

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
        # Not by way of super(): every request comes by here.
        self.streamId = streamId
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.authority = authority
        self.contentLength = contentLength
        self.upgrade = upgrade
        self.expectsContinue = expectsContinue
        self._content: RequestBody | None = None
        self._headers: HttpHeaders | None = None
        self._path: str | None = None
        self._query: HttpQuery | None = None

    # The content:

    @property
    def body(self) -> bytes:
        """The content, whole; empty if there is none.

        :raises RuntimeError: it is streamed, so it is not all there.
        """
        if self._content is None:
            return b""
        if self._content.streamed:
            raise RuntimeError("this content is streamed: use deliverBody(), content() or async for")
        return self._content.whole()

    def deliverBody(self, protocol: Any) -> None:
        """Hand the content to a Twisted protocol, as `twisted.web.iweb.IResponse.deliverBody` does.

        :param protocol: an `IProtocol`; its ``dataReceived`` gets the content, and its ``connectionLost`` a
            `ConnectionDone` when that is complete, a `ConnectionLost` when it was cut short.  Its transport
            is an `IPushProducer`: to pause it holds the peer back.
        :raises RuntimeError: somebody else reads it.
        """
        self._reading().deliver(protocol)

    def content(self) -> Deferred[bytes]:
        """Wait for the whole content.

        :return: it fails with `ConnectionLost` when the content is cut short, and with `HttpError` when it
            is larger than `maximumBodySize`; an `HttpError` that leaves a handler is answered as it says.
        :raises RuntimeError: somebody else reads it.
        """
        return Deferred.fromCoroutine(self._reading().collect(self.connection.maximumBodySize))

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The content, piece by piece as it arrives; `ConnectionLost` when it is cut short.

        :raises RuntimeError: somebody else reads it.
        """
        return aiter(self._reading())

    def _reading(self) -> RequestBody:
        if self._content is None:
            self._content = RequestBody.complete()
        return self._content if self._content.streamed else self._content.copy()

    def receiveContent(self, content: RequestBody) -> None:
        """Content is on its way; called by the connection."""
        self._content = content

    def leaveContent(self) -> None:
        """Nobody is interested any more in how it is read; called by the connection."""
        if self._content is not None:
            self._content.leave()

    @property
    def trailers(self) -> HttpHeaders:
        """The trailer section (RFC 9110 section 6.5), once the content has ended; mostly empty."""
        return HttpHeaders.fromWire([] if self._content is None else self._content.trailers)

    # The head:

    @property
    def headers(self) -> HttpHeaders:
        """The header section; it cannot be changed."""
        if self._headers is None:
            self._headers = HttpHeaders.fromWire(self.fields)
        return self._headers

    def value(self, name: str) -> str:
        """All values of the header field `name`, joined with ``", "``; ``""`` if there is none."""
        return self.headers.combined(name)

    @property
    def path(self) -> str:
        """The path, percent-decoded once, as UTF-8.

        A malformed ``%`` stays as it is, and octets that are no UTF-8 become U+FFFD.  Dot segments are not
        resolved.  ``"*"`` for ``OPTIONS *``, ``""`` for CONNECT.
        """
        if self._path is None:
            path = splitTarget(self.method, self.target)[1].partition(b"?")[0]
            self._path = (unquote_to_bytes(path) if b"%" in path else path).decode("utf-8", "replace")
        return self._path

    @property
    def query(self) -> HttpQuery:
        """The parameters behind the path, decoded; ``+`` is a space."""
        if self._query is None:
            text = splitTarget(self.method, self.target)[1].partition(b"?")[2].decode("ascii")
            self._query = HttpQuery(text)
        return self._query

    @property
    def url(self) -> DecodedURL:
        """The absolute URL that was asked for, of the scheme and the host that the peer used."""
        # Imported here, because few handlers ask and it costs start-up time.
        from hyperlink import URL, DecodedURL

        scheme = "https" if self.isSecure else "http"
        path = splitTarget(self.method, self.target)[1].decode("ascii")
        if not path.startswith("/"):
            path = ""
        # A port may be empty (RFC 3986 section 3.2.3), which hyperlink does not know.
        authority = self.authority.decode("ascii").removesuffix(":")
        return DecodedURL(URL.from_text(f"{scheme}://{authority}{path}"), lazy=True)

    @property
    def remoteAddress(self) -> IAddress:
        """Who asks: an `IPv4Address`, `IPv6Address` or `UNIXAddress`; IPv4 is always IPv4."""
        return self.connection.remoteAddress

    @property
    def localAddress(self) -> IAddress:
        """The end of the connection that the request came in by."""
        return self.connection.localAddress

    @property
    def isSecure(self) -> bool:
        """Whether the request came through TLS."""
        return self.connection.isSecure

    @property
    def peerCertificate(self) -> Any:
        """The peer's certificate in mutual TLS, a `twisted.internet.ssl.Certificate`; else None."""
        return self.connection.peerCertificate

    @property
    def tlsVersion(self) -> str:
        """The version of TLS, for example ``"TLSv1.3"``; ``""`` without TLS."""
        return self.connection.tlsVersion

    @property
    def tlsCipher(self) -> str:
        """The cipher suite of TLS, for example ``"TLS_AES_128_GCM_SHA256"``; ``""`` without TLS."""
        return self.connection.tlsCipher

    @property
    def isWebSocketUpgrade(self) -> bool:
        """Whether the peer asks to continue with WebSocket (RFC 6455 section 4.1)."""
        if not self.upgrade or self.method == "CONNECT":
            return False
        if self.version == "2":
            return True
        protocols = self.value("Upgrade").lower().split(",")
        return any(protocol.strip(" \t") == "websocket" for protocol in protocols)

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self.target.decode('ascii')} HTTP/{self.version}>"


class HttpQuery:
    """The parameters of a query: ordered, each name as often as it was given (Qt's QUrlQuery).

    Decoded from ``name=value&name=value``, with ``+`` for a space.  Octets that are no UTF-8 become U+FFFD.
    """

    __slots__ = ("_items",)

    def __init__(self, text: str) -> None:
        """
        :param text: what stands behind the ``?``, still encoded.
        """
        parts = [part.partition("=") for part in text.split("&") if part]
        self._items = [(unquote_plus(name), unquote_plus(value)) for name, _, value in parts]

    def __getitem__(self, name: str) -> str:
        """The first value of `name`; `KeyError` if there is none."""
        for each, value in self._items:
            if each == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of `name`, else `default`."""
        return next((value for each, value in self._items if each == name), default)

    def getAll(self, name: str) -> list[str]:
        """Every value of `name`, in order."""
        return [value for each, value in self._items if each == name]

    def items(self) -> list[tuple[str, str]]:
        """Every parameter, in order."""
        return list(self._items)

    def __contains__(self, name: object) -> bool:
        return any(each == name for each, _ in self._items)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._items])

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"HttpQuery({self._items!r})"
