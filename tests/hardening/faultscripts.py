"""What peers say in an exchange, octet by octet, and the ways in which they break it off."""

from __future__ import annotations

__all__ = ["SCRIPTS", "answerOf", "cuts", "drop", "settle", "ssl1", "warmUp"]

import socket
import ssl
import struct
import time
from typing import Any

from connectionhelpers import get
from h2.config import H2Configuration
from h2.connection import H2Connection
from serverprocess import PATIENCE, ServerProcess, connect, connectSecurely
from websockethelpers import closing, text, upgrade

#: Scripts up to this length are cut at every octet, longer ones at about so many places.
SHORT = FEW = 220


def _http2() -> bytes:
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for stream, method, path in ((1, "GET", "/small"), (3, "POST", "/count")):
        head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        client.send_headers(stream, head, end_stream=method == "GET")
    client.send_data(3, b"content", end_stream=True)
    return bytes(client.data_to_send())


def ssl1() -> bytes:
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("there was nobody to shake hands with")


#: By name: the octets of a client from the beginning to the end.
SCRIPTS = {
    "GET": get("/small"),
    "two": get("/small") * 2,
    "POST": get("/echo", "Content-Length: 7", method="POST") + b"content",
    "chunked": get("/count", "Transfer-Encoding: chunked", method="POST")
    + b"4;a=b\r\ncont\r\n3\r\nent\r\n0\r\nX-A: b\r\n\r\n",
    "mirror": get("/mirror", "Transfer-Encoding: chunked", method="POST") + b"4\r\ncont\r\n0\r\n\r\n",
    "expect": get("/count", "Content-Length: 7", "Expect: 100-continue", method="POST") + b"content",
    "WebSocket": upgrade("/socket", host="localhost") + text("a" * 130) + text("b") + closing(1000),
    "HTTP/2": _http2(),
}


def cuts(script: bytes) -> range:
    """After how many octets to break off; not before the first."""
    return range(1, len(script) + 1, 1 if len(script) <= SHORT else max(len(script) // FEW, 2))


def drop(connection: socket.socket) -> None:
    """Reset a connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answerOf(connection: socket.socket) -> bytes:
    """All that comes until the server closes; fails if it does not."""
    data = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def warmUp(server: ServerProcess) -> dict[str, Any]:
    """Every kind of exchange once, for what is made once and kept; and what there is then."""
    with connectSecurely(server.secure) as secure:
        secure.sendall(get("/small"))
        assert secure.recv(65536)
    for script in SCRIPTS.values():
        _talk(server, script)
    _talk(server, SCRIPTS["WebSocket"])
    return server.census()


def _talk(server: ServerProcess, script: bytes) -> None:
    with connect(server.port) as connection:
        connection.sendall(script)
        connection.shutdown(socket.SHUT_WR)
        assert answerOf(connection)


def settle(server: ServerProcess, before: dict[str, Any]) -> None:
    """The server answers, has complained of nothing, and soon there is nothing more than there was before."""
    # The server keeps the last WebSocket until there is another one; so it is the same as before.
    _talk(server, SCRIPTS["WebSocket"])
    deadline = time.monotonic() + PATIENCE
    while more := _excess(server.census(), before):
        assert time.monotonic() < deadline, more
        time.sleep(0.05)
    assert "Traceback" not in server.log(), server.log()


def _excess(now: dict[str, Any], before: dict[str, Any]) -> dict[str, int]:
    more = {name: count - before["objects"].get(name, 0) for name, count in now["objects"].items()}
    more["descriptors"] = now["descriptors"] - before["descriptors"]
    return {name: count for name, count in more.items() if count > 0}
