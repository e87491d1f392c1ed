"""Inbox: messages go to one reader, the first that is used, in order, and none is lost; MessageSignal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, results
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from txabstracthttp._inbox import BACKLOG, OVERHEAD, Inbox, Message, MessageSignal
from txabstracthttp.errors import WebSocketClosed

END = WebSocketClosed(1001, "going away")


@pytest.fixture(autouse=True)
def nothingFailsUnseen() -> Iterator[None]:
    with capturedFailures():
        yield


class Box:
    """An inbox, and what it did.

    :ivar pushed: what went to the signals.
    :ivar regulated: whether it was full each time when it called `regulate`.
    """

    def __init__(self, *messages: Message) -> None:
        self.pushed: list[Message] = []
        self.regulated: list[bool] = []
        self.inbox = Inbox(self.push, lambda: self.regulated.append(self.inbox.isFull))
        self.put(*messages)

    def push(self, message: Message) -> None:
        self.pushed.append(message)

    def put(self, *messages: Message) -> None:
        for message in messages:
            self.inbox.put(message)

    def take(self) -> list[Any]:
        """What `Inbox.take` comes to: empty until then."""
        return results(self.inbox.take())[0]


def isEnd(result: list[Any], kind: type[Exception] = WebSocketClosed) -> bool:
    return len(result) == 1 and isinstance(result[0], Failure) and result[0].type is kind


class TestTaking:
    def test_whatIsThere(self) -> None:
        box = Box("a", b"b", "")
        assert len(box.inbox) == 3
        assert [box.take(), box.take(), box.take()] == [["a"], [b"b"], [""]]
        assert len(box.inbox) == 0
        assert box.pushed == []

    def test_whatIsToCome(self) -> None:
        box = Box()
        first, second = box.take(), box.take()
        assert first == second == []
        box.put("a")
        assert (first, second) == (["a"], [])
        box.put(b"b", "c")
        assert (first, second) == (["a"], [b"b"])
        assert len(box.inbox) == 1
        assert box.take() == ["c"]

    def test_oneByOneInACallback(self) -> None:
        box, got = Box("a", "b"), []

        def takeOn(message: Message) -> None:
            got.append(message)
            if len(got) < 5:
                box.inbox.take().addCallback(takeOn)

        box.inbox.take().addCallback(takeOn)
        assert got == ["a", "b"]
        box.put("c", "d", "e", "f")
        assert got == ["a", "b", "c", "d", "e"]
        assert box.take() == ["f"]

    def test_oneThatArrivesInACallback(self) -> None:
        box = Box()
        first = box.inbox.take()
        second = box.take()
        first.addCallback(lambda _: box.put("b"))
        box.put("a", "c")
        assert second == ["b"]
        assert box.take() == ["c"]

    def test_aCallbackThatFailsIsItsOwnBusiness(self) -> None:
        box = Box()
        first = box.inbox.take().addCallback(lambda _: 1 / 0)
        second = box.take()
        box.put("a", "b")
        assert second == ["b"]
        assert isEnd(results(first)[0], ZeroDivisionError)


class TestPushing:
    def test_whatIsThereAndWhatIsToCome(self) -> None:
        box = Box("a", b"b")
        assert box.pushed == []
        assert not box.inbox.isAttached
        box.inbox.pushAll()
        assert box.inbox.isAttached
        assert box.pushed == ["a", b"b"]
        box.put("c")
        assert box.pushed == ["a", b"b", "c"]
        assert len(box.inbox) == 0

    def test_again(self) -> None:
        box = Box("a")
        box.inbox.pushAll()
        box.inbox.pushAll()
        box.put("b")
        box.inbox.pushAll()
        assert box.pushed == ["a", "b"]

    def test_oneThatArrivesMeanwhileKeepsItsPlace(self) -> None:
        order: list[Message] = []

        def push(message: Message) -> None:
            order.append(message)
            if message in ("a", "c"):
                inbox.put("cd"["ac".index(str(message))])

        inbox = Inbox(push, lambda: None)
        inbox.put("a")
        inbox.put("b")
        inbox.pushAll()
        assert order == ["a", "b", "c", "d"]

    def test_aPushThatPushesAll(self) -> None:
        order: list[Message] = []

        def push(message: Message) -> None:
            order.append(message)
            inbox.pushAll()

        inbox = Inbox(push, lambda: None)
        for message in ("a", "b", "c"):
            inbox.put(message)
        inbox.pushAll()
        assert order == ["a", "b", "c"]


class TestPushingSoon:
    """`attachPush` says who reads, and the messages wait for everybody to be there until `pushAll`."""

    def test_heldBack(self) -> None:
        box = Box("a")
        box.inbox.attachPush()
        assert box.inbox.isAttached
        box.put("b")
        assert box.pushed == []
        assert len(box.inbox) == 2
        box.inbox.pushAll()
        box.put("c")
        assert box.pushed == ["a", "b", "c"]

    def test_again(self) -> None:
        box = Box("a")
        box.inbox.attachPush()
        box.inbox.pushAll()
        box.inbox.attachPush()
        box.put("b")
        box.inbox.attachPush()
        box.inbox.pushAll()
        assert box.pushed == ["a", "b"]

    def test_takenMeanwhile(self) -> None:
        box = Box("a")
        box.inbox.attachPush()
        waiter = box.take()
        box.put("b")
        box.inbox.pushAll()
        assert (box.pushed, waiter) == (["a", "b"], [])
        box.inbox.close(END)
        assert isEnd(waiter)

    def test_takenBefore(self) -> None:
        box = Box("a", "b")
        assert box.take() == ["a"]
        box.inbox.attachPush()
        box.put("c")
        box.inbox.pushAll()
        assert box.pushed == []
        assert [box.take(), box.take()] == [["b"], ["c"]]

    def test_theEndBeforeTheyArePushed(self) -> None:
        box = Box("a")
        box.inbox.attachPush()
        box.inbox.close(END)
        assert isEnd(box.take())
        box.inbox.pushAll()
        assert box.pushed == ["a"]


class TestTakingAll:
    def test_whateverWaits(self) -> None:
        box = Box("a", b"b")
        assert box.inbox.takeAll() == ["a", b"b"]
        assert box.inbox.takeAll() == []
        assert len(box.inbox) == 0
        assert box.inbox.isAttached

    def test_nothingIsPushedAnyMore(self) -> None:
        box = Box("a")
        assert box.inbox.takeAll() == ["a"]
        box.inbox.pushAll()
        box.put("b")
        assert box.pushed == []
        assert box.inbox.takeAll() == ["b"]

    def test_itMakesRoom(self) -> None:
        box = Box(b"x" * BACKLOG, "a")
        assert len(box.inbox.takeAll()) == 2
        assert not box.inbox.isFull
        assert box.regulated == [True, False]


class TestExactlyOneReader:
    """The first that is used."""

    def test_takenThenPushed(self) -> None:
        box = Box("a", "b", "c")
        assert box.take() == ["a"]
        box.inbox.pushAll()
        box.put("d")
        assert box.pushed == []
        assert [box.take(), box.take(), box.take()] == [["b"], ["c"], ["d"]]

    def test_waitedForThenPushed(self) -> None:
        box = Box()
        waiter = box.take()
        box.inbox.pushAll()
        box.put("a", "b")
        assert (waiter, box.pushed) == (["a"], [])
        assert box.take() == ["b"]

    def test_waitedForInVainThenPushed(self) -> None:
        """Even one that gave up was the first to be used."""
        box = Box()
        waiter = box.inbox.take()
        cancelled = results(waiter)[0]
        waiter.cancel()
        box.inbox.pushAll()
        box.put("a")
        assert isEnd(cancelled, CancelledError)
        assert box.pushed == []
        assert box.take() == ["a"]

    def test_pushedThenTaken(self) -> None:
        box = Box("a")
        box.inbox.pushAll()
        waiter = box.take()
        assert waiter == []
        assert box.pushed == ["a"]

    def test_pushedThenWaitedFor(self) -> None:
        box = Box("a")
        box.inbox.pushAll()
        waiter = box.take()
        box.put("b", "c")
        assert (box.pushed, waiter) == (["a", "b", "c"], [])

    def test_pushedThenWaitedForUntilTheEnd(self) -> None:
        box = Box("a")
        box.inbox.pushAll()
        waiter = box.take()
        box.inbox.close(END)
        assert isEnd(waiter)
        assert isEnd(box.take())

    def test_takenByOneWhoIsPushedTo(self) -> None:
        """Of those that wait already, none is for a reader who comes second."""
        waiters: list[list[Any]] = []
        pushed: list[Message] = []

        def push(message: Message) -> None:
            pushed.append(message)
            waiters.append(results(inbox.take())[0])

        inbox = Inbox(push, lambda: None)
        inbox.put("a")
        inbox.put("b")
        inbox.pushAll()
        assert pushed == ["a", "b"]
        assert waiters == [[], []]


class TestCancelling:
    def test_nothingIsLost(self) -> None:
        box = Box()
        waiters = [box.inbox.take() for _ in range(3)]
        outcomes = results(*waiters)
        waiters[1].cancel()
        box.put("a", "b", "c")
        assert outcomes[0] == ["a"]
        assert isEnd(outcomes[1], CancelledError)
        assert outcomes[2] == ["b"]
        assert box.take() == ["c"]

    def test_all(self) -> None:
        box = Box()
        waiters = [box.inbox.take() for _ in range(3)]
        outcomes = results(*waiters)
        for waiter in waiters:
            waiter.cancel()
            waiter.cancel()
        assert all(isEnd(outcome, CancelledError) for outcome in outcomes)
        box.put("a")
        assert len(box.inbox) == 1

    def test_oneThatIsServed(self) -> None:
        box = Box("a")
        waiter = box.inbox.take()
        waiter.cancel()
        assert results(waiter) == [["a"]]
        assert len(box.inbox) == 0

    def test_inTheCallbackOfAnother(self) -> None:
        box = Box()
        first, second = box.inbox.take(), box.inbox.take()
        outcome = results(second)[0]
        first.addCallback(lambda _: second.cancel())
        box.put("a", "b")
        assert isEnd(outcome, CancelledError)
        assert box.take() == ["b"]

    def test_whenTheEndComes(self) -> None:
        box = Box()
        waiters = [box.inbox.take() for _ in range(3)]
        waiters[0].addErrback(lambda _: waiters[1].cancel())
        outcomes = results(*waiters[1:])
        box.inbox.close(END)
        assert isEnd(outcomes[0], CancelledError)
        assert isEnd(outcomes[1])


class TestClosing:
    def test_thoseWhoWait(self) -> None:
        box = Box()
        waiters = [box.take(), box.take()]
        box.inbox.close(END)
        for waiter in waiters:
            assert isEnd(waiter)
            assert waiter[0].value is END

    def test_whatIsLeftCanBeTaken(self) -> None:
        box = Box("a", b"b")
        box.inbox.close(END)
        assert len(box.inbox) == 2
        assert [box.take(), box.take()] == [["a"], [b"b"]]
        for _ in range(3):
            assert isEnd(box.take())

    def test_whatIsLeftCanBePushed(self) -> None:
        box = Box("a", b"b")
        box.inbox.close(END)
        box.inbox.pushAll()
        assert box.pushed == ["a", b"b"]

    def test_oneWhoWaitsAgain(self) -> None:
        box, ends = Box(), []

        def again(failure: Failure) -> None:
            ends.append(failure.type)
            if len(ends) < 3:
                box.inbox.take().addErrback(again)

        box.inbox.take().addErrback(again)
        box.inbox.close(END)
        assert ends == [WebSocketClosed] * 3


class TestRegulating:
    """Enough is enough at more than `BACKLOG` octets, of which each message counts `OVERHEAD`."""

    def test_inclusive(self) -> None:
        box = Box(b"x" * (BACKLOG - OVERHEAD))
        assert not box.inbox.isFull
        assert box.regulated == []
        box = Box(b"x" * (BACKLOG - OVERHEAD + 1))
        assert box.inbox.isFull
        assert box.regulated == [True]

    @pytest.mark.parametrize("empty", ["", b""])
    def test_emptyMessagesCount(self, empty: Message) -> None:
        box = Box(*[empty] * (BACKLOG // OVERHEAD))
        assert not box.inbox.isFull
        box.put(empty)
        assert box.inbox.isFull
        assert box.regulated == [True]

    def test_takingMakesRoom(self) -> None:
        box = Box(b"x" * BACKLOG, "a", "b")
        box.regulated.clear()
        assert box.take() == [b"x" * BACKLOG]
        assert not box.inbox.isFull
        assert [box.take(), box.take()] == [["a"], ["b"]]
        assert box.regulated == [False]

    def test_pushingMakesRoom(self) -> None:
        box = Box("a", b"x" * BACKLOG, "b")
        box.regulated.clear()
        box.inbox.pushAll()
        assert box.pushed == ["a", b"x" * BACKLOG, "b"]
        assert box.regulated == [False]

    def test_whatDoesNotWaitDoesNotCount(self) -> None:
        box = Box()
        waiter = box.take()
        box.put(b"x" * (BACKLOG + 1))
        assert len(waiter) == 1
        box = Box()
        box.inbox.pushAll()
        box.put(b"x" * (BACKLOG + 1), b"x" * (BACKLOG + 1))
        assert not box.inbox.isFull
        assert box.regulated == []

    def test_backAndForth(self) -> None:
        box = Box("a")
        for _ in range(3):
            box.put(b"x" * BACKLOG)
            assert box.inbox.isFull
            while len(box.inbox):
                assert len(box.take()) == 1
            box.put("b")
        assert box.regulated == [True, False] * 3

    def test_onlyWhenItHasChanged(self) -> None:
        assert Box(b"x" * BACKLOG, "a", "b", "c").regulated == [True]

    def test_stillFullAfterOne(self) -> None:
        box = Box("a", b"x" * BACKLOG)
        assert box.take() == ["a"]
        assert box.inbox.isFull
        assert False not in box.regulated

    def test_roomThatIsUsedAtOnce(self) -> None:
        """`regulate` may let the peer send, and what it sends is put behind what waits."""
        sent = iter(["c", "d"])

        def regulate() -> None:
            if not inbox.isFull:
                for message in sent:
                    inbox.put(message)

        pushed: list[Message] = []
        inbox = Inbox(pushed.append, regulate)
        for message in (b"x" * BACKLOG, "a", "b"):
            inbox.put(message)
        inbox.pushAll()
        assert pushed == [b"x" * BACKLOG, "a", "b", "c", "d"]


messages = (
    st.text(max_size=2) | st.binary(max_size=2) | st.sampled_from([b"x" * BACKLOG, "y" * (BACKLOG // 2)])
)
steps = st.lists(
    st.tuples(st.just("put"), messages)
    | st.tuples(st.sampled_from(["take", "take", "pushAll"]), st.just(""))
    | st.tuples(st.just("cancel"), st.integers(0, 5)),
    max_size=30,
)


@given(steps, st.booleans())
@example([("take", ""), ("put", "a"), ("pushAll", ""), ("put", "b")], True)
def test_whoTakesGetsEverythingOnceAndInOrder(script: list[tuple[str, Any]], closes: bool) -> None:
    box, put = Box(), []
    waiters: list[Deferred[Message]] = [box.inbox.take()]
    outcomes = results(*waiters)
    for step, value in script:
        if step == "put":
            put.append(value)
            box.put(value)
        elif step == "take":
            waiters.append(box.inbox.take())
            outcomes += results(waiters[-1])
        elif step == "pushAll":
            box.inbox.pushAll()
        elif value < len(waiters):
            waiters[value].cancel()
        held = sum(len(message) + OVERHEAD for message in put[len(put) - len(box.inbox) :])
        assert box.inbox.isFull == (held > BACKLOG) == [False, *box.regulated][-1]
    if closes:
        box.inbox.close(END)
    while len(box.inbox):
        outcomes.append(box.take())
    got = [result for outcome in outcomes for result in outcome]
    assert [result for result in got if not isinstance(result, Failure)] == put
    assert box.pushed == []
    if closes:
        assert [] not in outcomes
    else:
        box.inbox.close(END)


@given(st.lists(messages | st.none(), max_size=20))
def test_whoIsPushedToGetsEverythingOnceAndInOrder(script: list[Message | None]) -> None:
    """None is `pushAll`."""
    box, isPushed = Box(), False
    for message in script:
        if message is None:
            box.inbox.pushAll()
            isPushed = True
        else:
            box.put(message)
        assert not (isPushed and len(box.inbox))
        assert box.inbox.isFull == [False, *box.regulated][-1]
    box.inbox.pushAll()
    assert box.pushed == [message for message in script if message is not None]
    assert len(box.inbox) == 0
    assert not box.inbox.isFull


class Signals:
    """An inbox with its two signals, joined as `WebSocket` joins them."""

    def __init__(self, *messages: Message) -> None:
        self.clock = Clock()
        self.text, self.binary = MessageSignal(self.attach), MessageSignal(self.attach)
        self.inbox = Inbox(
            lambda message: (self.text if isinstance(message, str) else self.binary).emit(message),
            lambda: None,
        )
        self.put(*messages)

    def attach(self) -> None:
        self.inbox.attachPush()
        self.clock.callLater(0, self.inbox.pushAll)

    def put(self, *messages: Message) -> None:
        for message in messages:
            self.inbox.put(message)


class TestMessageSignal:
    def test_connectingAttaches(self) -> None:
        attached: list[str] = []
        signal = MessageSignal(lambda: attached.append("attached"))
        assert not signal.isConnected
        assert attached == []

        @signal.connect
        def observe(message: Message) -> None:
            attached.append(f"got {message!r}")

        assert attached == ["attached"]
        assert signal.isConnected
        signal.emit("a")
        assert attached == ["attached", "got 'a'"]

    def test_waitingAttaches(self) -> None:
        attached: list[str] = []
        signal = MessageSignal(lambda: attached.append("attached"))
        waiter = results(signal.next())[0]
        assert attached == ["attached"]
        signal.emit("a")
        assert waiter == ["a"]

    def test_whatIsNoObserverDoesNot(self) -> None:
        attached: list[str] = []
        signal = MessageSignal(lambda: attached.append("attached"))
        with pytest.raises(TypeError):
            signal.connect(3)  # type: ignore[type-var]
        assert attached == []

    def test_neitherAskingNorDisconnectingNorEmittingAttaches(self) -> None:
        attached: list[str] = []
        signal = MessageSignal(lambda: attached.append("attached"))
        with pytest.raises(ValueError):
            signal.disconnect(print)
        assert signal.emit("a") == []
        assert attached == []

    def test_bothSignalsOfATurn(self) -> None:
        box = Signals("a", b"b", "c")
        got: list[Message] = []
        box.text.connect(got.append)
        assert got == []
        box.binary.connect(got.append)
        box.put(b"d")
        box.clock.advance(0)
        box.put("e")
        assert got == ["a", b"b", "c", b"d", "e"]

    def test_nextAndNextAndNext(self) -> None:
        """Who asks again as soon as he is served misses nothing, not even of what has waited."""
        box = Signals("a", b"-", "b", "c")
        got: list[Message] = []

        async def read() -> None:
            while len(got) < 5:
                got.append(await box.text.next())

        reading = results(Deferred.fromCoroutine(read()))[0]
        box.clock.advance(0)
        assert got == ["a", "b", "c"]
        box.put("d", b"-", "e", "f")
        assert got == ["a", "b", "c", "d", "e"]
        assert reading == [None]
        assert len(box.inbox) == 0

    def test_severalWaitersOfOneMessage(self) -> None:
        box = Signals()
        waiters = results(box.text.next(), box.text.next(), box.binary.next())
        box.clock.advance(0)
        box.put("a", "b")
        assert waiters == [["a"], ["a"], []]

    def test_aWaiterThatGivesUp(self) -> None:
        box = Signals()
        waiter = box.text.next()
        outcome = results(waiter)[0]
        waiter.cancel()
        assert isEnd(outcome, CancelledError)
        box.clock.advance(0)
        other = results(box.text.next())[0]
        box.put("a")
        assert other == ["a"]

    def test_receivedAfterwards(self) -> None:
        box = Signals("a")
        got: list[Message] = []
        box.text.connect(got.append)
        box.clock.advance(0)
        waiter = results(box.inbox.take())[0]
        box.inbox.close(END)
        assert got == ["a"]
        assert isEnd(waiter)

    def test_receivedBefore(self) -> None:
        box = Signals("a", "b")
        got: list[Message] = []
        assert results(box.inbox.take()) == [["a"]]
        box.text.connect(got.append)
        box.clock.advance(0)
        box.put("c")
        assert got == []
        assert results(box.inbox.take(), box.inbox.take()) == [["b"], ["c"]]

    def test_receivedInTheSameTurn(self) -> None:
        box = Signals("a")
        got: list[Message] = []
        box.text.connect(got.append)
        waiter = results(box.inbox.take())[0]
        box.clock.advance(0)
        assert (got, waiter) == (["a"], [])
