"""What ill-meaning peers do on their sockets, and how to see what becomes of them."""

from __future__ import annotations

__all__ = [
    "Cut",
    "clientHello",
    "connections",
    "eventually",
    "exchange",
    "grown",
    "head",
    "hear",
    "pour",
    "rests",
    "trickle",
]

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from serverprocess import PATIENCE, ServerProcess

#: The state of a socket that listens (proc(5), net/tcp).
LISTENING = "0A"
#: A peer that could not send anything for so long is not read from.
STALL = 0.4


class Cut(NamedTuple):
    """How the server has ended a connection.

    :ivar seconds: after how long.
    :ivar data: what it had said.
    :ivar reset: it was a reset.
    """

    seconds: float
    data: bytes
    reset: bool


def head(target: str, *fields: str, method: str = "GET") -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def clientHello() -> bytes:
    """The first octets of TLS."""
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def connections(server: ServerProcess) -> int:
    """How many `server` has open."""
    sockets = set()
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            sockets.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
        except FileNotFoundError:
            continue  # it was closed just now
    fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(each[9] in sockets and each[3] != LISTENING for each in fields)


def grown(server: ServerProcess, before: int) -> int:
    """By how many octets the memory of `server` has grown at most since `forgetPeak`."""
    growth = server.peak() - before
    print(f"grown by {growth / 1024:.0f} KiB")  # noqa: T201  # for those who keep a table of it
    return growth


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """Wait until it holds; for how long that was."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"not within {seconds} seconds"
        time.sleep(0.02)
    return time.monotonic() - start


def rests(server: ServerProcess) -> bool:
    """Whether `server` has nothing to do, for a second."""
    before = server.seconds()
    time.sleep(1.0)
    return server.seconds() - before < 0.1


def pour(connection: socket.socket, data: bytes, patience: float = STALL) -> int:
    """Send `data` without reading, until nobody takes it; how much that was."""
    sent, view = 0, memoryview(data)
    connection.settimeout(patience)
    try:
        while sent < len(data):
            sent += connection.send(view[sent : sent + 65536])
    except (TimeoutError, ConnectionError, ssl.SSLEOFError):
        pass
    connection.settimeout(PATIENCE)
    return sent


def exchange(connection: socket.socket, data: bytes, take: Callable[[bytes], bool]) -> None:
    """Send `data`, and give `take` what comes meanwhile, until it is content or the peer closes."""
    view, sent, end = memoryview(data), 0, time.monotonic() + PATIENCE
    connection.setblocking(False)
    while time.monotonic() < end:
        waiting = [connection] if sent < len(view) else []
        select.select([connection], waiting, [], 0.05)
        try:
            if sent < len(view):
                sent += connection.send(view[sent : sent + 65536])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        try:
            more = connection.recv(1 << 20)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            continue
        if not more or take(more):
            return
    raise TimeoutError("the exchange does not end")


def hear(connection: socket.socket) -> Cut:
    """All that still comes, until the server ends it."""
    return trickle(connection, ())


def trickle(connection: socket.socket, pieces: Iterable[bytes], pace: float = 0.05) -> Cut:
    """Send a piece every now and then, and see when the server has enough of that."""
    start, heard, waiting = time.monotonic(), bytearray(), iter(pieces)
    due = start
    while (passed := time.monotonic() - start) < PATIENCE:
        try:
            if time.monotonic() >= due:
                due += pace
                connection.sendall(next(waiting, b""))
            connection.settimeout(max(due - time.monotonic(), 0.001))
            more = connection.recv(1 << 20)
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            return Cut(time.monotonic() - start, bytes(heard), True)
        if not more:
            return Cut(time.monotonic() - start, bytes(heard), False)
        heard += more
        if len(heard) > 1 << 20:
            del heard[:-1024]
    raise TimeoutError(f"it is still open after {passed} seconds")
