"""RequestBody: content on its way to one reader, seen from both of its ends."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from txabstracthttp.body import RequestBody
from txabstracthttp.errors import HttpError


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


# Pieces that are too large to be joined while they wait.
A, B, C = (letter * 10_000 for letter in (b"a", b"b", b"c"))


class Flow:
    """The other side of a `RequestBody`, which notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.failures: list[Failure] = []

    def want(self) -> None:
        self.told.append("want")

    def rest(self) -> None:
        self.told.append("rest")

    def taken(self, size: int) -> None:
        self.told.append(size)

    def readerFailed(self, failure: Failure) -> None:
        self.failures.append(failure)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the peer."""
        said = [each for each in self.told if isinstance(each, str)]
        return bool(said) and said[-1] == "want"


class Reader(Protocol):
    """Notes what it is given; `act` is called with each piece."""

    def __init__(self, act: Callable[[Any, bytes], object] = lambda transport, data: None) -> None:
        self.pieces: list[bytes] = []
        self.ends: list[type[BaseException]] = []
        self.act = act

    def dataReceived(self, data: bytes) -> None:
        assert self.ends == []
        self.pieces.append(data)
        self.act(self.transport, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(type(reason.value))


def make() -> tuple[RequestBody, Flow]:
    flow = Flow()
    return RequestBody(flow, True), flow


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """What has become of it: nothing, the result, or the type of the exception."""
    outcomes: list[Any] = []
    deferred.addCallbacks(outcomes.append, lambda failure: outcomes.append(failure.type))
    return outcomes


def run(coroutine: Coroutine[Any, Any, Any]) -> list[Any]:
    return outcome(Deferred.fromCoroutine(coroutine))


async def gather(pieces: AsyncIterator[bytes], into: list[bytes]) -> str:
    async for piece in pieces:
        into.append(piece)  # noqa: PERF401  # each as it comes
    return "end"


class TestProtocol:
    def test_aTransport(self) -> None:
        body, _ = make()
        assert verifyObject(IPushProducer, body)
        reader = Reader()
        body.deliver(reader)
        assert reader.transport is body
        assert reader.connected

    def test_asItComes(self) -> None:
        body, _ = make()
        reader = Reader()
        body.deliver(reader)
        assert reader.pieces == []
        body.receive(b"a")
        body.receive(b"bc")
        assert (reader.pieces, reader.ends) == ([b"a", b"bc"], [])
        body.end([])
        assert reader.ends == [ConnectionDone]

    def test_whatCameEarlier(self) -> None:
        body, _ = make()
        body.receive(A)
        body.receive(B)
        body.end([])
        reader = Reader()
        body.deliver(reader)
        assert (reader.pieces, reader.ends) == ([A, B], [ConnectionDone])

    def test_manySmallPieces(self) -> None:
        """A peer that sends octet by octet does not make as many objects of it."""
        body, flow = make()
        for number in range(50_000):
            body.receive(b"%d" % (number % 10))
        assert body.backlog == 50_000
        body.end([])
        reader = Reader()
        body.deliver(reader)
        assert b"".join(reader.pieces) == b"0123456789" * 5000
        assert len(reader.pieces) < 1000
        assert sum(each for each in flow.told if isinstance(each, int)) == 50_000

    def test_cut(self) -> None:
        body, _ = make()
        reader = Reader()
        body.deliver(reader)
        body.receive(b"a")
        body.cut("a reason")
        assert (reader.pieces, reader.ends) == ([b"a"], [ConnectionLost])
        assert "a reason" in str(body.ended)

    def test_endsOnce(self) -> None:
        for first, second in (("end", "cut"), ("cut", "end"), ("cut", "cut"), ("end", "end")):
            body, _ = make()
            reader = Reader()
            body.deliver(reader)
            for each in (first, second):
                if each == "end":
                    body.end([])
                else:
                    body.cut("lost")
            assert reader.ends == [ConnectionDone if first == "end" else ConnectionLost]

    def test_pausing(self) -> None:
        body, _ = make()
        reader = Reader()
        body.deliver(reader)
        body.pauseProducing()
        body.pauseProducing()
        body.receive(b"a")
        body.end([])
        assert (reader.pieces, reader.ends) == ([], [])
        body.resumeProducing()
        assert (reader.pieces, reader.ends) == ([b"a"], [ConnectionDone])
        body.resumeProducing()
        assert (reader.pieces, reader.ends) == ([b"a"], [ConnectionDone])

    def test_pausingWhileItIsGivenSomething(self) -> None:
        body, _ = make()
        for piece in (A, B, C):
            body.receive(piece)
        body.end([])
        reader = Reader(lambda transport, data: transport.pauseProducing())
        body.deliver(reader)
        seen = []
        while not reader.ends:
            seen.append(list(reader.pieces))
            body.resumeProducing()
        assert seen == [[A], [A, B], [A, B, C]]

    def test_pausingFromTheBeginning(self) -> None:
        body, flow = make()
        body.receive(b"a")

        class Shy(Reader):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.pauseProducing()  # type: ignore[attr-defined]

        reader = Shy()
        body.deliver(reader)
        assert reader.pieces == []
        assert not flow.wanted
        body.resumeProducing()
        assert reader.pieces == [b"a"]
        assert flow.wanted

    def test_pausingAndResumingDoesNotNest(self) -> None:
        """There may be a great many pieces."""
        body, _ = make()
        for _ in range(700):
            body.receive(A)
            body.receive(B)
        body.end([])

        def act(transport: Any, data: bytes) -> None:
            transport.pauseProducing()
            transport.resumeProducing()

        reader = Reader(act)
        body.deliver(reader)
        assert reader.pieces == [A, B] * 700
        assert reader.ends == [ConnectionDone]

    @pytest.mark.parametrize("method", ["stopProducing", "loseConnection"])
    def test_stopping(self, method: str) -> None:
        body, flow = make()
        reader = Reader(lambda transport, data: getattr(transport, method)())
        body.deliver(reader)
        body.receive(b"a")
        assert (reader.pieces, reader.ends) == ([b"a"], [ConnectionLost])
        assert not flow.wanted
        body.receive(b"b")
        body.end([])
        getattr(body, method)()
        assert (reader.pieces, reader.ends) == ([b"a"], [ConnectionLost])

    def test_stoppingForgetsWhatIsThere(self) -> None:
        body, _ = make()
        reader = Reader()
        body.deliver(reader)
        body.pauseProducing()
        body.receive(b"abc")
        body.stopProducing()
        assert body.backlog == 0
        assert (reader.pieces, reader.ends) == ([], [ConnectionLost])

    def test_oneThatRaises(self) -> None:
        body, flow = make()
        reader = Reader(lambda transport, data: 1 / 0)
        body.deliver(reader)
        body.receive(b"a")
        body.receive(b"b")
        body.end([])
        assert [failure.type for failure in flow.failures] == [ZeroDivisionError]
        assert (reader.pieces, reader.ends) == ([b"a"], [])

    def test_oneThatRaisesAtTheEnd(self) -> None:
        body, flow = make()

        class Bad(Reader):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                super().connectionLost(reason)
                raise ZeroDivisionError

        reader = Bad()
        body.deliver(reader)
        body.end([])
        body.cut("again")
        assert [failure.type for failure in flow.failures] == [ZeroDivisionError]
        assert reader.ends == [ConnectionDone]

    def test_oneThatRaisesOnContentThatIsAllThere(self) -> None:
        """There is no connection to be told, so it is the caller who hears."""
        body = RequestBody.complete(b"abc")
        with pytest.raises(ZeroDivisionError):
            body.deliver(Reader(lambda transport, data: 1 / 0))


class TestContent:
    def test_later(self) -> None:
        body, _ = make()
        got = run(body.collect(None))
        body.receive(b"a")
        body.receive(b"b")
        assert got == []
        body.end([])
        assert got == [b"ab"]

    def test_allThere(self) -> None:
        assert run(RequestBody.complete(b"abc").collect(None)) == [b"abc"]
        assert run(RequestBody.complete().collect(0)) == [b""]

    def test_cut(self) -> None:
        body, _ = make()
        body.receive(b"a")
        got = run(body.collect(None))
        body.cut("a reason")
        assert got == [ConnectionLost]

    def test_cutBeforeAnybodyRead(self) -> None:
        body, _ = make()
        body.receive(b"a")
        body.cut("a reason")
        assert run(body.collect(None)) == [ConnectionLost]

    @pytest.mark.parametrize(("size", "good"), [(9, True), (10, True), (11, False)])
    def test_limit(self, size: int, good: bool) -> None:
        body, _ = make()
        got: list[Any] = []
        Deferred.fromCoroutine(body.collect(10)).addBoth(got.append)
        for _ in range(size):
            body.receive(b"x")
        body.end([])
        if good:
            assert got == [b"x" * size]
        else:
            assert (got[0].type, got[0].value.status) == (HttpError, 413)

    def test_cancelling(self) -> None:
        """Nobody waits for the peer any more; and no harm is done by what comes."""
        body, flow = make()
        reading = Deferred.fromCoroutine(body.collect(None))
        got = outcome(reading)
        body.receive(b"a")
        assert flow.wanted
        reading.cancel()
        assert got == [CancelledError]
        assert not flow.wanted
        body.receive(b"b")
        body.end([])
        assert got == [CancelledError]


class TestIteration:
    def test_asItComes(self) -> None:
        body, _ = make()
        pieces: list[bytes] = []
        got = run(gather(aiter(body), pieces))
        body.receive(b"a")
        assert pieces == [b"a"]
        body.receive(b"b")
        assert (pieces, got) == ([b"a", b"b"], [])
        body.end([])
        assert got == ["end"]

    def test_cut(self) -> None:
        """What came before is delivered."""
        body, _ = make()
        body.receive(b"a")
        body.cut("a reason")
        pieces: list[bytes] = []
        assert run(gather(aiter(body), pieces)) == [ConnectionLost]
        assert pieces == [b"a"]

    def test_inTwoGoes(self) -> None:
        """An iterator may be iterated on, like every other."""
        body, _ = make()
        for piece in (A, B, C):
            body.receive(piece)
        body.end([])
        rest: list[bytes] = []

        async def read() -> bytes:
            pieces = aiter(body)
            first = await anext(pieces)
            await gather(pieces, rest)
            return first

        assert run(read()) == [A]
        assert rest == [B, C]

    def test_pastTheEnd(self) -> None:
        pieces = aiter(RequestBody.complete(b"a"))

        async def read() -> list[bytes]:
            return [await anext(pieces, b"-") for _ in range(3)]

        assert run(read()) == [[b"a", b"-", b"-"]]

    def test_aBusyReader(self) -> None:
        body, flow = make()
        busy: Deferred[None] = Deferred()

        async def read() -> list[bytes]:
            pieces = []
            async for piece in body:
                pieces.append(piece)
                await busy
            return pieces

        got = run(read())
        assert flow.wanted
        body.receive(b"a")
        assert not flow.wanted
        body.receive(B)
        body.receive(C)
        assert body.backlog == 20_000
        busy.callback(None)
        assert flow.wanted
        body.end([])
        assert got == [[b"a", B, C]]


READERS: dict[str, Callable[[RequestBody], object]] = {
    "deliver": lambda body: body.deliver(Reader()),
    "collect": lambda body: Deferred.fromCoroutine(body.collect(None)),
    "aiter": aiter,
}


class TestOneReader:
    @pytest.mark.parametrize("first", READERS)
    @pytest.mark.parametrize("second", READERS)
    def test_only(self, first: str, second: str) -> None:
        for body in (make()[0], RequestBody.complete(b"abc")):
            READERS[first](body)
            with pytest.raises(RuntimeError, match="one reader"):
                READERS[second](body)
            gc.collect()

    def test_lookingAtAllOfItIsNotReading(self) -> None:
        body = RequestBody.complete(b"abc")
        assert body.whole() == b"abc"
        assert body.whole() == b"abc"
        assert run(body.collect(None)) == [b"abc"]


class TestBacklog:
    def test_count(self) -> None:
        body, flow = make()
        body.receive(A)
        body.receive(B + b"b")
        assert body.backlog == 20_001
        reader = Reader(lambda transport, data: transport.pauseProducing())
        body.deliver(reader)
        assert body.backlog == 10_001
        body.resumeProducing()
        assert body.backlog == 0
        assert [each for each in flow.told if isinstance(each, int)] == [10_000, 10_001]

    def test_wanting(self) -> None:
        body, flow = make()
        assert flow.told == []
        body.deliver(Reader())
        assert flow.wanted
        body.receive(b"a")
        assert flow.wanted
        body.pauseProducing()
        assert not flow.wanted
        body.resumeProducing()
        assert flow.wanted

    @given(st.lists(st.sampled_from(["receive", "pause", "resume"]), max_size=40))
    def test_nothingIsLost(self, steps: list[str]) -> None:
        body, _ = make()
        reader = Reader()
        body.deliver(reader)
        sent = b""
        paused = False
        for number, step in enumerate(steps):
            if step == "receive":
                piece = b"<%d>" % number
                sent += piece
                body.receive(piece)
            else:
                paused = step == "pause"
                body.pauseProducing() if paused else body.resumeProducing()
            assert paused or (b"".join(reader.pieces), body.backlog) == (sent, 0)
            assert len(b"".join(reader.pieces)) + body.backlog == len(sent)
        body.end([])
        body.resumeProducing()
        assert (b"".join(reader.pieces), reader.ends) == (sent, [ConnectionDone])


class TestDiscarding:
    """The answer is out: nobody may take what he has read for all of it."""

    def test_aProtocol(self) -> None:
        body, _ = make()
        reader = Reader()
        body.deliver(reader)
        body.receive(b"a")
        body.discard()
        body.end([])
        assert (reader.pieces, reader.ends) == ([b"a"], [ConnectionLost])

    def test_whatWaits(self) -> None:
        body, _ = make()
        got = run(body.collect(None))
        body.receive(b"a")
        body.discard()
        body.end([])
        assert got == [ConnectionLost]

    def test_whatIsLeft(self) -> None:
        body, _ = make()
        body.receive(b"a")
        body.discard()
        assert body.backlog == 0

    def test_readingAfterwards(self) -> None:
        body, _ = make()
        body.discard()
        with pytest.raises(RuntimeError):
            body.deliver(Reader())


def test_trailers() -> None:
    body, _ = make()
    assert body.trailers == []
    body.end([(b"X", b"1")])
    body.end([(b"Y", b"2")])
    assert body.trailers == [(b"X", b"1")]
