"""What the servers are told, and what they send: the same for all of them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import NamedTuple

PIECE = b"x" * 65536
MEBIBYTE = PIECE * 16
CHUNK = b"x" * 1024
CHUNKS = 100
#: How long an application that cannot keep up has to do with each WebSocket message.
TAKES_SECONDS = 0.01

#: Seconds for which an idle connection is kept open: longer than any measurement with idle ones lasts.
KEEP = 600

#: How many pieces make up the content of each path that is streamed.
PIECES = {"/100m": 100 * 16, "/1g": 1024 * 16}


class Options(NamedTuple):
    """:ivar interface: which of its interfaces a server shall use, if it has several."""

    port: int
    interface: str
    certificate: str | None
    key: str | None


def readOptions() -> Options:
    """``PORT [INTERFACE] [--tls CERTIFICATE KEY]``, from the command line."""
    parser = ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("interface", nargs="?", default="")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"), default=(None, None))
    options = parser.parse_args()
    return Options(options.port, options.interface, *options.tls)
