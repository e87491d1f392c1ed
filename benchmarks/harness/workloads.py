"""The table of the workloads: what the servers are put under, and what we want to reach.

To add one, add a row, serve its path in the server files, and see that the rows of `peers.py` name it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import verify
from .crowded import ASCENT, CROWDED
from .goals import AtMost, Goal, NotFarAbove, Ratio
from .idle import HEADINGS as IDLE_HEADINGS
from .idle import IDLE
from .load import Drive, download, h2load, handshakes, webSockets, wrk, wrkBrowser, wrkPipelined, wrkPost
from .memory import FLOODS, TRANSFERS
from .startup import CPU, STARTUP
from .survey import Survey
from .target import Target


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
HANDSHAKE = Unit("us CPU/handshake", 1e6, "handshakes/s", 1)
GIB = Unit("s CPU/GiB", 1, "MiB/s", 1024)
MESSAGE = Unit("us CPU/msg", 1e6, "msg/s", 1)


@dataclass(frozen=True)
class Workload:
    """One kind of work: a load that is `driven <drive>`, or a `survey`.

    :ivar about: one line for tables.
    :ivar verify: ``verify(target, path)`` makes one request; raises `Failed` unless the answer is right.
    :ivar drive: ``drive(target, path, seconds)`` puts a server under load and says what came of it.
    :ivar tool: the program that drives it; it must be on the PATH.
    :ivar module: the package that looks at the answer, if one is needed for that.
    """

    name: str
    about: str
    path: str
    verify: Callable[[Target, str], None]
    drive: Drive | None = None
    survey: Survey | None = None
    tool: str | None = None
    unit: Unit = REQUEST
    tls: bool = False
    goals: tuple[Goal, ...] = ()
    module: str | None = None


TINY = (
    Ratio("uvicorn", 0.65, 0.55),
    Ratio("granian", 0.72, 0.60),
    Ratio("twisted.web", 0.26, 0.22),
    Ratio("qt", 1.3, 1.1),
    Ratio("qt-constant", 1.3, 1.1),
    Ratio("floor", 1.7, 1.45),
)
AS_UVICORN = (Ratio("uvicorn", 1.0),)
CLEARTEXT_H2 = (Ratio("h2-floor", 1.0), Ratio("granian", 3.5))
#: The most that we may grow by, in MiB, under each burden.
GROWTH = tuple(AtMost(heading, 32, isTest=True) for each in (TRANSFERS, FLOODS) for heading in each.headings)

wrkWorkload = partial(Workload, tool="wrk")
HTTP_WORKLOADS = [
    wrkWorkload("plain", "tiny GET, 1 field", "/", verify.helloWorld, wrk, goals=TINY),
    wrkWorkload("browser", "tiny GET, 12 fields", "/", verify.browserHello, wrkBrowser, goals=TINY),
    wrkWorkload(
        "pipelined",
        "tiny GET, 16 at a time",
        "/",
        verify.pipelined,
        wrkPipelined,
        goals=(Ratio("uvicorn", 0.5),),
    ),
    wrkWorkload(
        "post-1k",
        "echo of 1 KiB",
        "/echo",
        partial(verify.echo, size=1024),
        partial(wrkPost, size=1024),
        goals=AS_UVICORN,
    ),
    wrkWorkload(
        "post-64k", "echo of 64 KiB", "/echo", verify.echo, partial(wrkPost, size=65536), goals=AS_UVICORN
    ),
    wrkWorkload("download-1m", "1 MiB from memory", "/1m", verify.mebibyte, wrk, goals=AS_UVICORN),
    Workload(
        "download-100m", "100 MiB in pieces", "/100m", verify.hundred, download, unit=GIB, goals=AS_UVICORN
    ),
    wrkWorkload("chunked", "100 chunks of 1 KiB", "/chunked", verify.chunked, wrk, goals=AS_UVICORN),
    wrkWorkload("tls", "tiny GET over TLS 1.3", "/", verify.helloWorld, wrk, tls=True, goals=AS_UVICORN),
    Workload(
        "handshakes",
        "tiny GET, each with a TLS 1.3 handshake",
        "/",
        verify.helloWorld,
        handshakes,
        unit=HANDSHAKE,
        tls=True,
        goals=AS_UVICORN,
    ),
    wrkWorkload(
        "connections",
        "tiny GET beside idle connections",
        "/",
        verify.helloWorld,
        survey=CROWDED,
        goals=(AtMost(ASCENT, 1.3),),
    ),
    Workload(
        "idle",
        "memory per idle connection",
        "/",
        verify.helloWorld,
        survey=IDLE,
        goals=(AtMost(IDLE_HEADINGS[0], 4.0),),
    ),
    Workload(
        "startup",
        "from the command to the first answer",
        "/",
        verify.helloWorld,
        survey=STARTUP,
        goals=(NotFarAbove("twisted.web", CPU, 50),),
    ),
    Workload(
        "memory",
        "growth while 1 GiB goes through",
        "/up",
        verify.upload,
        survey=TRANSFERS,
        goals=GROWTH[:2],
    ),
]
HTTP2_WORKLOADS = [
    Workload(
        "h2",
        "tiny GET, HTTP/2 over TLS",
        "/",
        verify.http2,
        h2load,
        tool="h2load",
        tls=True,
        goals=(*CLEARTEXT_H2, Ratio("twisted.web", 0.3)),
        module="httpx",
    ),
    Workload(
        "h2c",
        "tiny GET, HTTP/2 in the clear",
        "/",
        verify.http2,
        h2load,
        tool="h2load",
        goals=CLEARTEXT_H2,
        module="httpx",
    ),
]


def _echo(name: str, size: int, connections: int, *goals: Goal) -> Workload:
    verified = partial(verify.webSocket, sizes=(32, size))
    drive = partial(webSockets, size=size, connections=connections)
    about = f"WebSocket echo of {size:,} octets"
    return Workload(name, about, "/ws", verified, drive, unit=MESSAGE, goals=goals)


WEB_SOCKET_WORKLOADS = [
    _echo("ws-32", 32, 32, Ratio("autobahn", 0.5), Ratio("websockets", 1.0)),
    _echo("ws-4k", 4096, 32, Ratio("autobahn", 1.0)),
    _echo("ws-1m", 1024**2, 4, Ratio("autobahn", 1.0)),
    Workload("ws-memory", "growth under messages", "/ws", verify.webSocket, survey=FLOODS, goals=GROWTH[2:]),
]
WORKLOADS = HTTP_WORKLOADS + HTTP2_WORKLOADS + WEB_SOCKET_WORKLOADS

HTTP = frozenset(each.name for each in HTTP_WORKLOADS)
HTTP2 = frozenset(each.name for each in HTTP2_WORKLOADS)
WEB_SOCKET = frozenset(each.name for each in WEB_SOCKET_WORKLOADS)
