"""An abstract HTTP server for Twisted, in the shape of Qt's QAbstractHttpServer."""

from __future__ import annotations

__all__ = [
    "AbstractHttpServer",
    "AlreadyAnswered",
    "ExchangeRecord",
    "Http2Configuration",
    "HttpError",
    "HttpHeaders",
    "HttpRequest",
    "HttpServerConfiguration",
    "HttpServerService",
    "HttpSocket",
    "Signal",
    "WebSocket",
    "WebSocketClosed",
    "WebSocketUpgrade",
]

from typing import TYPE_CHECKING

from .configuration import Http2Configuration, HttpServerConfiguration
from .errors import AlreadyAnswered, HttpError, WebSocketClosed
from .headers import HttpHeaders
from .httpsocket import HttpSocket
from .records import ExchangeRecord
from .request import HttpRequest
from .server import AbstractHttpServer
from .service import HttpServerService
from .signals import Signal
from .upgrade import WebSocketUpgrade

if TYPE_CHECKING:
    from .websocket import WebSocket


def __getattr__(name: str) -> object:
    # Autobahn takes its time to import, and many never need it.
    if name == "WebSocket":
        from .websocket import WebSocket

        return WebSocket
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
