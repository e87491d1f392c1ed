"""No handler can tell the difference: the same acts on HTTP/1.1 and on HTTP/2 look the same."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from http2play import Act, Asking, play, same
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.task import Clock
from twisted.protocols.basic import FileSender
from zope.interface import implementer

from txabstracthttp import AlreadyAnswered, HttpError, HttpRequest, HttpSocket

THIS = Path(__file__)

BIG = bytes(range(256)) * 1200


class Oops(Exception):
    """What goes wrong here."""


def once(*calls: tuple[Any, ...]) -> Act:
    """A handler that makes these calls on its socket, at once: names, and arguments."""

    def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
        for name, *arguments in calls:
            getattr(socket, name)(*arguments)
        return True

    return act


def slowly(*calls: tuple[Any, ...]) -> Act:
    """The same, one call in each tenth of a second."""

    def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
        for number, (name, *arguments) in enumerate(calls, 1):
            clock.callLater(number / 10, getattr(socket, name), *arguments)
        return True

    return act


def returning(result: Callable[[], Any], answer: Any = None) -> Act:
    def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> Any:
        if answer is not None:
            socket.respond(answer)
        return result()

    return act


def raising(error: BaseException, *calls: tuple[Any, ...]) -> Act:
    """Make these calls, then fail."""

    def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
        once(*calls)(request, socket, clock)
        raise error

    return act


CALLS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "str": (("respond", "Käse"),),
    "bytes": (("respond", b"\0\xff"),),
    "dict": (("respond", {"a": [1, "ü"]}),),
    "list": (("respond", [1, None]),),
    "nothing": (("respond",),),
    "an empty str": (("respond", ""),),
    "a media type": (("respond", "<p>", 200, None, "text/html"),),
    "much": (("respond", BIG),),
    "fields": (
        ("respond", "x", 200, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Mixed-Case", "Yes")]),
    ),
    "a declared length": (("respond", "x", 200, {"Content-Length": "1"}),),
    "Connection: close": (("respond", "x", 200, {"Connection": "close"}),),
    "Keep-Alive": (("respond", "x", 200, {"Connection": "keep-alive", "Keep-Alive": "timeout=5"}),),
    "201": (("respond", {"id": 1}, 201, {"Location": "/1"}),),
    "204": (("respond", "dropped", 204, {"X": "y"}),),
    "205": (("respond", "", 205),),
    "304": (("respond", "dropped", 304, {"ETag": '"1"'}),),
    "404": (("respond", "mine", 404),),
    "599": (("respond", "odd", 599),),
    "a redirect": (("respond", b"", 302, {"Location": "/elsewhere"}),),
    "in pieces": (("begin",), ("write", b"a"), ("write", b"bc"), ("finish",)),
    "without begin": (("write", b"a"), ("finish",)),
    "finish alone": (("finish",),),
    "writeSequence": (("writeSequence", [b"a", b"", b"b"]), ("finish",)),
    "with its length": (("begin", 200, {"Content-Length": "3"}), ("write", b"abc"), ("finish",)),
    "a length of 0": (("begin", 200, {"Content-Length": "0"}), ("finish",)),
    "begin with a status": (("begin", 418, {"X": "y"}), ("write", b"tea"), ("finish",)),
    "begin 204": (("begin", 204), ("write", b"dropped"), ("finish",)),
    "begin 304": (("begin", 304, {"Content-Length": "9"}), ("finish",)),
    "begin 205": (("begin", 205), ("finish",)),
    "trailers": (("begin",), ("write", b"a"), ("finish", {"X-Sum": "7", "X-More": ["a", "b"]})),
    "trailers alone": (("begin",), ("finish", {"X-Sum": "7"})),
    "a file": (("sendFile", THIS),),
    "a file as something else": (("sendFile", str(THIS), {"Content-Type": "text/x-test"}),),
    "no such file": (("sendFile", THIS / "missing"),),
    "hints": (("inform", 103, {"Link": "</a.css>; rel=preload"}), ("inform", 102), ("respond", "x")),
    "hints, then pieces": (("inform", 103, {"Link": "<a>"}), ("write", b"x"), ("finish",)),
    "much in pieces": (*(("write", BIG[:5000]),) * 60, ("finish",)),
    "claimed": (("claim",), ("respond", "x")),
    "closing": (("loseConnection",),),
    "closing the answer": (("begin",), ("write", b"abc"), ("loseConnection",)),
    "closing behind the answer": (("respond", "x"), ("loseConnection",)),
    "aborting": (("abortConnection",),),
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("name", CALLS)
class TestCalls:
    def test_atOnce(self, name: str, method: str) -> None:
        seen = same(once(*CALLS[name]), Asking(method))
        assert seen.failures == []
        assert seen.status or seen.cut

    def test_slowly(self, name: str, method: str) -> None:
        seen = same(slowly(*CALLS[name]), Asking(method))
        assert seen.failures == []
        assert seen.status or seen.cut


class TestEarlyEnds:
    """What is cut says so; how much of it arrived before depends on the version."""

    @pytest.mark.parametrize("how", [once, slowly])
    @pytest.mark.parametrize(
        "calls",
        [
            (("begin",), ("abortConnection",)),
            (("begin",), ("write", b"abc"), ("abortConnection",)),
            (("begin", 200, {"Content-Length": "9"}), ("write", b"abc"), ("abortConnection",)),
        ],
    )
    def test_cut(self, how: Callable[..., Act], calls: tuple[Any, ...]) -> None:
        first, second = (play(version, how(*calls), Asking()) for version in ("1.1", "2"))
        assert (first.cut, second.cut) == (True, True)
        assert (second.ends, second.states, second.records) == (first.ends, first.states, first.records)
        assert first.failures == second.failures == []

    @pytest.mark.parametrize("last", ["finish", "loseConnection"])
    def test_short(self, last: str) -> None:
        act = once(("begin", 200, {"Content-Length": "9"}), ("write", b"abc"), (last,))
        first, second = (play(version, act, Asking()) for version in ("1.1", "2"))
        assert (first.cut, second.cut, second.failures) == (True, True, ["ValueError"])
        assert second.records == first.records


async def _answering(socket: HttpSocket, body: Any, event: Deferred[Any] | None = None) -> bool:
    if event is not None:
        await event
    socket.respond(body)
    return True


RESULTS: dict[str, Callable[[], Any]] = {
    "False": lambda: False,
    "None": lambda: None,
    "1": lambda: 1,
    "a str": lambda: "True",
    "Deferred of True": lambda: succeed(True),
    "Deferred of False": lambda: succeed(False),
    "Deferred of None": lambda: succeed(None),
    "Deferred that failed": lambda: fail(Oops()),
    "Deferred that failed with an HttpError": lambda: fail(HttpError(418)),
}


class TestResults:
    @pytest.mark.parametrize("answer", [None, "answered"])
    @pytest.mark.parametrize("name", [name for name in RESULTS if name != "Deferred of True"])
    def test_returned(self, name: str, answer: str | None) -> None:
        # One that says True and does not answer is waited for.
        assert same(returning(RESULTS[name], answer)).status

    @pytest.mark.parametrize("waits", [False, True])
    def test_coroutine(self, waits: bool) -> None:
        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> Any:
            event: Deferred[Any] = Deferred()
            clock.callLater(1, event.callback, None)
            return _answering(socket, "late", event if waits else None)

        assert same(act).body == b"late"

    def test_coroutineThatFails(self) -> None:
        async def wrong(socket: HttpSocket, event: Deferred[Any]) -> bool:
            await event
            raise Oops

        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> Any:
            event: Deferred[Any] = Deferred()
            clock.callLater(1, event.callback, None)
            return wrong(socket, event)

        seen = same(act)
        assert (seen.status, seen.failures) == (500, ["Oops"])

    @pytest.mark.parametrize("error", [Oops(), HttpError(418), HttpError(503)])
    @pytest.mark.parametrize(
        "calls", [(), (("respond", "x"),), (("inform", 103),), (("claim",),), (("write", b"x"), ("finish",))]
    )
    def test_raised(self, error: Exception, calls: tuple[Any, ...]) -> None:
        same(raising(error, *calls))

    @pytest.mark.parametrize("calls", [(("begin",),), (("write", b"abc"),)])
    def test_raisedBehindTheHead(self, calls: tuple[Any, ...]) -> None:
        first, second = (play(version, raising(Oops(), *calls), Asking()) for version in ("1.1", "2"))
        assert (first.cut, second.cut) == (True, True)
        assert (second.failures, second.ends, second.states) == (first.failures, first.ends, first.states)
        assert second.records == first.records

    def test_missingHandler(self) -> None:
        seen = same(returning(lambda: False))
        assert (seen.status, seen.body) == (404, b"404 Not Found\n")


class TestMistakes:
    """What the caller is told is the same, and so is what becomes of the exchange."""

    ACTS = [
        (("respond", "a"), ("respond", "b")),
        (("respond", "a"), ("begin",)),
        (("respond", "a"), ("write", b"b")),
        (("respond", "a"), ("finish",)),
        (("respond", "a"), ("inform", 103)),
        (("begin",), ("begin",), ("finish",)),
        (("begin",), ("respond", "x"), ("finish",)),
        (("begin",), ("inform", 103), ("finish",)),
        (("begin",), ("sendFile", io.BytesIO(b"x")), ("finish",)),
        (("write", b"a"), ("finish",), ("finish",)),
        (("write", b"a"), ("finish",), ("write", b"b")),
        (("write", "str"), ("respond", "x")),
        (("respond", 7), ("respond", "x")),
        (("respond", "x", 100), ("respond", "x")),
        (("respond", "x", 600), ("respond", "x")),
        (("respond", "x", 200, {"X": "a\r\nb"}), ("respond", "x")),
        (("respond", "x", 200, {"X Y": "a"}), ("respond", "x")),
        (("respond", "x", 200, {"Transfer-Encoding": "chunked"}), ("respond", "x")),
        (("respond", "x", 200, {"Content-Length": "2"}), ("respond", "x")),
        (("begin", 200, {"X": "\0"}), ("respond", "x")),
        (("inform", 101), ("inform", 200), ("respond", "x")),
        (("inform", 103, {"Content-Length": "1"}), ("respond", "x")),
        (("begin",), ("finish", {"Content-Length": "1"}), ("finish",)),
        (("begin", 200, {"Content-Length": "1"}), ("write", b"ab"), ("write", b"a"), ("finish",)),
        (("detach", object()), ("respond", "x")),
    ]

    @pytest.mark.parametrize("calls", ACTS)
    def test_errors(self, calls: tuple[Any, ...]) -> None:
        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
            for name, *arguments in calls:
                try:
                    getattr(socket, name)(*arguments)
                except (TypeError, ValueError, RuntimeError) as error:
                    kinds.append(type(error))
            return True

        kinds: list[type[Exception]] = []
        if calls[0][0] == "detach":
            assert play("2", act, Asking()).body == b"x"
            assert kinds == [RuntimeError]
        else:
            same(act)
            half = len(kinds) // 2
            assert kinds[:half] == kinds[half:] != []
            assert all(issubclass(kind, AlreadyAnswered | TypeError | ValueError) for kind in kinds)


@implementer(IPushProducer)
class Pushing:
    def __init__(self, socket: HttpSocket, clock: Clock, finishes: bool = True) -> None:
        self._socket, self._finishes = socket, finishes
        self._left = 5
        socket.registerProducer(self, True)
        clock.callLater(0.1, self._push, clock)

    def _push(self, clock: Clock) -> None:
        self._socket.write(b"%d" % self._left)
        self._left -= 1
        if self._left:
            clock.callLater(0.1, self._push, clock)
        else:
            self._socket.unregisterProducer()
            if self._finishes:
                self._socket.finish()

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


@implementer(IPullProducer)
class Pulling:
    def __init__(self, socket: HttpSocket, fails: bool = False) -> None:
        self._socket, self._fails = socket, fails
        self._left = 20
        socket.registerProducer(self, False)

    def resumeProducing(self) -> None:
        if self._fails:
            raise Oops
        self._socket.write(BIG[:20_000])
        self._left -= 1
        if not self._left:
            self._socket.unregisterProducer()
            self._socket.finish()

    def stopProducing(self) -> None: ...


class TestProducers:
    def test_push(self) -> None:
        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
            Pushing(socket, clock)
            return True

        assert same(act).body == b"54321"

    def test_pull(self) -> None:
        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
            Pulling(socket)
            return True

        assert len(same(act).body) == 400_000

    def test_pullThatFails(self) -> None:
        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
            Pulling(socket, fails=True)
            return True

        first, second = (play(version, act, Asking()) for version in ("1.1", "2"))
        assert (first.cut, second.cut, second.failures) == (True, True, ["Oops"])
        assert second.records == first.records

    def test_fileSender(self) -> None:
        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
            FileSender().beginFileTransfer(io.BytesIO(BIG), socket).addCallback(lambda _: socket.finish())
            return True

        assert same(act).body == BIG

    def test_loseConnectionWaitsForTheProducer(self) -> None:
        def act(request: HttpRequest, socket: HttpSocket, clock: Clock) -> bool:
            Pushing(socket, clock, finishes=False)
            socket.loseConnection()
            return True

        assert same(act).body == b"54321"
