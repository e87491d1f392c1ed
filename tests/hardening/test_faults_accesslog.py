"""An access log on a full disk: the server goes on, says so once, and writes on when there is room again."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from connectionhelpers import Conversation, echoPath, get, serve
from hardening.faults import failuresLogged
from http2helpers import connect2, serve2

from txabstracthttp.accesslog import AccessLog

MANY = 50

needsFull = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def asked1(log: AccessLog) -> Callable[[], int]:
    """Asks a server with this log, by HTTP/1; the status."""
    peer = serve(echoPath)
    peer.server.exchangeFinished.connect(log)
    return lambda: _ask(peer)


def _ask(peer: Conversation) -> int:
    peer.send(get())
    (status,) = peer.statuses()
    return status


def asked2(log: AccessLog) -> Callable[[], int]:
    """Likewise by HTTP/2."""
    peer = serve2(echoPath)
    peer.server.exchangeFinished.connect(log)
    return lambda: connect2(peer.server, peer.clock).got().status  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [asked1, asked2])
class TestServing:
    @needsFull
    def test_full(self, asked: Callable[[AccessLog], Callable[[], int]]) -> None:
        log = AccessLog("/dev/full")
        ask = asked(log)
        with failuresLogged() as logged:
            assert {ask() for _ in range(MANY)} == {200}
        log.close()
        assert len(logged) == 1
        assert "cannot write the access log /dev/full" in str(logged[0])
        assert "No space left" in str(logged[0])

    @needsFull
    def test_room(self, asked: Callable[[AccessLog], Callable[[], int]], tmp_path: Path) -> None:
        """It comes and goes; each time that it has gone is told."""
        link, file = tmp_path / "access.log", tmp_path / "room"
        link.symlink_to("/dev/full")
        log = AccessLog(link)
        ask = asked(log)
        with failuresLogged() as logged:
            for target in (file, Path("/dev/full"), file):
                assert ask() == ask() == 200
                link.unlink()
                link.symlink_to(target)
                log.reopen()
            assert ask() == 200
        log.close()
        assert len(file.read_text().splitlines()) == 3
        assert len(logged) == 2


class Disk:
    """A file on a disk that has room for so many octets at each write; None is none at all.

    :ivar room: what comes next.
    """

    def __init__(self, *room: int | None) -> None:
        self.room = list(room)
        self.written = b""

    def write(self, data: bytes) -> int:
        """As an unbuffered file does."""
        room = self.room.pop(0) if self.room else len(data)
        if room is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.written += data[:room]
        return len(data[:room])

    def close(self) -> None:
        """Nothing is open."""


def onDisk(tmp_path: Path, *room: int | None) -> tuple[Any, Disk]:
    """A log on such a disk."""
    log: Any = AccessLog(tmp_path / "access.log")
    log._file.close()
    log._file = disk = Disk(*room)
    return log, disk


def test_tornLines(tmp_path: Path) -> None:
    """What was torn is completed, whatever was lost in between."""
    log, disk = onDisk(tmp_path, 10, None, None, 5, None, 1000)
    ask = asked1(log)
    with failuresLogged():
        assert {ask() for _ in range(7)} == {200}
    lines = disk.written.decode().splitlines()
    assert len(lines) >= 3
    assert {line.partition("]")[2] for line in lines} == {' "GET / HTTP/1.1" 200 1 "-" "-"'}


def test_aTrickleOfRoom(tmp_path: Path) -> None:
    """A disk that is full but for what somebody else sets free now and then: no line for each request."""
    log, _ = onDisk(tmp_path, *[10, None] * MANY)
    ask = asked1(log)
    with failuresLogged() as logged:
        assert {ask() for _ in range(2 * MANY)} == {200}
    assert len(logged) == 1


def test_tooLittleRoom(tmp_path: Path) -> None:
    """What waits for room is the rest of one line, however many there were since."""
    log, _ = onDisk(tmp_path, *[10] * MANY)
    ask = asked1(log)
    with failuresLogged():
        assert {ask() for _ in range(MANY)} == {200}
    assert len(log._rest) < 200
