"""Header sections that come again are not read again; what comes of them is the same (`wire.recall`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fuzz.targets import entries
from http2wirehelpers import plain
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st
from wirehelpers import cutUp, feed
from wirestrategies import cuts, limits, requests, spoilt

from txabstracthttp._events import BodyEnd, Event, Head
from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.errors import HttpError
from txabstracthttp.wire import http1, recall
from txabstracthttp.wire.fields import FieldSection, sharedSection
from txabstracthttp.wire.http1 import USUAL, Http1Wire
from txabstracthttp.wire.recall import LONGEST, MOST, Recall
from txabstracthttp.wire.requestline import readRequestLine

harder = settings(max_examples=max(300, settings().max_examples))

OTHERS = ["CONNECT", "PROPFIND", "TRACE", "M-SEARCH", "QUERY", "BREW", "PRI", "get", "DESCRIBE"]
METHODS = [*sorted(USUAL), *OTHERS]
TARGETS = [
    b"/", b"/a?b=c", b"//", b"/%41", b"/?%00", b"/%00", b'/"<>\\^`{|}~', b"/\x80", b"/#", b"*", b"a:443",
    b"a", b"http://b/", b"HTTP://b", b"http://b:x/", b"?", b"",
]  # fmt: skip
LINES = [
    *(b"%b %b HTTP/1.1\r\n" % (method.encode(), target) for method in METHODS for target in TARGETS),
    *(b"%b / HTTP/1.0\r\n" % method.encode() for method in METHODS),
    b"GET / HTTP/1.2\r\n", b"GET / HTTP/2.0\r\n", b"GET  / HTTP/1.1\r\n", b"GET / http/1.1\r\n", b"GET /\r\n",
]  # fmt: skip

#: Field lines of which sections are made, good ones and others.
FIELDS = [
    b"Host: a", b"host:b:80", b"Host: a b", b"Host:", b"Content-Length: 0", b"Content-Length: 3",
    b"Content-Length: 03, 3", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Connection: close", b"Connection: Keep-Alive", b"Connection: upgrade, x", b"Upgrade: x",
    b"Upgrade: h2c", b"Proxy-Connection: close", b"Expect: 100-Continue", b"Expect: x", b"X: y",
    b"X:\t y \t", b"X: \xff", b"X:", b" X: y", b"X : y", b"X", b": y", b"X: \0", b"X: y\r\n z", b"X: \r",
    b"X: y\n", b"Y: " + b"y" * 100, b"Y: " + b"y" * (LONGEST - 16), b"Y: " + b"y" * (LONGEST - 15),
    b"Y: " + b"y" * 9000,
]  # fmt: skip
#: Sections that each say something else of what comes behind them.
SECTIONS = [
    b"\r\n",
    *(b"Host: a\r\n%b\r\n\r\n" % line for line in FIELDS),
    *(b"%b\r\nHost: a\r\n\r\n" % line for line in FIELDS[4:]),
    b"Host: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"Host: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\n",
    b"Host: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    b"Host: a\r\nConnection: keep-alive\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    b"Content-Length: 3\r\n\r\n",
]


def messageOf(line: bytes, section: bytes) -> bytes:
    """A request, with content if there is anything to announce it."""
    lowered = section.lower()
    if b"chunked" in lowered:
        return line + section + b"3\r\nabc\r\n0\r\nT: u\r\n\r\n"
    return line + section + (b"abc" if b"content-length: 3" in lowered else b"")


class Forgetful(Recall[Any]):
    """The general path: nothing was ever read before."""

    __slots__ = ()

    def keep(self, octets: bytes, known: Any) -> None:
        """Not even this."""


def copied(event: Event) -> tuple[Any, ...]:
    """What it says, with lists of its own, so that nobody changes them."""
    return tuple([*each] if type(each) is list else each for each in plain(event))


class Player:
    """One wire after the other, under one configuration, that all know what was read before; or that do not.

    :ivar told: what they said, to us and to their peers.
    :ivar hits: how often something was known.
    """

    def __init__(self, configuration: HttpServerConfiguration, *, forgetful: bool) -> None:
        self.configuration = configuration
        self.section = FieldSection(configuration)
        # Every head.
        self.section.heads = Recall()
        self.forgetful = forgetful
        self.told: list[Any] = []
        self.hits = 0
        self.begin()

    def begin(self) -> None:
        """Another connection."""
        self.wire = Http1Wire(self.configuration)
        self.renew()

    def renew(self) -> None:
        """Where nothing is remembered, every head gets a parser of its own."""
        if self.forgetful:
            self.section = FieldSection(self.configuration)
            self.section.recall, self.section.heads = Forgetful(), Forgetful()
        self.wire._shared = self.section

    def hear(self, *pieces: bytes) -> None:
        """Octets arrive; each request is answered at its end."""
        for piece in pieces:
            events = self.receive(piece)
            while events:
                for event in events:
                    self.take(event)
                events = self.receive(b"")
        self.told.append((self.wire.unread, self.wire.finished, self.wire.dataToSend()))

    def receive(self, octets: bytes) -> Sequence[Event]:
        self.renew()
        return self.wire.receiveData(octets)

    def take(self, event: Event) -> None:
        self.told.append(copied(event))
        if isinstance(event, BodyEnd) or (isinstance(event, Head) and event.contentLength == 0):
            self.wire.sendResponse(1, 200, [], 0, b"")

    def goOn(self) -> None:
        """Another connection, if the last one is over, or somebody else's by now."""
        last = self.told[-1]
        isRefused = any(each[0] == "PeerError" for each in self.told)
        if last[1] or isRefused or last[0]:
            self.begin()


