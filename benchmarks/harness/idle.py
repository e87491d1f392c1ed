"""Memory per idle keep-alive connection: how much a fresh server grows while 1,000 of them stay open."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .errors import Failed
from .machine import pinnedTo
from .procfs import residentKiB
from .target import Target

CLIENT = Path(__file__).with_name("idle_client.py")
FIRST = 20  # so that caches and late imports are not counted
CONNECTIONS = 1000


def idleKiB(server: Target, path: str, core: int | None) -> float:
    """RSS growth of the server per connection, in KiB."""
    with _client(server, path, core) as client:
        _open(client, FIRST, FIRST)
        before = residentKiB(server.pid)
        _open(client, CONNECTIONS, FIRST + CONNECTIONS)
        after = residentKiB(server.pid)
        _finish(client)
    return (after - before) / CONNECTIONS


def _client(server: Target, path: str, core: int | None) -> subprocess.Popen[str]:
    command = [sys.executable, str(CLIENT), str(server.port), path]
    pipe = subprocess.PIPE
    with pinnedTo(core):
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _open(client: subprocess.Popen[str], more: int, total: int) -> None:
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stderr is not None
    print(more, file=client.stdin, flush=True)
    if client.stdout.readline().strip() != str(total):
        raise Failed(f"could not open {total} connections: {client.stderr.read().strip()[-300:]}")
    time.sleep(0.2)  # let the server come to rest


def _finish(client: subprocess.Popen[str]) -> None:
    output, _ = client.communicate()
    if output.strip() != str(FIRST + CONNECTIONS):
        raise Failed(f"only {output.strip()} of {FIRST + CONNECTIONS} idle connections were kept open")
