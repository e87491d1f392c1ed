"""The two tables: which servers there are, and which workloads they are put under.

To add a server, add a file to `servers/` and a row to `SERVERS`.  To add a workload, add a row to
`WORKLOADS`, serve its path in the server files, and name it in the rows of the servers that do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .load import Load, wrk
from .verify import helloWorld

FOLDER = Path(__file__).resolve().parent.parent
PROJECT = FOLDER.parent


@dataclass(frozen=True)
class Workload:
    """One kind of work.

    :ivar tool: the program that drives it; it must be on the PATH.
    :ivar drive: ``drive(url, seconds)`` puts a server under load and says what came of it.
    :ivar verify: ``verify(port, path)`` makes one request; raises `Failed` unless the answer is right.
    """

    name: str
    path: str
    tool: str
    drive: Callable[[str, int], Load]
    verify: Callable[[int, str], None]
    scheme: str = "http"


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
    workloads: frozenset[str] = frozenset({"plain"})

    def command(self, python: str, port: int) -> list[str]:
        script, *rest = self.arguments
        return [python, str(FOLDER / "servers" / script), str(port), *rest]


OURS = "txabstracthttp"

SERVERS = [
    Server(OURS, "stock epoll reactor", ("txabstracthttp_server.py",), ("txabstracthttp.server",)),
    Server("uvicorn", "httptools, uvloop", ("uvicorn_server.py",), ("uvicorn", "httptools", "uvloop")),
    Server("granian", "RSGI, uvloop", ("granian_server.py", "rsgi"), ("granian", "uvloop")),
    Server("aiohttp", "aiohttp.web, asyncio", ("aiohttp_server.py",), ("aiohttp.web",)),
    Server("twisted.web", "stock epoll reactor", ("twisted_web_server.py",), ("twisted.web.server",)),
    Server("floor", "bare Protocol, no HTTP", ("floor_server.py",), ("twisted.internet",)),
]

WORKLOADS = [
    Workload("plain", "/", tool="wrk", drive=wrk, verify=helloWorld),
]
