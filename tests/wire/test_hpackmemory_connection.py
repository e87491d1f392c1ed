"""What a connection remembers of HPACK: by way of h2, and of our own wire, it stays what it was."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hpack import Decoder, Encoder
from http2wirehelpers import GET, START, Peer, answer, headers, settings
from hypothesis import given
from hypothesis import strategies as st

from txabstracthttp.configuration import Http2Configuration
from txabstracthttp.wire.h2connection import LARGEST_TABLE

SIZES = [0, 0, 40, 100, 200, 4096, 4096, 5000]

#: Sections of requests, of which h2 and we read more than names and values.
REQUESTS: list[list[tuple[bytes, bytes]]] = [
    [*GET],
    [*GET, (b"cookie", b"a"), (b"x", b"y"), (b"cookie", b"b")],
    [*GET, (b"host", b"a"), (b"te", b"trailers"), (b"expect", b"100-continue")],
    [(b":method", b"POST"), *GET[1:], (b"content-length", b"0")],
    [*GET, (b"connection", b"close")],
    [*GET, (b":path", b"/")],
    [*GET, (b"x", b"y" * 600)],
    [],
]
turns = st.tuples(
    st.sampled_from(REQUESTS), st.sampled_from([*SIZES, 65536, None, None, None]), st.booleans()
)


class TestConnection:
    """By way of h2, and of our own wire: what they are given is remembered, and stays what it was."""

    def assertItIsSo(self, peer: Peer) -> None:
        """All that is remembered is what hpack would say now."""
        connection: Any = peer.wire._h2
        for block, section in connection.decoder._memory.items():
            decoder = Decoder(connection.decoder.max_header_list_size)
            decoder.header_table = deepcopy(connection.decoder.header_table)
            assert decoder.decode(block, raw=True) == section
        if connection.encoder.header_table.resized:
            return
        for section, octets in connection.encoder._memory.items():
            encoder = Encoder()
            encoder.header_table = deepcopy(connection.encoder.header_table)
            assert encoder.encode(section) == octets

    @given(st.lists(turns, max_size=20))
    def test_requestsAndAnswers(self, story: list[tuple[Any, int | None, bool]]) -> None:
        peer, encoder = Peer(Http2Configuration(maxConcurrentStreams=1000)), Encoder()
        peer.say(START)
        for number, (section, size, ends) in enumerate(story):
            if size is not None:
                peer.say(settings({1: size}))
            block = bytes(encoder.encode(section))
            peer.say(headers(2 * number + 1, block, "END_HEADERS", *["END_STREAM"] * ends), steps=answer)
            self.assertItIsSo(peer)
        outcome = peer.outcome
        assert outcome.ends == []
        for head in outcome.heads:
            # They are read with a table as large as it may be, and changes of its size are said.
            (answered,) = outcome.sections(head.streamId)
            assert answered == [(b":status", b"200"), (b"content-length", b"0")]

    def test_theLargestTableIsWhatWeAllow(self) -> None:
        peer = Peer()
        peer.say(START + settings({1: 65536}))
        assert peer.wire._h2.encoder.header_table_size == LARGEST_TABLE
        self.assertItIsSo(peer)

    def test_whatIsToldIsNotWhatIsRemembered(self) -> None:
        """Who changes what h2 tells changes nothing for those who come later."""
        peer = Peer(Http2Configuration(maxConcurrentStreams=1000))
        peer.say(START)
        told: list[Any] = []
        for number in range(6):
            told += peer.wire._h2.receive_data(
                headers(2 * number + 1, b"\x82\x86\x84\x01\x01a", "END_HEADERS")
            )
        for event in told:
            assert event.headers == [*GET[:2], GET[3], GET[2]]
            event.headers.clear()
        self.assertItIsSo(peer)
