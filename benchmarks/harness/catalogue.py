"""The two tables: which servers there are, and which workloads they are put under.

To add a server, add a file to `servers/` and a row to `SERVERS`.  To add a workload, add a row to
`WORKLOADS`, serve its path in the server files, and name it in the rows of the servers that do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import verify
from .load import Load, download, wrk, wrkPost
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


@dataclass(frozen=True)
class Workload:
    """One kind of work.

    :ivar verify: ``verify(target, path)`` makes one request; raises `Failed` unless the answer is right.
    :ivar drive: ``drive(target, path, seconds)`` puts a server under load and says what came of it; None
        where speed is not measured.
    :ivar tool: the program that drives it; it must be on the PATH.
    :ivar idle: measure the memory of idle connections, too.
    :ivar growth: measure the memory that 1 GiB takes, up and down.
    """

    name: str
    path: str
    verify: Callable[[Target, str], None]
    drive: Callable[[Target, str, int], Load] | None
    tool: str | None = "wrk"
    unit: Unit = REQUEST
    tls: bool = False
    idle: bool = False
    growth: bool = False


WORKLOADS = [
    Workload("plain", "/", verify.helloWorld, wrk, idle=True),
    Workload("post-64k", "/echo", verify.echo, wrkPost),
    Workload("download-1m", "/1m", verify.mebibyte, wrk),
    Workload("download-100m", "/100m", verify.hundred, download, tool=None, unit=GIB),
    Workload("chunked", "/chunked", verify.chunked, wrk),
    Workload("tls", "/", verify.helloWorld, wrk, tls=True),
    Workload("memory", "/up", verify.upload, None, tool=None, growth=True),
]

ALL = frozenset(each.name for each in WORKLOADS)


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
    workloads: frozenset[str] = ALL

    def command(self, python: str, port: int) -> list[str]:
        script, *rest = self.arguments
        return [python, str(FOLDER / "servers" / script), str(port), *rest]


OURS = "txabstracthttp"
#: Per CPU second we want at least this peer's throughput, under every workload.
RIVAL = "uvicorn"
#: The most that we may grow by, in MiB, on 1 GiB up or down.
GROWTH_LIMIT = 32

SERVERS = [
    Server(OURS, "stock epoll reactor", ("txabstracthttp_server.py",), ("txabstracthttp.server",)),
    Server(RIVAL, "httptools, uvloop", ("uvicorn_server.py",), ("uvicorn", "httptools", "uvloop")),
    Server("granian", "RSGI, uvloop", ("granian_server.py", "rsgi"), ("granian", "uvloop")),
    Server("aiohttp", "aiohttp.web, asyncio", ("aiohttp_server.py",), ("aiohttp.web",)),
    Server("hypercorn", "h11, uvloop", ("hypercorn_server.py",), ("hypercorn.asyncio", "uvloop")),
    Server(
        "twisted.web",
        "stock epoll reactor",
        ("twisted_web_server.py",),
        ("twisted.web.server",),
        ALL - {"memory"},  # it has no streamed uploads: they are whole, in a file, before it handles them
    ),
    Server(
        "floor", "bare Protocol, no HTTP", ("floor_server.py",), ("twisted.internet",), frozenset({"plain"})
    ),
]
