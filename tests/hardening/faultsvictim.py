"""A WebSocket client that is there to be killed: a program, for ``python -c``."""

from __future__ import annotations

__all__ = ["VICTIM"]

#: Called with a port, and with what it does when it has said that it is open.
VICTIM = """
import socket
import sys

port, how = sys.argv[1:]
connection = socket.create_connection(("127.0.0.1", int(port)), 30)
connection.sendall(
    b"GET /socket HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n"
)
answer = b""
while b"\\r\\n\\r\\n" not in answer:
    answer += connection.recv(65536)
assert answer.startswith(b"HTTP/1.1 101")
if how == "fragment":
    connection.sendall(b"\\x02\\xfe\\xff\\xff" + bytes(4) + bytes(1000))
print("open", flush=True)
while how == "sending":
    connection.sendall(b"\\x82\\xfe\\x10\\x00" + bytes(4) + bytes(4096))
    connection.recv(65536)
connection.recv(65536)
"""
