"""What the server answers in its own name is fixed text: nothing of a request or an exception is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import http2websockets
import pytest
import websockethelpers
from connectionhelpers import Conversation, capturedFailures, get, post, serve
from hardening.poisons import versions
from http2helpers import Http2Peer, serve2
from twisted.python.failure import Failure

from txabstracthttp import HttpError, HttpRequest, HttpSocket

EVIL = "<script>alert('evil')</script>"
TARGET = f"/{EVIL}?q={EVIL}"
FIELDS = (
    f"X-Evil: {EVIL}",
    f"Referer: http://example.com/{EVIL}",
    f"User-Agent: {EVIL}",
    f"Cookie: a={EVIL}",
)

#: All that a page of ours may have; the last three are of 426, which says what would be better.
NAMES = {
    "content-length",
    "content-type",
    "content-security-policy",
    "connection",
    "date",
    "x-content-type-options",
    "sec-websocket-version",
    "upgrade",
}


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures
        failures.clear()


def isPage(status: int, got: int, fields: list[tuple[str, str]], body: bytes) -> bool:
    """Whether that is a page of ours, and harmless."""
    headers = {name.lower(): value for name, value in fields}
    assert (got, set(headers) - NAMES) == (status, set())
    assert b"evil" not in body.lower()
    assert not any("evil" in value.lower() for value in headers.values())
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'"
    assert body.startswith(b"%d" % status)
    assert body.find(b"\n") == len(body) - 1
    assert body.isascii()
    return True


def fails(request: HttpRequest, socket: HttpSocket) -> bool:
    raise RuntimeError(EVIL + request.path)


def waits(request: HttpRequest, socket: HttpSocket) -> bool:
    return True


def misses(request: HttpRequest, socket: HttpSocket) -> bool:
    return False


def sendsNoFile(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.sendFile("/nowhere" + request.path)
    return True


Handler = Callable[[HttpRequest, HttpSocket], bool]

#: What happens, how it is asked for in HTTP/1.1, with which handler, configuration, and after how long.
PAGES: dict[str, tuple[int, bytes, Handler, dict[str, Any], float]] = {
    "a bad Host": (400, get(TARGET, *FIELDS).replace(b"example.com", EVIL.encode()), fails, {}, 0),
    "a bad method": (400, get(TARGET, *FIELDS, method=EVIL), fails, {}, 0),
    "a bad name": (400, get(TARGET, f"{EVIL}: x"), fails, {}, 0),
    "a bad length": (400, get(TARGET, f"Content-Length: {EVIL}"), fails, {}, 0),
    "a bad version": (400, get(TARGET, version=EVIL), fails, {}, 0),
    "a NUL": (400, get(TARGET, *FIELDS, "X: \0"), fails, {}, 0),
    "too late a head": (408, get(TARGET, *FIELDS)[:-2], fails, {"headerTimeout": 5}, 6),
    "a bad coding": (400, get(TARGET, f"Transfer-Encoding: {EVIL}"), fails, {}, 0),
    "an unknown coding": (400, get(TARGET, "Transfer-Encoding: evil, chunked"), fails, {}, 0),
    "HTTP/3.7": (505, get(TARGET, *FIELDS, version="3.7"), fails, {}, 0),
}


def http1(
    request: bytes, handler: Handler, configuration: dict[str, Any], seconds: float
) -> tuple[int, list[tuple[str, str]], bytes]:
    """What comes back in the end."""
    peer = serve(handler, **configuration)
    peer.send(request)
    peer.advance(seconds)
    assert b"evil" not in peer.transport.value.lower()
    last = peer.responses("GET")[-1]
    return last.status, last.headers, last.body


@pytest.mark.parametrize(
    ("status", "request_", "handler", "configuration", "seconds"), PAGES.values(), ids=PAGES
)
def test_onTheWire(
    status: int, request_: bytes, handler: Handler, configuration: dict[str, Any], seconds: float
) -> None:
    """What no client of HTTP/2 could send, or says in another way."""
    assert isPage(status, *http1(request_, handler, configuration, seconds))


#: On either version: the handler, the configuration, the target, more fields, content, and after how long.
CASES: dict[str, tuple[int, Handler, dict[str, Any], dict[str, Any], float]] = {
    "nobody handles it": (404, misses, {}, {}, 0),
    "no such file": (404, sendsNoFile, {}, {}, 0),
    "a handler that fails": (500, fails, {}, {}, 0),
    "a handler that takes too long": (503, waits, {"handlerTimeout": 1}, {}, 2),
    "too long a target": (414, fails, {"maximumUrlSize": 20}, {}, 0),
    "too large a field": (431, fails, {"maximumHeaderFieldSize": 20}, {}, 0),
    "too many fields": (431, fails, {"maximumHeaderFieldCount": 3}, {}, 0),
    "too many requests": (429, waits, {"rateLimitPerSecond": 1}, {"before": 1}, 0),
    "too much content": (413, fails, {"maximumBodySize": 2}, {"body": EVIL.encode()}, 0),
    "an expectation": (417, fails, {}, {"fields": (f"Expect: {EVIL}",), "body": b"x"}, 0),
    "an unknown method": (501, fails, {}, {"method": "EVIL"}, 0),
    "content that stops": (408, fails, {"bodyTimeout": 1}, {"body": b"evil", "cut": True}, 2),
}


def ask1(handler: Handler, configuration: dict[str, Any], how: dict[str, Any], seconds: float) -> Any:
    """Over HTTP/1.1."""
    fields = (*FIELDS, *how.get("fields", ()))
    if "body" in how:
        request = post(how["body"], *fields, target=TARGET)
        request = request[:-1] if how.get("cut") else request
    else:
        request = get(TARGET, *fields, method=how.get("method", "GET"))
    if how.get("before"):
        handler = echo
    return http1(request * (1 + how.get("before", 0)), handler, configuration, seconds)


def echo(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.respond("x")
    return True


def ask2(handler: Handler, configuration: dict[str, Any], how: dict[str, Any], seconds: float) -> Any:
    """Over HTTP/2."""
    peer = serve2(handler, **configuration)
    for _ in range(how.get("before", 0)):
        peer.ask()
    body = how.get("body")
    streamId = peer.ask(
        TARGET,
        *FIELDS,
        *how.get("fields", ()),
        method=how.get("method", "GET" if body is None else "POST"),
        body=body,
        end=not how.get("cut"),
    )
    peer.advance(seconds)
    answer = peer.answer(streamId)
    return answer.status, answer.headers, answer.body


@versions
@pytest.mark.parametrize(("status", "handler", "configuration", "how", "seconds"), CASES.values(), ids=CASES)
def test_onBoth(
    status: int,
    handler: Handler,
    configuration: dict[str, Any],
    how: dict[str, Any],
    seconds: float,
    version: str,
) -> None:
    ask = ask2 if version == "2" else ask1
    assert isPage(status, *ask(handler, configuration, how, seconds))


@versions
@pytest.mark.parametrize("status", [*range(400, 432), 451, 499, *range(500, 512), 599])
def test_anHttpError(status: int, version: str) -> None:
    def handler(request: HttpRequest, socket: HttpSocket) -> bool:
        raise HttpError(status, EVIL)

    ask = ask2 if version == "2" else ask1
    assert isPage(status, *ask(handler, {}, {}, 0))


@pytest.mark.parametrize("filters", [{"blacklist": ["0.0.0.0/0"]}, {"maximumConnections": 1}])
def test_refusedConnections(filters: dict[str, Any]) -> None:
    first: Conversation = serve(waits, **filters)
    refused = first.another()
    response = refused.response()
    assert isPage(403 if "blacklist" in filters else 429, *response)


@versions
@pytest.mark.parametrize(
    ("status", "field"),
    [
        (426, "Sec-WebSocket-Version: 12"),
        (400, f"Sec-WebSocket-Version: {EVIL}"),
        (403, f"Origin: http://{EVIL}"),
    ],
)
def test_upgrades(status: int, field: str, version: str) -> None:
    fields = FIELDS if status == 403 or version == "2" else ()
    if version == "2":
        peer = http2websockets.offer(waits)
        more = (http2websockets.VERSION,) if status == 403 else ()
        answer = peer.answer(http2websockets.upgrade(peer, TARGET, field, *more, *fields))
        assert isPage(status, answer.status, answer.headers, answer.body)
        return
    client = websockethelpers.offer(waits)
    asked = websockethelpers.upgrade(TARGET, *FIELDS)
    if status == 403:
        asked = asked[:-2] + field.encode() + b"\r\n\r\n"
    else:
        asked = asked.replace(b"Sec-WebSocket-Version: 13", field.encode())
    client.conversation.send(asked)
    assert b"evil" not in client.transport.value.lower()
    assert isPage(status, *client.response())


@versions
@pytest.mark.parametrize("handler", [misses, fails])
def test_head(handler: Handler, version: str) -> None:
    """The page's fields, and nothing else."""
    if version == "2":
        peer: Http2Peer = serve2(handler)
        answer = peer.got(TARGET, *FIELDS, method="HEAD")
        fields, body = answer.headers, answer.body
    else:
        conversation = serve(handler)
        conversation.send(get(TARGET, *FIELDS, method="HEAD"))
        response = conversation.response("HEAD")
        fields, body = response.headers, response.body
    assert (body, dict(fields)["x-content-type-options"]) == (b"", "nosniff")
    assert not any("evil" in value for _, value in fields)
