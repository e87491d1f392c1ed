"""HttpSocket.respond: what is sent, and what is refused before an octet is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest
from connectionhelpers import (
    Response,
    asked,
    capturedFailures,
    get,
    serve,
)
from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure

from txabstracthttp import (
    HttpHeaders,
    HttpRequest,
    HttpSocket,
)


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def answer(*args: Any, **kwargs: Any) -> Response:
    """The response that `respond` with these arguments makes."""
    peer, socket = asked()
    socket.respond(*args, **kwargs)
    return peer.response()


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "content", "mediaType"),
        [
            ("grüße", "grüße".encode(), "text/plain; charset=utf-8"),
            (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
            (bytearray(b"abc"), b"abc", "application/octet-stream"),
            (memoryview(b"abcd")[1:3], b"bc", "application/octet-stream"),
            (memoryview(b"abcd")[::2], b"ac", "application/octet-stream"),
            ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'.encode(), "application/json"),
            ([], b"[]", "application/json"),
            ({}, b"{}", "application/json"),
            ("", b"", "text/plain; charset=utf-8"),
        ],
    )
    def test_types(self, body: Any, content: bytes, mediaType: str) -> None:
        response = answer(body)
        assert response.body == content
        assert response.all("content-type") == [mediaType]
        assert response.all("content-length") == [str(len(content))]

    def test_nothing(self) -> None:
        response = answer()
        assert (response.status, response.body, response.all("content-type")) == (200, b"", [])

    @pytest.mark.parametrize("body", [None, 1, True, 1.5, object(), ("a",), {1, 2}, {"a": object()}])
    def test_otherTypes(self, body: Any) -> None:
        peer, socket = asked()
        with pytest.raises(TypeError):
            socket.respond(body)
        assert peer.transport.writes == []
        socket.respond("ok")
        assert peer.bodies() == [b"ok"]

    @pytest.mark.parametrize("body", [{"a": float("nan")}, "\ud800"])
    def test_whatCannotBeEncoded(self, body: Any) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.respond(body)
        assert peer.transport.writes == []

    def test_mutableBodiesAreCopied(self) -> None:
        body = bytearray(b"abc")
        peer, socket = asked(get() + get())
        socket.respond(body)
        body[:] = b"xyz"
        assert peer.bodies() == [b"abc"]

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
    def test_jsonComesBack(self, value: Any) -> None:
        assert json.loads(answer([value]).body) == [value]


class TestContentType:
    def test_argument(self) -> None:
        assert answer("<p>", contentType="text/html").all("content-type") == ["text/html"]

    def test_header(self) -> None:
        response = answer(b"x", headers={"content-TYPE": "image/png"})
        assert response.all("content-type") == ["image/png"]

    def test_theHeaderRulesOverTheArgument(self) -> None:
        response = answer(b"x", headers={"Content-Type": "image/png"}, contentType="text/html")
        assert response.all("content-type") == ["image/png"]

    def test_forNothing(self) -> None:
        assert answer(contentType="text/html").all("content-type") == ["text/html"]

    @pytest.mark.parametrize("value", ["text/html\r\nX: y", "a\x00b", "a\nb", "ü€"])
    def test_malformed(self, value: str) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.respond("x", contentType=value)
        assert peer.transport.writes == []


class TestHeaders:
    @pytest.mark.parametrize(
        "headers",
        [
            {"X-A": "1", "X-B": ["2", "3"]},
            {"X-A": "1", "X-B": ("2", "3")},
            [("X-A", "1"), ("X-B", "2"), ("X-B", "3")],
            HttpHeaders([("X-A", "1"), ("X-B", "2"), ("X-B", "3")]),
            iter([("X-A", "1"), ("X-B", "2"), ("X-B", "3")]),
        ],
        ids=["mapping", "tuple", "pairs", "HttpHeaders", "iterator"],
    )
    def test_forms(self, headers: Any) -> None:
        response = answer("x", headers=headers)
        assert (response.all("x-a"), response.all("x-b")) == (["1"], ["2", "3"])

    def test_thoseOfARequest(self) -> None:
        peer, socket = asked(get("/", "X-A: 1", "X-A: 2"))
        socket.respond(headers=[each for each in socket.request.headers.items() if each[0] == "X-A"])
        assert peer.response().all("x-a") == ["1", "2"]

    def test_namesAsGiven(self) -> None:
        peer, socket = asked()
        socket.respond(headers={"x-OddLY": "1"})
        assert b"\r\nx-OddLY: 1\r\n" in peer.transport.value

    @pytest.mark.parametrize(
        "headers",
        [
            {"X": "a\r\nSet-Cookie: b"},
            {"X": "a\nb"},
            {"X": "a\rb"},
            {"X": "a\x00b"},
            {"X": "\x7f"},
            {"X": "€"},
            {"X\r\nY": "a"},
            {"X Y": "a"},
            {"X:": "a"},
            {"": "a"},
            {"X\x00": "a"},
            {"Ü": "a"},
            {"X": ["a", "b\n"]},
            {"X\n": "a"},
            {"Transfer-Encoding": "chunked"},
            {"Content-Length": "1, 1"},
            {"Content-Length": "-1"},
            {"Content-Length": ["1", "1"]},
            {"Content-Length": "٣"},
            {"Content-Length": "99999999999999999999"},
        ],
    )
    def test_malformed(self, headers: Any) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.respond("x", headers=headers)
        assert "write" not in peer.transport.log
        assert not socket.isAnswered
        socket.respond("ok")
        assert peer.bodies() == [b"ok"]

    @pytest.mark.parametrize("headers", [{"X": 1}, {b"X": "a"}, {"X": None}, [("a", "b", "c")], "ab", 7])
    def test_wrongTypes(self, headers: Any) -> None:
        peer, socket = asked()
        with pytest.raises(TypeError):
            socket.respond("x", headers=headers)
        assert "write" not in peer.transport.log

    @given(st.text(max_size=5), st.text(max_size=5))
    def test_nothingSplitsTheHead(self, name: str, value: str) -> None:
        """Whatever is not refused comes back as one field, with that name and value."""
        peer, socket = asked()
        try:
            socket.respond("x", headers=[("X-1", "1"), (name, value), ("X-2", "2")])
        except ValueError:
            assert "write" not in peer.transport.log
            return
        response = peer.response()
        assert (response.all("x-1"), response.all("x-2"), response.body) == (["1"], ["2"], b"x")
        assert response.all(name) == [value.strip(" \t")]

    def test_date(self, monkeypatch: pytest.MonkeyPatch) -> None:
        times = [784111777.9, 784111777.0, 784111778.0, 1609459199.5]
        dates = []
        _peer, _ = asked(get("/", "Connection: keep-alive"))
        for now in times:
            monkeypatch.setattr("txabstracthttp.semantics.time.time", lambda now=now: now)
            dates.append(answer().all("date"))
        assert dates == [
            ["Sun, 06 Nov 1994 08:49:37 GMT"],
            ["Sun, 06 Nov 1994 08:49:37 GMT"],
            ["Sun, 06 Nov 1994 08:49:38 GMT"],
            ["Thu, 31 Dec 2020 23:59:59 GMT"],
        ]

    def test_ownDate(self) -> None:
        assert answer(headers={"DATE": "yesterday"}).all("date") == ["yesterday"]

    def test_server(self) -> None:
        assert answer().all("server") == []
        peer, socket = asked(serverHeader="x/1 (y)")
        socket.respond()
        assert peer.response().all("server") == ["x/1 (y)"]
        peer, socket = asked(serverHeader="x/1")
        socket.respond(headers={"Server": "mine"})
        assert peer.response().all("server") == ["mine"]


class TestConnectionField:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Connection": "close"},
            {"connection": "Close"},
            {"Connection": "keep-alive, close"},
            pytest.param(
                [("Connection", "close"), ("Connection", "keep-alive")],
                id="repeated",
            ),
        ],
    )
    def test_close(self, headers: Any) -> None:
        peer, socket = asked(get("/a") + get("/b"))
        socket.respond("x", headers=headers)
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"x", ["close"])
        assert peer.halfClosed

    def test_keepAliveIsTheServersBusiness(self) -> None:
        response = answer(headers={"Connection": "keep-alive", "Keep-Alive": "timeout=5"})
        assert (response.all("connection"), response.all("keep-alive")) == ([], [])

    def test_whatWasRefusedLeavesNoTrace(self) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.respond("x", headers={"Connection": "close", "Content-Length": "2"})
        socket.respond("x")
        assert peer.response().all("connection") == []
        assert peer.open


class TestContentLength:
    def test_right(self) -> None:
        assert answer("abc", headers={"Content-Length": "3"}).all("content-length") == ["3"]

    @pytest.mark.parametrize("length", ["2", "4", "0"])
    def test_wrong(self, length: str) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.respond("abc", headers={"Content-Length": length})
        assert "write" not in peer.transport.log
        socket.respond("ok")
        assert peer.bodies() == [b"ok"]

    def test_head(self) -> None:
        """Without a body, it says what GET would have sent."""
        peer, socket = asked(get(method="HEAD"))
        socket.respond(headers={"Content-Length": "1000"})
        response = peer.response("HEAD")
        assert (response.all("content-length"), response.body) == (["1000"], b"")

    def test_headWithAnotherBody(self) -> None:
        _, socket = asked(get(method="HEAD"))
        with pytest.raises(ValueError):
            socket.respond("abc", headers={"Content-Length": "1000"})


class TestStatus:
    @pytest.mark.parametrize("status", [200, 204, 299, 404, 418, 599, HTTPStatus.NOT_FOUND])
    def test_good(self, status: int) -> None:
        assert answer(status=status).status == int(status)

    @pytest.mark.parametrize(
        "status",
        [
            *[0, 99, 100, 101, 103, 199, 600, 1000, -200],
            *[True, 404.0, 200.0, "200", None, 200 + 0j],
        ],
    )
    def test_bad(self, status: Any) -> None:
        peer, socket = asked()
        with pytest.raises(ValueError):
            socket.respond("x", status)
        assert "write" not in peer.transport.log
        socket.respond("ok")
        assert peer.bodies() == [b"ok"]


def test_manyAnswersAtOnce() -> None:
    """What is remembered of a response must not turn up in another."""
    replies: list[Callable[[HttpSocket], None]] = [
        lambda socket: socket.respond("a"),
        lambda socket: socket.respond(b"b"),
        lambda socket: socket.respond({"c": 1}, 201),
        lambda socket: socket.respond("d", headers={"X": "1"}),
        lambda socket: socket.respond(status=204),
    ]

    def handler(request: HttpRequest, socket: HttpSocket) -> bool:
        replies[int(request.path[1:]) % 5](socket)
        return True

    peer = serve(handler)
    peer.send(b"".join(get(f"/{i}") for i in range(50)))
    seen = [(each.status, each.body, each.all("content-type"), each.all("x")) for each in peer.responses()]
    assert (
        seen
        == [
            (200, b"a", ["text/plain; charset=utf-8"], []),
            (200, b"b", ["application/octet-stream"], []),
            (201, b'{"c":1}', ["application/json"], []),
            (200, b"d", ["text/plain; charset=utf-8"], ["1"]),
            (204, b"", [], []),
        ]
        * 10
    )
