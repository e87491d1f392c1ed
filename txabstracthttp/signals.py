"""Signals as Qt has them, with Deferreds for those who would rather wait."""

from __future__ import annotations

__all__ = ["Signal"]

from asyncio import CancelledError as AsyncioCancelledError
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ._awaitables import asDeferred, isAwaitable

Observer = TypeVar("Observer", bound=Callable[..., object])

_FAILED = "The observer {observer!r} of a signal failed"
_log = Logger()


class Signal:
    """Something that happens, and those who want to know (Qt's signals and slots, for one object).

    Observers are called in the order they were connected, then the waiters of `next()` get theirs.  An
    emission serves those who were there when it began: whoever comes meanwhile is served by the one after,
    and an observer disconnected meanwhile is still called this once.

    :ivar isConnected: somebody would notice an emission: an observer, or one who waits in `next()`.
    :ivar wasEverConnected: somebody would have at some time.
    """

    __slots__ = ("_observers", "_waiters", "isConnected", "wasEverConnected")

    def __init__(self) -> None:
        # A tuple, replaced and never changed, is its own snapshot.
        self._observers: tuple[Callable[..., object], ...] = ()
        self._waiters: list[Deferred[Any]] = []
        self.isConnected = self.wasEverConnected = False

    def connect(self, observer: Observer) -> Observer:
        """Call `observer` at each emission; twice connected is twice called.

        What it returns is ignored unless it can be awaited (see `emit`).  The reference is strong.

        :return: `observer`, so that this can be used as a decorator.
        :raises TypeError: it cannot be called.
        """
        if not callable(observer):
            raise TypeError(f"an observer is a callable, not {observer!r}")
        self._observers += (observer,)
        self.isConnected = self.wasEverConnected = True
        return observer

    def disconnect(self, observer: Callable[..., object]) -> None:
        """Undo one `connect`, the oldest of this observer.

        :raises ValueError: it is not connected.
        """
        if observer not in self._observers:
            raise ValueError(f"{observer!r} is not connected")
        place = self._observers.index(observer)
        self._observers = self._observers[:place] + self._observers[place + 1 :]
        self._count()

    def _count(self) -> None:
        self.isConnected = bool(self._observers or self._waiters)

    def emit(self, *args: Any) -> list[Deferred[Any]]:
        """Call every observer with `args`, then fire what `next()` gave out.

        An observer that fails, now or in what it returned, is logged and stops nobody.

        :return: a Deferred for each awaitable that an observer returned.  Coroutines are running already.
            None of these Deferreds ever fails: a failure was logged, and is None here.
        """
        if not self.isConnected:
            return []
        waiters, self._waiters = self._waiters, []
        self._count()
        answers = [_call(observer, args) for observer in self._observers]
        value = args if len(args) > 1 else args[0] if args else None
        for waiter in waiters:
            # An observer may have cancelled it just now.
            if not waiter.called:
                waiter.callback(value)
        return [answer for answer in answers if answer is not None]

    def next(self) -> Deferred[Any]:
        """Wait for one emission.

        :return: a Deferred that fires with the next emission's arguments: None without any, the one, or a
            tuple of several.  Cancelling it ends the wait.
        """
        waiter: Deferred[Any] = Deferred(self._forget)
        self._waiters.append(waiter)
        self.isConnected = self.wasEverConnected = True
        return waiter

    def _forget(self, waiter: Deferred[Any]) -> None:
        # An emission under way has taken its waiters out of the list.
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._count()


def _call(observer: Callable[..., object], args: tuple[Any, ...]) -> Deferred[Any] | None:
    try:
        result = observer(*args)
        return _reporting(asDeferred(result), observer) if isAwaitable(result) else None
    except Exception:
        _log.failure(_FAILED, observer=observer)
        return None


def _reporting(answer: Deferred[Any], observer: Callable[..., object]) -> Deferred[Any]:
    # Whoever has succeeded already has nothing to report.
    isDone = answer.called and not answer.paused and not isinstance(answer.result, Failure)
    return answer if isDone else answer.addErrback(_report, observer)


def _report(failure: Failure, observer: Callable[..., object]) -> None:
    # Whoever cancels what `emit` returned knows; that is no error.
    if not isinstance(failure.value, CancelledError | AsyncioCancelledError):
        _log.failure(_FAILED, failure, observer=observer)
