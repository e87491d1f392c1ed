"""The opening handshake of WebSocket: RFC 6455 section 4.2 in its order, 9.1 and 10.2, and RFC 8441.

Each request is tried as a list of fields, and as octets, whole and byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import process_time
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wirehelpers import cutUp

from txabstracthttp._events import Event, Fields, Head, PeerError
from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.errors import HttpError
from txabstracthttp.request import HttpRequest
from txabstracthttp.wire.handshake import (
    Handshake,
    Parameters,
    VersionRefused,
    acceptance,
    isOriginAllowed,
    readHandshake,
)
from txabstracthttp.wire.http1 import Http1Wire

#: The sample of RFC 6455 section 1.3.
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
HOST, UPGRADE, CONNECTION = (b"Host", b"a"), (b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")
ASKED = [HOST, UPGRADE, CONNECTION]
KEYED, VERSION = (b"Sec-WebSocket-Key", KEY), (b"Sec-WebSocket-Version", b"13")
PROTOCOL, EXTENSIONS = b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions"
#: More than any field may have, by default.
HUGE = 64 * 1024

Outcome = Handshake | int | None


def attempt(head: Head) -> Handshake | int:
    """The handshake, or the status that refuses it."""
    try:
        return readHandshake(head)
    except HttpError as error:
        return error.status


def octetsOf(fields: Fields, method: bytes = b"GET", version: bytes = b"1.1", body: bytes = b"") -> bytes:
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    return b"%b /chat HTTP/%b\r\n%b\r\n%b" % (method, version, lines, body)


def arriving(pieces: Iterable[bytes]) -> Outcome:
    """What becomes of a request on its way through the wire; None: nobody is asked for a WebSocket."""
    wire = Http1Wire(HttpServerConfiguration(), HttpRequest)
    events: list[Event] = [event for piece in pieces for event in wire.receiveData(piece)]
    head = events[0]
    if isinstance(head, PeerError):
        return head.error.status
    assert isinstance(head, HttpRequest)
    return attempt(head) if head.isWebSocketUpgrade else None


def received(octets: bytes) -> Outcome:
    """The same, whole and byte by byte."""
    whole = arriving([octets])
    assert arriving(cutUp(octets, range(len(octets)))) == whole
    return whole


def opened(*fields: tuple[bytes, bytes]) -> Handshake | int:
    """What becomes of a request with `fields` behind those that every WebSocket has."""
    everything = [*ASKED, *fields]
    result = attempt(Head(1, "GET", b"/chat", "1.1", everything, b"a", 0, True))
    assert received(octetsOf(everything)) == result
    return result


def accepted(*fields: tuple[bytes, bytes]) -> Handshake:
    """The handshake of a correct request with `fields` besides."""
    handshake = opened(KEYED, VERSION, *fields)
    assert isinstance(handshake, Handshake)
    return handshake


class TestSection421Item1RequestLine:
    """A GET, in HTTP/1.1 or higher, without content."""

    def test_theSample(self) -> None:
        octets = (
            b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
            b"Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert received(octets) == Handshake(KEY, "http://example.com", ["chat", "superchat"], [])

    @pytest.mark.parametrize("method", [b"POST", b"HEAD", b"PUT", b"OPTIONS", b"M-SEARCH"])
    def test_anotherMethod(self, method: bytes) -> None:
        fields = [*ASKED, KEYED, VERSION]
        assert attempt(Head(1, method.decode(), b"/", "1.1", fields, b"a", 0, True)) == 400
        assert received(octetsOf(fields, method)) == 400

    @pytest.mark.parametrize("method", [b"get", b"Get", b"WEBSOCKET"])
    def test_aMethodThatNobodyKnows(self, method: bytes) -> None:
        assert received(octetsOf([*ASKED, KEYED, VERSION], method)) == 501

    def test_http10HasNoUpgrade(self) -> None:
        # RFC 9110 section 7.8: the field is ignored.
        assert received(octetsOf([*ASKED, KEYED, VERSION], version=b"1.0")) is None

    @pytest.mark.parametrize("version", [b"1.2", b"9.9"])
    def test_aVersionToCome(self, version: bytes) -> None:
        assert received(octetsOf([*ASKED, KEYED, VERSION], version=version)) == 505

    def test_noContent(self) -> None:
        assert isinstance(opened((b"Content-Length", b"0"), KEYED, VERSION), Handshake)

    @pytest.mark.parametrize("length", [1, 5, None])
    def test_contentAsFields(self, length: int | None) -> None:
        fields = [*ASKED, KEYED, VERSION]
        assert attempt(Head(1, "GET", b"/", "1.1", fields, b"a", length, True)) == 400

    @pytest.mark.parametrize(
        ("field", "body"),
        [
            ((b"Content-Length", b"1"), b"x"),
            ((b"Transfer-Encoding", b"chunked"), b"1\r\nx\r\n0\r\n\r\n"),
            ((b"Transfer-Encoding", b"chunked"), b"0\r\n\r\n"),
        ],
    )
    def test_content(self, field: tuple[bytes, bytes], body: bytes) -> None:
        assert received(octetsOf([*ASKED, KEYED, VERSION, field], body=body)) == 400


class TestSection421Item2Host:
    """A Host field; the wire sees to it."""

    @pytest.mark.parametrize("hosts", [[], [b"a", b"a"], [b""], [b"a b"], [b"u@a"], [b"a:65536"]])
    def test_refused(self, hosts: list[bytes]) -> None:
        named = [(b"Host", host) for host in hosts]
        assert received(octetsOf([*named, UPGRADE, CONNECTION, KEYED, VERSION])) == 400

    @pytest.mark.parametrize("host", [b"a:", b"a:0", b"a:65535", b"[::1]:80", b"xn--bcher-kva.example"])
    def test_taken(self, host: bytes) -> None:
        fields = [(b"Host", host), UPGRADE, CONNECTION, KEYED, VERSION]
        assert isinstance(received(octetsOf(fields)), Handshake)


class TestSection421Item3Upgrade:
    """An Upgrade field with "websocket" in it."""

    @staticmethod
    def ask(*values: bytes) -> Outcome:
        upgrades = [(b"Upgrade", value) for value in values]
        return received(octetsOf([HOST, *upgrades, CONNECTION, KEYED, VERSION]))

    @pytest.mark.parametrize(
        "value",
        [
            b"websocket",
            b"WebSocket",
            b"WEBSOCKET",
            b"h2c, websocket",
            b"h2c,websocket",
            b"websocket\t,h2c",
            b",websocket,",
        ],
    )
    def test_asked(self, value: bytes) -> None:
        assert isinstance(self.ask(value), Handshake)

    def test_severalFields(self) -> None:
        assert isinstance(self.ask(b"h2c", b"websocket"), Handshake)
        assert isinstance(self.ask(b"websocket", b"h2c"), Handshake)

    @pytest.mark.parametrize(
        "value", [b"", b"h2c", b"websockets", b"websocket/13", b"web socket", b"websocket;x", b'"websocket"']
    )
    def test_notAsked(self, value: bytes) -> None:
        assert self.ask(value) is None

    def test_noField(self) -> None:
        assert received(octetsOf([HOST, CONNECTION, KEYED, VERSION])) is None

    @pytest.mark.parametrize("value", [b"websocket\xa0", b"\x85websocket", b"h2c,\xa0websocket"])
    def test_obsTextIsNoWhiteSpace(self, value: bytes) -> None:
        assert self.ask(value) is None


class TestSection421Item4Connection:
    """A Connection field with "Upgrade" in it."""

    @staticmethod
    def ask(*values: bytes) -> Outcome:
        options = [(b"Connection", value) for value in values]
        return received(octetsOf([HOST, UPGRADE, *options, KEYED, VERSION]))

    @pytest.mark.parametrize(
        "value",
        [
            b"Upgrade",
            b"upgrade",
            b"UPGRADE",
            b"keep-alive, Upgrade",
            b"Upgrade,close",
            b"x\t,\tupgrade",
            b",upgrade,",
        ],
    )
    def test_asked(self, value: bytes) -> None:
        assert isinstance(self.ask(value), Handshake)

    def test_severalFields(self) -> None:
        assert isinstance(self.ask(b"keep-alive", b"Upgrade"), Handshake)

    @pytest.mark.parametrize(
        "value", [b"", b"keep-alive", b"upgraded", b"x upgrade", b"upgrade;q=1", b"upgrade\xa0"]
    )
    def test_notAsked(self, value: bytes) -> None:
        assert self.ask(value) is None

    def test_noField(self) -> None:
        assert received(octetsOf([HOST, UPGRADE, KEYED, VERSION])) is None


class TestSection421Item5Key:
    """A key of 16 octets in base64."""

    @pytest.mark.parametrize("last", b"AQgw")
    def test_everyLastCharacter(self, last: int) -> None:
        key = b"+/09azAZ+/09azAZ+/09a%c==" % last
        handshake = opened((b"Sec-WebSocket-Key", key), VERSION)
        assert isinstance(handshake, Handshake)
        assert handshake.key == key

    def test_anyCaseOfTheName(self) -> None:
        assert isinstance(opened((b"sec-websocket-KEY", KEY), VERSION), Handshake)

    def test_missing(self) -> None:
        assert opened(VERSION) == 400

    @pytest.mark.parametrize("second", [KEY, b"AAAAAAAAAAAAAAAAAAAAAA==", b""])
    def test_two(self, second: bytes) -> None:
        assert opened(KEYED, (b"Sec-WebSocket-Key", second), VERSION) == 400
        assert opened((b"sec-websocket-key", second), VERSION, KEYED) == 400

    @pytest.mark.parametrize(
        "key",
        [
            b"",
            b"=",
            b"==",
            KEY[:-1],  # without its padding
            KEY[:-2],
            KEY + b"=",
            KEY[4:],  # 13 octets
            b"AAAA" + KEY,  # 19
            b"dGhlIHNhbXBsZSBub25j",  # 15
            b"dGhlIHNhbXBsZSBub25jZWU=",  # 17
            KEY + b", " + KEY,
            KEY[:-3] + b"R==",  # there are bits behind the last octet
            KEY[:-3] + b"/==",
            b"dGhlIHNhbXBsZSBub25jZ-==",  # the URL-safe alphabet
            b"-_hlIHNhbXBsZSBub25jZQ==",
            b"dGhlIHNhbXBs SBub25jZQ==",
            b"dGhlIHNhbXBs\xe9SBub25jZQ==",
            b"dGhlIHNhbXBs=SBub25jZQ==",
            b'"' + KEY + b'"',
            b"A" * 40_000,
        ],
    )
    def test_malformed(self, key: bytes) -> None:
        assert opened((b"Sec-WebSocket-Key", key), VERSION) == 400

    def test_nothingBehindALineEnd(self) -> None:
        # No wire lets this through; `$` in a pattern would.
        assert (
            attempt(Head(1, "GET", b"/", "1.1", [(b"Sec-WebSocket-Key", KEY + b"\n"), VERSION], b"a")) == 400
        )


class TestSection421Item6Version:
    """Version 13; section 4.4 tells the others which one to speak."""

    @staticmethod
    def ask(*versions: bytes) -> Handshake | int:
        return opened(KEYED, *((b"Sec-WebSocket-Version", version) for version in versions))

    def test_thirteen(self) -> None:
        assert isinstance(self.ask(b"13"), Handshake)
        assert isinstance(opened(KEYED, (b"SEC-WEBSOCKET-VERSION", b"13")), Handshake)

    @pytest.mark.parametrize("version", [b"0", b"7", b"8", b"12", b"14", b"130", b"255", b"013"])
    def test_others(self, version: bytes) -> None:
        assert self.ask(version) == 426

    @pytest.mark.parametrize(
        "version",
        [b"", b"13, 8", b"13,13", b"+13", b"-1", b"13.0", b"0x0d", b"1 3", b"13;", b"thirteen", b"1000"],
    )
    def test_malformed(self, version: bytes) -> None:
        assert self.ask(version) == 400

    @pytest.mark.parametrize("digit", [b"1", b"\xb2", b"0"])
    def test_huge(self, digit: bytes) -> None:
        assert self.ask(digit * 40_000) == 400
        assert attempt(Head(1, "GET", b"/", "1.1", [KEYED, (VERSION[0], digit * HUGE)], b"a")) == 400

    def test_missing(self) -> None:
        assert self.ask() == 400

    @pytest.mark.parametrize("versions", [(b"13", b"13"), (b"13", b"8"), (b"8", b"13"), (b"13", b"")])
    def test_two(self, versions: tuple[bytes, bytes]) -> None:
        assert self.ask(*versions) == 400

    def test_whatHasToBeSaid(self) -> None:
        with pytest.raises(VersionRefused) as caught:
            readHandshake(Head(1, "GET", b"/", "1.1", [KEYED, (b"Sec-WebSocket-Version", b"8")], b"a"))
        assert caught.value.status == 426
        assert caught.value.fields == [
            (b"Sec-WebSocket-Version", b"13"),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
        ]

    def test_theKeyIsLookedAtFirst(self) -> None:
        assert opened((b"Sec-WebSocket-Version", b"8")) == 400
        assert opened((b"Sec-WebSocket-Key", b"x"), (b"Sec-WebSocket-Version", b"8")) == 400


class TestSection421Item7Origin:
    """An Origin, which browsers send."""

    def test_none(self) -> None:
        assert accepted().origin is None

    @pytest.mark.parametrize("origin", [b"null", b"http://example.com", b"\xe9", b"HTTPS://A:1"])
    def test_asReceived(self, origin: bytes) -> None:
        assert accepted((b"origin", origin)).origin == origin.decode("latin-1")

    def test_empty(self) -> None:
        assert accepted((b"Origin", b"")).origin == ""

    def test_two(self) -> None:
        assert opened(KEYED, VERSION, (b"Origin", b"http://a"), (b"Origin", b"http://a")) == 400

    def test_theOldFieldOfVersion8IsAnother(self) -> None:
        assert accepted((b"Sec-WebSocket-Origin", b"http://a")).origin is None


class TestSection421Item8Subprotocols:
    """Tokens, each of them once: those that the client offers, the best first."""

    @staticmethod
    def offer(*values: bytes) -> list[str] | int:
        handshake = opened(KEYED, VERSION, *((PROTOCOL, value) for value in values))
        return handshake.protocols if isinstance(handshake, Handshake) else handshake

    def test_none(self) -> None:
        assert self.offer() == []

    @pytest.mark.parametrize(
        ("values", "protocols"),
        [
            ([b"chat"], ["chat"]),
            ([b"chat, superchat"], ["chat", "superchat"]),
            ([b"b,a"], ["b", "a"]),
            ([b"a \t,\t b"], ["a", "b"]),
            ([b"a", b"b, c"], ["a", "b", "c"]),
            ([b"Chat, chat"], ["Chat", "chat"]),
            ([b"!#$%&'*+-.^_`|~09azAZ"], ["!#$%&'*+-.^_`|~09azAZ"]),
            ([b"v10.stomp,v11.stomp"], ["v10.stomp", "v11.stomp"]),
        ],
    )
    def test_inOrder(self, values: list[bytes], protocols: list[str]) -> None:
        assert self.offer(*values) == protocols

    @pytest.mark.parametrize("values", [[b"a,a"], [b"a, b,a"], [b"a", b"a"], [b"a,b", b"b"]])
    def test_duplicates(self, values: list[bytes]) -> None:
        assert self.offer(*values) == 400

    # Section 4.1, item 10: "the elements that comprise this value MUST be non-empty strings".
    @pytest.mark.parametrize("values", [[b""], [b","], [b"a,"], [b",a"], [b"a,,b"], [b"a, ,b"], [b"a", b""]])
    def test_emptyMembers(self, values: list[bytes]) -> None:
        assert self.offer(*values) == 400

    @pytest.mark.parametrize("octet", [c for c in b'\t "(),/:;<=>?@[\\]{}\x80\xa0\xe9\xff' if c != 0x2C])
    def test_noTokens(self, octet: int) -> None:
        assert self.offer(b"a%cb" % octet) == 400
        assert self.offer(b"x, a%cb" % octet) == 400

    @pytest.mark.parametrize("octet", b"\0\n\v\f\r\x1f\x7f")
    def test_controlsAreNoWhiteSpace(self, octet: int) -> None:
        # No wire lets these through; but what strips without being told strips some of them.
        for value in (b"%ca", b"a%c", b"a,%cb", b"a%c,b"):
            head = Head(1, "GET", b"/", "1.1", [KEYED, VERSION, (PROTOCOL, value % octet)], b"a")
            assert attempt(head) == 400

    def test_manyOfThem(self) -> None:
        names = [f"p{number}" for number in range(6000)]
        assert self.offer(", ".join(names).encode()) == names


class TestSection91Extensions:
    """``name; parameter; parameter=value; parameter="value"``, and commas between several."""

    @staticmethod
    def offer(*values: bytes) -> list[tuple[str, Parameters]] | int:
        handshake = opened(KEYED, VERSION, *((EXTENSIONS, value) for value in values))
        return handshake.extensions if isinstance(handshake, Handshake) else handshake

    @pytest.mark.parametrize(
        ("value", "extensions"),
        [
            (b"foo", [("foo", {})]),
            (b"Foo; BAR=Baz", [("foo", {"bar": ["Baz"]})]),
            (b"foo, bar; baz=2", [("foo", {}), ("bar", {"baz": ["2"]})]),
            (b"deflate-stream", [("deflate-stream", {})]),
            (b"mux; max-channels=4; flow-control, d-s", [
                ("mux", {"max-channels": ["4"], "flow-control": [True]}), ("d-s", {})]),
            (b'private; a="b"', [("private", {"a": ["b"]})]),
            (b'x \t;\ta \t=\t"b" ; c\t= d ', [("x", {"a": ["b"], "c": ["d"]})]),
            (b"x;a;a;a=1;a=2;A=3", [("x", {"a": [True, True, "1", "2", "3"]})]),
            (b"x;a=1,x;a=2,x", [("x", {"a": ["1"]}), ("x", {"a": ["2"]}), ("x", {})]),
            (b"permessage-deflate; client_max_window_bits; server_no_context_takeover=10", [
                ("permessage-deflate",
                 {"client_max_window_bits": [True], "server_no_context_takeover": ["10"]})]),
            (b"!#$%&'*+-.^_`|~;!#$%&'*+-.^_`|~=!#$%&'*+-.^_`|~", [
                ("!#$%&'*+-.^_`|~", {"!#$%&'*+-.^_`|~": ["!#$%&'*+-.^_`|~"]})]),
        ],
    )  # fmt: skip
    def test_grammar(self, value: bytes, extensions: list[tuple[str, Parameters]]) -> None:
        assert self.offer(value) == extensions

    @pytest.mark.parametrize("value", [b"", b",", b" , ,\t,", b",a", b"a,", b",a,,", b", ,a , \t"])
    def test_emptyMembersDoNotCount(self, value: bytes) -> None:
        # RFC 9110 section 5.6.1.2.
        assert self.offer(value) == ([("a", {})] if b"a" in value else [])

    def test_severalFieldsAreOneList(self) -> None:
        assert self.offer(b"a; b", b"", b"c, a") == [("a", {"b": [True]}), ("c", {}), ("a", {})]
        assert self.offer(b"a;", b"b") == 400
        assert self.offer(b'a; b="c', b'd"') == 400

    @pytest.mark.parametrize(
        "value",
        [
            b";", b"; a", b"a;", b"a;;b", b"a; ;b", b"a; b;", b"a; b,;", b"a;,b",
            b"=", b"a=b", b'a="b"', b"=b", b"a; =b", b"a; b=", b"a; b= ,c", b"a; b==c", b"a; b=c=d",
            b'"a"', b'a; "b"', b'a; "b"=c', b'a; b="', b'a; b="c', b'a; b=c"', b'a; b=""', b'a; b="c" d',
            b'a; b="c"d', b'a; b="c d"', b'a; b="c,d"', b'a; b="c;d"', b'a; b=" c"', b"a; b='c d'",
            b"a b", b"a\tb", b"a; b c", b"a; b=c d", b"a/b", b"a:b", b"(a)", b"a; b=c/d", b"a; b=<c>", b"@",
            b"\xe9", b"a; \xe9", b"a; b=\xe9", b'a; b="\xe9"', b"a\xa0", b"\x85a", b"a;\xa0b",
        ],
    )  # fmt: skip
    def test_malformed(self, value: bytes) -> None:
        assert self.offer(value) == 400
        assert self.offer(b"x; y, " + value) == 400
        assert self.offer(value + b", x; y=z") == 400

    def test_quotedPairs(self) -> None:
        # "The value after quoted-string unescaping MUST conform to the 'token' ABNF."
        assert self.offer(rb'a; b="\1\0"') == [("a", {"b": ["10"]})]
        assert self.offer(rb'a; b="c\de"; f, g') == [("a", {"b": ["cde"], "f": [True]}), ("g", {})]

    @pytest.mark.parametrize(
        "quoted",
        [b'\\"', b"\\\\", b"\\,", b"c\\ d", b"c\\;", b"c\\", b"\\", b"c\\\\", b"\\\xe9", b"\\\t"],
    )
    def test_quotedPairsThatAreNoToken(self, quoted: bytes) -> None:
        assert self.offer(b'a; b="%b"' % quoted) == 400
        assert self.offer(b'a; b="%b", c="d"' % quoted) == 400


class TestSection422Acceptance:
    def test_theSample(self) -> None:
        assert acceptance(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    def test_anotherSample(self) -> None:
        # From the handshake that Wikipedia's article on WebSocket shows.
        assert acceptance(b"x3JJHMbDL1EzLkh9GBhXDw==") == b"HSmrc0sMlYUkAGmm5OPpG2HaGWk="

    def test_theKeyIsTakenAsItStands(self) -> None:
        assert acceptance(KEY.lower()) != acceptance(KEY)


class TestSection5OfRfc8441:
    """Over HTTP/2: an extended CONNECT, with no key and no Upgrade."""

    @staticmethod
    def head(*fields: tuple[bytes, bytes]) -> Head:
        return Head(1, "CONNECT", b"/chat", "2", list(fields), b"server.example.com", None, True)

    def test_theSample(self) -> None:
        handshake = readHandshake(
            self.head(
                (b"sec-websocket-protocol", b"chat, superchat"),
                (b"sec-websocket-extensions", b"permessage-deflate"),
                (b"sec-websocket-version", b"13"),
                (b"origin", b"http://www.example.com"),
            )
        )
        assert handshake == Handshake(
            b"", "http://www.example.com", ["chat", "superchat"], [("permessage-deflate", {})]
        )

    @pytest.mark.parametrize("length", [None, 0, 5])
    def test_theContentIsTheWebSocket(self, length: int | None) -> None:
        head = self.head(VERSION)
        head.contentLength = length
        assert readHandshake(head) == Handshake(b"", None, [], [])

    @pytest.mark.parametrize("keys", [[KEY], [b"x"], [KEY, KEY]])
    def test_aKeyMeansNothing(self, keys: list[bytes]) -> None:
        handshake = readHandshake(self.head(VERSION, *((b"sec-websocket-key", key) for key in keys)))
        assert handshake.key == b""

    def test_anotherVersion(self) -> None:
        with pytest.raises(VersionRefused) as caught:
            readHandshake(self.head((b"sec-websocket-version", b"8")))
        assert (caught.value.status, caught.value.fields) == (426, [(b"Sec-WebSocket-Version", b"13")])

    @pytest.mark.parametrize(
        "fields",
        [
            [],
            [VERSION, VERSION],
            [(b"sec-websocket-version", b"x")],
            [VERSION, (b"origin", b"a"), (b"origin", b"b")],
            [VERSION, (b"sec-websocket-protocol", b"a,a")],
            [VERSION, (b"sec-websocket-extensions", b";")],
        ],
    )
    def test_refused(self, fields: Fields) -> None:
        assert attempt(self.head(*fields)) == 400


class TestSection102Origins:
    """Which pages may open a WebSocket here."""

    @pytest.mark.parametrize(
        ("origin", "authority"),
        [
            ("http://example.com", b"example.com"),
            ("https://example.com", b"example.com"),
            ("HTTP://Example.COM", b"eXample.com"),
            ("http://example.com", b"example.com:80"),
            ("http://example.com:80", b"example.com"),
            ("https://example.com", b"example.com:443"),
            ("https://example.com:443", b"example.com"),
            ("http://example.com", b"example.com:"),
            ("http://example.com:", b"example.com"),
            ("http://example.com:0080", b"example.com"),
            ("http://example.com:8080", b"example.com:8080"),
            ("https://example.com:8443", b"example.com:8443"),
            ("http://example.com.", b"example.com."),
            ("http://localhost:3000", b"localhost:3000"),
            ("http://127.0.0.1:1", b"127.0.0.1:1"),
            ("http://[::1]", b"[::1]"),
            ("http://[::1]", b"[::1]:80"),
            ("http://[::1]:8080", b"[::1]:8080"),
            ("http://[2001:DB8::1]", b"[2001:db8::1]"),
            ("http://xn--bcher-kva.example", b"xn--bcher-kva.example"),
        ],
    )
    def test_theHostThatWasAsked(self, origin: str, authority: bytes) -> None:
        assert isOriginAllowed(origin, authority, None)
        assert isOriginAllowed(origin, authority, ["*"])
        assert not isOriginAllowed(origin, authority, [])

    @pytest.mark.parametrize(
        ("origin", "authority"),
        [
            ("null", b"null"),
            ("", b"example.com"),
            ("example.com", b"example.com"),
            ("//example.com", b"example.com"),
            ("http:example.com", b"example.com"),
            ("http://", b"example.com"),
            ("http://evil.example", b"example"),
            ("http://example", b"evil.example"),
            ("http://example.com.evil.example", b"example.com"),
            ("http://evilexample.com", b"example.com"),
            ("http://example.com:8080", b"example.com"),
            ("http://example.com", b"example.com:8080"),
            ("http://example.com:443", b"example.com"),
            ("https://example.com:80", b"example.com"),
            ("https://example.com", b"example.com:80"),
            ("http://example.com:65616", b"example.com"),  # 80 and 65536
            ("http://example.com.", b"example.com"),
            ("http://example.com", b"example.com."),
            ("http://example.com/", b"example.com"),
            ("http://example.com/path", b"example.com"),
            ("http://example.com?", b"example.com"),
            ("http://example.com#", b"example.com"),
            ("http://example.com\\", b"example.com"),
            ("http://user@example.com", b"example.com"),
            ("http://example.com@evil.example", b"example.com"),
            ("http://example.com:80@evil.example", b"example.com"),
            ("http://example.com http://evil.example", b"example.com"),
            ("http://evil.example http://example.com", b"example.com"),
            ("http://example.com, http://evil.example", b"example.com"),
            ("http://example.com ", b"example.com"),
            (" http://example.com", b"example.com"),
            ("http://example.com\n", b"example.com"),
            ("http://[::1", b"[::1]"),
            ("http://::1", b"[::1]"),
            ("http://[::2]", b"[::1]"),
            ("http://[::1]:81", b"[::1]"),
            ("http://[::1]80", b"[::1]"),
            ("http://b\xfccher.example", b"xn--bcher-kva.example"),
            ("http://b\xc3\xbccher.example", b"b\xc3\xbccher.example"),
            ("http://*", b"example.com"),
            ("*", b"example.com"),
            ("http://a", b""),
        ],
    )
    def test_anotherHost(self, origin: str, authority: bytes) -> None:
        assert not isOriginAllowed(origin, authority, None)
        assert isOriginAllowed(origin, authority, ["*"])

    @pytest.mark.parametrize(
        ("origin", "authority"),
        [("http://example.com", b"example.com:0"), ("https://example.com:00", b"example.com:443")],
    )
    def test_port0IsAPort(self, origin: str, authority: bytes) -> None:
        assert not isOriginAllowed(origin, authority, None)

    def test_noBrowser(self) -> None:
        assert isOriginAllowed(None, b"example.com", None)
        assert isOriginAllowed(None, b"example.com", ["*"])
        assert not isOriginAllowed(None, b"example.com", [])
        assert not isOriginAllowed(None, b"example.com", ["http://example.com"])

    @pytest.mark.parametrize(
        ("origin", "isAllowed"),
        [
            ("https://a.example", True),
            ("HTTPS://A.Example", True),
            ("http://b.example:8080", True),
            ("null", True),
            ("http://a.example", False),
            ("https://a.example:444", False),
            ("https://a.example.evil.example", False),
            ("https://a.exampl", False),
            ("http://b.example", False),
            ("http://own.example", False),
            ("", False),
        ],
    )
    def test_aList(self, origin: str, isAllowed: bool) -> None:
        allowed = ("https://A.example", "http://b.example:8080", "null")
        assert isOriginAllowed(origin, b"own.example", allowed) is isAllowed

    def test_aStarAmongOthers(self) -> None:
        assert isOriginAllowed("http://evil.example", b"a", ["http://a", "*"])
        assert isOriginAllowed(None, b"a", ["http://a", "*"])
        assert not isOriginAllowed("http://evil.example", b"a", ["http://*", "**", "*.example"])


NAMES = [KEYED[0], VERSION[0], PROTOCOL, EXTENSIONS.upper(), b"origin", b"Host", b"Upgrade"]
PIECES = [b"a", b"13", KEY, b",", b";", b"=", b'"', b" ", b"\t", b"\\", b"a; b=c", b"\xe9", b"\x85", b"8"]
values = st.one_of(
    st.sampled_from(PIECES), st.binary(max_size=8), st.lists(st.sampled_from(PIECES)).map(b"".join)
)
fieldLists = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=8)


@given(fieldLists, st.sampled_from(["GET", "POST", "CONNECT"]), st.sampled_from(["1.1", "2"]), st.booleans())
@example([(EXTENSIONS, b'a; b="c", d'), (PROTOCOL, b"a")], "GET", "1.1", True)
@example([(EXTENSIONS, b"a;"), (PROTOCOL, b"a")], "CONNECT", "2", True)
def test_anyFieldsAreAHandshakeOrAnHttpError(fields: Fields, method: str, version: str, good: bool) -> None:
    everything = [KEYED, VERSION, *fields] if good else fields
    result = attempt(Head(1, method, b"/", version, everything, b"a", 0, True))
    if isinstance(result, Handshake):
        assert [value for name, value in everything if name == VERSION[0]] == [b"13"]
        assert (result.key == b"") == (version == "2")
        assert len(set(result.protocols)) == len(result.protocols)
    else:
        assert result in {400, 426}


TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
tokens = st.text(TCHAR, min_size=1, max_size=6)
parameters = st.dictionaries(tokens.map(str.lower), st.lists(st.just(True) | tokens, min_size=1, max_size=3))
extensions = st.lists(st.tuples(tokens.map(str.lower), parameters), max_size=3)
blanks = st.text(" \t", max_size=3)


@given(extensions, st.lists(tokens, unique=True, max_size=4), st.data())
def test_whatIsSaidIsRead(
    offered: list[tuple[str, Parameters]], protocols: list[str], data: st.DataObject
) -> None:
    fields = [KEYED, VERSION]
    for name, given_ in offered:
        parts = [name.upper()]
        for key, found in given_.items():
            parts += [key if value is True else _assigned(key, str(value), data) for value in found]
        value = "".join(data.draw(blanks) + part + data.draw(blanks) + ";" for part in parts)[:-1]
        fields.append((EXTENSIONS, value.encode()))
    fields += [(PROTOCOL, (data.draw(blanks) + name + data.draw(blanks)).encode()) for name in protocols]
    assert readHandshake(Head(1, "GET", b"/", "1.1", fields, b"a")) == Handshake(
        KEY, None, protocols, offered
    )


def _assigned(key: str, value: str, data: st.DataObject) -> str:
    quote = data.draw(st.sampled_from(["", '"']))
    return f"{key}{data.draw(blanks)}={data.draw(blanks)}{quote}{value}{quote}"


ORIGIN_PIECES = [
    "http", "https", "HTTP", "://", "http://", "a", "b", "a.b", ".", ":", "80", "443", "8", "[::1]", "[", "]",
    "@", "/", "?", "#", " ", ",", "null", "\xe9", "%61",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(ORIGIN_PIECES), max_size=6).map("".join),
    st.sampled_from(["a", "a:80", "a:443", "a:8", "[::1]", "[::1]:8", "a.b:"]),
)
@example("http://a:80", "a")
@example("https://[::1]:8", "[::1]:8")
def test_whatIsAllowedIsTheSameHostToAnybody(origin: str, authority: str) -> None:
    if isOriginAllowed(origin, authority.encode(), None):
        page, asked = urlsplit(origin), urlsplit("//" + authority)
        default = {"http": 80, "https": 443}.get(page.scheme)
        assert page.hostname == asked.hostname
        assert (page.port or default) == (asked.port or default)
        assert page.username is None
        assert page.path == page.query == page.fragment == ""


@pytest.mark.parametrize(
    "unit",
    [
        b"a", b" ", b"\t", b",", b";", b"=", b'"', b"\\", b"a ", b"a,", b"a;", b"a=", b" =", b"a;b=c,",
        b'a;b="c";', b'"a', b"\\a", b"; ", b" ,", b"://", b"a:", b"a.", b"%61", b"[", b"0", b"+",
    ],
)  # fmt: skip
def test_noValueTakesLong(unit: bytes) -> None:
    """A pattern that goes back and forth over 64 KiB would take minutes, not milliseconds."""
    for start in (b"", b"a;b=", b'a;b="', b"http://"):
        for end in (b"", b"!", b"\x80"):
            value = start + unit * (HUGE // len(unit)) + end
            began = process_time()
            for name in (EXTENSIONS, PROTOCOL, b"Origin"):
                attempt(Head(1, "GET", b"/", "1.1", [KEYED, VERSION, (name, value)], b"a"))
            for name in (KEYED[0], VERSION[0]):
                assert attempt(Head(1, "GET", b"/", "1.1", [(name, value)], b"a")) == 400
            isOriginAllowed(value.decode("latin-1"), b"a", None)
            isOriginAllowed("http://a", value, None)
            assert process_time() - began < 2
