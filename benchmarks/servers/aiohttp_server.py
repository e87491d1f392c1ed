"""aiohttp.web with its C parser on the stock asyncio loop, without an access log."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web
from common import CHUNK, CHUNKS, KEEP, MEBIBYTE, PIECE, PIECES, TAKES_SECONDS, Options, readOptions


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, world", content_type="text/plain")


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def mebibyte(request: web.Request) -> web.Response:
    return web.Response(body=MEBIBYTE)


async def upload(request: web.Request) -> web.Response:
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.Response(text=str(size))


def streamed(
    content: bytes, count: int, length: int | None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = length
        await response.prepare(request)
        for _ in range(count):
            await response.write(content)
        return response

    return handler


async def echoMessages(request: web.Request) -> web.WebSocketResponse:
    webSocket = web.WebSocketResponse()
    await webSocket.prepare(request)
    async for message in webSocket:
        if message.type is web.WSMsgType.TEXT:
            await webSocket.send_str(message.data)
        elif message.type is web.WSMsgType.BINARY:
            await webSocket.send_bytes(message.data)
    return webSocket


async def takeMessages(request: web.Request) -> web.WebSocketResponse:
    webSocket = web.WebSocketResponse()
    await webSocket.prepare(request)
    async for _ in webSocket:
        await asyncio.sleep(TAKES_SECONDS)
    return webSocket


def application() -> web.Application:
    routes = [web.get("/", hello), web.get("/1m", mebibyte), web.post("/echo", echo), web.post("/up", upload)]
    routes += [web.get(path, streamed(PIECE, count, count * len(PIECE))) for path, count in PIECES.items()]
    routes += [web.get("/ws", echoMessages), web.get("/ws-slow", takeMessages)]
    made = web.Application()
    made.add_routes([*routes, web.get("/chunked", streamed(CHUNK, CHUNKS, None))])
    return made


def tls(options: Options) -> ssl.SSLContext | None:
    if options.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.certificate, options.key)
    return context


if __name__ == "__main__":
    options = readOptions()
    web.run_app(
        application(),
        host="127.0.0.1",
        port=options.port,
        ssl_context=tls(options),
        access_log=None,
        print=None,
        backlog=1024,
        keepalive_timeout=KEEP,
    )
