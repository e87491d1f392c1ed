"""The table of the servers.  To add one, add a file to `servers/` and a row here."""

from __future__ import annotations

from .server import OURS, Server
from .workloads import HTTP, HTTP2, WEB_SOCKET

TINY = frozenset({"plain", "browser"})
#: They have an upload whole, in a file, before they handle it, so nothing is streamed to an application.
SPOOLED = HTTP - {"memory"}
#: It answers with what it was given whole, and has no TLS without OpenSSL 1.1.
QT = HTTP - {"memory", "download-100m", "chunked", "tls", "handshakes"}
#: Autobahn and h2 are loaded when somebody speaks WebSocket or HTTP/2.
LATE = ("autobahn", "h2")
QT_MODULES = ("PySide6.QtHttpServer",)

OUR_SERVERS = [
    Server(
        OURS,
        "stock epoll reactor",
        ("txabstracthttp_server.py",),
        ("txabstracthttp.server",),
        HTTP | HTTP2 | WEB_SOCKET,
        LATE,
    ),
    Server(
        f"{OURS}-uvloop",
        "asyncioreactor, uvloop",
        ("txabstracthttp_uvloop_server.py",),
        ("txabstracthttp.server", "uvloop"),
        HTTP | HTTP2 | WEB_SOCKET,
        LATE,
    ),
]
HTTP_SERVERS = [
    Server("uvicorn", "httptools, uvloop", ("uvicorn_server.py",), ("uvicorn", "httptools", "uvloop"), HTTP),
    Server("granian", "RSGI, uvloop", ("granian_server.py", "rsgi"), ("granian", "uvloop"), HTTP | HTTP2),
    Server("aiohttp", "aiohttp.web, asyncio", ("aiohttp_server.py",), ("aiohttp.web",), HTTP | WEB_SOCKET),
    Server(
        "hypercorn",
        "h11 or h2, uvloop",
        ("hypercorn_server.py",),
        ("hypercorn.asyncio", "uvloop"),
        HTTP | HTTP2,
    ),
    Server(
        "twisted.web",
        "stock epoll reactor",
        ("twisted_web_server.py",),
        ("twisted.web.server", "h2", "priority"),
        SPOOLED | {"h2"},  # it speaks HTTP/2 where that was negotiated, and nowhere else
    ),
    Server("klein", "on twisted.web, epoll", ("klein_server.py",), ("klein",), SPOOLED),
    Server(
        "daphne",
        "on twisted.web, asyncio",
        ("daphne_server.py",),
        ("daphne.server",),
        SPOOLED | (WEB_SOCKET - {"ws-memory"}),
    ),
    Server("qt", "Qt 6.4, PySide6", ("qt_server.py",), QT_MODULES, QT),
    Server("qt-constant", "the same, looks at no URL", ("qt_server.py", "constant"), QT_MODULES, TINY),
    Server("floor", "bare Protocol, no HTTP", ("floor_server.py",), ("twisted.internet",), TINY),
    Server("h2-floor", "bare loop on h2", ("h2_floor_server.py",), ("twisted.internet", "h2"), HTTP2),
]
WEB_SOCKET_SERVERS = [
    Server(
        "autobahn",
        "stock epoll reactor",
        ("autobahn_server.py",),
        ("autobahn.twisted.websocket",),
        WEB_SOCKET,
    ),
    Server(
        "websockets",
        "its own server, asyncio",
        ("websockets_server.py",),
        ("websockets.asyncio",),
        WEB_SOCKET,
    ),
    Server(
        "uvicorn-websockets",
        "websockets, uvloop",
        ("uvicorn_server.py", "auto"),
        ("uvicorn", "httptools", "uvloop", "websockets"),
        WEB_SOCKET,
    ),
    Server(
        "uvicorn-wsproto",
        "wsproto, uvloop",
        ("uvicorn_server.py", "wsproto"),
        ("uvicorn", "httptools", "uvloop", "wsproto"),
        WEB_SOCKET,
    ),
]
SERVERS = OUR_SERVERS + HTTP_SERVERS + WEB_SOCKET_SERVERS
PEERS = [server.name for server in SERVERS if server.name != OURS]
