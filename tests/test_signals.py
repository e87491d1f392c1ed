"""Signal, and the awaitables that its observers return."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Generator, Iterator
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, inlineCallbacks, succeed
from twisted.logger import LogEvent, LogLevel, capturedLogs

from txabstracthttp._awaitables import asDeferred, isAwaitable
from txabstracthttp.signals import Signal


class Oops(Exception):
    """What goes wrong here."""


class Later:
    """An awaitable that is neither Deferred nor coroutine."""

    def __init__(self, inner: Awaitable[Any]) -> None:
        self.inner = inner

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.inner.__await__()


def resultOf(deferred: Deferred[Any]) -> Any:
    """The result it has by now; a failure is raised."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "no result yet"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """Events of the test; each test must expect its failures, and leave no Deferred with one behind."""
    with capturedLogs() as events:
        yield events  # type: ignore[misc]
        gc.collect()
    assert [event for event in events if event["log_level"] is LogLevel.critical] == []


def takeFailures(logged: list[LogEvent]) -> list[type[BaseException]]:
    """The types of the failures logged so far, which are then forgotten."""
    failures = [event["log_failure"].type for event in logged if "log_failure" in event]
    logged.clear()
    return failures


class TestObservers:
    def test_argumentsAsEmitted(self) -> None:
        signal, calls = Signal(), []
        signal.connect(lambda *args: calls.append(args))
        signal.emit()
        signal.emit(1)
        signal.emit(1, "b")
        assert calls == [(), (1,), (1, "b")]

    def test_inTheOrderOfConnection(self) -> None:
        signal, calls = Signal(), []
        for number in range(3):
            signal.connect(lambda number=number: calls.append(number))
        signal.emit()
        assert calls == [0, 1, 2]

    def test_decorator(self) -> None:
        signal, calls = Signal(), []

        @signal.connect
        def observer() -> None:
            calls.append(1)

        signal.emit()
        observer()
        assert calls == [1, 1]

    def test_twiceIsCalledTwice(self) -> None:
        signal, calls = Signal(), []
        signal.connect(calls.append)
        signal.connect(calls.append)
        signal.emit(1)
        assert calls == [1, 1]

    def test_disconnectUndoesOneConnect(self) -> None:
        signal, calls = Signal(), []
        first, second = (lambda: calls.append(1)), (lambda: calls.append(2))
        for observer in (first, second, first):
            signal.connect(observer)
        signal.disconnect(first)
        signal.emit()
        assert calls == [2, 1]
        signal.disconnect(first)
        signal.emit()
        assert calls == [2, 1, 2]

    def test_boundMethodsAreEqual(self) -> None:
        class Observer:
            def method(self) -> None:
                raise AssertionError

        signal, observer = Signal(), Observer()
        signal.connect(observer.method)
        signal.disconnect(observer.method)
        assert not signal.isConnected

    def test_disconnectWhatIsNotConnected(self) -> None:
        signal = Signal()
        with pytest.raises(ValueError, match=r"print.* is not connected"):
            signal.disconnect(print)
        signal.connect(print)
        signal.disconnect(print)
        with pytest.raises(ValueError, match=r"print.* is not connected"):
            signal.disconnect(print)

    def test_notCallable(self) -> None:
        with pytest.raises(TypeError, match="callable"):
            Signal().connect(5)  # type: ignore[type-var]

    def test_strongReference(self) -> None:
        signal, calls = Signal(), []

        class Observer:
            def method(self) -> None:
                calls.append(1)

        observer = Observer()
        reference = weakref.ref(observer)
        signal.connect(observer.method)
        del observer
        gc.collect()
        signal.emit()
        assert calls == [1]
        assert reference() is not None

    def test_perInstance(self) -> None:
        one, other, calls = Signal(), Signal(), []
        one.connect(lambda: calls.append(1))
        other.emit()
        assert calls == []
        assert not other.isConnected

    def test_isConnected(self) -> None:
        signal = Signal()
        assert signal.isConnected is False
        signal.connect(print)
        assert signal.isConnected is True
        signal.disconnect(print)
        assert signal.isConnected is False

    def test_emitToNobody(self) -> None:
        signal = Signal()
        assert signal.emit(1, 2) == []
        assert signal.emit() is not signal.emit()

    def test_oneThatRaises(self, logged: list[LogEvent]) -> None:
        signal, calls = Signal(), []

        def observer() -> None:
            raise Oops

        signal.connect(lambda: calls.append(1))
        signal.connect(observer)
        signal.connect(lambda: calls.append(2))
        waiter = signal.next()
        assert signal.emit() == []
        assert calls == [1, 2]
        assert resultOf(waiter) is None
        [event] = logged
        assert event["observer"] is observer
        assert takeFailures(logged) == [Oops]

    def test_keyboardInterruptIsNotSwallowed(self) -> None:
        signal = Signal()

        @signal.connect
        def observer() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            signal.emit()


class TestSnapshot:
    def test_connectedMeanwhile(self) -> None:
        signal, calls = Signal(), []

        @signal.connect
        def observer() -> None:
            signal.connect(lambda: calls.append(1))

        signal.emit()
        assert calls == []
        signal.emit()
        assert calls == [1]

    def test_disconnectedMeanwhile(self) -> None:
        signal, calls = Signal(), []
        second = lambda: calls.append(2)  # noqa: E731
        signal.connect(lambda: signal.disconnect(second) if not calls else None)
        signal.connect(second)
        signal.emit()
        assert calls == [2]
        signal.emit()
        assert calls == [2]

    def test_waitingMeanwhile(self) -> None:
        signal, waiters = Signal(), []
        signal.connect(lambda number: waiters.append(signal.next()) if number == 1 else None)
        signal.emit(1)
        assert not waiters[0].called
        assert signal.isConnected
        signal.emit(2)
        assert resultOf(waiters[0]) == 2

    def test_aWaiterThatWaitsAgain(self) -> None:
        signal, seen = Signal(), []

        def wait(_: object = None) -> None:
            signal.next().addCallback(seen.append).addCallback(wait)

        wait()
        signal.emit(1)
        assert seen == [1]
        signal.emit(2)
        assert seen == [1, 2]

    def test_emissionInsideAnEmission(self) -> None:
        signal, calls = Signal(), []

        @signal.connect
        def observer(number: int) -> None:
            calls.append(number)
            if number < 3:
                signal.emit(number + 1)

        waiter = signal.next()
        signal.emit(1)
        assert calls == [1, 2, 3]
        assert resultOf(waiter) == 1


class TestNext:
    @pytest.mark.parametrize(
        ("args", "value"), [((), None), ((1,), 1), ((None,), None), ((1, 2), (1, 2)), (((),), ())]
    )
    def test_value(self, args: tuple[Any, ...], value: object) -> None:
        signal = Signal()
        waiter = signal.next()
        signal.emit(*args)
        assert resultOf(waiter) == value

    def test_oneEmissionOnly(self) -> None:
        signal = Signal()
        signal.emit(0)
        waiter = signal.next()
        assert not waiter.called
        signal.emit(1)
        signal.emit(2)
        assert resultOf(waiter) == 1

    def test_inOrderAfterTheObservers(self) -> None:
        signal, calls = Signal(), []
        for number in (1, 2):
            signal.next().addCallback(lambda _, number=number: calls.append(number))
        signal.connect(lambda: calls.append(0))
        signal.emit()
        assert calls == [0, 1, 2]

    def test_countsAsConnected(self) -> None:
        signal = Signal()
        signal.next()
        assert signal.isConnected is True
        signal.emit()
        assert signal.isConnected is False

    def test_cancel(self) -> None:
        signal = Signal()
        gone, stays = signal.next(), signal.next()
        gone.cancel()
        with pytest.raises(CancelledError):
            resultOf(gone)
        assert signal.isConnected
        signal.emit(1)
        assert resultOf(stays) == 1

    def test_cancelTheLast(self) -> None:
        signal = Signal()
        waiter = signal.next()
        waiter.addErrback(lambda failure: failure.trap(CancelledError) and None)
        waiter.cancel()
        assert not signal.isConnected

    def test_cancelledByAnObserver(self) -> None:
        signal = Signal()
        gone, stays = signal.next(), signal.next()
        signal.connect(lambda _: gone.cancel())
        signal.emit(1)
        with pytest.raises(CancelledError):
            resultOf(gone)
        assert resultOf(stays) == 1

    def test_cancelledByAnotherWaiter(self) -> None:
        signal = Signal()
        first, second = signal.next(), signal.next()
        first.addCallback(lambda _: second.cancel())
        signal.emit(1)
        with pytest.raises(CancelledError):
            resultOf(second)

    def test_errorsOfWaitersAreTheirs(self, logged: list[LogEvent]) -> None:
        signal = Signal()

        def fails(_: object) -> None:
            raise Oops

        first, second = signal.next().addCallback(fails), signal.next()
        signal.emit(1)
        assert resultOf(second) == 1
        assert takeFailures(logged) == []
        with pytest.raises(Oops):
            resultOf(first)

    def test_awaited(self) -> None:
        signal = Signal()

        async def consumer() -> list[Any]:
            return [await signal.next(), await signal.next()]

        done = Deferred.fromCoroutine(consumer())
        signal.emit(1)
        signal.emit(2, 3)
        assert resultOf(done) == [1, (2, 3)]


class TestAwaitedObservers:
    def test_plainResultsAreIgnored(self) -> None:
        signal = Signal()
        for value in (None, True, 5, "text", object()):
            signal.connect(lambda value=value: value)
        assert signal.emit() == []

    def test_deferred(self) -> None:
        signal = Signal()
        pending: Deferred[int] = Deferred()
        signal.connect(lambda: None)
        signal.connect(lambda: pending)
        [answer] = signal.emit()
        assert not answer.called
        pending.callback(5)
        assert resultOf(answer) == 5

    def test_coroutineIsRunningAlready(self) -> None:
        signal, steps = Signal(), []
        pending: Deferred[str] = Deferred()

        @signal.connect
        async def observer(value: object) -> str:
            steps.append(value)
            return await pending

        [answer] = signal.emit(1)
        assert steps == [1]
        pending.callback("done")
        assert resultOf(answer) == "done"

    def test_inOrder(self) -> None:
        signal = Signal()
        for number in range(3):
            signal.connect(lambda number=number: succeed(number))
        assert [resultOf(answer) for answer in signal.emit()] == [0, 1, 2]

    def test_startedBeforeTheWaitersFire(self) -> None:
        signal, steps = Signal(), []

        @signal.connect
        async def observer() -> None:
            steps.append("observer")

        signal.next().addCallback(lambda _: steps.append("waiter"))
        signal.emit()
        assert steps == ["observer", "waiter"]

    def test_failuresAreLoggedAndGone(self, logged: list[LogEvent]) -> None:
        signal = Signal()
        pending: Deferred[None] = Deferred()

        async def failsAtOnce() -> None:
            raise Oops

        async def failsLater() -> None:
            await pending

        for observer in (failsAtOnce, failsLater, lambda: fail(Oops()), lambda: Later(fail(Oops()))):
            signal.connect(observer)
        answers = signal.emit()
        assert len(answers) == 4
        assert [event["observer"] for event in logged[:1]] == [failsAtOnce]
        assert takeFailures(logged) == [Oops, Oops, Oops]
        pending.errback(Oops())
        assert takeFailures(logged) == [Oops]
        assert [resultOf(answer) for answer in answers] == [None] * 4

    def test_cancellingIsNoError(self) -> None:
        signal, steps = Signal(), []

        @signal.connect
        async def observer() -> None:
            try:
                await Deferred()
            finally:
                steps.append("cleaned up")

        [answer] = signal.emit()
        answer.cancel()
        assert steps == ["cleaned up"]
        assert resultOf(answer) is None


class TestIsAwaitable:
    def test_yes(self) -> None:
        async def coroutineFunction() -> None: ...

        loop = asyncio.new_event_loop()
        coroutine = coroutineFunction()
        for value in (Deferred(), coroutine, Later(succeed(1)), loop.create_future()):
            assert isAwaitable(value)
        coroutine.close()
        loop.close()

    def test_no(self) -> None:
        async def coroutineFunction() -> None: ...

        class Pretender:
            """Python looks at the type, and so do we."""

            def __init__(self) -> None:
                self.__await__ = lambda: iter(())

        for value in (
            None,
            True,
            5,
            "a",
            b"",
            [],
            iter(()),
            (x for x in ""),
            Deferred,
            coroutineFunction,
            Pretender(),
        ):
            assert not isAwaitable(value)


class TestAsDeferred:
    def test_deferredAsItIs(self) -> None:
        deferred: Deferred[None] = Deferred()
        assert asDeferred(deferred) is deferred

    def test_coroutine(self) -> None:
        async def coroutine() -> int:
            return await succeed(5)

        assert resultOf(asDeferred(coroutine())) == 5

    def test_coroutineThatFails(self) -> None:
        async def coroutine() -> None:
            raise Oops

        with pytest.raises(Oops):
            resultOf(asDeferred(coroutine()))

    def test_cancelReachesTheCoroutine(self) -> None:
        inner: Deferred[None] = Deferred()

        async def coroutine() -> None:
            await inner

        outer = asDeferred(coroutine())
        outer.cancel()
        assert inner.called
        with pytest.raises(CancelledError):
            resultOf(outer)

    def test_inlineCallbacks(self) -> None:
        @inlineCallbacks
        def function() -> Generator[Deferred[int], int, int]:
            return (yield succeed(5))

        assert resultOf(asDeferred(function())) == 5

    def test_anythingElse(self) -> None:
        pending: Deferred[int] = Deferred()
        deferred = asDeferred(Later(pending))
        assert not deferred.called
        pending.callback(5)
        assert resultOf(deferred) == 5

    def test_notAwaitable(self) -> None:
        with pytest.raises(TypeError, match="await"):
            resultOf(asDeferred(5))  # type: ignore[arg-type]


class TestFutures:
    """asyncio's, as on the asyncio reactor."""

    @pytest.fixture
    def loop(self) -> Iterator[asyncio.AbstractEventLoop]:
        loop = asyncio.new_event_loop()
        yield loop
        loop.close()

    def turn(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(asyncio.sleep(0, None))

    def test_result(self, loop: asyncio.AbstractEventLoop) -> None:
        future = loop.create_future()
        deferred = asDeferred(future)
        future.set_result(5)
        self.turn(loop)
        assert resultOf(deferred) == 5

    def test_task(self, loop: asyncio.AbstractEventLoop) -> None:
        async def work() -> int:
            await asyncio.sleep(0)
            return 5

        task = loop.create_task(work())
        deferred = asDeferred(task)
        loop.run_until_complete(task)
        self.turn(loop)
        assert resultOf(deferred) == 5

    def test_failureIsLogged(self, loop: asyncio.AbstractEventLoop, logged: list[LogEvent]) -> None:
        signal, future = Signal(), loop.create_future()
        signal.connect(lambda: future)
        [answer] = signal.emit()
        future.set_exception(Oops())
        self.turn(loop)
        assert takeFailures(logged) == [Oops]
        assert resultOf(answer) is None

    def test_cancellingIsNoError(self, loop: asyncio.AbstractEventLoop) -> None:
        signal, future = Signal(), loop.create_future()
        signal.connect(lambda: future)
        [answer] = signal.emit()
        answer.cancel()
        self.turn(loop)
        assert future.cancelled()
        assert resultOf(answer) is None
