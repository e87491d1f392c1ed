"""Rows of the checklist about WebSockets that no other test holds."""

from __future__ import annotations

from typing import Any

from connectionhelpers import results
from twisted.internet.defer import Deferred
from websockethelpers import offer, upgrade

from txabstracthttp import WebSocketUpgrade


class TestUndecided:
    def test_aVerifierHasAHandlersTime(self) -> None:
        """So an upgrade that nobody decides does not keep its connection for ever."""
        decision: Deferred[WebSocketUpgrade] = Deferred()
        peer = offer(handlerTimeout=5)
        peer.server.addWebSocketUpgradeVerifier(lambda request: decision)
        peer.send(upgrade())
        peer.advance(4.9)
        assert peer.conversation.open
        peer.advance(0.2)
        assert peer.response().status == 503
        assert not peer.server.hasPendingWebSocketConnections()

    def test_aClientThatLeavesIsForgotten(self) -> None:
        decision: Deferred[WebSocketUpgrade] = Deferred()
        peer = offer()
        peer.server.addWebSocketUpgradeVerifier(lambda request: decision)
        taken: list[Any]
        (taken,) = results(peer.server.whenWebSocketConnected())
        peer.send(upgrade())
        peer.leave()
        decision.callback(WebSocketUpgrade.accept())
        assert taken == []
        assert not peer.server.hasPendingWebSocketConnections()
