"""Nobody writes into the log but the server: one line for each exchange, and nothing of a peer's as it is.

The format itself, and whatever a request might hold, are `tests/test_accesslog.py`'s.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from connectionhelpers import (
    Conversation,
    FakeTcpTransport,
    SteadyClock,
    capturedFailures,
    get,
    post,
)
from hardening.poisons import versions
from http2helpers import Http2Peer, StreamingServer, connect2
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.logger import globalLogPublisher, textFileLogObserver

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket
from txabstracthttp.accesslog import AccessLog

#: The combined format: nothing but printable ASCII, quotes and backslashes only where they are ours.
TEXT = r"(?:[ !#-\[\]-~]|\\x[0-9A-F]{2})*"
LINE = re.compile(
    rf'(?P<host>[0-9a-z.:%-]+) - - \[[^\]]+\] "(?P<line>{TEXT})" (?P<status>\d{{3}}) (?P<size>\d+)'
    rf' "(?P<referer>{TEXT})" "(?P<agent>{TEXT})"'
)

FORGED = '1.2.3.4 - - [01/Jan/2026:00:00:00 +0000] "GET /forged HTTP/1.1" 200 0 "-" "-"'


def handle(request: HttpRequest, socket: HttpSocket) -> bool:
    if request.path.startswith("/raise"):
        raise RuntimeError("as it should")
    if request.path.startswith("/missing"):
        return False
    socket.respond("x")
    return True


class Logged:
    """A server whose exchanges are logged."""

    def __init__(self, folder: Path, **configuration: Any) -> None:
        self._path = folder / "access.log"
        self.server = StreamingServer(handle, SteadyClock(), HttpServerConfiguration(**configuration))
        self._log = AccessLog(self._path)
        self.server.exchangeFinished.connect(self._log)

    def connect(self, peer: IAddress = IPv4Address("TCP", "192.0.2.1", 1)) -> Conversation:  # noqa: B008
        """Somebody who speaks HTTP/1.1."""
        return Conversation(self.server, self.server._reactor, FakeTcpTransport(peer))

    def connect2(self) -> Http2Peer:
        """Somebody who speaks HTTP/2."""
        return connect2(self.server, self.server._reactor)

    def lines(self) -> list[re.Match[str]]:
        """What has been logged, each line as it should be; nothing is logged any more."""
        self._log.close()
        text = self._path.read_bytes().decode("ascii")
        assert text.endswith("\n") or not text
        matches = [LINE.fullmatch(line) for line in text.split("\n")[:-1]]
        assert None not in matches, text
        return [match for match in matches if match is not None]

    def statuses(self) -> list[int]:
        return [int(match["status"]) for match in self.lines()]

    def close(self) -> None:
        """Leave nothing open."""
        self._log.close()


@pytest.fixture(name="logged")
def fixture_logged(tmp_path: Path) -> Iterator[Logged]:
    logged = Logged(tmp_path)
    yield logged
    logged.close()


@pytest.fixture(autouse=True)
def _failures() -> Iterator[None]:
    with capturedFailures() as failures:
        yield
        failures.clear()


#: What may stand in a field, by RFC 9110, and what it is in the log.
VALUES = {
    "quotes": ('" 200 1 "', "\\x22 200 1 \\x22"),
    "a line of its own": (f'x" "y"\\n{FORGED}', None),
    "escapes": ("\\x22\\x0A", "\\x5Cx22\\x5Cx0A"),
    "high octets": ("\xe4\x85\xff", "\\xE4\\x85\\xFF"),
    "C1 controls": ("\x9b31m\x90", "\\x9B31m\\x90"),
    "a tab": ("a\tb", "a\\x09b"),
    "percents": ("%0d%0a%s%(x)s{request}{0}", "%0d%0a%s%(x)s{request}{0}"),
}
#: What may not: the request is refused, and no word of it stands in the log.
CONTROLS = ["\0", "\x01", "\b", "\n", "\v", "\f", "\r", "\x1b[31m", "\x7f"]


@versions
@pytest.mark.parametrize("name", ["Referer", "User-Agent"])
@pytest.mark.parametrize(("value", "escaped"), VALUES.values(), ids=VALUES)
def test_fields(logged: Logged, name: str, value: str, escaped: str | None, version: str) -> None:
    if version == "2":
        assert logged.connect2().got("/", f"{name}: {value}").status == 200
    else:
        peer = logged.connect()
        peer.send(get("/", f"{name}: VALUE").replace(b"VALUE", value.encode("latin-1")))
        assert peer.statuses() == [200]
    (line,) = logged.lines()
    group = "referer" if name == "Referer" else "agent"
    assert escaped is None or version == "2" or line[group] == escaped
    unescaped = re.sub(r"\\x(..)", lambda each: chr(int(each[1], 16)), line[group])
    # The client of HTTP/2 speaks UTF-8.
    assert unescaped == (value.encode().decode("latin-1") if version == "2" else value)
    assert "forged" not in line["line"]


TARGETS = {
    '/"': "/\\x22",
    "/\\": "/\\x5C",
    "/%0d%0aX": "/%0d%0aX",
    "/%1b[31m": "/%1b[31m",
    "/'{request}%s": "/'{request}%s",
}


@versions
@pytest.mark.parametrize(("target", "escaped"), TARGETS.items())
def test_targets(logged: Logged, target: str, escaped: str, version: str) -> None:
    """As they came, not as they are decoded."""
    if version == "2":
        status = logged.connect2().got(target).status
    else:
        peer = logged.connect()
        peer.send(get(target))
        (status,) = peer.statuses()
    (line,) = logged.lines()
    said = {200: f"GET {escaped} HTTP/{'2.0' if version == '2' else '1.1'}", 400: "-"}
    assert (line["line"], int(line["status"])) == (said[status], status)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("place", ["target", "field", "method", "name"])
def test_controls(logged: Logged, place: str, control: str) -> None:
    """One line, and it says nothing of what was sent."""
    poison = f"a{control}{FORGED}".encode("latin-1")
    request = {
        "target": get("/VALUE"),
        "field": get("/", "User-Agent: VALUE"),
        "method": get(method="VALUE"),
        "name": get("/", "VALUE: x"),
    }[place].replace(b"VALUE", poison)
    peer = logged.connect()
    peer.send(request)
    assert peer.statuses() == [400]
    (line,) = logged.lines()
    assert (line["line"], line["referer"], line["agent"]) == ("-", "-", "-")


@pytest.mark.parametrize("control", CONTROLS)
def test_controlsOnHttp2(logged: Logged, control: str) -> None:
    """At most one line, which says nothing of what was sent; the client's own library lets them pass."""
    peer = logged.connect2()
    answer = peer.got(f"/a{control}{FORGED}")
    assert (answer.status == 400) != (answer.reset is not None)
    assert [line["line"] for line in logged.lines()] in ([], ["-"])


