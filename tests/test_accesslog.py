"""The access log: a line for each exchange, and never more than one."""

from __future__ import annotations

import calendar
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.logger import capturedLogs

from txabstracthttp import HttpRequest, HttpServerConfiguration, Signal
from txabstracthttp.accesslog import AccessLog
from txabstracthttp.records import ExchangeRecord
from txabstracthttp.wire.http1 import Http1Wire

PEER = IPv4Address("TCP", "192.0.2.7", 1234)
WHEN = calendar.timegm((2000, 10, 10, 13, 55, 36))
LINE = re.compile(
    r'(?P<host>\S+) - - \[(?P<time>[^\]]+)\] "(?P<request>[ !#-~]*)" (?P<status>\d{3}) (?P<size>\d+) '
    r'"(?P<referer>[ !#-~]*)" "(?P<agent>[ !#-~]*)"\n'
)


def parse(octets: bytes) -> HttpRequest:
    request: Any = Http1Wire(HttpServerConfiguration(), HttpRequest).receiveData(octets)[0]
    assert isinstance(request, HttpRequest)
    return request


def made(method: str, target: bytes, version: str, **fields: str) -> Any:
    """What a wire would refuse, or cannot do yet."""
    return SimpleNamespace(
        method=method, target=target, version=version, value=lambda name: fields.get(name.lower(), "")
    )


def lineOf(tmp_path: Path, request: Any, peer: IAddress = PEER, status: int = 200, size: int = 2326) -> str:
    path = tmp_path / "access.log"
    log = AccessLog(path, lambda: WHEN)
    before = len(path.read_bytes())
    log(ExchangeRecord(peer, request, status, size))
    log.close()
    return path.read_bytes()[before:].decode("ascii")


RECORD = ExchangeRecord(PEER, None, 400, 11)
RECORD_LINE = '192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "-" 400 11 "-" "-"\n'


class TestFormat:
    def test_everything(self, tmp_path: Path) -> None:
        request = parse(
            b"GET /x?y=z HTTP/1.1\r\nHost: a\r\nReferer: http://b/\r\nUser-Agent: curl/8 (x; y)\r\n\r\n"
        )
        assert lineOf(tmp_path, request) == (
            '192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET /x?y=z HTTP/1.1" 200 2326 '
            '"http://b/" "curl/8 (x; y)"\n'
        )

    def test_absent(self, tmp_path: Path) -> None:
        request = parse(b"GET / HTTP/1.0\r\nUser-Agent:\r\n\r\n")
        assert lineOf(tmp_path, request, size=0).endswith('"GET / HTTP/1.0" 200 0 "-" "-"\n')

    def test_noRequest(self, tmp_path: Path) -> None:
        assert lineOf(tmp_path, None, PEER, 400, 11) == RECORD_LINE

    @pytest.mark.parametrize(
        ("peer", "host"),
        [
            (IPv6Address("TCP", "2001:db8::1", 1234), "2001:db8::1"),
            (UNIXAddress(None), "-"),
            (UNIXAddress("/run/x"), "-"),
        ],
    )
    def test_peers(self, tmp_path: Path, peer: IAddress, host: str) -> None:
        assert lineOf(tmp_path, None, peer).split(" ")[0] == host

    def test_http2(self, tmp_path: Path) -> None:
        assert '"GET / HTTP/2.0" 200' in lineOf(tmp_path, made("GET", b"/", "2"))

    def test_escapes(self, tmp_path: Path) -> None:
        request = made("GET", b'/\xc3\xa4"', "1.1", **{"user-agent": 'a"b\\c\n\r\x00\x1b\x7f\x85\xff\tz'})
        line = lineOf(tmp_path, request)
        assert '"GET /\\xC3\\xA4\\x22 HTTP/1.1"' in line
        assert line.endswith('"a\\x22b\\x5Cc\\x0A\\x0D\\x00\\x1B\\x7F\\x85\\xFF\\x09z"\n')

    def test_quotesThatTheWireLetsPass(self, tmp_path: Path) -> None:
        request = parse(b'GET / HTTP/1.1\r\nHost: a\r\nReferer: " 200 1 "\xff\\\r\n\r\n')
        assert lineOf(tmp_path, request).endswith('"\\x22 200 1 \\x22\\xFF\\x5C" "-"\n')

    @given(
        method=st.text(st.characters(max_codepoint=255)),
        target=st.binary(),
        referer=st.text(),
        agent=st.text(st.characters(max_codepoint=255)),
    )
    def test_nobodyForgesALine(
        self, tmp_path_factory: pytest.TempPathFactory, method: str, target: bytes, referer: str, agent: str
    ) -> None:
        request = made(method, target, "1.1", referer=referer, **{"user-agent": agent})
        match = LINE.fullmatch(lineOf(tmp_path_factory.getbasetemp(), request))
        assert match is not None
        unescaped = re.sub(r"\\x(..)", lambda each: chr(int(each[1], 16)), match["agent"])
        assert unescaped == agent or (agent, unescaped) == ("", "-")


