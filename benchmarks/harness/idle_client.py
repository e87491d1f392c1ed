"""Open keep-alive connections, make one request on each, and hold them until told to stop.

A process of its own, because the memory of the client must not be mistaken for the server's.  Protocol: for
every number on standard input it opens that many more connections and prints how many are open; at the end
of input it prints how many the server has kept open.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection
from socket import MSG_PEEK


def connect(port: int, path: str) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=15)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise SystemExit(f"status {response.status}")
    return connection


def isOpen(connection: HTTPConnection) -> bool:
    if connection.sock is None:  # the response said that it was the last one
        return False
    try:
        connection.sock.setblocking(False)
        connection.sock.recv(1, MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def main(port: int, path: str) -> None:
    connections: list[HTTPConnection] = []
    for line in sys.stdin:
        connections += [connect(port, path) for _ in range(int(line))]
        print(len(connections), flush=True)
    print(sum(map(isOpen, connections)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
