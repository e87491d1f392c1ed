"""granian with one worker and one runtime thread on uvloop, through RSGI, its own and fastest interface.

A second argument, ``asgi``, measures its ASGI interface instead.
"""

from __future__ import annotations

import sys
from typing import Any

from granian import Granian
from granian.constants import Interfaces, Loops


async def rsgi(scope: Any, protocol: Any) -> None:
    protocol.response_str(200, [("content-type", "text/plain")], "Hello, world")


START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"12")],
}
BODY = {"type": "http.response.body", "body": b"Hello, world"}


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(BODY)


if __name__ == "__main__":
    name = sys.argv[2] if len(sys.argv) > 2 else "rsgi"
    Granian(
        f"granian_server:{name}",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces(name),
        workers=1,
        runtime_threads=1,
        loop=Loops.uvloop,
        backlog=2048,
        websockets=False,
        log_enabled=False,
    ).serve()
