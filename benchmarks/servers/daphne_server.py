"""Daphne, the reference server of ASGI: on twisted.web, Autobahn and the asyncio reactor."""

from __future__ import annotations

from asgi import application
from common import readOptions
from daphne.server import Server  # type: ignore[import-untyped]
from endpoints import endpoint

if __name__ == "__main__":
    Server(application, [endpoint(readOptions())]).run()
