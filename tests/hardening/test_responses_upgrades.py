"""What verifiers and `onConnect` say of an upgrade cannot split its answer either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import http2websockets
import pytest
import websockethelpers
from connectionhelpers import capturedFailures, take
from hardening.poisons import NAMES, STATUSES, TYPES, VALUES, versions
from http2helpers import Http2Peer
from twisted.python.failure import Failure

from txabstracthttp import WebSocket, WebSocketUpgrade


@pytest.fixture(name="failures")
def fixture_failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


makers = pytest.mark.parametrize("make", [WebSocketUpgrade.accept, WebSocketUpgrade.deny])


class TestUpgrades:
    """They are told where they say it."""

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    @makers
    def test_values(self, make: Callable[..., WebSocketUpgrade], value: str) -> None:
        for name in ("X-Test", "Set-Cookie", "Location", "WWW-Authenticate"):
            for headers in ({name: value}, [(name, value)], {name: ["good", value]}):
                with pytest.raises(ValueError):
                    make(headers=headers)

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    @makers
    def test_names(self, make: Callable[..., WebSocketUpgrade], name: str) -> None:
        with pytest.raises(ValueError):
            make(headers={name: "value"})

    @pytest.mark.parametrize("wrong", TYPES, ids=repr)
    @makers
    def test_types(self, make: Callable[..., WebSocketUpgrade], wrong: Any) -> None:
        for headers in ({"X": wrong}, [(wrong, "x")]):
            with pytest.raises(TypeError):
                make(headers=headers)

    @pytest.mark.parametrize("protocol", [*VALUES.values(), *NAMES.values()], ids=repr)
    def test_subprotocols(self, protocol: str) -> None:
        with pytest.raises(ValueError, match="a subprotocol is a token"):
            WebSocketUpgrade.accept(protocol)

    @pytest.mark.parametrize("status", [*STATUSES, 200, 204, 299], ids=repr)
    def test_statuses(self, status: Any) -> None:
        with pytest.raises(ValueError, match="300 to 599"):
            WebSocketUpgrade.deny(status)

    @pytest.mark.parametrize(
        "name", ["Sec-WebSocket-Accept", "sec-websocket-protocol", "Upgrade", "Connection", "Content-Length"]
    )
    def test_whatTheHandshakeSays(self, name: str) -> None:
        with pytest.raises(ValueError, match="for the handshake to say"):
            WebSocketUpgrade.accept(headers={name: "x"})


POISONED = {key: VALUES[key] for key in ("control 0d", "control 0a", "control 00", "a header", "a surrogate")}


def connecting(answer: object) -> type[WebSocket]:
    """A class whose `onConnect` says this."""

    class Connecting(WebSocket):
        def onConnect(self, request: Any) -> Any:
            return answer

    return Connecting


def upgraded(version: str, answer: object, protocol: str = "chat") -> tuple[int, bytes]:
    """The status that an upgrade comes to, and all that was written."""
    offer = http2websockets.offer() if version == "2" else websockethelpers.offer()
    offer.server.webSocketProtocol = connecting(answer)
    if isinstance(offer, Http2Peer):
        stream = http2websockets.upgrade(
            offer, "/chat", http2websockets.VERSION, f"sec-websocket-protocol: {protocol}"
        )
        response = offer.answer(stream)
        return response.status, repr((response.headers, response.body)).encode()
    offer.upgrade(f"Sec-WebSocket-Protocol: {protocol}")
    written = offer.transport.value
    assert written.count(b"HTTP/1.1") == 1
    return int(written.split(b" ")[1]), written


@versions
class TestOnConnect:
    """Autobahn's own way has no face to say it in: 500, one entry in the log, and nothing of it is sent."""

    def failsWell(
        self, version: str, answer: object, failures: list[Failure], kind: type = ValueError
    ) -> None:
        status, written = upgraded(version, answer)
        assert (status, b"Evil" in written, b"Sec-WebSocket" in written) == (500, False, False)
        assert take(failures) == [kind]

    def test_good(self, version: str) -> None:
        accepted = 200 if version == "2" else 101
        assert upgraded(version, "chat")[0] == accepted
        assert upgraded(version, ("chat", {"X-Test": ["a", "b"], "X-Other": "c"}))[0] == accepted

    @pytest.mark.parametrize("value", POISONED.values(), ids=POISONED)
    def test_subprotocol(self, value: str, version: str, failures: list[Failure]) -> None:
        self.failsWell(version, value, failures)
        self.failsWell(version, (value, {}), failures)

    @pytest.mark.parametrize("value", POISONED.values(), ids=POISONED)
    def test_headers(self, value: str, version: str, failures: list[Failure]) -> None:
        self.failsWell(version, ("chat", {"X-Test": value}), failures)
        self.failsWell(version, ("chat", {"X-Test": ["good", value]}), failures)
        self.failsWell(version, (None, {value: "x"}), failures)

    def test_oneThatWasNotOffered(self, version: str, failures: list[Failure]) -> None:
        self.failsWell(version, "other", failures)

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Test": None},
            {"X-Test": 1},
            {1: "x"},
            {"X-Test": b"ab"},
        ],
    )
    def test_types(self, headers: Any, version: str, failures: list[Failure]) -> None:
        self.failsWell(version, ("chat", headers), failures, TypeError)
