"""What is remembered of header sections is bounded, goes by the limits in force, and stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire.test_recall import (
    SECTIONS,
    Player,
    assertBounds,
    assertSame,
    both,
    copied,
    forget,
    messageOf,
    stories,
)
from wirehelpers import feed
from wirestrategies import limits

from txabstracthttp._events import Head, PeerError
from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.headers import HttpHeaders
from txabstracthttp.request import HttpRequest
from txabstracthttp.wire.fields import FieldSection, sharedSection
from txabstracthttp.wire.http1 import Http1Wire
from txabstracthttp.wire.recall import LONGEST, MOST, Recall

turns = st.tuples(st.integers(0, 2), st.sampled_from(SECTIONS))
sizes = st.sampled_from([0, LONGEST - 3, LONGEST, LONGEST + 1])


class TestBounds:
    def test_manySections(self) -> None:
        player, _ = both()
        for number in range(3 * MOST):
            player.hear(messageOf(b"GET / HTTP/1.1\r\n", b"Host: a\r\nX: %d\r\n\r\n" % number))
            assertBounds(player.section.recall)
            player.hear(messageOf(b"GET /%d HTTP/1.1\r\n" % number, b"Host: a\r\nX: %d\r\n\r\n" % number))
            assertBounds(player.section.heads)
        assert len(player.section.heads._known) == MOST
        known = player.section.recall._known
        # The last are known, not the first.
        assert [section.split()[-1] for section in known] == [
            b"%d" % number for number in range(2 * MOST, 3 * MOST)
        ]

    @pytest.mark.parametrize(("size", "isKept"), [(LONGEST - 1, True), (LONGEST, True), (LONGEST + 1, False)])
    def test_longSections(self, size: int, isKept: bool) -> None:
        players = both()
        section = b"Host: a\r\nX: " + b"y" * (size - 16) + b"\r\n\r\n"
        assert len(section) == size
        for _ in range(2):
            assertSame(players, messageOf(b"GET / HTTP/1.1\r\n", section))
        assert (section in players[0].section.recall._known) == isKept

    @pytest.mark.parametrize(
        "octets",
        [
            messageOf(b"GET / HTTP/1.1\r\n", b"Host: a\r\nX : y\r\n\r\n"),
            messageOf(b"GET / HTTP/1.1\r\n", b"X: y\r\n\r\n"),
            messageOf(b"GET / HTTP/1.1\r\n", b"Host: a\r\nExpect: x\r\n\r\n"),
            messageOf(b"GET / HTTP/1.0\r\n", b"Host: a\r\n\r\n"),
            messageOf(b"TRACE / HTTP/1.1\r\n", b"Host: a\r\n\r\n"),
            messageOf(b"CONNECT a:443 HTTP/1.1\r\n", b"Host: a\r\n\r\n"),
            messageOf(b"OPTIONS * HTTP/1.1\r\n", b"Host: a\r\n\r\n"),
            messageOf(b"GET http://b/ HTTP/1.1\r\n", b"Host: a\r\n\r\n"),
        ],
    )
    def test_whatIsRefusedOrUnusualIsNotKept(self, octets: bytes) -> None:
        player, _ = both()
        player.hear(octets)
        player.hear(octets)
        player.hear(octets)
        assert player.section.recall._known == player.section.heads._known == {}

    @given(
        st.lists(
            st.tuples(st.binary(max_size=3), st.sampled_from([0, LONGEST - 3, LONGEST, LONGEST + 1])),
            max_size=300,
        )
    )
    def test_recallItself(self, sections: list[tuple[bytes, int]]) -> None:
        memory: Recall[Any] = Recall()
        for number, (begin, size) in enumerate(sections):
            octets, known = begin.ljust(size), ([], b"", number, False, False, True)
            memory.keep(octets, known)
            assert memory.get(octets) is (known if len(octets) <= LONGEST else None)
            assertBounds(memory)

    def test_oneOfSoMany(self) -> None:
        memory: Recall[int] = Recall(4)
        for number in range(12):
            memory.keep(b"%d" % number, number)
        assert list(memory._known.values()) == [3, 7, 11]

    def test_whoComesAgainIsKnownSoon(self) -> None:
        """Among others who never come again."""
        section = FieldSection(HttpServerConfiguration())
        for number in range(100):
            player, _ = both()
            player.section = section
            player.hear(
                messageOf(b"GET /%d HTTP/1.1\r\n" % (number if number % 3 else 0), b"Host: a\r\n\r\n")
            )
        known = section.heads._known
        assert messageOf(b"GET /0 HTTP/1.1\r\n", b"Host: a\r\n\r\n") in known
        assert len(known) < 30


class TestLimits:
    """What was taken under larger limits is refused under smaller ones, and the other way round."""

    SECTION = b"Host: a\r\nX: yyyyyyyyyy\r\nY: z\r\n\r\n"
    SMALLER: dict[str, dict[str, Any]] = {
        "count": {"maximumHeaderFieldCount": 2},
        "field": {"maximumHeaderFieldSize": 11},
        "total": {"maximumTotalHeaderSize": 20},
    }

    @pytest.mark.parametrize("name", SMALLER)
    @pytest.mark.parametrize("times", [1, 3])
    def test_otherServers(self, name: str, times: int) -> None:
        octets = messageOf(b"GET / HTTP/1.1\r\n", self.SECTION)
        for _ in range(times):
            assert feed([octets]).error is None
            assert feed([octets], **self.SMALLER[name]).error == 431

    @pytest.mark.parametrize("name", SMALLER)
    def test_otherLimitsBetweenTwoRequests(self, name: str) -> None:
        octets = messageOf(b"GET / HTTP/1.1\r\n", self.SECTION)
        wire = Http1Wire(HttpServerConfiguration())
        for _ in range(2):
            (event,) = wire.receiveData(octets)
            assert isinstance(event, Head)
            wire.sendResponse(1, 200, [], 0, b"")
        wire.configuration = HttpServerConfiguration(**self.SMALLER[name])
        (refusal,) = wire.receiveData(octets)
        assert isinstance(refusal, PeerError)
        assert refusal.error.status == 431

    def test_targetsAreMeasuredEachTime(self) -> None:
        wire = Http1Wire(HttpServerConfiguration(maximumUrlSize=6))
        for _ in range(3):
            wire.receiveData(b"GET /aaaaa HTTP/1.1\r\n" + self.SECTION)
            wire.sendResponse(1, 200, [], 0, b"")
        wire.configuration = HttpServerConfiguration(maximumUrlSize=5)
        (refusal,) = wire.receiveData(b"GET /aaaaa HTTP/1.1\r\n" + self.SECTION)
        assert isinstance(refusal, PeerError)
        assert refusal.error.status == 414

    @given(st.lists(turns, max_size=20), st.tuples(limits, limits, limits))
    def test_interleaved(self, story: list[tuple[int, bytes]], some: tuple[dict[str, Any], ...]) -> None:
        for each in some:
            forget(**each)
        for number, section in story:
            octets = messageOf(b"GET / HTTP/1.1\r\n", section)
            reference = Player(HttpServerConfiguration(**some[number]), forgetful=True)
            reference.hear(octets)
            remembering = Player(HttpServerConfiguration(**some[number]), forgetful=False)
            # The one that a server has.
            remembering.section = sharedSection(remembering.configuration)
            remembering.hear(octets)
            assert remembering.told == reference.told


class TestWhatIsHandedOut:
    OCTETS = messageOf(b"GET /a HTTP/1.1\r\n", b"Host: a\r\nX: y\r\nx: Z\r\n\r\n")
    FIELDS = [(b"Host", b"a"), (b"X", b"y"), (b"x", b"Z")]

    @given(stories())
    def test_laterRequestsDoNotChangeIt(self, story: list[bytes]) -> None:
        player, _ = both()
        kept: list[tuple[Head, Any]] = []
        for message in story + story:
            heads = [event for event in player.wire.receiveData(message) if isinstance(event, Head)]
            kept += [(head, copied(head)) for head in heads]
            player.begin()
        assert all(copied(head) == before for head, before in kept)

    def request(self, wire: Http1Wire) -> HttpRequest:
        (request,) = wire.receiveData(self.OCTETS)
        assert isinstance(request, HttpRequest)
        wire.sendResponse(1, 200, [], 0, b"")
        return request

    def test_applicationsCannotChangeIt(self) -> None:
        wire = Http1Wire(HttpServerConfiguration(), HttpRequest)
        first, second = self.request(wire), self.request(wire)
        for request in (first, second):
            for change in (
                lambda headers: headers.add("Y", "z"),
                lambda headers: headers.set("X", "z"),
                lambda headers: headers.remove("X"),
            ):
                with pytest.raises(TypeError, match="cannot be changed"):
                    change(request.headers)
        assert first.fields == second.fields == self.request(wire).fields == self.FIELDS

    def test_copiesAreTheirOwn(self) -> None:
        wire = Http1Wire(HttpServerConfiguration(), HttpRequest)
        for headers in (self.request(wire).headers.copy(), HttpHeaders(self.request(wire).headers)):
            headers.add("Y", "z")
            headers.set("X", "z")
            headers.remove("Host")
            assert len(headers) == 2
        items = self.request(wire).headers.items()
        items.clear()
        assert self.request(wire).fields == self.FIELDS

    def test_fieldsAreOctetsForEver(self) -> None:
        """Nothing in them can be changed in place: pairs of octets, once."""
        (head,) = Http1Wire(HttpServerConfiguration()).receiveData(self.OCTETS)
        assert isinstance(head, Head)
        assert all(type(field) is tuple and set(map(type, field)) == {bytes} for field in head.fields)
