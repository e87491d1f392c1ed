"""websockets, with its own asyncio server on the stock asyncio loop; every setting is its default."""

from __future__ import annotations

import asyncio

from common import TAKES_SECONDS, readOptions
from websockets.asyncio.server import ServerConnection, serve


async def handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    await (take if connection.request.path == "/ws-slow" else echo)(connection)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def take(connection: ServerConnection) -> None:
    async for _ in connection:
        await asyncio.sleep(TAKES_SECONDS)


async def main(port: int) -> None:
    async with serve(handle, "127.0.0.1", port, backlog=1024) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(readOptions().port))
