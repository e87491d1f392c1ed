"""The field section of a request that comes again is read once, and says the same (`HeadReader`)."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
from hpack import HeaderTuple, NeverIndexedHeaderTuple
from http2wirehelpers import CONNECT_WEBSOCKET, GET, POST, START, Peer, answer, request
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wirestrategies import limits

from txabstracthttp._events import PeerError
from txabstracthttp.configuration import Http2Configuration, HttpServerConfiguration
from txabstracthttp.errors import HttpError
from txabstracthttp.headers import HttpHeaders
from txabstracthttp.request import HttpRequest
from txabstracthttp.wire import http2head
from txabstracthttp.wire.http2head import MOST, SMALL, HeadReader, Malformed, RequestHead, readRequest

harder = settings(max_examples=max(300, settings().max_examples))

Section = Sequence[tuple[bytes, bytes]]

FIELDS = [
    (b"host", b"a"), (b"host", b"b"), (b"cookie", b"a=b"), (b"cookie", b"c=d"), (b"x", b"y"),
    (b"x", b"y" * 40), (b"x", b" y"), (b"X", b"y"), (b"", b"y"), (b"x", b"\0"), (b"te", b"trailers"),
    (b"te", b"gzip"), (b"connection", b"close"), (b"content-length", b"0"), (b"content-length", b"3"),
    (b"content-length", b"x"), (b"expect", b"100-continue"), (b"expect", b"x"), (b":path", b"/"),
    (b":unknown", b"x"), (b"x", b"y" * SMALL),
]  # fmt: skip
BEGINNINGS: list[Section] = [
    GET,
    POST,
    CONNECT_WEBSOCKET,
    GET[:3],
    [*GET[:3], (b":path", b"/%00")],
    [*GET[:3], (b":path", b"/" + b"a" * 30)],
    [(b":method", b"CONNECT"), (b":authority", b"a:443")],
    [(b":method", b"BREW"), *GET[1:]],
    [(b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*")],
    [(b":method", b"CONNECT"), (b":protocol", b"x"), *GET[1:]],
    [],
]

sections = st.builds(
    lambda begin, fields: [*begin, *fields],
    st.sampled_from(BEGINNINGS),
    st.lists(st.sampled_from(FIELDS), max_size=4),
)
listSizes = st.sampled_from([None, 0, 100, 200, 400, 10_000])
kinds = st.sampled_from([tuple, lambda pair: HeaderTuple(*pair), lambda pair: NeverIndexedHeaderTuple(*pair)])


def outcome(read: Callable[..., RequestHead], *arguments: Any) -> Any:
    """What was read, or what is wrong with it."""
    try:
        head = read(*arguments)
    except HttpError as error:
        return error.status, error.reason
    except Malformed as error:
        return str(error)
    # A list of its own, so that nobody changes it.
    return head._replace(fields=[*head.fields])


def generally(
    section: Section, isComplete: bool, some: HttpServerConfiguration, largest: int | None
) -> RequestHead:
    """The general path: nothing is remembered."""
    if largest is not None and sum(len(name) + len(value) + 32 for name, value in section) > largest:
        raise HttpError(431, "header list too large")
    return readRequest(list(section), isComplete, some)


def assertBounds(reader: HeadReader) -> None:
    info = reader._readAgain.cache_info()
    assert info.currsize <= MOST == info.maxsize


@st.composite
def stories(draw: Callable[..., Any]) -> list[tuple[int, Section, bool]]:
    """Which of two readers reads what, again and again, and whether no content follows."""
    pool = st.sampled_from(draw(st.lists(sections, min_size=1, max_size=3)))
    story = draw(st.lists(st.tuples(st.integers(0, 1), pool, st.booleans(), kinds), max_size=16))
    return [(number, [kind(pair) for pair in section], ends) for number, section, ends, kind in story]


class TestSameAsReadAgain:
    @harder
    @given(stories(), limits, limits, st.tuples(listSizes, listSizes))
    @example([(0, GET, True), (1, GET, True)] * 2, {}, {"maximumHeaderFieldCount": 0}, (None, None))
    def test_readersWithDifferentLimits(
        self,
        story: list[tuple[int, Section, bool]],
        first: dict[str, Any],
        second: dict[str, Any],
        sizes: tuple[int | None, int | None],
    ) -> None:
        configurations = [HttpServerConfiguration(**some) for some in (first, second)]
        readers = [HeadReader(*both) for both in zip(configurations, sizes, strict=True)]
        for number, section, ends in story:
            ours = outcome(readers[number].read, section, ends)
            assert ours == outcome(generally, section, ends, configurations[number], sizes[number])
            assertBounds(readers[number])

    def test_allOfThemTwice(self) -> None:
        """Each field behind each beginning, with and without content, in one reader, and in that order."""
        configuration = HttpServerConfiguration()
        reader = HeadReader(configuration, None)
        for begin, field, ends, _ in product(BEGINNINGS, FIELDS, (True, False), range(2)):
            section = [*begin, field]
            ours = outcome(reader.read, section, ends)
            assert ours == outcome(generally, section, ends, configuration, None)
            assertBounds(reader)

    def test_whetherContentFollowsCounts(self) -> None:
        reader = HeadReader(HttpServerConfiguration(), None)
        section = [*POST, (b"expect", b"100-continue")]
        for _ in range(2):
            assert (reader.read(section, True).contentLength, reader.read(section, True).expectsContinue) == (
                0,
                False,
            )
            assert (
                reader.read(section, False).contentLength,
                reader.read(section, False).expectsContinue,
            ) == (
                None,
                True,
            )

    def test_itIsTheFastPathThatIsLookedAt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also of different kinds of pairs, and of lists and tuples."""
        read: list[Section] = []

        def readAndTell(section: Section, isComplete: bool, limits: HttpServerConfiguration) -> RequestHead:
            read.append(section)
            return readRequest(section, isComplete, limits)

        monkeypatch.setattr(http2head, "readRequest", readAndTell)
        reader = HeadReader(HttpServerConfiguration(), None)
        for section in (list(GET), tuple(GET), [HeaderTuple(*pair) for pair in GET], list(POST), list(GET)):
            reader.read(section, True)
        assert len(read) == 2


