"""hypercorn on uvloop, in one process, no access log, and no end of a connection after 1,000 requests."""

from __future__ import annotations

import uvloop
from asgi import application
from common import KEEP, readOptions
from hypercorn.asyncio import serve
from hypercorn.config import Config

if __name__ == "__main__":
    options = readOptions()
    config = Config()
    config.bind = [f"127.0.0.1:{options.port}"]
    config.keep_alive_timeout = KEEP
    config.loglevel = "WARNING"
    config.keep_alive_max_requests = 2**31
    config.certfile, config.keyfile = options.certificate, options.key
    uvloop.run(serve(application, config, mode="asgi"))  # type: ignore[arg-type]
