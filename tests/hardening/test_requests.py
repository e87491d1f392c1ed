"""The table of requests in the documentation is true: whole, by the octet, cut up at random, and over TCP."""

from __future__ import annotations

import socket as sockets
from typing import Any

import pytest
import pytest_twisted
from hardening.framing import (
    CANARY,
    KINDS,
    TABLE,
    Collecting,
    Outcome,
    Row,
    expected,
    outcome,
    rows,
    splits,
    statuses,
)
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="the documentation is not here")

SOON = 20
ROWS = rows()
#: Asked at the end, so that the connection closes.
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
each = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


def sent(row: Row) -> bytes:
    """The request, and behind it one that gets through only if the table says so."""
    return row.octets if row.ends else row.octets + CANARY


def check(row: Row, told: Outcome) -> None:
    """`told` is what the table says, and what that means for what stands behind."""
    passes = row.stays
    answers, isOpen, sizes = expected(row)
    assert (told.statuses, told.open) == (answers + [200] * passes, isOpen)
    assert [len(request.body) for request in told.seen] == sizes + [0] * passes
    assert [request.target for request in told.seen].count(b"/canary") == passes
    assert b"/admin" not in [request.target for request in told.seen]


class TestTable:
    def test_names(self) -> None:
        assert len({row.name for row in ROWS}) == len(ROWS)

    def test_nothingIsEmpty(self) -> None:
        assert all(all(row) for row in ROWS)

    def test_thoseThatElevenOthersWereAsked(self) -> None:
        assert len(ROWS[:57]) == 57
        assert (ROWS[0].name, ROWS[56].name) == ("cl_5000_digits", "chunk_huge")


@pytest.mark.parametrize("kind", KINDS)
@each
def test_howeverItArrives(row: Row, kind: type[Collecting]) -> None:
    octets = sent(row)
    whole = outcome(kind, [octets], row.ends)
    check(row, whole)
    for pieces in splits(octets, row.name):
        assert outcome(kind, pieces, row.ends) == whole, pieces


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.isRefused])
def test_atOnce(row: Row) -> None:
    # Nobody has to send more, or to wait for a deadline, to be refused.
    told = outcome(Collecting, [row.octets], row.ends)
    assert (told.statuses, told.open) == expected(row)[:2]


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    server = Collecting()
    yield server
    await server.close(0).addTimeout(SOON, reactor)


def converse(port: int, octets: bytes, ends: bool) -> bytes:
    """All that comes back until the server closes."""
    with sockets.create_connection(("127.0.0.1", port), SOON) as connection:
        connection.sendall(octets)
        if ends:
            connection.shutdown(sockets.SHUT_WR)
        data = b""
        while more := connection.recv(65536):
            data += more
    return data


@each
@pytest_twisted.ensureDeferred
async def test_overTcp(row: Row, server: Collecting) -> None:
    alone = outcome(Collecting, [sent(row)], row.ends)
    octets = sent(row) + (LAST if row.stays else b"")
    # What waits would do so until its deadline: its peer closes.
    data = await deferToThread(converse, server.listen("127.0.0.1"), octets, row.ends or row.waits)
    answers = statuses(data, server.seen, True)
    if row.stays:
        assert (server.seen.pop().target, answers.pop()) == (b"/last", 200)
    assert server.seen == alone.seen
    assert answers == ([400] if row.waits else alone.statuses)