def both(configuration: HttpServerConfiguration | None = None) -> tuple[Player, Player]:
    """Who remembers, and who does not."""
    if configuration is None:
        configuration = HttpServerConfiguration()
    return Player(configuration, forgetful=False), Player(configuration, forgetful=True)


def assertSame(players: tuple[Player, Player], *pieces: bytes) -> list[Any]:
    """They say the same; what."""
    for player in players:
        player.told = []
        player.hear(*pieces)
    remembering, forgetful = players
    assert remembering.told == forgetful.told, pieces
    assertBounds(remembering.section.recall)
    assertBounds(remembering.section.heads)
    return remembering.told


def assertBounds(memory: Recall[Any]) -> None:
    assert len(memory._known) <= MOST
    assert all(len(octets) <= LONGEST for octets in memory._known)


usual = st.sampled_from([b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n"])
lines = st.one_of(usual, st.sampled_from(LINES), st.sampled_from(LINES))
made = st.lists(st.sampled_from(FIELDS), max_size=5).map(
    lambda fields: b"".join(b"%b\r\n" % line for line in fields) + b"\r\n"
)
wounded = st.tuples(spoilt(requests().map(lambda each: each[0])), st.booleans())
pools = st.lists(st.one_of(st.sampled_from(SECTIONS), made), min_size=1, max_size=3)


@st.composite
def stories(draw: Callable[..., Any]) -> list[bytes]:
    """Requests whose sections come again."""
    pool = st.sampled_from(draw(pools))
    story = draw(st.lists(st.tuples(lines, pool), min_size=2, max_size=12))
    return [messageOf(line, section) for line, section in story]


class TestSameAsReadAgain:
    @pytest.mark.parametrize("section", SECTIONS, ids=range(len(SECTIONS)))
    def test_everyLineBehindEachUsualOne(self, section: bytes) -> None:
        """Whichever request a section is known from, it says the same to all others."""
        for method in sorted(USUAL):
            players = both()
            assertSame(players, messageOf(b"%b /a?b=c HTTP/1.1\r\n" % method.encode(), section))
            for line in LINES * 2:
                players[0].begin()
                players[1].begin()
                assertSame(players, messageOf(line, section))

    @harder
    @given(stories(), limits)
    def test_requestByRequest(self, story: list[bytes], some: dict[str, Any]) -> None:
        players = both(HttpServerConfiguration(**some))
        for message in story + story:
            assertSame(players, message)
            for player in players:
                player.goOn()

    @harder
    @given(stories(), cuts)
    def test_pipelined(self, story: list[bytes], places: list[int]) -> None:
        players = both()
        for _ in range(3):
            assertSame(players, b"".join(story))
            players[0].begin()
            players[1].begin()
            assertSame(players, *cutUp(b"".join(story), places))
            players[0].begin()
            players[1].begin()

    @given(st.lists(wounded, max_size=3), limits)
    def test_spoiltRequests(self, story: list[tuple[bytes, bool]], some: dict[str, Any]) -> None:
        """Each of them up to three times."""
        players = both(HttpServerConfiguration(**some))
        for message, again in story:
            for _ in range(2 + again):
                assertSame(players, message)
                for player in players:
                    player.goOn()

    def test_drainingAndWhatItSays(self) -> None:
        """What one connection says of its end is nothing to the next one that sends the same."""
        player, _ = both()
        message = messageOf(b"GET / HTTP/1.1\r\n", b"Host: a\r\n\r\n")
        player.wire.beLast()
        player.hear(message)
        assert b"Connection: close" in player.told[-1][2]
        player.begin()
        player.hear(message)
        assert b"Connection" not in player.told[-1][2]
        assert not player.wire.finished

    def test_closeStaysTheWordOfItsOwnRequest(self) -> None:
        players = both()
        closing = messageOf(b"GET / HTTP/1.1\r\n", b"Host: a\r\nConnection: close\r\n\r\n")
        staying = messageOf(b"GET / HTTP/1.1\r\n", b"Host: a\r\n\r\n")
        for message, isOver in [(closing, True), (staying, False)] * 3:
            players[0].begin()
            players[1].begin()
            assert assertSame(players, message)[-1][1] == isOver

    def test_itIsTheFastPathThatIsLookedAt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A section that is known is not given to llhttp; one behind another kind of line is."""
        player, _ = both()
        read: list[bytes] = []

        def feedParser(section: FieldSection, octets: bytes) -> None:
            read.append(octets)
            original(section, octets)

        original = FieldSection.feed
        monkeypatch.setattr(FieldSection, "feed", feedParser)
        for line in (b"GET / HTTP/1.1", b"PUT /b?c HTTP/1.1", b"TRACE / HTTP/1.1", b"GET / HTTP/1.0"):
            player.hear(messageOf(line + b"\r\n", b"Host: a\r\n\r\n"))
        assert [octets.partition(b" HTTP")[0] for octets in read] == [b"GET /", b"TRACE /", b"GET /"]

    def test_wholeHeadsToo(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A line is not read again behind which a section came that was known already."""
        player, _ = both()
        read: list[bytes] = []

        def readLine(octets: bytes, limit: int | None) -> Any:
            read.append(octets.partition(b" HTTP")[0])
            return readRequestLine(octets, limit)

        monkeypatch.setattr(http1, "readRequestLine", readLine)
        for line in (b"GET /a", b"GET /b", b"GET /a", b"GET /b", b"GET /a", b"TRACE /b", b"TRACE /b"):
            player.hear(messageOf(line + b" HTTP/1.1\r\n", b"Host: a\r\n\r\n"))
        assert read == [b"GET /a", b"GET /b", b"GET /a", b"TRACE /b", b"TRACE /b"]


def forget(**some: Any) -> None:
    """Whatever is known under these limits, from other tests too."""
    section = sharedSection(HttpServerConfiguration(**some))
    section.recall, section.heads = Recall(), Recall()


class TestCorpus:
    @pytest.mark.parametrize("path", list(entries("http1")), ids=lambda path: path.name)
    @pytest.mark.parametrize("some", [{}, {"maximumTotalHeaderSize": 120, "maximumHeaderFieldCount": 5}])
    def test_thrice(self, path: Path, some: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        octets = path.read_bytes()
        forget(**some)
        first, second, third = (feed([octets], **some) for _ in range(3))
        forget(**some)
        monkeypatch.setattr(recall, "LONGEST", -1)
        unknown = feed([octets], **some)
        assert not sharedSection(HttpServerConfiguration(**some)).recall._known
        assert first == second == third == unknown

    def test_oneBehindTheOther(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Three times over, with one memory."""
        files = [path.read_bytes() for path in entries("http1")] * 3
        forget()
        known = [feed([octets]) for octets in files]
        assert sharedSection(HttpServerConfiguration()).recall._known
        forget()
        monkeypatch.setattr(recall, "LONGEST", -1)
        assert known == [feed([octets]) for octets in files]


#: Section 3: what a target is made of.
ALPHABET = [bytes([octet]) for octet in range(0x21, 0x7F) if octet != 0x23]
#: Where an octet, or more of them, may stand in a target.
PLACES = [b"/%b", b"/a%b", b"/%%%b", b"/a?%b", b"/?b%b", b"/a?b=%%%b"]


class Llhttp:
    """What llhttp makes of one head."""

    def __init__(self, octets: bytes) -> None:
        self._fields: list[tuple[bytes, bytes]] = []
        self._isComplete = False
        self._error: type[Exception] | None = None
        try:
            HttpRequestParser(self).feed_data(octets)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._error = type(error)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._isComplete = True

    @property
    def said(self) -> tuple[Any, ...]:
        """Fields, whether they are complete, and the kind of error."""
        return self._fields, self._isComplete, self._error


def llhttpSays(method: str, target: bytes, section: bytes) -> tuple[Any, ...]:
    return Llhttp(b"%b %b HTTP/1.1\r\n%b" % (method.encode(), target, section)).said


class TestWhatIsAssumedOfLlhttp:
    """Whether it takes a section does not depend on which usual method and which path stand in front."""

    def test_theAlphabetIsWhatRequestLinesMayHave(self) -> None:
        for octet, place in product((bytes([value]) for value in range(256)), (b"/%b", b"/?%b")):
            target = place % octet
            line = b"GET %b HTTP/1.1\r\n" % target
            if octet in ALPHABET:
                assert readRequestLine(line, None) == ("GET", target, "1.1")
            else:
                with pytest.raises(HttpError, match="request line"):
                    readRequestLine(line, None)

    @pytest.mark.parametrize("section", SECTIONS, ids=range(len(SECTIONS)))
    def test_singleOctets(self, section: bytes) -> None:
        expected = llhttpSays("GET", b"/", section)
        for method, place, octet in product(sorted(USUAL), PLACES, ALPHABET):
            assert llhttpSays(method, place % octet, section) == expected

    @pytest.mark.parametrize("method", sorted(USUAL))
    def test_pairsOfOctets(self, method: str) -> None:
        section = b"Host: a\r\nX: y\r\n\r\n"
        expected = llhttpSays("GET", b"/", section)
        assert expected == ([(b"Host", b"a"), (b"X", b"y")], True, None)
        for place, first, second in product(PLACES[:4], ALPHABET, ALPHABET):
            assert llhttpSays(method, place % (first + second), section) == expected

    @pytest.mark.parametrize(
        "section", [b"Host: a\r\nX : y\r\n\r\n", b"Upgrade: x\r\nConnection: upgrade\r\n\r\n"]
    )
    def test_pairsOfOctetsBeforeOtherSections(self, section: bytes) -> None:
        expected = llhttpSays("GET", b"/", section)
        for first, second in product(ALPHABET, ALPHABET):
            assert llhttpSays("POST", b"/%b?%b" % (first, second), section) == expected

    @pytest.mark.parametrize("size", [1, 255, 256, 4095, 65536])
    @pytest.mark.parametrize("section", SECTIONS[:20], ids=range(20))
    def test_longOnes(self, size: int, section: bytes) -> None:
        expected = llhttpSays("GET", b"/", section)
        for octet in (b"/", b"a", b"?", b"%", b"~"):
            assert llhttpSays("GET", b"/" + octet * size, section) == expected
