"""aiohttp.web with its C parser on the stock asyncio loop, without an access log."""

from __future__ import annotations

import sys

from aiohttp import web


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, world", content_type="text/plain")


if __name__ == "__main__":
    application = web.Application()
    application.router.add_get("/", hello)
    web.run_app(
        application, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, backlog=1024
    )
