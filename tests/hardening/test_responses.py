"""Nothing that an application passes can split a response: each source, each poison, each version.

It is told in its face, before an octet is written, and may still answer as if nothing had happened.  What
becomes of content that is too long or too short is in `test_streaming_responses.py`, `test_http2_same.py` and
`test_connection_socket.py`; a failure behind the head in `test_http2_same.py` and `test_http2_streams.py`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import pytest
from connectionhelpers import get, serve
from hardening.poisons import NAMES, STATUSES, TYPES, VALUES, Exchange, raised, refused, versions
from http2helpers import serve2

from txabstracthttp import HttpError, HttpHeaders, HttpServerConfiguration, HttpSocket

Act = Callable[[HttpSocket, str, Any], object]
Headers = Callable[[str, Any], Any]


def answering(headers: Headers) -> dict[str, Act]:
    """All that takes header fields before the answer has begun; `headers` gives them their form."""
    return {
        "respond": lambda socket, name, value: socket.respond("x", headers=headers(name, value)),
        "respond 302": lambda socket, name, value: socket.respond(b"", 302, headers(name, value)),
        "begin": lambda socket, name, value: socket.begin(headers=headers(name, value)),
        "sendFile": lambda socket, name, value: socket.sendFile(io.BytesIO(b"x"), headers(name, value)),
        "inform": lambda socket, name, value: socket.inform(103, headers(name, value)),
    }


MAPPING = answering(lambda name, value: {"X-Good": "1", name: value})
PAIRS = answering(lambda name, value: [("X-Good", "1"), (name, value)])
LISTED = answering(lambda name, value: {name: ["good", value]})
OBJECT = answering(lambda name, value: HttpHeaders([(name, value)]))

#: Where a value comes from, and under which name.
SOURCES: dict[str, tuple[Act, str]] = {
    **{f"{call}, a mapping": (act, "X-Test") for call, act in MAPPING.items()},
    **{f"{call}, Location": (act, "Location") for call, act in MAPPING.items()},
    **{f"{call}, one of two cookies": (act, "Set-Cookie") for call, act in LISTED.items()},
    **{f"{call}, pairs": (act, "Link") for call, act in PAIRS.items()},
    **{f"{call}, headers": (act, "Server") for call, act in OBJECT.items()},
    "contentType": (lambda socket, _, value: socket.respond("x", contentType=value), ""),
}

sources = pytest.mark.parametrize(("act", "name"), SOURCES.values(), ids=SOURCES)
calls = pytest.mark.parametrize("act", [*MAPPING.values(), *PAIRS.values()], ids=[*MAPPING, *PAIRS])


@versions
class TestFields:
    @sources
    def test_values(self, act: Act, name: str, version: str) -> None:
        exchange = Exchange(version)
        for value in VALUES.values():
            refused(exchange, ValueError, partial(act, exchange.socket, name, value), value)
        assert exchange.isUsable()

    @calls
    def test_names(self, act: Act, version: str) -> None:
        exchange = Exchange(version)
        for name in NAMES.values():
            refused(exchange, ValueError, partial(act, exchange.socket, name, "value"), name)
        assert exchange.isUsable()

    @sources
    def test_typesOfValues(self, act: Act, name: str, version: str) -> None:
        exchange = Exchange(version)
        for wrong in TYPES:
            # No contentType is the one of the body.
            if wrong is not None or name:
                refused(exchange, TypeError, partial(act, exchange.socket, name, wrong), wrong)
        assert exchange.isUsable()

    @calls
    def test_typesOfNames(self, act: Act, version: str) -> None:
        exchange = Exchange(version)
        for wrong in TYPES:
            refused(exchange, TypeError, partial(act, exchange.socket, wrong, "value"), wrong)
        assert exchange.isUsable()

    @pytest.mark.parametrize("headers", ["X: y", b"X: y", 1, ["X: y"], [("X",)], [("X", "y", "z")], object()])
    @pytest.mark.parametrize("call", ["respond", "begin", "sendFile", "inform"])
    def test_noHeadersAtAll(self, call: str, headers: Any, version: str) -> None:
        exchange = Exchange(version)
        first = {"sendFile": io.BytesIO(b"x"), "inform": 103}.get(call)
        arguments = () if first is None else (first,)
        method = getattr(exchange.socket, call)
        refused(exchange, TypeError, lambda: method(*arguments, headers=headers))
        assert exchange.isUsable()


def finish(socket: HttpSocket, name: Any, value: Any) -> None:
    """With two trailers, the first of them good."""
    socket.finish([("X-Good", "1"), (name, value)])


@versions
class TestTrailers:
    def refused(self, version: str, kind: type[Exception], *fields: tuple[Any, Any]) -> None:
        exchange = Exchange(version)
        exchange.socket.write(b"content")
        assert exchange.hasWritten
        exchange.forget()
        for name, value in fields:
            raised(kind, partial(finish, exchange.socket, name, value), (name, value))
            assert not exchange.hasWritten
        exchange.socket.finish()
        assert exchange.answer()[:2] == (200, b"content")

    def test_values(self, version: str) -> None:
        self.refused(version, ValueError, *[("X-Sum", value) for value in VALUES.values()])

    def test_names(self, version: str) -> None:
        self.refused(version, ValueError, *[(name, "value") for name in NAMES.values()])

    def test_types(self, version: str) -> None:
        self.refused(version, TypeError, *[("X-Sum", wrong) for wrong in TYPES])
        self.refused(version, TypeError, *[(wrong, "value") for wrong in TYPES])

    @pytest.mark.parametrize(
        "name",
        [
            "Transfer-Encoding",
            "content-length",
            "Host",
            "Connection",
            "Upgrade",
            "TE",
            "Trailer",
            "Content-Type",
            "Content-Encoding",
            "Content-Range",
            "Authorization",
            "Keep-Alive",
        ],
    )
    def test_whatNoTrailerMayBe(self, name: str, version: str) -> None:
        self.refused(version, ValueError, (name, "x"))

    @pytest.mark.parametrize(("name", "value"), [("X-Sum", "a\r\nb"), ("Host", "a")])
    def test_ofAnAnswerNotBegun(self, name: str, value: str, version: str) -> None:
        exchange = Exchange(version)
        refused(exchange, ValueError, lambda: finish(exchange.socket, name, value))
        assert exchange.isUsable()


NO_INTERIM: list[Any] = [99, 101, 200, 204, 304, 404, 600, 1000, True, "103", None, 103.0]


@versions
class TestStatuses:
    @pytest.mark.parametrize("call", ["respond", "begin"])
    def test_final(self, call: str, version: str) -> None:
        exchange = Exchange(version)
        method = getattr(exchange.socket, call)
        for status in STATUSES:
            refused(exchange, ValueError, partial(method, status=status), status)
        assert exchange.isUsable()

    def test_interim(self, version: str) -> None:
        exchange = Exchange(version)
        for status in NO_INTERIM:
            refused(exchange, ValueError, partial(exchange.socket.inform, status), status)
        assert exchange.isUsable()

    def test_theReasonIsOurs(self, version: str) -> None:
        """There is no way to pass one; an odd status has an empty one."""
        exchange = Exchange(version)
        exchange.socket.respond("x", 599)
        assert exchange.answer()[0] == 599
        exchange = Exchange(version)
        exchange.socket.respond("x", HTTPStatus.IM_A_TEAPOT)
        assert exchange.answer()[0] == 418


@pytest.mark.parametrize("status", [*STATUSES, 200, 302, 399], ids=repr)
def test_statusOfAnHttpError(status: Any) -> None:
    with pytest.raises(ValueError, match="400 to 599"):
        HttpError(status)


@versions
def test_reasonOfAnHttpError(version: str) -> None:
    """It is for logs, and does not reach the peer."""

    def handler(request: object, socket: HttpSocket) -> bool:
        raise HttpError(403, next(reasons))

    reasons = iter(VALUES.values())
    if version == "2":
        peer = serve2(handler)
        answers = [peer.got().brief for _ in VALUES]
    else:
        conversation = serve(handler)
        conversation.send(get() * len(VALUES))
        answers = [(each.status, each.body) for each in conversation.responses()]
    assert answers == [(403, b"403 Forbidden\n")] * len(VALUES)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_serverHeader(value: str) -> None:
    with pytest.raises(ValueError, match="serverHeader"):
        HttpServerConfiguration(serverHeader=value)


FRAMING = {
    "Transfer-Encoding": {"Transfer-Encoding": "chunked"},
    "transfer-encoding": {"transfer-encoding": "identity"},
    "two lengths": {"Content-Length": ["1", "1"]},
    "two lengths in two ways": [("Content-Length", "1"), ("content-length", "1")],
    "a list of lengths": {"Content-Length": "1, 1"},
    "no length": {"Content-Length": ""},
    "a sign": {"Content-Length": "+1"},
    "below zero": {"Content-Length": "-1"},
    "hexadecimal": {"Content-Length": "0x1"},
    "underscores": {"Content-Length": "1_0"},
    "superscript": {"Content-Length": "\xb9"},
    "beyond all bounds": {"Content-Length": "9" * 30},
}


@versions
@pytest.mark.parametrize("headers", FRAMING.values(), ids=FRAMING)
@pytest.mark.parametrize("call", ["respond", "begin", "sendFile", "inform"])
def test_framingIsOurs(call: str, headers: Any, version: str) -> None:
    exchange = Exchange(version)
    first: Any = {"sendFile": io.BytesIO(b"x"), "inform": 103, "respond": "x"}.get(call)
    arguments = () if first is None else (first,)
    method = getattr(exchange.socket, call)
    refused(exchange, ValueError, lambda: method(*arguments, headers=headers))
    assert exchange.isUsable()


#: What a client of HTTP/2 takes for a protocol error in a response (RFC 9113 section 8.2.2).
CONNECTION_FIELDS = ["Connection", "Keep-Alive", "Upgrade", "Proxy-Connection", "TE"]


@versions
@pytest.mark.parametrize("call", ["respond", "begin", "inform"])
@pytest.mark.parametrize("name", CONNECTION_FIELDS)
def test_fieldsOfConnections(name: str, call: str, version: str, request: pytest.FixtureRequest) -> None:
    """They make no client of HTTP/2 stumble, and on HTTP/1.1 do not change how the answer ends."""
    exchange = Exchange(version)
    if call == "inform":
        exchange.socket.inform(103, {name: "x"})
        exchange.socket.respond("x")
    elif call == "begin":
        exchange.socket.begin(headers={name: "x"})
        exchange.socket.write(b"x")
        exchange.socket.finish()
    else:
        exchange.socket.respond("x", headers={name: "x"})
    assert exchange.answer()[:2] == (200, b"x")
