"""The PROXY protocol, versions 1 and 2, in the order of HAProxy's ``doc/proxy-protocol.txt``.

`read` is the door for nearly every test: it holds the outcome against every way to cut the octets in two, and
against their coming one by one.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from txabstracthttp.wire import proxyheader
from txabstracthttp.wire.proxyheader import (
    Address,
    ProxyError,
    ProxyHeader,
    ProxyHeaderReader,
)

SIGNATURE = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
REST = b"GET / HTTP/1.1\r\n\r\n"
#: Section 2.1 has the one, the other is our choice.
LINE_LIMIT, BLOCK_LIMIT = 107, 4096
#: The most that a reader may keep: a whole header of version 2.
BOUND = 16 + BLOCK_LIMIT

REFUSED, INCOMPLETE = "refused", "incomplete"
#: What comes of some octets: a header, or one of these words.
Outcome = ProxyHeader | str


def feed(pieces: list[bytes]) -> Outcome:
    """Give them to one reader, one after the other; what comes after the header is its rest."""
    reader = ProxyHeaderReader()
    for number, piece in enumerate(pieces):
        try:
            header = reader.receive(piece)
        except ProxyError:
            with pytest.raises(ProxyError):
                reader.receive(b"PROXY UNKNOWN\r\n")
            return REFUSED
        finally:
            assert len(reader._received) <= BOUND
        if header is not None:
            return header._replace(rest=header.rest + b"".join(pieces[number + 1 :]))
    return INCOMPLETE


def read(octets: bytes) -> Outcome:
    """What comes of `octets`, whole and in pieces."""
    outcome = feed([octets])
    assert feed([octets[i : i + 1] for i in range(len(octets))]) == outcome
    for cut in range(0, len(octets) + 1, max(1, len(octets) // 500)):
        assert feed([octets[:cut], octets[cut:]]) == outcome, cut
    return outcome


def refusedAt(octets: bytes) -> int:
    """How many of them, coming one by one, are taken before they are refused."""
    reader = ProxyHeaderReader()
    for number in range(len(octets)):
        try:
            assert reader.receive(octets[number : number + 1]) is None
        except ProxyError:
            return number + 1
    raise AssertionError("not refused")


def line(text: str, rest: bytes = b"") -> bytes:
    return text.encode("latin-1") + b"\r\n" + rest


def block(addresses: bytes, family: int = 0x11, command: int = 0x21, length: int | None = None) -> bytes:
    size = len(addresses) if length is None else length
    return SIGNATURE + bytes((command, family)) + size.to_bytes(2) + addresses


def vector(kind: int, value: bytes, length: int | None = None) -> bytes:
    return bytes((kind,)) + (len(value) if length is None else length).to_bytes(2) + value


def crc32c(data: bytes) -> int:
    """Bit by bit, as RFC 9260 appendix A defines it."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def summed(addresses: bytes, family: int = 0x11, before: bytes = b"", after: bytes = b"") -> bytes:
    """A block with its checksum between other vectors."""
    empty = block(addresses + before + vector(3, bytes(4)) + after, family)
    place = 16 + len(addresses) + len(before) + 3
    return empty[:place] + crc32c(empty).to_bytes(4) + empty[place + 4 :]


def ipOf(outcome: Outcome) -> tuple[Address | None, Address | None]:
    assert isinstance(outcome, ProxyHeader)
    return outcome.source, outcome.destination


INET = bytes((192, 168, 0, 1, 192, 168, 0, 11)) + (56324).to_bytes(2) + (443).to_bytes(2)
INET6 = (
    IPv6Address("2001:db8::1").packed
    + IPv6Address("2001:db8::2").packed
    + (1).to_bytes(2)
    + (65535).to_bytes(2)
)
PEER, HOST = ("192.168.0.1", 56324), ("192.168.0.11", 443)


