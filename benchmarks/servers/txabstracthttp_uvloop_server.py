"""txabstracthttp on Twisted's asyncio reactor, which runs on the loop of uvloop."""

from __future__ import annotations

import uvloop
from twisted.internet import asyncioreactor

asyncioreactor.install(uvloop.new_event_loop())

from txabstracthttp_server import main  # noqa: E402  the reactor comes first

if __name__ == "__main__":
    main()
