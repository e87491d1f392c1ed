"""A client of HTTP/2 that closes its sending side behind its requests."""

from __future__ import annotations

from http2helpers import Keeper, serve2


class TestHalfClosed:
    def test_closesBehindTheLastAnswer(self) -> None:
        """As on HTTP/1.1: there is nothing more to wait for."""
        keeper = Keeper()
        peer = serve2(keeper, client={"replying": False})
        stream = peer.ask("/")
        peer.conversation.halfClose()
        keeper.socket.respond("x")
        assert peer.brief(stream) == (200, b"x")
        peer.advance(1)
        assert not peer.conversation.open