class TestVersion1:
    """Section 2.1."""

    def test_theExampleOfTheSpecification(self) -> None:
        octets = (
            b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n"
        )
        assert read(octets) == ProxyHeader(PEER, HOST, b"GET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n")

    @pytest.mark.parametrize(
        ("text", "source", "destination"),
        [
            ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535", ("0.0.0.0", 0), ("255.255.255.255", 65535)),
            ("PROXY TCP6 ::1 2001:DB8::2 1 2", ("::1", 1), ("2001:db8::2", 2)),
            ("PROXY TCP6 :: 1:2:3:4:5:6:7:8 10 20", ("::", 10), ("1:2:3:4:5:6:7:8", 20)),
            (
                "PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0001 ::f 1 2",
                ("2001:db8::1", 1),
                ("::f", 2),
            ),
        ],
    )
    def test_addresses(self, text: str, source: Address, destination: Address) -> None:
        assert read(line(text, REST)) == ProxyHeader(source, destination, REST)

    @pytest.mark.parametrize(
        ("octets", "size"),
        [
            (line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535"), 56),
            (
                line("PROXY TCP6 " + ":".join(["ffff"] * 8) + " " + ":".join(["ffff"] * 8) + " 65535 65535"),
                104,
            ),
            (line("PROXY UNKNOWN"), 15),
            (
                line(
                    "PROXY UNKNOWN " + ":".join(["ffff"] * 8) + " " + ":".join(["ffff"] * 8) + " 65535 65535"
                ),
                107,
            ),
        ],
    )
    def test_theLongestOfEachKind(self, octets: bytes, size: int) -> None:
        assert len(octets) == size
        assert isinstance(read(octets), ProxyHeader)
        assert isinstance(read(octets + REST), ProxyHeader)

    def test_mappedAddresses(self) -> None:
        # So HAProxy writes the clients of a port of both families.
        source, destination = ipOf(read(line("PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c000:202 1 2")))
        assert isinstance(source, tuple)
        assert isinstance(destination, tuple)
        assert IPv6Address(source[0]).ipv4_mapped == IPv4Address("192.0.2.1")
        assert IPv6Address(destination[0]).ipv4_mapped == IPv4Address("192.0.2.2")

    @pytest.mark.parametrize(
        "text",
        [
            "PROXY UNKNOWN",
            "PROXY UNKNOWN ",
            "PROXY UNKNOWN ::1 ::2 1 2",
            "PROXY UNKNOWN anything \0\xff at all",
            "PROXY UNKNOWN  two spaces",
            "PROXY UNKNOWN " + "x" * (LINE_LIMIT - 16),
        ],
    )
    def test_unknown(self, text: str) -> None:
        """The rest of the line is ignored."""
        assert read(line(text, REST)) == ProxyHeader(None, None, REST)

    @pytest.mark.parametrize(
        "text",
        [
            # The words.
            "proxy TCP4 192.0.2.1 192.0.2.2 1 2",
            "PROXY tcp4 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP5 192.0.2.1 192.0.2.2 1 2",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2",
            "PROXY UNKNOWNS",
            "PROXY UNKNOWN\t1",
            "PROXYUNKNOWN",
            "PROXY",
            "PROXY ",
            # One space, no more and no other.
            " PROXY TCP4 192.0.2.1 192.0.2.2 1 2",
            "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP4  192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1  192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2  1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1  2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ",
            "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP4\xa0192.0.2.1 192.0.2.2 1 2",
            # Too few, too many.
            "PROXY TCP4",
            "PROXY TCP4 192.0.2.1",
            "PROXY TCP4 192.0.2.1 192.0.2.2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3",
            # Addresses.
            "PROXY TCP4 192.0.2 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1.1 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.256 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1 192.0.02.2 1 2",
            "PROXY TCP4 192..2.1 192.0.2.2 1 2",
            "PROXY TCP4 0xc0.0.2.1 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.\xb2 192.0.2.2 1 2",
            "PROXY TCP4 3221225985 192.0.2.2 1 2",
            "PROXY TCP4 localhost 192.0.2.2 1 2",
            "PROXY TCP4 ::1 ::2 1 2",
            "PROXY TCP4 192.0.2.1 ::2 1 2",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP6 ::1 192.0.2.2 1 2",
            "PROXY TCP6 1::2::3 ::2 1 2",
            "PROXY TCP6 1:2:3:4:5:6:7 ::2 1 2",
            "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::2 1 2",
            "PROXY TCP6 12345::1 ::2 1 2",
            "PROXY TCP6 fe80::1%eth0 ::2 1 2",
            "PROXY TCP6 [::1] ::2 1 2",
            "PROXY TCP6 ::ffff:1.2.3.256 ::2 1 2",
            "PROXY TCP6 ::g ::2 1 2",
            "PROXY TCP6 ::1/64 ::2 1 2",
            # Ports.
            "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536",
            "PROXY TCP4 192.0.2.1 192.0.2.2 100000 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 00 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1_0 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 0x1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1.0 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 \xb2 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 http 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\0",
        ],
    )
    def test_malformed(self, text: str) -> None:
        assert read(line(text, REST)) == REFUSED

    @pytest.mark.parametrize("digits", ["\N{ARABIC-INDIC DIGIT ONE}", "\N{FULLWIDTH DIGIT ONE}"])
    def test_unicodeDigits(self, digits: str) -> None:
        assert read(f"PROXY TCP4 192.0.2.1 192.0.2.2 {digits} 2\r\n".encode()) == REFUSED

    @pytest.mark.parametrize("kind", ["UNKNOWN", "UNKNOWN ::1", "TCP4 192.0.2.1 192.0.2.2 1 2"])
    @pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\rx\r\n", b"\0\n"])
    def test_otherLineEnds(self, kind: str, end: bytes) -> None:
        """Not a single CR or LF."""
        assert read(b"PROXY " + kind.encode() + end + REST) == REFUSED

    def test_tooLong(self) -> None:
        assert refusedAt(b"PROXY UNKNOWN " + b"x" * 1000) == LINE_LIMIT
        assert read(line("PROXY UNKNOWN " + "x" * (LINE_LIMIT - 15))) == REFUSED

    @pytest.mark.parametrize(
        ("octets", "place"),
        [
            (b"PX", 2),
            (b"PROXY\r", 6),
            (b"PROXY T4", 8),
            (b"PROXY TCP4 1:", 13),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 +", 32),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 01", 33),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 123456", 37),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", 35),
            (b"PROXY TCP4 1111111111111111", 27),
        ],
    )
    def test_refusedAtTheFirstWrongOctet(self, octets: bytes, place: int) -> None:
        assert refusedAt(octets) == place

    def test_everyBeginningIsIncomplete(self) -> None:
        whole = line("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 56324 0")
        for size in range(len(whole)):
            assert feed([whole[:size]]) == INCOMPLETE


