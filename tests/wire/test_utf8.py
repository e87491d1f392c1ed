"""RFC 6455 section 8.1: text that comes in pieces is UTF-8, or fails as soon as it cannot be any more."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from autobahn.websocket.utf8validator import Utf8Validator
from hypothesis import given
from hypothesis import strategies as st
from wirehelpers import cutUp
from wirestrategies import cuts

from txabstracthttp.wire.utf8 import PIECE, Utf8Checker

#: Octets at which the tables of RFC 3629 section 4 change their mind.
EDGES = bytes.fromhex("00417f80 8f909fa0 bfc0c1c2 dfe0e1ec edeeeff0 f1f3f4f5 f7f8fcfe ff")


def verdicts(checker: Utf8Checker | Utf8Validator, pieces: list[bytes]) -> list[tuple[bool, bool, int]]:
    """What is said behind each piece, up to the first that is bad."""
    said = []
    for piece in pieces:
        isGood, isWhole, _, total = checker.validate(piece)
        said.append((isGood, isGood and isWhole, total))
        if not isGood:
            break
    return said


class TestAsAutobahnSays:
    """Its automaton, octet by octet, is the second opinion."""

    def test_everyThreeOfTheEdges(self) -> None:
        for octets in map(bytes, itertools.product(EDGES, repeat=3)):
            pieces = [octets[i : i + 1] for i in range(3)]
            assert verdicts(Utf8Checker(), pieces) == verdicts(Utf8Validator(), pieces), octets

    @pytest.mark.parametrize("first", [0xF0, 0xF1, 0xF4])
    def test_everyFourthOctet(self, first: int) -> None:
        for rest in itertools.product(EDGES, repeat=3):
            pieces = [bytes((octet,)) for octet in (first, *rest)]
            assert verdicts(Utf8Checker(), pieces) == verdicts(Utf8Validator(), pieces), rest

    @given(
        st.one_of(st.binary(), st.text().map(str.encode), st.lists(st.sampled_from(EDGES)).map(bytes)), cuts
    )
    def test_cutUp(self, octets: bytes, places: list[int]) -> None:
        pieces = cutUp(octets, places)
        assert verdicts(Utf8Checker(), pieces) == verdicts(Utf8Validator(), pieces)


class TestWhatItSays:
    def test_aCharacterInTwoPieces(self) -> None:
        checker = Utf8Checker()
        assert checker.validate(b"a\xc3") == (True, False, 2, 2)
        assert checker.validate(b"\xa4b") == (True, True, 2, 4)

    def test_whereItIsBad(self) -> None:
        checker = Utf8Checker()
        checker.validate(b"abc")
        assert checker.validate(b"de\xff") == (False, False, 2, 5)

    def test_badForEver(self) -> None:
        """It is said once, as Autobahn's native one does, and nothing that follows makes it whole."""
        checker = Utf8Checker()
        assert checker.validate(b"a\xff")[:2] == (False, False)
        for more in (b"b", b"", b"\xff", b"c"):
            assert checker.validate(more)[:2] == (True, False)

    def test_anotherText(self) -> None:
        """What was left of the one before is no part of it."""
        checker = Utf8Checker()
        checker.validate(b"\xe2\x82")
        checker.reset()
        assert checker.validate(b"a") == (True, True, 1, 1)

    @pytest.mark.parametrize("place", [PIECE - 2, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE - 1])
    def test_longOnes(self, place: int) -> None:
        """Nothing is special about where it is divided for itself."""
        good = b"a" * place + "€".encode() + b"a" * PIECE
        assert Utf8Checker().validate(good) == (True, True, len(good), len(good))
        bad = b"a" * place + b"\xe2\x82" + b"a" * PIECE
        assert Utf8Checker().validate(bad)[0] is False

    def test_whatItTakes(self) -> None:
        """An inflated message may be large: no more of it is decoded at a time than a piece."""
        text = b"a" * (16 * 1024 * 1024)
        checker = Utf8Checker()
        tracemalloc.start()
        try:
            assert checker.validate(text)[:2] == (True, True)
            assert tracemalloc.get_traced_memory()[1] < 8 * PIECE
        finally:
            tracemalloc.stop()
