"""RFC 9113 section 8, and RFC 8441: requests and responses, and limits that are answered, not punished."""

from __future__ import annotations

from typing import Any

import pytest
from h2.errors import ErrorCodes
from http2wirehelpers import (
    CONNECT_WEBSOCKET,
    GET,
    POST,
    START,
    FastClock,
    Outcome,
    Peer,
    data,
    headers,
    play,
    request,
)

from txabstracthttp.configuration import Http2Configuration

PROTOCOL_ERROR = int(ErrorCodes.PROTOCOL_ERROR)
NO_ERROR = 0

Section = list[tuple[bytes, bytes]]


def section(
    method: bytes = b"GET", path: bytes = b"/", authority: bytes = b"a", *more: tuple[bytes, bytes]
) -> Section:
    """A header section."""
    return [(b":method", method), (b":scheme", b"http"), (b":authority", authority), (b":path", path), *more]


def refused(fields: Any, *octets: bytes, **limits: Any) -> int:
    """The status that a request is answered with; the connection goes on."""
    ends = not octets
    outcome = play(request(1, fields, ends=ends), *octets, request(3), **limits)
    assert not outcome.ends
    assert [head.streamId for head in outcome.heads] == [3]
    return int(outcome.refusals[1])


def isMalformed(fields: Any, *octets: bytes) -> bool:
    """Whether a request is the end of its stream, and of nothing else (section 8.1.1)."""
    outcome = play(request(1, fields, ends=not octets), *octets, request(3))
    assert not outcome.ends
    assert not outcome.refusals
    assert 3 in [head.streamId for head in outcome.heads]
    if not outcome.resets:
        return False
    assert outcome.resets == {1: PROTOCOL_ERROR}
    # Nobody was told of it before, if it was malformed from the first.
    assert outcome.lost in ({}, {1: PROTOCOL_ERROR})
    assert 1 not in outcome.complete
    return True


class TestSection81Messages:
    def test_aRequest(self) -> None:
        head = play(request(1, section(b"GET", b"/x?y", b"a:1", (b"x", b"1"), (b"x", b"2")))).head
        assert (head.streamId, head.method, head.target, head.version) == (1, "GET", b"/x?y", "2")
        assert head.fields == [(b"host", b"a:1"), (b"x", b"1"), (b"x", b"2")]
        assert (head.authority, head.contentLength, head.upgrade, head.expectsContinue) == (
            b"a:1",
            0,
            False,
            False,
        )

    def test_contentAndTrailers(self) -> None:
        outcome = play(
            request(1, POST, ends=False),
            data(1, b"abc"),
            headers(1, [(b"x", b"y")], "END_HEADERS", "END_STREAM"),
        )
        assert outcome.head.contentLength is None
        assert outcome.received(1) == b"abc"
        assert outcome.complete == {1: [(b"x", b"y")]}

    def test_aWholeResponse(self) -> None:
        peer = Peer()
        peer.say(START + request(1))
        peer.wire.sendResponse(1, 404, [(b"x", b"y")], 3, b"abc")
        expected = [(b":status", b"404"), (b"x", b"y"), (b"content-length", b"3")]
        assert peer.outcome.sections(1) == [expected]
        assert peer.outcome.sent(1) == b"abc"

    def test_aResponseWithoutContent(self) -> None:
        """What HEAD is answered with, and 204 (RFC 9110 section 8.6)."""
        peer = Peer()
        peer.say(START + request(1, section(b"HEAD")) + request(3))
        peer.wire.sendResponse(1, 200, [], 3, b"")
        peer.wire.sendResponse(3, 204, [], None, b"")
        assert peer.outcome.sections(1) == [[(b":status", b"200"), (b"content-length", b"3")]]
        assert peer.outcome.sections(3) == [[(b":status", b"204")]]
        assert all("END_STREAM" in frame.flags for frame in peer.outcome.frames[-2:])

    def test_interimResponses(self) -> None:
        peer = Peer()
        peer.say(START + request(1))
        peer.wire.sendInformational(1, 103, [(b"Link", b"x")])
        peer.wire.sendInformational(1, 100, [])
        peer.wire.sendResponse(1, 200, [], 0, b"")
        statuses = [each[0][1] for each in peer.outcome.sections(1)]
        assert statuses == [b"103", b"100", b"200"]
        assert peer.outcome.sections(1)[0][1] == (b"link", b"x")

    def test_trailersThatEndNothing(self) -> None:
        assert isMalformed(POST, headers(1, [(b"x", b"y")], "END_HEADERS"))

    @pytest.mark.parametrize(
        "trailers",
        [
            [(b":status", b"100")],
            [(b":status", b"200")],
            [(b":path", b"/")],
            [(b"Upper", b"x")],
            [(b"x", b"a\nb")],
            [(b"connection", b"close")],
            [(b"content-length", b"3")],
            [(b"content-length", b"x")],
            [(b"host", b"a")],
            [(b"transfer-encoding", b"chunked")],
        ],
    )
    def test_trailersThatAreNone(self, trailers: Section) -> None:
        assert isMalformed(POST, data(1, b"abc"), headers(1, trailers, "END_HEADERS", "END_STREAM"))

    def test_trailersAfterTheStreamHasGone(self) -> None:
        outcome = play(
            request(1, [(b"bad", b"")], ends=False), headers(1, [(b"x", b"y")], "END_HEADERS", "END_STREAM")
        )
        assert outcome.complete == {}
        assert 1 in outcome.resets


