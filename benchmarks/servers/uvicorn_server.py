"""uvicorn with httptools and uvloop, one worker, no access log: its fastest set-up."""

from __future__ import annotations

import uvicorn
from asgi import application
from common import readOptions

if __name__ == "__main__":
    options = readOptions()
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=options.port,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="warning",
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
