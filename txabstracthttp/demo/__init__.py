"""The server that runs when none is named: a page that shows what it saw, and two things to try.

It needs nothing but what `txabstracthttp` gives to every server, and Twisted.
"""

from __future__ import annotations

__all__ = ["DemoServer"]

from collections.abc import Awaitable
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from ..configuration import HttpServerConfiguration
from ..httpsocket import HttpSocket
from ..request import HttpRequest
from ..server import AbstractHttpServer
from ..upgrade import WebSocketUpgrade
from ._page import requestPage
from ._reference import referencePage

#: Nothing is loaded from elsewhere and nothing inline is run, whatever a page might be talked into.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_HTML = "text/html; charset=utf-8"
_FILES = {
    f"/{name}": (Path(__file__).with_name(name).read_bytes(), kind)
    for name, kind in {
        "demo.css": "text/css; charset=utf-8",
        "demo.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }.items()
}
_REFERENCE = "/docs/"


class DemoServer(AbstractHttpServer):
    """Answers ``/`` with a page that shows the request, by any method.

    The page has a WebSocket to ``/echo``, and uploads to ``/upload``, which ``curl -T`` can do, too; the
    reference is in ``/docs/``.  Nothing is kept of what is sent.

    :ivar maximumUploadSize: octets of one upload; more get 413.
    """

    maximumUploadSize = 1024**3

    def __init__(self, reactor: Any = None, configuration: HttpServerConfiguration | None = None) -> None:
        super().__init__(reactor, configuration)
        self.addWebSocketUpgradeVerifier(_acceptEcho)
        self.newWebSocketConnection.connect(self._echo)

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool | Awaitable[bool]:
        """Show the request, or do what the page asks for (`AbstractHttpServer.handleRequest`)."""
        path = request.path
        if path == "/":
            page = requestPage(request, self.maximumUploadSize)
            socket.respond(page, headers=HEADERS, contentType=_HTML)
        elif path == "/upload":
            return self._upload(request, socket)
        elif path == "/echo":
            _refuse(socket, 426, "This is for WebSockets.", {"Upgrade": "websocket", "Connection": "upgrade"})
        else:
            return _respondWithFile(request, socket)
        return True

    # Uploads:

    def streamsBody(self, request: HttpRequest) -> bool | int:
        """Take an upload as it comes, so that a large one needs no more memory than a small one."""
        return self.maximumUploadSize if request.path == "/upload" else False

    async def _upload(self, request: HttpRequest, socket: HttpSocket) -> bool:
        if not _isAllowed(request, socket, "POST", "PUT"):
            return True
        begin, size, digest = perf_counter(), 0, sha256()
        async for piece in request:
            size += len(piece)
            digest.update(piece)
        seconds = perf_counter() - begin
        answer = {"size": size, "sha256": digest.hexdigest(), "seconds": round(seconds, 6)}
        socket.respond(answer | {"bytesPerSecond": round(size / max(seconds, 1e-6))}, headers=HEADERS)
        return True

    # WebSockets:

    async def _echo(self) -> None:
        webSocket = self.nextPendingWebSocketConnection()
        if webSocket is None:
            return
        async for message in webSocket:
            # To wait for room is to read no more from a peer that does not read either.
            if isinstance(message, str):
                await webSocket.sendTextMessage(message)
            else:
                await webSocket.sendBinaryMessage(message)


def _acceptEcho(request: HttpRequest) -> WebSocketUpgrade:
    return WebSocketUpgrade.accept() if request.path == "/echo" else WebSocketUpgrade.passToNext()


def _respondWithFile(request: HttpRequest, socket: HttpSocket) -> bool:
    """One of the files of the page, or a page of the reference; False if it is neither."""
    content: str | bytes | None
    content, contentType = _FILES.get(request.path, (None, _HTML))
    if content is None and request.path.startswith(_REFERENCE):
        content = referencePage(request.path.removeprefix(_REFERENCE))
    if content is None:
        return False
    if _isAllowed(request, socket, "GET", "HEAD"):
        socket.respond(content, headers=HEADERS, contentType=contentType)
    return True


def _isAllowed(request: HttpRequest, socket: HttpSocket, *methods: str) -> bool:
    if request.method in methods:
        return True
    _refuse(socket, 405, "Not by this method.", {"Allow": ", ".join(methods)})
    return False


def _refuse(socket: HttpSocket, status: int, reason: str, headers: dict[str, str]) -> None:
    socket.respond(f"{reason}\n", status, HEADERS | headers)
