"""WebSocketUpgrade: what a verifier may answer, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from connectionhelpers import get, serve
from hypothesis import given
from hypothesis import strategies as st

from txabstracthttp import HttpHeaders, WebSocketUpgrade
from txabstracthttp.headers import TOKEN

#: RFC 9110 section 5.6.2.
TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#: (headers, what is wrong with them), for every `headers=`.
BAD_HEADERS: list[tuple[Any, type[Exception]]] = [
    ({"": "a"}, ValueError),
    ({"a b": "c"}, ValueError),
    ({"a:": "b"}, ValueError),
    ({"a\r\nb": "c"}, ValueError),
    ({"é": "a"}, ValueError),
    ({"a": "b\r\nc: d"}, ValueError),
    ({"a": "b\n"}, ValueError),
    ({"a": "b\r"}, ValueError),
    ({"a": "b\0c"}, ValueError),
    ({"a": "b\x7f"}, ValueError),
    ({"a": "\u20ac"}, ValueError),
    ({"a": ["b", "c\n"]}, ValueError),
    ([("a", "b"), ("c", "d\r")], ValueError),
    ({"a": 1}, TypeError),
    ({"a": None}, TypeError),
    ({"a": b"b"}, TypeError),
    ({b"a": "b"}, TypeError),
    ({"a": ["b", 1]}, TypeError),
    ([("a",)], TypeError),
    ([("a", "b", "c")], TypeError),
    (["ab"], TypeError),
    ("ab", TypeError),
    (3, TypeError),
]


class TestAccept:
    def test_nothingMore(self) -> None:
        upgrade = WebSocketUpgrade.accept()
        assert upgrade.outcome == "accept"
        assert upgrade.subprotocol is None
        assert upgrade.fields == []

    @pytest.mark.parametrize("subprotocol", ["chat", "v12.stomp", "graphql-ws", "A", TCHAR])
    def test_aSubprotocol(self, subprotocol: str) -> None:
        assert WebSocketUpgrade.accept(subprotocol).subprotocol == subprotocol
        assert WebSocketUpgrade.accept(subprotocol=subprotocol).subprotocol == subprotocol

    @pytest.mark.parametrize(
        "subprotocol",
        [
            "", " ", "a b", " a", "a ", "a,b", "a, b", "a\r\nb: c", "a\n", "\0", "a\x7f", "a/b", "a:b", "a;b",
            "a=b", '"a"', "(a)", "é", "\u20ac", "\u212a", b"chat", bytearray(b"chat"), 0, 1, True, False, 1.5,
            ["chat"], ("chat",), {}, object(), "\ud800",
        ],
    )  # fmt: skip
    def test_noSubprotocol(self, subprotocol: Any) -> None:
        with pytest.raises(ValueError, match="token"):
            WebSocketUpgrade.accept(subprotocol)

    @given(st.text(max_size=4) | st.text(TCHAR, max_size=4))
    def test_anyText(self, text: str) -> None:
        if text and set(text) <= set(TCHAR):
            assert WebSocketUpgrade.accept(text).subprotocol == text
        else:
            with pytest.raises(ValueError):
                WebSocketUpgrade.accept(text)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Set-Cookie": ["a=b", "c=d"]},
            [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")],
            HttpHeaders([("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")]),
        ],
    )
    def test_headersInEveryForm(self, headers: Any) -> None:
        fields = WebSocketUpgrade.accept(headers=headers).fields
        assert fields == [(b"Set-Cookie", b"a=b"), (b"Set-Cookie", b"c=d")]

    def test_noHeaders(self) -> None:
        nothing: list[Any] = [None, (), {}, [], HttpHeaders()]
        for headers in nothing:
            assert WebSocketUpgrade.accept(headers=headers).fields == []

    def test_headersAreCopied(self) -> None:
        headers = HttpHeaders([("a", "b")])
        upgrade = WebSocketUpgrade.accept(headers=headers)
        headers.add("Upgrade", "x")
        assert upgrade.fields == [(b"a", b"b")]

    @pytest.mark.parametrize(("headers", "error"), BAD_HEADERS)
    def test_badHeaders(self, headers: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            WebSocketUpgrade.accept("chat", headers)

    @pytest.mark.parametrize("spell", [str, str.upper, str.lower, str.swapcase])
    @pytest.mark.parametrize(
        "name",
        [
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Version",
            "Content-Length",
            "Transfer-Encoding",
        ],
    )
    def test_whatTheHandshakeSaysItself(self, name: str, spell: Any) -> None:
        with pytest.raises(ValueError, match=f"(?i){name}"):
            WebSocketUpgrade.accept(headers={spell(name): "x"})
        with pytest.raises(ValueError, match=f"(?i){name}"):
            WebSocketUpgrade.accept(None, [("a", "b"), (spell(name), "")])


class TestDeny:
    def test_nothingMore(self) -> None:
        upgrade = WebSocketUpgrade.deny()
        assert (upgrade.outcome, upgrade.status, upgrade.body) == ("deny", 403, None)
        assert len(upgrade.headers) == 0

    @pytest.mark.parametrize("status", [300, 301, 302, 307, 400, 401, 403, 404, 429, 499, 500, 503, 599])
    def test_everyStatus(self, status: int) -> None:
        assert WebSocketUpgrade.deny(status).status == status

    @pytest.mark.parametrize(
        "status",
        [
            -1,
            0,
            1,
            100,
            101,
            199,
            200,
            204,
            299,
            600,
            999,
            1000,
            True,
            False,
            None,
            "403",
            b"403",
            403.0,
            [403],
        ],
    )
    def test_noStatus(self, status: Any) -> None:
        with pytest.raises(ValueError, match="from 300 to 599"):
            WebSocketUpgrade.deny(status)

    @pytest.mark.parametrize("body", ["", "no", b"", b"no", bytearray(b"no"), {"no": 1}, [], None])
    def test_everyBody(self, body: Any) -> None:
        assert WebSocketUpgrade.deny(body=body).body == body

    @pytest.mark.parametrize("body", [5, 1.5, True, ("no",), object(), {"a": float("nan")}, {"a": b"b"}])
    def test_noBody(self, body: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            WebSocketUpgrade.deny(403, body)

    def test_headers(self) -> None:
        given_ = HttpHeaders([("WWW-Authenticate", "Basic"), ("www-authenticate", "Digest")])
        upgrade = WebSocketUpgrade.deny(401, "who?", given_)
        given_.add("a", "b")
        assert upgrade.headers.getAll("WWW-Authenticate") == ["Basic", "Digest"]
        assert "a" not in upgrade.headers

    @pytest.mark.parametrize(("headers", "error"), BAD_HEADERS)
    def test_badHeaders(self, headers: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            WebSocketUpgrade.deny(403, None, headers)
        with pytest.raises(error):
            WebSocketUpgrade.deny(headers=headers)

    @pytest.mark.parametrize("body", [None, "no"])
    @pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer-encoding"])
    def test_whatTheServerChooses(self, name: str, body: str | None) -> None:
        with pytest.raises(ValueError):
            WebSocketUpgrade.deny(403, body, {name: "chunked"})

    @pytest.mark.parametrize(
        ("body", "length"),
        [(None, "1"), ("no", "3"), ("no", "0"), ("no", "x"), ("no", "-1"), ("no", "2, 2"), ({"a": 1}, "1")],
    )
    def test_anotherLength(self, body: Any, length: str) -> None:
        with pytest.raises(ValueError):
            WebSocketUpgrade.deny(403, body, {"Content-Length": length})

    def test_itsLength(self) -> None:
        upgrade = WebSocketUpgrade.deny(403, "no", {"Content-Length": "2"})
        assert answered(upgrade).lower().count(b"content-length: 2\r\n") == 1


class TestPassToNext:
    def test_itSaysNothing(self) -> None:
        assert WebSocketUpgrade.passToNext().outcome == "pass"

    def test_noArguments(self) -> None:
        with pytest.raises(TypeError):
            WebSocketUpgrade.passToNext(403)  # type: ignore[call-arg]


class TestAll:
    @pytest.mark.parametrize(
        ("upgrade", "text"),
        [
            (WebSocketUpgrade.accept("chat"), "<WebSocketUpgrade accept>"),
            (WebSocketUpgrade.deny(404), "<WebSocketUpgrade deny>"),
            (WebSocketUpgrade.passToNext(), "<WebSocketUpgrade pass>"),
        ],
    )
    def test_repr(self, upgrade: WebSocketUpgrade, text: str) -> None:
        assert repr(upgrade) == text

    def test_nothingElseCanBeSet(self) -> None:
        with pytest.raises(AttributeError):
            WebSocketUpgrade.accept().statsu = 3  # type: ignore[attr-defined]

    def test_ownWordsAreTokens(self) -> None:
        # What this page takes for tokens is what the library takes for tokens.
        assert all(TOKEN.fullmatch(character.encode()) for character in TCHAR)
        assert sum(TOKEN.fullmatch(bytes([octet])) is not None for octet in range(256)) == len(TCHAR)


ASKED = get(
    "/",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


def answered(upgrade: WebSocketUpgrade) -> bytes:
    """What the peer gets when a verifier answers so."""
    peer = serve(lambda request, socket: False)
    peer.server.addWebSocketUpgradeVerifier(lambda request: upgrade)
    peer.send(ASKED)
    return peer.transport.value


class TestOnTheWire:
    @pytest.mark.parametrize(
        ("body", "said"), [("no", b"no"), (b"no", b"no"), ({"no": 1}, b'{"no":1}'), ([1], b"[1]")]
    )
    def test_denied(self, body: Any, said: bytes) -> None:
        octets = answered(WebSocketUpgrade.deny(401, body, {"WWW-Authenticate": "Basic"}))
        head, _, content = octets.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nWWW-Authenticate: Basic" in head
        assert b"\r\nContent-Length: %d" % len(content) in head
        assert content == said

    def test_accepted(self) -> None:
        octets = answered(WebSocketUpgrade.accept(headers={"X-Room": "7"}))
        assert octets.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nX-Room: 7\r\n" in octets
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in octets

    @pytest.mark.parametrize(
        "name", ["Content-Type", "Date", "X-Content-Type-Options", "Content-Security-Policy"]
    )
    def test_nothingIsSaidTwice(self, name: str) -> None:
        head, _, content = answered(WebSocketUpgrade.deny(headers={name: "said"})).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")[1:]
        names = [line.partition(b":")[0].lower() for line in lines]
        assert len(set(names)) == len(names)
        assert b"%b: said" % name.encode() in lines
        assert content == b"403 Forbidden\n"
