"""Qt's own QAbstractHttpServer, subclassed in Python: PySide6 6.4, the last version that allows it.

A second argument, ``constant``, leaves out the look at the URL: the least that Qt can do.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

from common import MEBIBYTE, readOptions
from PySide6.QtCore import QCoreApplication  # type: ignore[import-not-found,unused-ignore]
from PySide6.QtHttpServer import QAbstractHttpServer  # type: ignore[import-not-found,unused-ignore]
from PySide6.QtNetwork import QHostAddress  # type: ignore[import-not-found,unused-ignore]


def hello(request: Any, responder: Any) -> None:
    responder.write(b"Hello, world", b"text/plain")


def echo(request: Any, responder: Any) -> None:
    responder.write(request.body(), b"application/octet-stream")


def mebibyte(request: Any, responder: Any) -> None:
    responder.write(MEBIBYTE, b"application/octet-stream")


ROUTES: dict[str, Callable[[Any, Any], None]] = {"/": hello, "/1m": mebibyte, "/echo": echo}


class Routes(QAbstractHttpServer):  # type: ignore[misc,unused-ignore]
    def handleRequest(self, request: Any, socket: Any) -> bool:
        ROUTES[request.url().path()](request, self.makeResponder(request, socket))
        return True

    def missingHandler(self, request: Any, socket: Any) -> None:
        raise AssertionError("every request is handled")


class Constant(Routes):
    def handleRequest(self, request: Any, socket: Any) -> bool:
        self.makeResponder(request, socket).write(b"Hello, world", b"text/plain")
        return True


if __name__ == "__main__":
    options = readOptions()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Python's own handler would wait for the next request
    qt = QCoreApplication([])
    server = Constant() if options.interface == "constant" else Routes()
    if not server.listen(QHostAddress("127.0.0.1"), options.port):
        sys.exit("could not listen")
    qt.exec()