class TestTime:
    def test_movesOn(self, tmp_path: Path) -> None:
        times = iter([WHEN, WHEN + 0.999, WHEN + 1, WHEN + 90 * 86400])
        log = AccessLog(tmp_path / "access.log", lambda: next(times))
        for _ in range(4):
            log(RECORD)
        log.close()
        assert re.findall(r"\[(.*?)\]", (tmp_path / "access.log").read_text()) == [
            "10/Oct/2000:13:55:36 +0000",
            "10/Oct/2000:13:55:36 +0000",
            "10/Oct/2000:13:55:37 +0000",
            "08/Jan/2001:13:55:36 +0000",
        ]

    def test_now(self, tmp_path: Path) -> None:
        log = AccessLog(tmp_path / "access.log")
        log(RECORD)
        log.close()
        assert re.search(r"\[\d\d/[A-Z][a-z]{2}/20\d\d:", (tmp_path / "access.log").read_text())


@contextmanager
def limitedFileSize(octets: int) -> Iterator[None]:
    """No file may grow beyond this: a disk that is full, as far as this process can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestFile:
    def test_asAnObserver(self, tmp_path: Path) -> None:
        signal, log = Signal(), AccessLog(tmp_path / "access.log", lambda: WHEN)
        signal.connect(log)
        signal.emit(RECORD)
        # It is there at once: nothing waits in a buffer.
        assert (tmp_path / "access.log").read_text() == RECORD_LINE
        log.close()

    def test_appends(self, tmp_path: Path) -> None:
        (tmp_path / "access.log").write_text("before\n")
        log = AccessLog(tmp_path / "access.log", lambda: WHEN)
        log(RECORD)
        log.close()
        assert (tmp_path / "access.log").read_text() == "before\n" + RECORD_LINE

    def test_missingFolder(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            AccessLog(tmp_path / "nowhere" / "access.log")

    def test_closed(self, tmp_path: Path) -> None:
        log = AccessLog(tmp_path / "access.log", lambda: WHEN)
        log.close()
        log.close()
        log(RECORD)
        log.reopen()
        assert (tmp_path / "access.log").read_text() == ""

    def test_reopen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        log = AccessLog("access.log", lambda: WHEN)
        log(RECORD)
        (tmp_path / "access.log").rename(tmp_path / "old.log")
        # As a daemon does: the file is still found.
        monkeypatch.chdir("/")
        log.reopen()
        log(RECORD)
        log(RECORD)
        log.close()
        assert (tmp_path / "old.log").read_text() == RECORD_LINE
        assert (tmp_path / "access.log").read_text() == RECORD_LINE * 2

    def test_reopenFails(self, tmp_path: Path) -> None:
        folder = tmp_path / "logs"
        folder.mkdir()
        log = AccessLog(folder / "access.log", lambda: WHEN)
        folder.rename(tmp_path / "moved")
        with capturedLogs() as events:
            log.reopen()
        assert [event["log_level"].name for event in events] == ["error"]
        log(RECORD)
        log.close()
        assert (tmp_path / "moved" / "access.log").read_text() == RECORD_LINE

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_fullDisk(self) -> None:
        log = AccessLog("/dev/full")
        with capturedLogs() as events:
            log(RECORD)
            log(RECORD)
        log.close()
        assert [event["log_level"].name for event in events] == ["error"]
        assert "No space left" in str(events[0]["error"])

    def test_fullForAWhile(self, tmp_path: Path) -> None:
        path = tmp_path / "access.log"
        log = AccessLog(path, lambda: WHEN)
        with capturedLogs() as events:
            with limitedFileSize(10):
                for _ in range(3):
                    log(RECORD)
            assert path.read_text() == RECORD_LINE[:10]
            log(RECORD)
            with limitedFileSize(10):
                log(RECORD)
        log.close()
        # The line that was torn is whole again, and each of the two times is told once.
        assert path.read_text() == RECORD_LINE * 2
        assert len(events) == 2
