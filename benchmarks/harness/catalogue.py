"""The two tables: which servers there are, and which workloads they are put under.

To add a server, add a file to `servers/` and a row to `SERVERS`.  To add a workload, add a row to
`WORKLOADS`, serve its path in the server files, and name it in the rows of the servers that do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import memory, verify
from .load import Load, download, h2load, webSockets, wrk, wrkPost
from .memory import Burden
from .target import Target

FOLDER = Path(__file__).resolve().parent.parent
PROJECT = FOLDER.parent


@dataclass(frozen=True)
class Unit:
    """What is counted, and how it is told.

    :ivar cost: heading for CPU time, and `costScale`, how much of it is in a second.
    :ivar rate: heading for throughput, and `rateScale`, how much of it is in one per second.
    """

    cost: str
    costScale: float
    rate: str
    rateScale: float


REQUEST = Unit("us CPU/req", 1e6, "req/s", 1)
GIB = Unit("s CPU/GiB", 1, "MiB/s", 1024)
MESSAGE = Unit("us CPU/msg", 1e6, "msg/s", 1)


class Goal(NamedTuple):
    """For the same work we want to take at most `ratio` times this peer's CPU time."""

    peer: str
    ratio: float


@dataclass(frozen=True)
class Workload:
    """One kind of work.

    :ivar verify: ``verify(target, path)`` makes one request; raises `Failed` unless the answer is right.
    :ivar drive: ``drive(target, path, seconds)`` puts a server under load and says what came of it; None
        where speed is not measured.
    :ivar tool: the program that drives it; it must be on the PATH.
    :ivar module: the package that looks at the answer, if one is needed for that.
    :ivar idle: measure the memory of idle connections, too.
    :ivar growth: under which burdens to measure how much memory it takes.
    :ivar goals: what we want our ratio to some of the peers to be.
    """

    name: str
    path: str
    verify: Callable[[Target, str], None]
    drive: Callable[[Target, str, int], Load] | None
    tool: str | None = "wrk"
    unit: Unit = REQUEST
    tls: bool = False
    idle: bool = False
    growth: tuple[Burden, ...] = ()
    goals: tuple[Goal, ...] = (Goal("uvicorn", 1.0),)
    module: str | None = None


TRANSFERS = (
    Burden("up", "1 GiB up", memory.upload),
    Burden("down", "1 GiB down", memory.download),
)
FLOODS = (
    Burden("unread", "echoes unread", memory.unread),
    Burden("unhurried", "a slow application", memory.unhurried),
)

HTTP_WORKLOADS = [
    Workload("plain", "/", verify.helloWorld, wrk, idle=True),
    Workload("post-64k", "/echo", verify.echo, wrkPost),
    Workload("download-1m", "/1m", verify.mebibyte, wrk),
    Workload("download-100m", "/100m", verify.hundred, download, tool=None, unit=GIB),
    Workload("chunked", "/chunked", verify.chunked, wrk),
    Workload("tls", "/", verify.helloWorld, wrk, tls=True),
    Workload("memory", "/up", verify.upload, None, tool=None, growth=TRANSFERS),
]
ABOVE_H2 = Goal("h2-floor", 1.3)
HTTP2_WORKLOADS = [
    Workload(
        "h2",
        "/",
        verify.http2,
        h2load,
        "h2load",
        tls=True,
        goals=(ABOVE_H2, Goal("twisted.web", 0.4)),
        module="httpx",
    ),
    Workload("h2c", "/", verify.http2, h2load, "h2load", goals=(ABOVE_H2,), module="httpx"),
]
ECHO = (Goal("autobahn", 1.0),)
WEB_SOCKET_WORKLOADS = [
    Workload("ws-32", "/ws", verify.webSocket, partial(webSockets, size=32), None, MESSAGE, goals=ECHO),
    Workload("ws-4k", "/ws", verify.webSocket, partial(webSockets, size=4096), None, MESSAGE, goals=ECHO),
    Workload("ws-memory", "/ws", verify.webSocket, None, tool=None, growth=FLOODS),
]
WORKLOADS = HTTP_WORKLOADS + HTTP2_WORKLOADS + WEB_SOCKET_WORKLOADS

HTTP = frozenset(each.name for each in HTTP_WORKLOADS)
HTTP2 = frozenset(each.name for each in HTTP2_WORKLOADS)
WEB_SOCKET = frozenset(each.name for each in WEB_SOCKET_WORKLOADS)


@dataclass(frozen=True)
class Server:
    """One competitor.

    :ivar arguments: a script in `servers/` and its arguments; the port is put behind the script.
    :ivar imports: the modules it needs; it is left out when one of them cannot be imported.
    :ivar workloads: names of the workloads it knows how to serve.
    """

    name: str
    about: str
    arguments: tuple[str, ...]
    imports: tuple[str, ...]
    workloads: frozenset[str] = HTTP

    def command(self, python: str, port: int) -> list[str]:
        script, *rest = self.arguments
        return [python, str(FOLDER / "servers" / script), str(port), *rest]


OURS = "txabstracthttp"
#: The most that we may grow by, in MiB, under each burden.
GROWTH_LIMIT = 32

SERVERS = [
    Server(
        OURS,
        "stock epoll reactor",
        ("txabstracthttp_server.py",),
        ("txabstracthttp.server",),
        HTTP | HTTP2 | WEB_SOCKET,
    ),
    Server("uvicorn", "httptools, uvloop", ("uvicorn_server.py",), ("uvicorn", "httptools", "uvloop")),
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
        # It has no streamed uploads: they are whole, in a file, before it handles them.  It speaks HTTP/2
        # where that was negotiated only.
        (HTTP | {"h2"}) - {"memory"},
    ),
    Server(
        "floor", "bare Protocol, no HTTP", ("floor_server.py",), ("twisted.internet",), frozenset({"plain"})
    ),
    Server("h2-floor", "bare loop on h2", ("h2_floor_server.py",), ("twisted.internet", "h2"), HTTP2),
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
