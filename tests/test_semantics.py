"""What RFC 9110 says of responses: values in, values out."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txabstracthttp import HttpHeaders
from txabstracthttp.semantics import (
    checkStatus,
    composeHead,
    encodeContent,
    encodeMediaType,
    errorResponse,
    frameContent,
    httpDate,
    standardFields,
)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day, to be set."""
    time = [784111777.25]
    monkeypatch.setattr("txabstracthttp.semantics.time.time", lambda: time[0])
    return time


class TestCheckStatus:
    @pytest.mark.parametrize("status", [200, 299, 300, 404, 599, HTTPStatus.OK])
    def test_final(self, status: int) -> None:
        checkStatus(status)

    @pytest.mark.parametrize(
        "status", [-1, 0, 100, 101, 199, 600, 999, True, False, 200.0, "200", None, b"200"]
    )
    def test_notFinal(self, status: Any) -> None:
        with pytest.raises(ValueError, match="200 to 599"):
            checkStatus(status)


class TestFrameContent:
    @pytest.mark.parametrize(
        ("method", "status", "content", "declared", "length", "sent"),
        [
            ("GET", 200, b"abc", None, 3, b"abc"),
            ("GET", 200, b"abc", 3, 3, b"abc"),
            ("GET", 200, b"", None, 0, b""),
            ("POST", 500, b"abc", None, 3, b"abc"),
            ("head", 200, b"abc", None, 3, b"abc"),
            ("HEAD", 200, b"abc", None, 3, b""),
            ("HEAD", 200, b"abc", 3, 3, b""),
            ("HEAD", 200, b"", 1234, 1234, b""),
            ("HEAD", 200, b"", None, 0, b""),
            ("GET", 204, b"abc", None, None, b""),
            ("GET", 204, b"", 0, None, b""),
            ("HEAD", 204, b"abc", None, None, b""),
            ("GET", 205, b"abc", None, 0, b""),
            ("GET", 304, b"abc", None, None, b""),
            ("GET", 304, b"", 1234, 1234, b""),
            ("HEAD", 304, b"abc", None, None, b""),
        ],
    )
    def test_lengthAndOctets(
        self, method: str, status: int, content: bytes, declared: int | None, length: int | None, sent: bytes
    ) -> None:
        assert frameContent(method, status, content, declared) == (length, sent)

    @pytest.mark.parametrize(
        ("method", "status", "content", "declared"),
        [
            ("GET", 200, b"abc", 2),
            ("GET", 200, b"abc", 4),
            ("GET", 200, b"", 1),
            ("HEAD", 200, b"abc", 4),
            ("GET", 205, b"", 1),
        ],
    )
    def test_mismatch(self, method: str, status: int, content: bytes, declared: int) -> None:
        with pytest.raises(ValueError, match=f"Content-Length is {declared}"):
            frameContent(method, status, content, declared)

    @given(
        st.sampled_from(["GET", "HEAD", "POST"]),
        st.integers(200, 599),
        st.binary(max_size=4),
        st.none() | st.integers(0, 5),
    )
    def test_whatIsSentIsWhatIsSaid(
        self, method: str, status: int, content: bytes, declared: int | None
    ) -> None:
        try:
            length, sent = frameContent(method, status, content, declared)
        except ValueError:
            return
        if sent:
            assert (length, sent) == (len(content), content)
        if method == "HEAD" or status in (204, 205, 304):
            assert sent == b""
        elif length is not None:
            assert length == len(sent)


