"""Rows of the checklist about HTTP/2 that no other test holds."""

from __future__ import annotations

import pytest
from connectionhelpers import echoPath, serve
from http2helpers import PREFACE, SETTINGS, frame, serve2

#: What a frame begins with that says it is the largest there can be (RFC 9113 section 4.1).
ENORMOUS = b"\xff\xff\xff"


class TestFrameSize:
    @pytest.mark.parametrize("before", [b"", SETTINGS], ids=["first", "later"])
    @pytest.mark.parametrize(("kind", "streamId"), [(0, 1), (1, 1), (4, 0), (7, 0), (250, 0)])
    def test_itsHeadIsEnough(self, before: bytes, kind: int, streamId: int) -> None:
        """Section 4.2: nobody has to collect 16 MiB to find that they are too many."""
        peer = serve(echoPath)
        peer.send(PREFACE + before + ENORMOUS + bytes([kind, 0, 0, 0, 0, streamId]))
        assert not peer.open

    def test_theLargestThatIsAllowed(self) -> None:
        peer = serve(echoPath)
        peer.send(PREFACE + SETTINGS + frame(250, payload=bytes(16_384)))
        assert peer.open


class TestExpect:
    @pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
    def test_one(self, value: str) -> None:
        answer = serve2(echoPath).got("/x", f"expect: {value}", method="POST", body=b"abcde")
        assert answer.status == 200

    @pytest.mark.parametrize("value", [",", "100-continue,", ", 100-continue", "100-continue, 100-continue"])
    def test_aListAsInHttp1(self, value: str) -> None:
        """RFC 9110 section 5.6.1: empty members do not count; and section 10.1.1, it is a list."""
        answer = serve2(echoPath).got("/x", f"expect: {value}", method="POST", body=b"abcde")
        assert answer.status == 200