class TestVersion2:
    """Section 2.2."""

    def test_tcpOverIPv4(self) -> None:
        assert read(block(INET) + REST) == ProxyHeader(PEER, HOST, REST)

    def test_tcpOverIPv6(self) -> None:
        expected = ProxyHeader(("2001:db8::1", 1), ("2001:db8::2", 65535), REST)
        assert read(block(INET6, 0x21) + REST) == expected

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            (b"/run/a.sock", b"/run/a.sock"),
            (b"", b""),
            (b"\0abstract", b"\0abstract"),
            (b"\0abs\0tract", b"\0abs\0tract"),
            (b"/a\0garbage", b"/a"),
            (b"x" * 108, b"x" * 108),
        ],
    )
    def test_unixStream(self, name: bytes, path: bytes) -> None:
        octets = name.ljust(108, b"\0")
        assert read(block(octets + b"/b".ljust(108, b"\0"), 0x31) + REST) == ProxyHeader(path, b"/b", REST)

    @pytest.mark.parametrize("family", [0x00, 0x11, 0x21, 0x12, 0x31, 0x44, 0xFF])
    @pytest.mark.parametrize("content", [b"", INET, b"no vectors, no addresses", b"\0" * BLOCK_LIMIT])
    def test_local(self, family: int, content: bytes) -> None:
        """The family is ignored, and the block skipped."""
        assert read(block(content, family, 0x20) + REST) == ProxyHeader(None, None, REST)

    @pytest.mark.parametrize("family", [0x00, 0x01])
    @pytest.mark.parametrize("content", [b"", INET, b"anything"])
    def test_unspecified(self, family: int, content: bytes) -> None:
        """The real endpoints count."""
        assert read(block(content, family) + REST) == ProxyHeader(None, None, REST)

    @pytest.mark.parametrize("command", [0x00, 0x01, 0x10, 0x11, 0x22, 0x2F, 0x31, 0xFF])
    def test_otherVersionsAndCommands(self, command: int) -> None:
        octets = block(INET, command=command)
        assert read(octets) == REFUSED
        assert refusedAt(octets) == 13

    @pytest.mark.parametrize(
        "family", [*range(2, 0x11), 0x12, 0x20, 0x22, 0x23, 0x30, 0x32, 0x41, 0xF1, 0xFF]
    )
    def test_otherFamiliesAndDatagrams(self, family: int) -> None:
        octets = block(INET + bytes(300), family)
        assert read(octets) == REFUSED
        assert refusedAt(octets) == 14

    @pytest.mark.parametrize(("family", "size"), [(0x11, 12), (0x21, 36), (0x31, 216)])
    def test_tooShortForItsAddresses(self, family: int, size: int) -> None:
        octets = block(bytes(size - 1), family)
        assert read(octets + REST) == REFUSED
        assert refusedAt(octets) == 16
        assert isinstance(read(block(bytes(size), family)), ProxyHeader)

    @pytest.mark.parametrize("command", [0x20, 0x21])
    @pytest.mark.parametrize("length", [BLOCK_LIMIT + 1, 0xFFFF])
    def test_tooLong(self, command: int, length: int) -> None:
        assert refusedAt(block(INET, command=command, length=length)) == 16

    def test_theLongest(self) -> None:
        padding = vector(4, bytes(BLOCK_LIMIT - 12 - 3))
        assert ipOf(read(block(INET + padding) + REST)) == (PEER, HOST)

    def test_refusedAtTheFirstWrongOctet(self) -> None:
        for place in range(12):
            octets = bytearray(block(INET))
            octets[place] ^= 0x80
            assert refusedAt(bytes(octets)) == place + 1

    @pytest.mark.parametrize("first", sorted({*range(256)} - {0x0D, ord("P")}))
    def test_neitherVersion(self, first: int) -> None:
        """What begins with anything else is refused at once: TLS, HTTP, whatever."""
        assert refusedAt(bytes((first,)) + REST) == 1

    def test_everyBeginningIsIncomplete(self) -> None:
        whole = block(INET + vector(1, b"h2"))
        for size in range(len(whole)):
            assert feed([whole[:size]]) == INCOMPLETE


