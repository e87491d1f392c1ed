"""What is remembered of HPACK (RFC 7541) is what hpack would say now, octet for octet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hpack import Decoder, Encoder, HeaderTuple, HPACKError, NeverIndexedHeaderTuple
from hpack.hpack import encode_integer
from hpack.table import HeaderTable
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from txabstracthttp.wire.hpackmemory import (
    LARGEST,
    MOST,
    MOST_FIELDS,
    RememberingDecoder,
    RememberingEncoder,
)

harder = effort(max_examples=max(300, effort().max_examples))

NAMES = [b":status", b":path", b"server", b"date", b"x", b"cookie"]
#: Of the static table, short, too large to be remembered, and larger than the whole table.
VALUES = [b"200", b"404", b"/", b"", b"a", b"b", b"y" * 100, b"z" * 700, b"w" * 4200]
SIZES = [0, 0, 40, 100, 200, 4096, 4096, 5000]

Section = Sequence[Any]
Step = tuple[str, Any]

pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES))
#: Nothing of these is ever put in a table.
hidden = pairs.map(lambda pair: NeverIndexedHeaderTuple(*pair))
kinds = st.one_of(
    pairs, pairs.map(lambda pair: HeaderTuple(*pair)), hidden, pairs.map(lambda pair: (*pair, True))
)


@st.composite
def stories(
    draw: Callable[..., Any], fields: st.SearchStrategy[Any], others: st.SearchStrategy[Step]
) -> list[Step]:
    """Sections that come again, and other things between them."""
    pool = draw(st.lists(st.lists(fields, max_size=4), min_size=1, max_size=3))
    section = st.tuples(st.just("section"), st.sampled_from(pool))
    story: list[Step] = draw(st.lists(st.one_of(section, section, section, others), min_size=2, max_size=16))
    return story


#: These are equal, but for what they mean.
PLAIN, HIDDEN = [(b"x", b"y")], [NeverIndexedHeaderTuple(b"x", b"y")]
sizes = st.tuples(st.just("size"), st.sampled_from(SIZES))


def stateOf(table: HeaderTable) -> tuple[Any, ...]:
    return list(table.dynamic_entries), table.maxsize, table._current_size, table.resized


def assertBounds(memory: Any, sizeOf: Callable[[Any, Any], int]) -> None:
    assert len(memory) <= MOST
    assert all(sizeOf(key, value) <= LARGEST for key, value in memory.items())


class Encoders:
    """Ours and hpack's, which are told the same."""

    def __init__(self, huffman: bool = True) -> None:
        self.ours, self.theirs = RememberingEncoder(huffman), Encoder()
        self._huffman = huffman

    def section(self, fields: Section) -> bytes:
        """What both say."""
        said = self.ours.encode(list(fields))
        assert said == self.theirs.encode(list(fields), huffman=self._huffman)
        self.assertSameState()
        assertBounds(self.ours._memory, lambda _, octets: len(octets))
        return said

    def size(self, size: int) -> None:
        """As a peer's SETTINGS have it, without any care."""
        for encoder in (self.ours, self.theirs):
            encoder.header_table_size = size
        self.assertSameState()

    def carefully(self, size: int) -> None:
        """So that it is said in any case (section 4.2): see `h2connection.Connection`."""
        for encoder in (self.ours, self.theirs):
            encoder.header_table_size = size
            if changes := encoder.table_size_changes:
                encoder.table_size_changes = sorted({min(changes), size})
                encoder.header_table.resized = True
        self.assertSameState()

    def assertSameState(self) -> None:
        assert stateOf(self.ours.header_table) == stateOf(self.theirs.header_table)
        assert self.ours.table_size_changes == self.theirs.table_size_changes


