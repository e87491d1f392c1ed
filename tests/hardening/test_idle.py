"""What an idle connection costs."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from illwill import connections, eventually, head, rests
from serverprocess import ServerProcess, connect, needsProc, readResponse

pytestmark = [needsProc, pytest.mark.timeout(120)]

MANY = 10_000
#: What else either process has open.
OTHERS = 200
#: Octets of memory for each.
COST = 6 * 1024

HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
needsDescriptors = pytest.mark.skipif(
    HARD != resource.RLIM_INFINITY and MANY + OTHERS > HARD,
    reason=f"a process may have only {HARD} descriptors here",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """One that keeps connections for long, and may have as many as we."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY + OTHERS, HARD))
    try:
        with ServerProcess(tmp_path, keepAliveTimeout=600) as process:
            yield process
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, HARD))


def ask(connection: socket.socket) -> None:
    connection.sendall(head("/small"))
    assert readResponse(connection)[1] == b"small"


def openMore(server: ServerProcess, stack: ExitStack, count: int) -> list[socket.socket]:
    """So many connections, each after one request."""
    opened = [stack.enter_context(connect(server.port)) for _ in range(count)]
    for each in opened:
        ask(each)
    return opened


@needsDescriptors
def test_tenThousand(server: ServerProcess) -> None:
    """After one request each; they cost little, are answered, and leave nothing behind."""
    with ExitStack() as stack:
        openMore(server, stack, 100)
    eventually(lambda: connections(server) == 0)
    descriptors, before, memory = server.descriptors(), server.census(), server.memory()
    with ExitStack() as stack:
        opened = openMore(server, stack, 3_000)
        atFirst = (server.memory() - memory) / 3_000
        opened += openMore(server, stack, MANY - 3_000)
        inTheEnd = (server.memory() - memory) / MANY
        print(f"KiB each: {atFirst / 1024:.2f} of 3,000, {inTheEnd / 1024:.2f} of {MANY}")  # noqa: T201
        assert atFirst <= COST
        assert inTheEnd <= COST
        eventually(lambda: rests(server))
        for each in opened:
            ask(each)
    eventually(lambda: server.descriptors() <= descriptors)
    after = server.census()
    assert after["descriptors"] == before["descriptors"]
    assert after["objects"] == before["objects"]
