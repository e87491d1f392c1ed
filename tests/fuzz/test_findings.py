"""What fuzzing has found, each in its shortest form."""

from __future__ import annotations

import pytest
from connectionhelpers import capturedFailures
from hpack import Decoder
from http2helpers import Keeper, serve2
from http2wirehelpers import START, Peer, raw, request, reset, settings
from hyperframe.frame import GoAwayFrame, HeadersFrame

from txabstracthttp._events import Head

#: HEADER_TABLE_SIZE (RFC 9113 section 6.5.2).
TABLE = 1
#: DATA that belongs to no stream, which ends the connection (section 6.1).
BROKEN = raw(0, 0, 0, b"x")


class TestTableSize:
    """RFC 7541 section 4.2: what the peer allows is confirmed at the front of the next field block."""

    @pytest.mark.parametrize("sizes", [[0], [100], [0, 0], [4096, 0], [0, 100, 0]])
    def test_smallerIsConfirmed(self, sizes: list[int]) -> None:
        decoder = Decoder()
        decoder.max_allowed_table_size = sizes[-1]
        assert self.readBy(decoder, sizes) == [b"200", b"y", b"0"]

    def test_butNotWhatIsTooLargeByNow(self) -> None:
        decoder = Decoder()
        decoder.max_allowed_table_size = 0
        assert self.readBy(decoder, [100_000, 0]) == [b"200", b"y", b"0"]

    def test_theSmallestInBetween(self) -> None:
        assert self.answerTo([0, 4096]).startswith(b"\x20\x3f\xe1\x1f")

    def readBy(self, decoder: Decoder, sizes: list[int]) -> list[bytes]:
        return [bytes(value) for _, value in decoder.decode(self.answerTo(sizes), raw=True)]

    def answerTo(self, sizes: list[int]) -> bytes:
        """The field block of an answer to somebody who allows these, one after the other."""
        peer = Peer()
        peer.say(START, *(settings({TABLE: size}) for size in sizes), request(1))
        peer.wire.sendResponse(1, 200, [(b"x", b"y")], 0, b"")
        (frame,) = peer.outcome.of(HeadersFrame)
        return bytes(frame.data)


class TestDraining:
    def test_twiceWithAnErrorInBetween(self) -> None:
        peer = Peer()
        peer.say(START, request(1, ends=False))
        peer.wire.drain()
        peer.say(BROKEN)
        assert peer.wire.finished
        peer.wire.drain()
        peer.wire.beLast()

    def test_errorsAreNotLogged(self) -> None:
        """The same, which any peer can have while the server closes."""
        with capturedFailures() as failures:
            peer = serve2(Keeper())
            peer.ask(method="POST", end=False)
            peer.server.close()
            peer.hear()
            peer.replying = False
            peer.conversation.send(BROKEN)
            assert failures == []
            assert not peer.conversation.open

    def test_noRequestIsTakenAndForgotten(self) -> None:
        """Section 6.8: what is not beyond the last stream of GOAWAY may have been worked on."""
        peer = Peer()
        peer.say(START, request(1))
        peer.wire.drain()
        events = peer.say(reset(1) + request(3))
        last = peer.outcome.of(GoAwayFrame)[-1].last_stream_id
        heads = [event.streamId for event in events if isinstance(event, Head)]
        assert heads == [3] or last < 3

    def test_norOneThatComesTogetherWithTheReplyToPing(self) -> None:
        peer = Peer()
        peer.say(START, request(1))
        peer.wire.sendResponse(1, 200, [], 0, b"")
        peer.wire.drain()
        events = peer.say(raw(6, 1, 0, b"draining") + request(3))
        last = peer.outcome.of(GoAwayFrame)[-1].last_stream_id
        heads = [event.streamId for event in events if isinstance(event, Head)]
        assert heads == [3] or last < 3
