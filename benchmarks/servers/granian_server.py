"""granian with one worker and one runtime thread on uvloop, through RSGI, its own and fastest interface.

A second argument, ``asgi``, measures its ASGI interface instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from common import CHUNK, CHUNKS, KEEP, MEBIBYTE, PIECE, PIECES, readOptions
from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings

Route = Callable[[Any], Awaitable[None]]

BINARY = ("content-type", "application/octet-stream")


async def hello(protocol: Any) -> None:
    protocol.response_str(200, [("content-type", "text/plain")], "Hello, world")


async def echo(protocol: Any) -> None:
    protocol.response_bytes(200, [BINARY], await protocol())


async def mebibyte(protocol: Any) -> None:
    protocol.response_bytes(200, [BINARY], MEBIBYTE)


async def upload(protocol: Any) -> None:
    size = 0
    async for piece in protocol:
        size += len(piece)
    protocol.response_str(200, [("content-type", "text/plain")], str(size))


def streamed(content: bytes, count: int, *fields: tuple[str, str]) -> Route:
    async def route(protocol: Any) -> None:
        transport = protocol.response_stream(200, [BINARY, *fields])
        for _ in range(count):
            await transport.send_bytes(content)

    return route


ROUTES: dict[str, Route] = {
    "/": hello,
    "/1m": mebibyte,
    "/chunked": streamed(CHUNK, CHUNKS),
    "/echo": echo,
    "/up": upload,
    **{
        path: streamed(PIECE, count, ("content-length", str(count * len(PIECE))))
        for path, count in PIECES.items()
    },
}


def rsgi(scope: Any, protocol: Any) -> Awaitable[None]:
    """No coroutine of its own: that of the route is one less to await."""
    return ROUTES[scope.path](protocol)


if __name__ == "__main__":
    options = readOptions()
    name = options.interface or "rsgi"
    Granian(
        f"granian_server:{name}",
        address="127.0.0.1",
        port=options.port,
        interface=Interfaces(name),
        workers=1,
        runtime_threads=1,
        loop=Loops.uvloop,
        backlog=2048,
        backpressure=16384,  # that is how many connections it serves at a time
        http1_settings=HTTP1Settings(header_read_timeout=KEEP * 1000),
        websockets=False,
        log_enabled=False,
        ssl_cert=Path(options.certificate) if options.certificate else None,
        ssl_key=Path(options.key) if options.key else None,
    ).serve()
