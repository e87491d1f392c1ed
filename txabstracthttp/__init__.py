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
    "WebSocketClosed",
]

from .configuration import Http2Configuration, HttpServerConfiguration
from .errors import AlreadyAnswered, HttpError, WebSocketClosed
from .headers import HttpHeaders
from .httpsocket import HttpSocket
from .records import ExchangeRecord
from .request import HttpRequest
from .server import AbstractHttpServer
from .service import HttpServerService
from .signals import Signal