class TestOneLine:
    """For each exchange, whatever becomes of it."""

    def test_http1(self, tmp_path: Path) -> None:
        logged = Logged(tmp_path, maximumBodySize=2, rateLimitPerSecond=6)
        logged.connect().send(get() * 2 + get("/missing") + get("/raise"))
        logged.connect().send(post(b"abc") + get())
        logged.connect().send(get("/", "X: \0"))
        logged.connect().send(get() * 5)
        assert logged.statuses() == [200, 200, 404, 500, 413, 400, 200, 429]

    def test_http2(self, tmp_path: Path) -> None:
        logged = Logged(tmp_path, maximumBodySize=2, rateLimitPerSecond=5)
        peer = logged.connect2()
        for path in ("/", "/missing", "/raise"):
            peer.ask(path)
        peer.ask("/", method="POST", body=b"abc")
        for _ in range(3):
            peer.ask()
        assert logged.statuses() == [200, 404, 500, 413, 200, 429, 429]

    def test_refusedConnections(self, tmp_path: Path) -> None:
        logged = Logged(tmp_path, blacklist=["192.0.2.1"])
        for _ in range(3):
            logged.connect().send(get())
        assert [(line["line"], line["status"]) for line in logged.lines()] == [("-", "403")] * 3

    @pytest.mark.parametrize(
        ("peer", "host"),
        [
            (UNIXAddress(f"/run/a\n{FORGED}"), "-"),
            (UNIXAddress(None), "-"),
            (IPv6Address("TCP", "::ffff:192.0.2.7", 1), "192.0.2.7"),
            (IPv6Address("TCP", "fe80::1%eth0", 1), "fe80::1%eth0"),
        ],
    )
    def test_peers(self, logged: Logged, peer: IAddress, host: str) -> None:
        logged.connect(peer).send(get())
        assert [line["host"] for line in logged.lines()] == [host]


@contextmanager
def errorLog() -> Iterator[io.StringIO]:
    """What ``twistd`` would write to its log."""
    text = io.StringIO()
    observer: Any = textFileLogObserver(text)
    globalLogPublisher.addObserver(observer)
    try:
        yield text
    finally:
        globalLogPublisher.removeObserver(observer)


@versions
@pytest.mark.parametrize(
    "query", ["%0a2026-01-01T00:00:00+0000 [-] forged", "{log_failure}", "%(x)s%s", "'\"\\"]
)
def test_errorLog(logged: Logged, query: str, version: str) -> None:
    """A handler that fails: one entry, with the request in its first line, and a traceback behind it."""
    target = "/raise?" + query.replace(" ", "+").replace('"', "").replace("\\", "")
    with errorLog() as log:
        if version == "2":
            assert logged.connect2().got(target).status == 500
        else:
            logged.connect().send(get(target))
    entries = [line for line in log.getvalue().split("\n") if line and not line.startswith("\t")]
    assert len(entries) == 1, log.getvalue()
    assert f"<HttpRequest GET {target} HTTP/{version}> could not be handled" in entries[0]