class TestSection811MalformedMessages:
    @pytest.mark.parametrize("declared", [b"2", b"4", b"0"])
    @pytest.mark.parametrize("ending", ["DATA", "empty DATA", "trailers"])
    def test_contentThatIsNotAsLongAsItSays(self, declared: bytes, ending: str) -> None:
        octets = {
            "DATA": [data(1, b"abc", ends=True)],
            "empty DATA": [data(1, b"abc"), data(1, b"", ends=True)],
            "trailers": [data(1, b"abc"), headers(1, [(b"x", b"y")], "END_HEADERS", "END_STREAM")],
        }[ending]
        assert isMalformed([*POST, (b"content-length", declared)], *octets)
        assert not isMalformed([*POST, (b"content-length", b"3")], *octets)

    def test_noContentWhereSomeIsAnnounced(self) -> None:
        assert isMalformed([*POST, (b"content-length", b"1")])
        assert isMalformed([*POST, (b"content-length", b"1")], data(1, b"", ends=True))
        assert not isMalformed([*POST, (b"content-length", b"0")])

    def test_whatWentWithItComesBackToTheConnection(self) -> None:
        """Or some hundred of these would keep everybody from sending anything."""
        peer = Peer(clock=FastClock())
        peer.say(START)
        for streamId in range(1, 401, 2):
            peer.say(
                request(streamId, [*POST, (b"content-length", b"1")], ends=False)
                + data(streamId, b"x" * 16384)
            )
        assert len(peer.outcome.resets) == 200
        spent = 200 * 16384
        assert peer.outcome.windows[0] >= 1024 * 1024 - 65535 + spent - 512 * 1024

    @pytest.mark.parametrize(
        "value", [b"", b"-1", b"+1", b"1.0", b"0x1", b"1 ", b"1,1", b"9" * 20, b"9" * 5000]
    )
    def test_lengthsThatAreNone(self, value: bytes) -> None:
        assert isMalformed([*POST, (b"content-length", value)], data(1, b"x"))

    @pytest.mark.parametrize("values", [(b"1", b"2"), (b"1", b"1")])
    def test_twoLengths(self, values: tuple[bytes, bytes]) -> None:
        fields = [*POST, *((b"content-length", value) for value in values)]
        assert isMalformed(fields, data(1, b"x", ends=True))


