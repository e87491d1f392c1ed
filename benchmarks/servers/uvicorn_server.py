"""uvicorn with httptools and uvloop, one worker, no access log: its fastest set-up.

A second argument names the implementation of WebSocket, as its ``--ws`` does; ``auto`` is its default.
"""

from __future__ import annotations

from typing import Any

import uvicorn
from asgi import application
from common import KEEP, readOptions

if __name__ == "__main__":
    options = readOptions()
    ws: Any = options.interface or "none"
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=options.port,
        http="httptools",
        loop="uvloop",
        ws=ws,
        lifespan="off",
        interface="asgi3",
        access_log=False,
        timeout_keep_alive=KEEP,
        log_level="warning",
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
