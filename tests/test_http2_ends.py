"""How exchanges on HTTP/2 end where a peer makes it hard: each was a bug once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from h2.exceptions import StreamClosedError
from http2helpers import serve2
from twisted.internet.defer import Deferred

from txabstracthttp import HttpRequest, HttpSocket

NO_ROOM = {"settings": {4: 0}}


def claiming(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.claim()
    return True


def test_answersWithoutRoom() -> None:
    peer = serve2(lambda request, socket: socket.respond("x" * 50) or True, client=NO_ROOM, writeTimeout=30)
    stream = peer.ask("/")
    assert peer.answer(stream).status == 200
    peer.advance(*[10] * 4)
    assert peer.answer(stream).reset == 8


def test_noTimerForAnswersThatLeave() -> None:
    peer = serve2(lambda request, socket: socket.respond("x" * 50) or True)
    peer.ask("/")
    calls: list[float] = []
    later = peer.clock.callLater
    peer.clock.callLater = lambda when, *rest, **more: calls.append(when) or later(when, *rest, **more)  # type: ignore[method-assign]
    assert peer.answer(peer.ask("/")).ended
    assert calls == []


class TestErrorPages:
    def test_withoutRoom(self) -> None:
        """They have to be taken in time, too, or a peer could keep streams for ever."""
        peer = serve2(claiming, client=NO_ROOM, maximumBodySize=10)
        stream = peer.ask("/", "content-length: 100", method="POST", end=False)
        assert peer.answer(stream).status == 413
        peer.advance(*[10] * 20)
        assert peer.answer(stream).reset is not None
        assert not peer.conversation.open

    def test_withoutAnExchange(self) -> None:
        peer = serve2(claiming, client=NO_ROOM, maximumUrlSize=10)
        stream = peer.ask("/" + "x" * 20)
        peer.advance(0)
        assert (peer.answer(stream).status, peer.answer(stream).reset) == (414, 8)


@pytest.mark.parametrize("how", ["finish", "204"])
def test_theLastAnswerOnABlockedTransport(how: str) -> None:
    sockets: dict[str, HttpSocket] = {}

    def keep(request: HttpRequest, socket: HttpSocket) -> bool:
        sockets[request.path] = socket
        return claiming(request, socket)

    peer = serve2(keep, client={"settings": {4: 10**6}})
    first, last = peer.ask("/first"), peer.ask("/last")
    if how == "finish":
        sockets["/last"].begin()
        sockets["/last"].write(b"part")
        peer.advance(0)
    peer.h2.increment_flow_control_window(10**6)
    peer.say()
    peer.transport.stuck = True
    sockets["/first"].respond(b"A" * 65536)
    peer.server.close(30)
    if how == "finish":
        sockets["/last"].finish()
    else:
        sockets["/last"].respond(status=204)
    peer.transport.stuck = False
    peer.transport.release()
    peer.advance(0.1)
    peer.hear()
    assert peer.answer(first).ended
    assert peer.answer(last).ended


def test_roomInSmallSteps() -> None:
    """Some clients say for each 4 KiB, on stream and connection, that there is room again."""
    peer = serve2(
        lambda request, socket: socket.respond(bytes(8 * 2**20)) or True,
        client={"settings": {4: 4 * 2**20}, "acknowledging": False},
    )
    peer.h2.increment_flow_control_window(2**30)
    peer.say()
    owed, noted = [0], peer._noteData

    def note(event: Any, answer: Any) -> None:
        noted(event, answer)
        owed[0] += len(event.data)
        while owed[0] >= 4096:
            owed[0] -= 4096
            peer.h2.increment_flow_control_window(4096)
            with suppress(StreamClosedError):
                peer.h2.increment_flow_control_window(4096, event.stream_id)

    peer._noteData = note  # type: ignore[method-assign]
    stream = peer.ask("/")
    for _ in range(200):
        peer.advance(0.01)
    assert not peer.goneAway
    assert peer.answer(stream).ended


def test_exchangesThatThePeerMakesUsEnd() -> None:
    """Their handlers go on, so they count as resets do."""
    running = [0]

    async def wait(request: HttpRequest, socket: HttpSocket) -> bool:
        running[0] += 1
        return bool(await Deferred())

    peer = serve2(wait, policy=10)
    for _ in range(300):
        if not peer.goneAway and peer.conversation.open:
            peer.upload(peer.ask("/", "x: y", method="POST", end=False), b"x" * 300)
    assert running[0] < 150
    assert peer.goneAway


class TestHead:
    def test_theClientLeaves(self) -> None:
        """Its stream has ended, but its handler does not know the end yet."""
        ends: list[Any] = []

        def begin(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.begin()
            socket.notifyFinish().addBoth(ends.append)
            return True

        peer = serve2(begin)
        peer.ask("/", method="HEAD")
        peer.advance(1)
        assert ends == []
        peer.leave()
        assert len(ends) == 1


def test_headsInARow() -> None:
    """The time for one head is not that of the next."""
    peer = serve2(lambda request, socket: socket.respond("x") or True)
    streams = []
    for _ in range(15):
        streams.append(peer.ask("/"))
        peer.advance(1)
    assert all(peer.answer(stream).ended for stream in streams)
    assert peer.conversation.open