class TestSection821FieldValidity:
    @pytest.mark.parametrize("octet", [*range(0x21), *b'()/:;<=>?@[\\]{},"', *b"AMZ", 0x7F, 0x80, 0xFF])
    def test_names(self, octet: int) -> None:
        assert isMalformed([*GET, (b"x%cx" % octet, b"y")])
        assert isMalformed([*GET, (b"x%c" % octet, b"y")])
        assert isMalformed([*GET, (b"%c" % octet, b"y")])

    def test_anEmptyName(self) -> None:
        assert isMalformed([*GET, (b"", b"y")])

    def test_everyTokenCharacterInAName(self) -> None:
        name = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
        assert play(request(1, [*GET, (name, b"y")])).head.fields[-1] == (name, b"y")

    @pytest.mark.parametrize("octet", [*range(0x9), *range(0xA, 0x20), 0x7F])
    def test_controlsInAValue(self, octet: int) -> None:
        assert isMalformed([*GET, (b"x", b"y%cz" % octet)])
        assert isMalformed([*GET, (b"x", b"%c" % octet)])

    @pytest.mark.parametrize("value", [b" y", b"y ", b"\ty", b"y\t", b" ", b"\t"])
    def test_whiteSpaceAroundAValue(self, value: bytes) -> None:
        assert isMalformed([*GET, (b"x", value)])

    @pytest.mark.parametrize("value", [b"", b"a b\tc", b"\x80\xff", b":;,="])
    def test_otherValues(self, value: bytes) -> None:
        assert play(request(1, [*GET, (b"x", value)])).head.fields[-1] == (b"x", value)