class TestBounds:
    def test_manySections(self) -> None:
        reader = HeadReader(HttpServerConfiguration(), None)
        for number in range(5 * MOST):
            reader.read([*GET, (b"x", b"%d" % number)], True)
            assertBounds(reader)
        assert reader._readAgain.cache_info().currsize == MOST

    @pytest.mark.parametrize(("size", "isKept"), [(SMALL, True), (SMALL + 1, False)])
    def test_largeSections(self, size: int, isKept: bool) -> None:
        """As section 6.5.2 measures them: 32 octets more for each field."""
        reader = HeadReader(HttpServerConfiguration(), None)
        taken = sum(len(name) + len(value) + 32 for name, value in GET) + 33
        for _ in range(2):
            reader.read([*GET, (b"x", b"y" * (size - taken))], True)
        assert reader._readAgain.cache_info().currsize == isKept

    @pytest.mark.parametrize("fields", [[(b"X", b"y")], [(b"expect", b"x")], [(b":path", b"/")]])
    def test_whatIsRefusedIsNotKept(self, fields: list[tuple[bytes, bytes]]) -> None:
        reader = HeadReader(HttpServerConfiguration(), None)
        for _ in range(2):
            with pytest.raises((Malformed, HttpError)):
                reader.read([*GET, *fields], True)
        assert reader._readAgain.cache_info().currsize == 0

    def test_itGoesWithItsWire(self) -> None:
        """And what it remembers; not with the next full collection."""
        reader = HeadReader(HttpServerConfiguration(), None)
        reader.read(GET, True)
        gone = weakref.ref(reader)
        gc.disable()
        try:
            del reader
            assert gone() is None
        finally:
            gc.enable()


#: Three fields, of which the last is the largest.
SECTION = [*GET, (b"x", b"y"), (b"z", b"y" * 50)]
SMALLER: dict[str, dict[str, Any]] = {
    "count": {"maximumHeaderFieldCount": 2},
    "field": {"maximumHeaderFieldSize": 51},
    "total": {"maximumTotalHeaderSize": 60},
}


class TestWire:
    @pytest.mark.parametrize("name", SMALLER)
    def test_otherLimitsBetweenTwoRequests(self, name: str) -> None:
        """Those in force count, even for what was taken before; and back."""
        peer = Peer()
        peer.say(START)
        statuses = []
        for number, some in enumerate([{}, {}, SMALLER[name], SMALLER[name], {}, SMALLER[name]]):
            peer.wire.configuration = HttpServerConfiguration(**some)
            event = peer.say(request(2 * number + 1, SECTION), steps=answer)[0]
            statuses.append(event.error.status if isinstance(event, PeerError) else 200)
        assert statuses == [200, 200, 431, 431, 200, 431]

    def test_otherLimitsOfAnotherServer(self) -> None:
        peers = [Peer(), Peer(Http2Configuration(maximumHeaderListSize=200)), Peer(**SMALLER["total"])]
        for peer in peers:
            peer.say(START)
        for number, peer in product(range(3), peers):
            peer.say(request(2 * number + 1, SECTION), steps=answer)
        assert [sorted(peer.outcome.refusals.values()) for peer in peers] == [[], [431] * 3, [431] * 3]

    def heads(self, peer: Peer, count: int) -> list[HttpRequest]:
        peer.wire._headFactory = HttpRequest
        peer.say(START, *(request(2 * number + 1, SECTION) for number in range(count)), steps=answer)
        return [head for head in peer.outcome.heads if isinstance(head, HttpRequest)]

    def test_eachRequestIsItsOwn(self) -> None:
        heads = self.heads(Peer(), 4)
        assert [head.streamId for head in heads] == [1, 3, 5, 7]
        assert len(set(map(id, heads))) == 4

    def test_whatIsHandedOutCannotBeChanged(self) -> None:
        first, *others = self.heads(Peer(), 4)
        for change in (
            lambda headers: headers.add("y", "z"),
            lambda headers: headers.set("x", "z"),
            lambda headers: headers.remove("x"),
        ):
            with pytest.raises(TypeError, match="cannot be changed"):
                change(first.headers)
        for copied in (first.headers.copy(), HttpHeaders(first.headers)):
            copied.remove("x")
            copied.add("y", "z")
        first.headers.items().clear()
        assert all(head.fields == [(b"host", b"a"), *SECTION[4:]] for head in (first, *others))