class TestEncoder:
    @harder
    @given(stories(pairs, sizes), st.booleans())
    def test_sameOctets(self, story: list[Step], huffman: bool) -> None:
        """And somebody who has heard all of it knows what was meant."""
        encoders, decoder = Encoders(huffman), Decoder(2**20)
        decoder.max_allowed_table_size = max(SIZES)
        for kind, what in story:
            if kind == "size":
                encoders.carefully(what)
            else:
                assert list(decoder.decode(encoders.section(what), raw=True)) == what

    @harder
    @given(stories(pairs, sizes))
    @example([("section", PLAIN), ("section", PLAIN), ("size", 0), ("size", 0), ("section", PLAIN)])
    def test_sizesWithoutAnyCare(self, story: list[Step]) -> None:
        """hpack forgets to say a size that it is told twice; the octets are the same all the same."""
        encoders = Encoders()
        for kind, what in story:
            encoders.size(what) if kind == "size" else encoders.section(what)

    @pytest.mark.parametrize("sizes", [[0], [0, 4096], [100, 4096], [4096], [40, 40], [5000, 4096], [0, 0]])
    def test_sizesBetweenTheSame(self, sizes: list[int]) -> None:
        for before in (1, 2, 3):
            encoders = Encoders()
            for _ in range(3):
                for _ in range(before):
                    encoders.section([(b":status", b"200"), (b"x", b"y"), (b"date", b"now")])
                for size in sizes:
                    encoders.carefully(size)
            encoders.section([(b":status", b"200"), (b"x", b"y"), (b"date", b"now")])

    def test_whatFitsLater(self) -> None:
        """What is too large for the table leaves an empty one as it is, until there is more room."""
        encoders, decoder = Encoders(), Decoder()
        for size in (0, 4096, 40, 4096, 0, 10, 4096):
            encoders.carefully(size)
            for _ in range(3):
                assert decoder.decode(encoders.section(PLAIN), raw=True) == PLAIN

    def test_evictions(self) -> None:
        """What was said by a place in the table is at another place, or at none, later."""
        encoders = Encoders()
        first, second = [(b"x", b"y")], [(b":status", b"200")]
        for number in range(200):
            for section in (first, second, first, [(b"date", b"%d" % number * 20)], second):
                encoders.section(section)

    def test_whatFailsHalfway(self) -> None:
        encoders = Encoders()
        encoders.section([(b"x", b"y")])
        encoders.section([(b"x", b"y")])
        for encoder in (encoders.ours, encoders.theirs):
            with pytest.raises(UnicodeEncodeError):
                encoder.encode([(b"new", b"z"), ("\ud800", b"")])
        encoders.section([(b"x", b"y")])

    def test_itIsTheFastPathThatIsLookedAt(self) -> None:
        encoder = RememberingEncoder(True)
        section = [(b":status", b"200"), (b"x", b"y")]
        said = [encoder.encode(section) for _ in range(4)]
        assert said[1] is said[2] is said[3]
        assert said[0] != said[1]

    def test_manySections(self) -> None:
        encoders = Encoders()
        for number in range(5 * MOST):
            # Never indexed, so that the table stays as it is.
            encoders.section([(b"x", b"%d" % number, True)])
        assert len(encoders.ours._memory) == MOST

    @pytest.mark.parametrize(("size", "isKept"), [(LARGEST, True), (LARGEST + 1, False)])
    def test_largeSections(self, size: int, isKept: bool) -> None:
        encoders = Encoders(huffman=False)
        field = (b"x", b"y" * (size - 6), True)
        for _ in range(3):
            assert len(encoders.section([field])) == size
        assert bool(encoders.ours._memory) == isKept

    def test_manyFields(self) -> None:
        encoders = Encoders()
        for count in (MOST_FIELDS, MOST_FIELDS + 1):
            encoders.section([(b":status", b"200")] * count)
        assert [len(section) for section in encoders.ours._memory] == [MOST_FIELDS]


def sized(size: int) -> bytes:
    """A change of the table's size (section 6.3)."""
    octets = encode_integer(size, 5)
    octets[0] |= 0x20
    return bytes(octets)


def literal(size: int) -> bytes:
    """A block of so many octets that leaves the table as it is."""
    return Encoder().encode([(b"x", b"y" * (size - 6), True)], huffman=False)


class Decoders:
    """Ours and hpack's, which hear the same.

    :ivar isBroken: the last that they heard was no section.
    """

    def __init__(self) -> None:
        self.ours, self.theirs = RememberingDecoder(), Decoder()
        self.isBroken = False

    def hear(self, block: bytes) -> Any:
        """What both make of it."""
        ours, theirs = (self.outcome(decoder, block) for decoder in (self.ours, self.theirs))
        assert ours == theirs, block
        assert stateOf(self.ours.header_table) == stateOf(self.theirs.header_table)
        assertBounds(self.ours._memory, lambda octets, _: len(octets))
        assert all(len(section) <= MOST_FIELDS for section in self.ours._memory.values())
        return ours

    def outcome(self, decoder: Decoder, block: bytes) -> Any:
        try:
            section = decoder.decode(block, raw=True)
        except HPACKError as error:
            self.isBroken = True
            # Some of what hpack says names an object by where it is.
            return type(error), str(error).partition(" at 0x")[0]
        self.isBroken = False
        return [(type(field), tuple(field), field.indexable) for field in section]


#: Blocks that say something by themselves: places in the tables, literals, sizes, and what is broken.
OCTETS = [
    b"", b"\x82", b"\x88\xbe", b"\xbe", b"\xbf\xbe", b"\xc0", b"\x80", b"\xff\xff\xff\xff\xff\xff",
    b"\xff\x00", b"\x40\x01x\x01y", b"\x40\x01z\x01z\xff\xff\x00", b"\x00\x01x\x01y", b"\x10\x01x\x01y",
    b"\x41\x01a", b"\x7e\x01z", b"\x40\x01x\x05y", b"\x00\x81\xff\x01y", b"\x20", b"\x20\x3f\xe1\x1f",
    b"\x3f\xe1\x1f", b"\x3f\xe2\x1f\xbe", b"\x3f\xe2\x1f", b"\x3f\x45\xbe", b"\x88\x20", b"\x88\x3f\xe1\x1f",
    b"\x40\x01z\x01z\x20", b"\x20\x80", b"\x3f", b"\x5f\x7f\xff\xff", b"\x88" * (LARGEST + 1),
    b"\x40\x7f\xf1\x1e" + b"n" * 4080 + b"\x00",
]  # fmt: skip
blocks = st.tuples(st.just("octets"), st.one_of(st.sampled_from(OCTETS), st.binary(max_size=8)))


