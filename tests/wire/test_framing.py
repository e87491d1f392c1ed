"""What the fields of a request say of framing and connection (RFC 9112 sections 3.2, 6, 9)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txabstracthttp._events import Fields
from txabstracthttp.errors import HttpError
from txabstracthttp.wire.framing import Framing, frame

HOST = (b"host", b"a")
LENGTH = (b"content-length", b"5")
CHUNKED = (b"transfer-encoding", b"chunked")


def framed(
    *fields: tuple[bytes, bytes], method: str = "GET", target: bytes = b"/", version: str = "1.1"
) -> Framing:
    return frame(method, target, version, [HOST, *fields])


def status(
    *fields: tuple[bytes, bytes], version: str = "1.1", method: str = "GET", target: bytes = b"/"
) -> int:
    with pytest.raises(HttpError) as caught:
        framed(*fields, version=version, method=method, target=target)
    return caught.value.status


def test_plain() -> None:
    assert framed() == Framing(b"a", 0, upgrade=False, expectsContinue=False, persistent=True)


class TestSection32Host:
    def test_targetRules(self) -> None:
        assert framed(target=b"http://b:1/").authority == b"b:1"
        assert framed(target=b"b:1", method="CONNECT").authority == b"b:1"

    def test_count(self) -> None:
        assert frame("GET", b"/", "1.0", []).authority == b""
        assert status(HOST) == 400
        assert status(HOST, version="1.0") == 400
        with pytest.raises(HttpError):
            frame("GET", b"/", "1.1", [])


class TestSection6Length:
    def test_values(self) -> None:
        assert framed(LENGTH).contentLength == 5
        assert framed(CHUNKED).contentLength is None
        assert framed((b"content-length", b"9" * 19)).contentLength == int("9" * 19)

    @pytest.mark.parametrize(
        "value", [b"", b"+5", b"-5", b"5,5", b"1_0", b"0x5", b" 5", b"5\n", b"9" * 20, "\u0665".encode()]
    )
    def test_malformed(self, value: bytes) -> None:
        assert status((b"content-length", value)) == 400

    def test_ambiguous(self) -> None:
        assert status(LENGTH, LENGTH) == 400
        assert status(LENGTH, CHUNKED) == 400
        assert status(CHUNKED, CHUNKED) == 400
        assert status(CHUNKED, version="1.0") == 400

    @pytest.mark.parametrize(
        ("codings", "expected"),
        [
            (b"gzip, chunked", 501),
            (b"deflate,x-gzip\t, compress, Chunked", 501),
            (b"gzip", 400),
            (b"chunked, gzip", 400),
            (b"chunked, chunked", 400),
            (b"gzip, chunked, chunked", 400),
            (b"identity, chunked", 400),
            (b"chunked,", 400),
            (b", chunked", 400),
            (b"br, chunked", 400),
            (b"", 400),
        ],
    )
    def test_codings(self, codings: bytes, expected: int) -> None:
        assert status((b"transfer-encoding", codings)) == expected


class TestSection9Connection:
    @pytest.mark.parametrize(
        ("version", "options", "persistent"),
        [
            ("1.1", [], True),
            ("1.0", [], False),
            ("1.1", [b"close"], False),
            ("1.0", [b"Keep-Alive"], True),
            ("1.0", [b"keep-alive", b"x, CLOSE"], False),
            ("1.1", [b"closed", b"clo se"], True),
            ("1.0", [b"keep-alive x"], False),
            ("1.1", [b"", b",,"], True),
        ],
    )
    def test_persistence(self, version: str, options: list[bytes], persistent: bool) -> None:
        fields = [(b"connection", option) for option in options]
        assert framed(*fields, version=version).persistent is persistent

    def test_upgrade(self) -> None:
        asked = ((b"connection", b"x, Upgrade"), (b"upgrade", b"websocket"))
        assert framed(*asked)[2:] == (True, False, False)
        assert framed(*asked, version="1.0").upgrade is False
        assert framed(*asked[:1]).upgrade is False
        assert framed(*asked[1:]).upgrade is False

    def test_connect(self) -> None:
        assert framed(method="CONNECT", target=b"b:1")[2:] == (True, False, False)
        assert status(LENGTH, method="CONNECT", target=b"b:1") == 400
        assert status(CHUNKED, method="CONNECT", target=b"b:1") == 400


class TestExpect:
    def test_continue(self) -> None:
        expect = (b"expect", b"100-Continue")
        assert framed(expect, LENGTH).expectsContinue
        assert framed(expect, CHUNKED).expectsContinue
        assert not framed(expect).expectsContinue
        assert not framed(expect, LENGTH, version="1.0").expectsContinue

    def test_unknown(self) -> None:
        assert status((b"expect", b"x")) == 417
        assert status((b"expect", b"100-continue"), (b"expect", b"x")) == 417
        assert not framed((b"expect", b"x"), version="1.0").expectsContinue


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"]
            ),
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from(
                    [b"a", b"5", b"chunked", b"gzip, chunked", b"close", b"upgrade", b"100-continue"]
                ),
            ),
        ),
        max_size=5,
    ),
    st.sampled_from(["GET", "CONNECT"]),
    st.sampled_from(["1.0", "1.1"]),
)
def test_anyFields(fields: Fields, method: str, version: str) -> None:
    refusal = None
    try:
        framing = frame(method, b"b:1" if method == "CONNECT" else b"/", version, fields)
    except HttpError as error:
        refusal = error.status
    if refusal is not None:
        assert refusal in (400, 417, 501)
    else:
        assert framing.contentLength is None or framing.contentLength >= 0
        assert not (framing.upgrade and framing.persistent)
        assert (framing.contentLength is None) == (b"transfer-encoding" in dict(fields))
