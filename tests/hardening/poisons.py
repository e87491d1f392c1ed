"""What an application might pass and must not, and an exchange on either version to pass it to."""

from __future__ import annotations

__all__ = ["NAMES", "STATUSES", "TYPES", "VALUES", "Exchange", "raised", "refused", "versions"]

from collections.abc import Callable
from typing import Any

import pytest
from connectionhelpers import get, parseResponses, serve
from http2helpers import Http2Peer, Keeper, serve2

CONTROLS = [chr(code) for code in (*range(9), *range(10, 32), 127)]

#: No field may have these for its value.
VALUES = {
    **{f"control {ord(each):02x}": f"a{each}b" for each in CONTROLS},
    "a header": "a\r\nX-Evil: 1",
    "a response": "a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "LF and a header": "a\nX-Evil: 1",
    "CRLF at the end": "a\r\n",
    "LF at the end": "a\n",
    "CRLF first": "\r\na",
    "folded": "a\r\n b",
    "NUL at the end": "a\0",
    "beyond latin-1": "a\u0100",
    "what becomes CRLF when its high octets are cut off": "a\u560d\u560aX-Evil: 1",
    "a line separator": "a\u2028b",
    "a surrogate": "a\udc0a",
}
#: Nor these for a name.
NAMES = {
    **{f"control {ord(each):02x}": f"X{each}Y" for each in [*CONTROLS, "\t"]},
    **{f"delimiter {each}": f"X{each}Y" for each in ' "(),/:;<=>?@[\\]{}'},
    "nothing": "",
    "a space": " ",
    "space first": " X",
    "space at the end": "X ",
    "CRLF at the end": "X\r\n",
    "a whole header": "X-Evil: 1\r\nX",
    "a pseudo-header": ":status",
    "an octet": "X\xe9",
    "beyond latin-1": "X\u0100",
    "a Kelvin sign": "\u212aeep",
    "a surrogate": "X\udc0a",
}
#: And of these types neither may be.
TYPES: list[Any] = [1, None, True, 1.5, b"a", ("a", b"b"), object]
#: And these are no final status.
STATUSES: list[Any] = [
    99,
    0,
    -1,
    100,
    101,
    103,
    199,
    600,
    999,
    1000,
    10**20,
    True,
    False,
    None,
    "200",
    b"200",
    200.0,
]


class Exchange:
    """A request that waits for its answer.

    :ivar socket: where it is given.
    """

    def __init__(self, version: str) -> None:
        keeper = Keeper()
        self._peer2: Http2Peer | None = None
        if version == "2":
            self._peer2 = serve2(keeper)
            self._stream = self._peer2.ask()
            self._conversation = self._peer2.conversation
        else:
            self._conversation = serve(keeper)
            self._conversation.send(get())
        self.socket = keeper.socket
        self.forget()

    def forget(self) -> None:
        """What was sent so far was as it should be."""
        self._conversation.transport.log.clear()

    @property
    def hasWritten(self) -> bool:
        """Whether anything was sent, also at the end of this turn."""
        self._conversation.advance(0)
        return "write" in self._conversation.transport.log

    def answer(self) -> tuple[int, bytes, list[tuple[str, str]]]:
        """What came: one answer, which is complete, and nothing behind it."""
        self._conversation.advance(0)
        if self._peer2 is not None:
            answer = self._peer2.answer(self._stream)
            assert (answer.ended, answer.reset, answer.trailers) == (True, None, [])
            return answer.status, answer.body, answer.headers
        *_, response = parseResponses(self._conversation.transport.value, ["GET"], False)
        return response.status, response.body, response.headers

    def isUsable(self) -> bool:
        """Whether a proper answer can be given still, and is all that is seen."""
        self.socket.respond("fine", 404, {"X-Fine": "yes"})
        status, body, headers = self.answer()
        given = {name.lower() for name, _ in headers}
        expected = {"date", "content-type", "content-length", "x-fine"}
        return (status, body, given) == (404, b"fine", expected)


versions = pytest.mark.parametrize("version", ["1.1", "2"])


def raised(kind: type[Exception], act: Callable[[], object], culprit: object = "") -> None:
    """It raises that."""
    try:
        act()
    except kind:
        return
    pytest.fail(f"{culprit!r} passed")


def refused(
    exchange: Exchange, kind: type[Exception], act: Callable[[], object], culprit: object = ""
) -> None:
    """It is refused, and that is all."""
    raised(kind, act, culprit)
    assert not exchange.hasWritten, culprit
    assert exchange.socket.isUntouched, culprit
