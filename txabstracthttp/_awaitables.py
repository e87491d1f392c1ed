"""Whatever can be awaited, turned into a Deferred."""

from __future__ import annotations

__all__ = ["asDeferred", "isAwaitable"]

from asyncio import Future, iscoroutine, isfuture
from collections.abc import Awaitable
from typing import Any, TypeGuard, TypeVar, cast

from twisted.internet.defer import Deferred

T = TypeVar("T")


def isAwaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    """Whether `value` is a Deferred, a coroutine, an asyncio Future or else has ``__await__``.

    Every answer of every handler comes by here, so this is one look at its type.
    """
    return hasattr(type(value), "__await__")


def asDeferred(awaitable: Awaitable[T]) -> Deferred[T]:
    """A Deferred for the outcome of `awaitable`; cancelling it cancels that.

    A Deferred is given back as it is.  A coroutine starts to run, before this returns; it may await
    Deferreds, and what asyncio has only after `Deferred.fromFuture`, as Twisted's coroutines do.
    """
    if isinstance(awaitable, Deferred):
        return awaitable
    if isfuture(awaitable):
        return Deferred.fromFuture(cast("Future[T]", awaitable))
    return Deferred.fromCoroutine(awaitable if iscoroutine(awaitable) else _wait(awaitable))


async def _wait(awaitable: Awaitable[T]) -> T:
    return await awaitable
