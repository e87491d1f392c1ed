"""Handshakes, one for each request: connect, TLS 1.3 from scratch, GET, take the answer, close.

A program (``PORT PATH CERTIFICATE SECONDS``) that prints how many, and in how many seconds.  Four threads,
because a client that is alone would have the server wait for it.  No session is ever taken up again, every
answer is looked at, and the server's certificate is checked by its signature.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

THREADS = 4
PATIENCE = 15.0  # seconds


class Wrong(Exception):
    """Not the answer, or not a full handshake of TLS 1.3."""


def makeContext(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def visit(port: int, context: ssl.SSLContext, request: bytes) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        if connection.session_reused or connection.version() != "TLSv1.3":
            raise Wrong(f"{connection.version()}, reused: {connection.session_reused}")
        connection.sendall(request)
        answer = b"".join(iter(partial(connection.recv, 65536), b""))
    if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"Hello, world")):
        raise Wrong(f"{answer[:200]!r}")


def visits(port: int, path: str, certificate: str, end: float) -> int:
    """How many there were until then."""
    context = makeContext(certificate)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    count = 0
    while time.monotonic() < end:
        visit(port, context, request)
        count += 1
    return count


def main(port: int, path: str, certificate: str, seconds: float) -> None:
    begin = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        threads = [pool.submit(visits, port, path, certificate, begin + seconds) for _ in range(THREADS)]
        count = sum(thread.result() for thread in threads)
    print(count, time.monotonic() - begin)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
    except (OSError, Wrong) as error:
        sys.exit(f"{type(error).__name__}: {error}")