class TestEncodeContent:
    @pytest.mark.parametrize(
        ("body", "content", "mediaType"),
        [
            ("é", b"\xc3\xa9", b"text/plain; charset=utf-8"),
            (b"\xff", b"\xff", b"application/octet-stream"),
            (b"", b"", None),
            (bytearray(), b"", None),
            (bytearray(b"a"), b"a", b"application/octet-stream"),
            (memoryview(b"abc")[::-1], b"cba", b"application/octet-stream"),
            ({"a": 1}, b'{"a":1}', b"application/json"),
            ([1, None, "é"], b'[1,null,"\xc3\xa9"]', b"application/json"),
        ],
    )
    def test_types(self, body: Any, content: bytes, mediaType: bytes | None) -> None:
        encoded = encodeContent(body)
        assert encoded == (content, mediaType)
        assert type(encoded[0]) is bytes

    @pytest.mark.parametrize("body", [None, 1, 1.0, (1,), object(), {1}, iter([b"a"]), {"a": b"b"}])
    def test_otherTypes(self, body: Any) -> None:
        with pytest.raises(TypeError):
            encodeContent(body)

    @pytest.mark.parametrize("body", [[float("inf")], {"a": float("nan")}, "\udc80", ["\udc80"]])
    def test_otherValues(self, body: Any) -> None:
        with pytest.raises(ValueError):
            encodeContent(body)

    @given(st.dictionaries(st.text(), st.lists(st.text() | st.integers() | st.floats(allow_nan=False))))
    def test_json(self, value: dict[str, Any]) -> None:
        try:
            content, _ = encodeContent(value)
        except ValueError:
            assert "inf" in repr(value)
            return
        assert json.loads(content) == value

    def test_mediaTypes(self) -> None:
        assert encodeMediaType("text/html; charset=utf-8") == b"text/html; charset=utf-8"
        for value in ("a\nb", "a\x00", "€"):
            with pytest.raises(ValueError):
                encodeMediaType(value)
        with pytest.raises(TypeError):
            encodeMediaType(b"text/html")  # type: ignore[arg-type]


DATE = (b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT")


class TestComposeHead:
    @pytest.fixture(autouse=True)
    def _frozen(self, now: list[float]) -> None: ...

    def test_standardFieldsFirst(self) -> None:
        head = composeHead([("X", "1"), ("X", "2")], b"text/html", b"srv")
        assert list(head.fields) == [
            DATE,
            (b"Server", b"srv"),
            (b"Content-Type", b"text/html"),
            (b"X", b"1"),
            (b"X", b"2"),
        ]
        assert (head.length, head.closes) == (None, False)

    def test_ownFieldsStand(self) -> None:
        given = [("date", "now"), ("SERVER", "mine"), ("content-type", "x/y")]
        head = composeHead(given, b"text/html", b"srv")
        assert list(head.fields) == [(b"date", b"now"), (b"SERVER", b"mine"), (b"content-type", b"x/y")]

    def test_nothingGiven(self) -> None:
        assert list(composeHead(None, None, b"").fields) == [DATE]
        assert list(composeHead({}, None, b"").fields) == [DATE]

    def test_theGivenOnesAreNotChanged(self) -> None:
        headers = HttpHeaders([("Connection", "close"), ("Content-Length", "3"), ("X", "1")])
        composeHead(headers, None, b"")
        assert headers.items() == [("Connection", "close"), ("Content-Length", "3"), ("X", "1")]

    def test_contentLengthIsTakenOut(self) -> None:
        head = composeHead({"content-LENGTH": "3", "X": "1"}, None, b"")
        assert (list(head.fields), head.length) == ([DATE, (b"X", b"1")], 3)

    @pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "0x1", "1,1", "1 1", "٣", "9" * 20])
    def test_malformedLength(self, value: str) -> None:
        with pytest.raises(ValueError):
            composeHead({"Content-Length": value}, None, b"")

    def test_twoLengths(self) -> None:
        with pytest.raises(ValueError, match="Content-Length"):
            composeHead([("Content-Length", "1"), ("content-length", "1")], None, b"")

    @pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer-encoding"])
    def test_transferEncoding(self, name: str) -> None:
        with pytest.raises(ValueError, match="Transfer-Encoding"):
            composeHead({name: "chunked"}, None, b"")

    @pytest.mark.parametrize(
        ("values", "closes", "kept"),
        [
            (["close"], True, []),
            (["Close"], True, []),
            (["keep-alive"], False, []),
            (["keep-alive , CLOSE"], True, []),
            (["close", "keep-alive"], True, []),
            (["keep-alive", "close"], True, []),
            ([""], False, []),
            (["Upgrade"], False, [b"Upgrade"]),
            (["X-Hop"], False, [b"X-Hop"]),
            (["close", "X-Hop"], True, [b"close", b"X-Hop"]),
            (["enclose"], False, [b"enclose"]),
        ],
    )
    def test_connection(self, values: list[str], closes: bool, kept: list[bytes]) -> None:
        head = composeHead({"Connection": values}, None, b"")
        assert head.closes is closes
        assert [value for name, value in head.fields if name == b"Connection"] == kept

    def test_keepAliveIsTheServersBusiness(self) -> None:
        assert list(composeHead({"Keep-Alive": "timeout=5"}, None, b"").fields) == [DATE]

    @pytest.mark.parametrize("headers", [{"X": "a\r\n"}, {"X": "\x00"}, {"X y": "a"}, {"": ""}, {"X\n": ""}])
    def test_malformed(self, headers: dict[str, str]) -> None:
        # White space around a value is cut off; a line end is none.
        with pytest.raises(ValueError):
            composeHead(headers, None, b"")