class TestVectors:
    """Section 2.2, Type-Length-Value."""

    @pytest.mark.parametrize(
        "vectors",
        [
            vector(1, b"h2"),
            vector(2, "müller.example".encode()) + vector(5, b"u" * 128),
            vector(4, b""),
            vector(4, b"") * 100,
            vector(0x20, b"\x01\0\0\0\0" + vector(0x21, b"TLSv1.3")),
            vector(0x30, b"ns"),
            vector(0xE0, b"custom"),
            vector(0xFF, b"future"),
            vector(0, b""),
        ],
    )
    def test_skipped(self, vectors: bytes) -> None:
        assert read(block(INET + vectors) + REST) == ProxyHeader(PEER, HOST, REST)

    @pytest.mark.parametrize(
        "vectors",
        [
            b"\x04",
            b"\x04\0",
            vector(4, b"", 1),
            vector(4, b"abc", 4),
            vector(4, b"abc", 0xFFFF),
            vector(4, b"") + b"\0",
            vector(1, b"h2") + b"\x02\0",
            b"\x03\0\x04\0\0\0",
        ],
    )
    def test_withoutEnd(self, vectors: bytes) -> None:
        assert read(block(INET + vectors) + REST) == REFUSED
        assert read(block(INET6 + vectors, 0x21) + REST) == REFUSED