class TestDecoder:
    def tell(self, story: list[Step], goOn: bool) -> None:
        decoders, encoder = Decoders(), Encoder()
        for kind, what in story:
            block = what if kind == "octets" else sized(what) if kind == "size" else encoder.encode(what)
            if kind == "size":
                encoder.header_table_size = what
            decoders.hear(block)
            if decoders.isBroken and not goOn:
                break

    @harder
    @given(stories(kinds, st.one_of(sizes, blocks)))
    def test_sameSections(self, story: list[Step]) -> None:
        """As far as somebody listens: what is broken ends a connection (RFC 9113 section 4.3)."""
        self.tell(story, goOn=False)

    @harder
    @given(stories(kinds, st.one_of(sizes, blocks)))
    @example(
        [("octets", each) for each in (b"\x40\x01x\x01y", b"\xbe", b"\x40\x01z\x01z\xff\xff\x00", b"\xbe")]
    )
    def test_behindWhatIsBroken(self, story: list[Step]) -> None:
        self.tell(story, goOn=True)

    @harder
    @given(st.lists(st.one_of(st.sampled_from(OCTETS), st.binary(max_size=6)), max_size=12))
    def test_anyOctets(self, story: list[bytes]) -> None:
        decoders = Decoders()
        for block in [
            block for first, second in pairwise([b"", *story]) for block in (second, first, second)
        ]:
            decoders.hear(block)
            if decoders.isBroken:
                decoders = Decoders()

    @pytest.mark.parametrize("size", [0, 40, 4096])
    @pytest.mark.parametrize("again", [b"", b"\x3f\xe1\x1f"])
    @pytest.mark.parametrize("section", [b"\xbe", b"\x88", b"\xbf\xbe", b"\x00\x01x\x01y"])
    def test_sizesBetweenTheSame(self, size: int, again: bytes, section: bytes) -> None:
        decoders = Decoders()
        for field in (b"\x40\x01x\x01y", b"\x40\x01z\x01" + b"y"):
            decoders.hear(field)
        for block in (
            section,
            section,
            sized(size) + again,
            section,
            sized(size) + again + section,
            section,
            section,
        ):
            decoders.hear(block)

    @pytest.mark.parametrize("size", [0, 10])
    def test_whatFitsLater(self, size: int) -> None:
        """What is too large for the table leaves an empty one as it is, until there is more room."""
        decoders = Decoders()
        field = b"\x40\x01x\x01y"
        for block in (sized(size), field, field, sized(4096), field, b"\xbe", field, b"\xbe"):
            decoders.hear(block)

    def test_theSameFieldOnceMore(self) -> None:
        """The newest may say what the newest said before, in front of others."""
        decoders = Decoders()
        decoders.hear(sized(80) + b"\x40\x01z\x01z\x40\x01x\x01y")
        for block in (b"\xbf", b"\xbf", b"\x40\x01x\x01y", b"\xbf"):
            decoders.hear(block)
        assert decoders.hear(b"\xbf") == decoders.hear(b"\xbe")

    def test_otherSizes(self) -> None:
        decoders = Decoders()
        for size in (4096, 0, 4096):
            for decoder in (decoders.ours, decoders.theirs):
                decoder.header_table_size = size
            for block in (b"\xbe", b"\x40\x01x\x01y", b"\xbe"):
                decoders.hear(block)

    def test_itIsTheFastPathThatIsLookedAt(self) -> None:
        decoder = RememberingDecoder()
        decoder.decode(b"\x40\x01x\x01y", raw=True)
        for block in (b"\x88\xbe", b"\x82", b"\x10\x01x\x01y"):
            assert decoder.decode(block, raw=True) is decoder.decode(block, raw=True)

    def test_manyBlocks(self) -> None:
        decoders = Decoders()
        for number in range(5 * MOST):
            decoders.hear(b"\x00\x01x\x02%02d" % number)
        assert len(decoders.ours._memory) == MOST

    @pytest.mark.parametrize(
        ("block", "isKept"),
        [
            (b"\x88" * MOST_FIELDS, True),
            (b"\x88" * (MOST_FIELDS + 1), False),
            (literal(LARGEST), True),
            (literal(LARGEST + 1), False),
        ],
        ids=["fields", "more fields", "octets", "more octets"],
    )
    def test_largeBlocks(self, block: bytes, isKept: bool) -> None:
        decoders = Decoders()
        decoders.hear(block)
        decoders.hear(block)
        assert not decoders.isBroken
        assert bool(decoders.ours._memory) == isKept