class TestSection822ConnectionSpecificFields:
    @pytest.mark.parametrize(
        "name", [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"]
    )
    def test_haveNoPlaceHere(self, name: bytes) -> None:
        assert isMalformed([*GET, (name, b"x")])

    @pytest.mark.parametrize(
        ("value", "verdict"), [(b"trailers", False), (b"gzip", True), (b"trailers, gzip", True)]
    )
    def test_te(self, value: bytes, verdict: bool) -> None:
        assert isMalformed([*GET, (b"te", value)]) is verdict


class TestSection823Cookies:
    def test_crumbsAreOneCookie(self) -> None:
        fields = [*GET, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2; c=3"), (b"cookie", b"d")]
        found = play(request(1, fields)).head.fields
        assert found == [(b"host", b"a"), (b"x", b"y"), (b"cookie", b"a=1; b=2; c=3; d")]

    def test_theLimitIsForAllOfThem(self) -> None:
        fields = [*GET, *((b"cookie", b"x" * 50) for _ in range(10))]
        assert refused(fields, maximumHeaderFieldSize=400) == 431
        assert play(request(1, fields), maximumHeaderFieldCount=2).head.method == "GET"


class TestSection83PseudoFields:
    def test_behindOthers(self) -> None:
        assert isMalformed([*GET[:3], (b"x", b"y"), GET[3]])

    @pytest.mark.parametrize("name", [b":method", b":scheme", b":authority", b":path"])
    def test_twice(self, name: bytes) -> None:
        assert isMalformed([*GET, *(field for field in GET if field[0] == name)])

    @pytest.mark.parametrize("name", [b":status", b":unknown", b":", b":Method", b":protocol"])
    def test_thoseThatAreNotForRequests(self, name: bytes) -> None:
        for value in (b"200", b"100", b""):
            assert isMalformed([*GET, (name, value)])
            assert isMalformed([(name, value), *GET])

    @pytest.mark.parametrize("name", [b":method", b":scheme", b":path"])
    def test_missing(self, name: bytes) -> None:
        assert isMalformed([field for field in GET if field[0] != name])

    def test_nothingAtAll(self) -> None:
        assert isMalformed([])
        assert isMalformed([(b"x", b"y")])


class TestSection831RequestPseudoFields:
    @pytest.mark.parametrize("method", [b"", b"G T", b"G\x00", b"G:", b"\xe9"])
    def test_methodsThatAreNone(self, method: bytes) -> None:
        assert isMalformed(section(method))

    @pytest.mark.parametrize("method", [b"FROB", b"get", b"PRI", b"DESCRIBE", b"SETUP", b"SOURCES"])
    def test_methodsThatNobodyKnows(self, method: bytes) -> None:
        assert refused(section(method)) == 501

    @pytest.mark.parametrize("scheme", [b"", b"ftp", b"ht tp", b"https:"])
    def test_schemes(self, scheme: bytes) -> None:
        assert isMalformed([GET[0], (b":scheme", scheme), *GET[2:]])

    def test_schemesHaveNoCase(self) -> None:
        assert play(request(1, [GET[0], (b":scheme", b"HTTPS"), *GET[2:]])).head.method == "GET"

    @pytest.mark.parametrize(
        "path",
        [b"", b"x", b"http://a/", b"/ ", b"/\t", b"/#x", b"/\x7f", b"/\x80", b"/%00", b"*", b"**", b"?x"],
    )
    def test_pathsThatAreNone(self, path: bytes) -> None:
        assert isMalformed(section(b"GET", path))

    @pytest.mark.parametrize("path", [b"/", b"//a", b"/?", b"/%zz", b"/a%20b", b'/"<>\\^`{|}'])
    def test_paths(self, path: bytes) -> None:
        assert play(request(1, section(b"GET", path))).head.target == path

    def test_anAsteriskIsForOptions(self) -> None:
        assert play(request(1, section(b"OPTIONS", b"*"))).head.target == b"*"

    @pytest.mark.parametrize(
        "authority",
        [b"", b"u@a", b"u:p@a", b"a b", b"a/", b"a:b", b"a:99999", b"[::1", b"a\x00", b"\xff", b"a,b:1:2"],
    )
    def test_authoritiesThatAreNone(self, authority: bytes) -> None:
        assert isMalformed(section(b"GET", b"/", authority))

    @pytest.mark.parametrize("authority", [b"a.example", b"a:443", b"[::1]:80", b"127.0.0.1", b"A"])
    def test_authorities(self, authority: bytes) -> None:
        head = play(request(1, section(b"GET", b"/", authority))).head
        assert (head.authority, head.fields) == (authority, [(b"host", authority)])

    def test_hostInstead(self) -> None:
        fields = [field for field in GET if field[0] != b":authority"]
        head = play(request(1, [*fields, (b"x", b"y"), (b"host", b"b:1")])).head
        assert (head.authority, head.fields) == (b"b:1", [(b"host", b"b:1"), (b"x", b"y")])
        assert isMalformed(fields)

    @pytest.mark.parametrize(
        ("hosts", "verdict"),
        [([b"a"], False), ([b"A"], False), ([b"b"], True), ([b""], True), ([b"a", b"a"], True)],
    )
    def test_hostToo(self, hosts: list[bytes], verdict: bool) -> None:
        assert isMalformed([*GET, *((b"host", host) for host in hosts)]) is verdict


class TestSection85Connect:
    CONNECT: Section = [(b":method", b"CONNECT"), (b":authority", b"a:443")]

    def test_aTunnel(self) -> None:
        outcome = play(request(1, self.CONNECT, ends=False), data(1, b"abc"))
        head = outcome.head
        assert (head.method, head.target, head.authority, head.upgrade) == (
            "CONNECT",
            b"a:443",
            b"a:443",
            True,
        )
        assert outcome.received(1) == b"abc"

    @pytest.mark.parametrize("extra", [(b":path", b"/"), (b":scheme", b"http")])
    def test_withMoreThanAnAuthority(self, extra: tuple[bytes, bytes]) -> None:
        assert isMalformed([*self.CONNECT, extra])

    @pytest.mark.parametrize("authority", [b"a", b"a:", b":443", b"a:x", b""])
    def test_authoritiesThatAreNone(self, authority: bytes) -> None:
        assert isMalformed([(b":method", b"CONNECT"), (b":authority", authority)])

    def test_withoutAuthority(self) -> None:
        assert isMalformed([(b":method", b"CONNECT")])


class TestRfc8441ExtendedConnect:
    def test_isAnUpgrade(self) -> None:
        head = play(request(1, CONNECT_WEBSOCKET, ends=False)).head
        assert (head.method, head.target, head.upgrade, head.contentLength) == ("GET", b"/", True, None)
        assert head.fields == [(b"host", b"a"), (b"sec-websocket-version", b"13")]

    def test_otherProtocols(self) -> None:
        assert refused([(b":method", b"CONNECT"), (b":protocol", b"connect-udp"), *GET[1:]], data(1)) == 501

    @pytest.mark.parametrize("missing", [b":path", b":scheme"])
    def test_whatItNeeds(self, missing: bytes) -> None:
        assert isMalformed([field for field in CONNECT_WEBSOCKET if field[0] != missing])

    def test_otherMethods(self) -> None:
        assert isMalformed([*GET, (b":protocol", b"websocket")])

    def test_bothDirections(self) -> None:
        peer = Peer()
        peer.say(START + request(1, CONNECT_WEBSOCKET, ends=False))
        peer.wire.sendHead(1, 200, [(b"sec-websocket-protocol", b"chat")], None, True)
        peer.wire.sendBody(1, b"abc")
        peer.hear()
        peer.say(data(1, b"def"))
        peer.wire.sendEnd(1, [])
        peer.say(data(1, b"", ends=True))
        assert (peer.outcome.sent(1), peer.outcome.received(1)) == (b"abc", b"def")
        assert peer.outcome.sections(1) == [[(b":status", b"200"), (b"sec-websocket-protocol", b"chat")]]
        assert not peer.outcome.resets
        assert peer.wire.isIdle


class TestLimitsThatAreAnswered:
    def test_targets(self) -> None:
        assert refused(section(b"GET", b"/" + b"x" * 10), maximumUrlSize=10) == 414
        assert (
            play(request(1, section(b"GET", b"/" + b"x" * 9)), maximumUrlSize=10).head.target == b"/xxxxxxxxx"
        )

    @pytest.mark.parametrize(
        "limit",
        [{"maximumHeaderFieldCount": 2}, {"maximumHeaderFieldSize": 20}, {"maximumTotalHeaderSize": 30}],
    )
    def test_fields(self, limit: dict[str, int]) -> None:
        fields = [*GET, (b"x", b"y" * 10), (b"z", b"y" * 19)]
        assert refused(fields, **limit) == 431
        assert isTooMuchForTrailers(fields[4:] * 2, limit)

    def test_moreThanWeSay(self) -> None:
        """Up to twice as much is read for it (section 10.5.1)."""
        fields = [*GET, *((b"x", b"y" * 100) for _ in range(10))]
        http2 = Http2Configuration(maximumHeaderListSize=1000)
        assert refused(fields, http2=http2, maximumTotalHeaderSize=1000) == 431

    def test_expectations(self) -> None:
        assert refused([*POST, (b"expect", b"the-unexpected")], data(1)) == 417
        outcome = play(request(1, [*POST, (b"expect", b"100-Continue")], ends=False))
        assert outcome.head.expectsContinue
        assert not play(request(1, [*POST, (b"expect", b"100-continue")])).head.expectsContinue

    def test_theAnswerToHeadHasNoContent(self) -> None:
        for method, content in ((b"HEAD", b""), (b"GET", b"abc")):
            peer = Peer(maximumUrlSize=1)
            peer.say(START + request(1, section(method, b"/long")))
            assert peer.outcome.refusals == {1: 414}
            peer.wire.sendResponse(1, 414, [], 3, b"abc")
            assert peer.outcome.sections(1) == [[(b":status", b"414"), (b"content-length", b"3")]]
            assert peer.outcome.sent(1) == content
            assert peer.wire.isIdle


def isTooMuchForTrailers(trailers: Section, limit: dict[str, Any]) -> bool:
    """Whether trailers are refused: there may be an answer already, so it is the stream that ends."""
    octets = headers(1, trailers, "END_HEADERS", "END_STREAM")
    outcome: Outcome = play(request(1, POST, ends=False), octets, **limit)
    return outcome.resets == {1: PROTOCOL_ERROR}
