"""The answer to CONNECT opens a tunnel, and says nothing of a length (RFC 9110 sections 8.6 and 9.3.6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from connectionhelpers import serve

from txabstracthttp import HttpRequest, HttpSocket

ASK = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"


def answer(how: Callable[[HttpSocket], object]) -> bytes:
    def handler(request: HttpRequest, socket: HttpSocket) -> bool:
        how(socket)
        return True

    peer = serve(handler)
    peer.send(ASK)
    return peer.transport.value.lower()


@pytest.mark.parametrize(
    "how",
    [
        lambda socket: socket.respond("content"),
        lambda socket: socket.respond(b"content", 201),
        lambda socket: (socket.begin(), socket.write(b"content"), socket.finish()),
    ],
    ids=["respond", "another status", "begin"],
)
def test_success(how: Callable[[HttpSocket], object]) -> None:
    said = answer(how)
    assert said.startswith(b"http/1.1 20")
    assert b"content-length" not in said
    assert b"transfer-encoding" not in said
    assert said.endswith(b"\r\n\r\n")


def test_refusal() -> None:
    said = answer(lambda socket: socket.respond("content", 403))
    assert b"content-length: 7\r\n" in said
    assert said.endswith(b"content")
