"""What Autobahn's cases of group 9 found, or came near to: limits that are not meant for what we send."""

from __future__ import annotations

from connectionhelpers import results
from websockethelpers import BINARY, TEXT, Frame, opened

MIB = 1024 * 1024


def test_aMessageLongerThanWhatMayWait() -> None:
    """However long, one message is no sign that its sender does not look at what the peer takes."""
    peer, webSocket = opened(maximumWebSocketMessageSize=None)
    peer.transport.stuck = True
    message = bytes(17 * MIB)
    sent = webSocket.sendBinaryMessage(message)
    assert not peer.transport.aborted
    peer.transport.release()
    assert results(sent) == [[None]]
    assert peer.frames() == [Frame(BINARY, message)]


def test_theLimitIsForWhatComes() -> None:
    """What the application sends is its own affair."""
    peer, webSocket = opened(maximumWebSocketMessageSize=10)
    webSocket.sendTextMessage("x" * 11)
    assert peer.frames() == [Frame(TEXT, b"x" * 11)]