class TestChecksum:
    """Section 2.2.3."""

    def test_knownSum(self) -> None:
        """The one that everybody gives for CRC-32C."""
        assert crc32c(b"123456789") == 0xE3069283

    @pytest.mark.parametrize(("family", "addresses"), [(0x11, INET), (0x21, INET6), (0x31, bytes(216))])
    @pytest.mark.parametrize("before", [b"", vector(1, b"h2")])
    @pytest.mark.parametrize("after", [b"", vector(5, b"unique")])
    def test_right(self, family: int, addresses: bytes, before: bytes, after: bytes) -> None:
        octets = summed(addresses, family, before, after)
        outcome = read(octets + REST)
        assert isinstance(outcome, ProxyHeader)
        assert outcome.rest == REST

    def test_thatOfHaproxy(self) -> None:
        """What HAProxy 2.6.12 sent, with checksum, unique ID and TLS information."""
        octets = SIGNATURE + bytes.fromhex(
            "2111002d7f0000017f000001c7e098ed" "0300049c9b71c7"
            "05000f3132372e302e302e313a3531313638" "2000050000000000"
        )  # fmt: skip
        assert read(octets + REST) == ProxyHeader(("127.0.0.1", 51168), ("127.0.0.1", 39149), REST)
        assert read(octets[:-1] + b"\1" + REST) == REFUSED
        # And of its own health checks, whose addresses end nobody knows where:
        own = SIGNATURE + bytes.fromhex("2000000f 03000488 9da1df20 00050000 000000")
        assert read(own + REST) == ProxyHeader(None, None, REST)

    def test_anyOtherBitIsWrong(self) -> None:
        octets = summed(INET, after=vector(1, b"h2"))
        for place in range(16, len(octets)):
            for bit in range(8):
                changed = bytearray(octets)
                changed[place] ^= 1 << bit
                if place == 28:
                    # The type of the vector: then it is no checksum.
                    continue
                assert feed([bytes(changed)]) == REFUSED, (place, bit)

    @pytest.mark.parametrize("value", [b"", b"\0\0\0", b"\0\0\0\0\0"])
    def test_wrongSize(self, value: bytes) -> None:
        assert read(block(INET + vector(3, value))) == REFUSED

    def test_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Even if both were right, which takes some solving of equations."""
        assert read(summed(INET, after=vector(3, bytes(4)))) == REFUSED
        monkeypatch.setattr(proxyheader, "_crc32c", lambda data: 0)
        assert isinstance(read(block(INET + vector(3, bytes(4)))), ProxyHeader)
        assert read(block(INET + vector(3, bytes(4)) * 2)) == REFUSED


# Properties.

ips4 = st.integers(0, 2**32 - 1).map(IPv4Address)
ips6 = st.integers(0, 2**128 - 1).map(IPv6Address)
ports = st.integers(0, 65535)
pairs = st.one_of(st.tuples(ips4, ips4), st.tuples(ips6, ips6))
#: Octets that come near to headers.
near = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=300).map(SIGNATURE.__add__),
    st.binary(max_size=300).map((SIGNATURE + b"\x21\x11\0\x20" + INET).__add__),
    st.text("0123456789.:abcdefPROXY TCP46UNKNOWN\r\n", max_size=120).map(
        lambda text: b"PROXY " + text.encode()
    ),
    st.from_regex(rb"PROXY (TCP4|TCP6|UNKNOWN) [0-9a-f.:]{1,9} [0-9.:]{1,9} [0-9]{1,5} [0-9]{1,5}\r\n"),
)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:stop] for start, stop in pairwise(bounds)]


class TestProperties:
    @given(near, st.lists(st.integers(0, 5000), max_size=8))
    @example(SIGNATURE + b"\x21\x11\xff\xff" + bytes(70000), [16])
    @example(b"", [])
    def test_anyOctets(self, octets: bytes, places: list[int]) -> None:
        """A header, None or a `ProxyError`, however they are cut up, and never over the bound."""
        outcome = feed([octets])
        assert feed(cut(octets, places)) == outcome
        if isinstance(outcome, ProxyHeader):
            assert octets.endswith(outcome.rest)
            head = octets[: len(octets) - len(outcome.rest)]
            assert len(head) <= BOUND
            assert feed([head]) == outcome._replace(rest=b"")
            assert feed([head[:-1]]) == INCOMPLETE

    @given(pairs, ports, ports, st.binary(max_size=50), st.lists(st.integers(0, 200), max_size=8))
    def test_everyAddress(
        self,
        pair: tuple[IPv4Address, IPv4Address] | tuple[IPv6Address, IPv6Address],
        sourcePort: int,
        destinationPort: int,
        rest: bytes,
        places: list[int],
    ) -> None:
        """Both versions say the same of it."""
        source, destination = pair
        number = source.version
        text = f"PROXY TCP{number} {source} {destination} {sourcePort} {destinationPort}"
        addresses = source.packed + destination.packed + sourcePort.to_bytes(2) + destinationPort.to_bytes(2)
        expected = ProxyHeader((str(source), sourcePort), (str(destination), destinationPort), rest)
        for octets in (line(text), block(addresses, 0x11 if number == 4 else 0x21)):
            assert feed(cut(octets + rest, places)) == expected
        assert ip_address(str(source)) == source