class TestErrorResponse:
    def test_fixedText(self, now: list[float]) -> None:
        fields, content = errorResponse(404, b"")
        assert dict(fields) == {
            DATE[0]: DATE[1],
            b"Content-Type": b"text/plain; charset=utf-8",
            b"X-Content-Type-Options": b"nosniff",
            b"Content-Security-Policy": b"default-src 'none'",
        }
        assert content == b"404 Not Found\n"

    def test_server(self) -> None:
        assert (b"Server", b"x/1") in errorResponse(404, b"x/1")[0]

    @pytest.mark.parametrize(
        ("status", "phrase"),
        [(413, b"Content Too Large"), (414, b"URI Too Long"), (422, b"Unprocessable Content"), (499, b"")],
    )
    def test_wordsOfRfc9110(self, status: int, phrase: bytes) -> None:
        assert errorResponse(status, b"")[1] == b"%d %b\n" % (status, phrase)


class TestDate:
    def test_onceASecond(self, now: list[float]) -> None:
        first = standardFields(b"text/plain", b"srv")
        now[0] += 0.7
        assert standardFields(b"text/plain", b"srv") is first
        now[0] += 0.1
        later = standardFields(b"text/plain", b"srv")
        assert dict(later)[b"Date"] == b"Sun, 06 Nov 1994 08:49:38 GMT"

    def test_aClockThatIsSetBack(self, now: list[float]) -> None:
        standardFields(None, b"")
        now[0] -= 3600
        assert dict(standardFields(None, b""))[b"Date"] == b"Sun, 06 Nov 1994 07:49:37 GMT"

    def test_sectionsAreNotMixedUp(self, now: list[float]) -> None:
        for contentType in (None, b"a/b", b"c/d"):
            for server in (b"", b"x", b"y"):
                fields = dict(standardFields(contentType, server))
                assert fields.get(b"Content-Type") == contentType
                assert fields.get(b"Server", b"") == server

    def test_manyContentTypesAreNoLeak(self, now: list[float]) -> None:
        """A hostile application's, or one that reflects what it was asked for."""
        from txabstracthttp import semantics

        for i in range(1000):
            assert dict(standardFields(b"%d" % i, b""))[b"Content-Type"] == b"%d" % i
        assert len(semantics._second.sections) <= 64

    @given(st.integers(0, 253402300799))
    def test_asOthersReadIt(self, seconds: int) -> None:
        text = httpDate(seconds).decode("ascii")
        assert len(text) == 29
        assert parsedate_to_datetime(text).timestamp() == seconds
