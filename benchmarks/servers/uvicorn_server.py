"""uvicorn with httptools and uvloop, one worker, no access log: its fastest set-up."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Message = dict[str, Any]

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"12")]
START: Message = {"type": "http.response.start", "status": 200, "headers": HEADERS}
BODY: Message = {"type": "http.response.body", "body": b"Hello, world"}


async def hello(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    await send(START)
    await send(BODY)


if __name__ == "__main__":
    uvicorn.run(
        hello,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="warning",
    )
