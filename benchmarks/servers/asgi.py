"""The application for every server that speaks ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from common import CHUNK, CHUNKS, MEBIBYTE, PIECE, PIECES, TAKES_SECONDS

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Route = Callable[[Receive, Send], Awaitable[None]]


def head(contentType: bytes, length: int | None) -> Message:
    fields = [(b"content-type", contentType)]
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": 200, "headers": fields}


def part(content: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


def whole(contentType: bytes, content: bytes) -> Route:
    begin, body = head(contentType, len(content)), part(content, more=False)

    async def route(receive: Receive, send: Send) -> None:
        await send(begin)
        await send(body)

    return route


def streamed(content: bytes, count: int, length: int | None) -> Route:
    begin, piece, end = head(b"application/octet-stream", length), part(content), part(b"", more=False)

    async def route(receive: Receive, send: Send) -> None:
        await send(begin)
        for _ in range(count):
            await send(piece)
        await send(end)

    return route


async def echo(receive: Receive, send: Send) -> None:
    message = await receive()
    pieces = [message["body"]]
    while message["more_body"]:
        message = await receive()
        pieces.append(message["body"])
    content = b"".join(pieces)
    await send(head(b"application/octet-stream", len(content)))
    await send(part(content, more=False))


async def upload(receive: Receive, send: Send) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    await whole(b"text/plain", b"%d" % size)(receive, send)


async def opened(receive: Receive, send: Send) -> None:
    """Accept a WebSocket."""
    await receive()
    await send({"type": "websocket.accept"})


async def echoMessages(receive: Receive, send: Send) -> None:
    await opened(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def takeMessages(receive: Receive, send: Send) -> None:
    await opened(receive, send)
    message = await receive()
    while message["type"] == "websocket.receive":
        await asyncio.sleep(TAKES_SECONDS)
        message = await receive()


ROUTES: dict[str, Route] = {
    "/": whole(b"text/plain", b"Hello, world"),
    "/1m": whole(b"application/octet-stream", MEBIBYTE),
    "/chunked": streamed(CHUNK, CHUNKS, None),
    "/echo": echo,
    "/up": upload,
    "/ws": echoMessages,
    "/ws-slow": takeMessages,
    **{path: streamed(PIECE, count, count * len(PIECE)) for path, count in PIECES.items()},
}


def application(scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
    """No coroutine of its own: that of the route is one less to await."""
    return ROUTES[scope["path"]](receive, send)
