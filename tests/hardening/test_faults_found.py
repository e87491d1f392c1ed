"""What the random tests have found, in as few words as possible."""

from __future__ import annotations

from typing import Any

import pytest
from connectionhelpers import capturedFailures, take
from hardening.faults import Planned
from http2helpers import serve2
from http2websockets import offer as offer2
from http2websockets import upgrade as upgrade2
from websockethelpers import offer

from txabstracthttp import ExchangeRecord, HttpRequest, HttpSocket


def test_oneRecordForAnAbortedStream() -> None:
    """An answer that was broken off is not refused once more, when its content turns out to be too much."""

    def handler(request: HttpRequest, socket: HttpSocket) -> Any:
        socket.begin()
        raise Planned

    statuses: list[int] = []

    def note(record: ExchangeRecord) -> None:
        statuses.append(record.status)

    with capturedFailures() as failures:
        peer = serve2(handler, policy=2)
        peer.server.exchangeFinished.connect(note)
        head = peer.head("/", (), "POST")
        peer.h2.send_headers(1, head)
        peer.h2.send_data(1, b"much")
        peer.say()
        assert take(failures) == [Planned]
    assert peer.answer(1).reset == 2
    assert statuses == [200]


class _Failing:
    def resumeProducing(self) -> None:
        raise Planned

    def stopProducing(self) -> None:
        """Nobody wants any more."""


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_aProducerThatFailsAtOnce(version: str) -> None:
    """Whoever observes `newWebSocketConnection` has registered it; that is logged as later failures are."""

    def attend() -> None:
        webSocket = server.nextPendingWebSocketConnection()
        assert webSocket is not None
        webSocket.registerProducer(_Failing(), False)

    with capturedFailures() as failures:
        if version == "1.1":
            peer = offer()
            server = peer.server
            server.newWebSocketConnection.connect(attend)
            peer.upgrade()
        else:
            peer2 = offer2()
            server = peer2.server
            server.newWebSocketConnection.connect(attend)
            upgrade2(peer2)
        assert take(failures) == [Planned]
