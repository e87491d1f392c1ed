"""Deadlines: many names, one delayed call."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from txabstracthttp._deadlines import Deadlines


class Watch:
    """Deadlines, and when each passed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.passed: list[tuple[str, float]] = []
        self.then: dict[str, Any] = {}
        self.deadlines = Deadlines(self.clock, self._expire)

    def _expire(self, name: str) -> None:
        self.passed.append((name, self.clock.seconds()))
        self.then.get(name, lambda: None)()

    def advance(self, seconds: float) -> None:
        """In steps, so that nothing is late."""
        until = self.clock.seconds() + seconds
        while calls := [call for call in self.clock.getDelayedCalls() if call.getTime() <= until]:
            self.clock.advance(max(min(call.getTime() for call in calls) - self.clock.seconds(), 0))
        self.clock.advance(until - self.clock.seconds())

    @property
    def calls(self) -> int:
        return len(self.clock.getDelayedCalls())


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_passes(watch: Watch) -> None:
    watch.deadlines.set("a", 5)
    assert "a" in watch.deadlines
    watch.advance(4.9)
    assert watch.passed == []
    watch.advance(10)
    assert watch.passed == [("a", 5)]
    assert "a" not in watch.deadlines
    assert watch.calls == 0


def test_inOrder(watch: Watch) -> None:
    for name, seconds in (("b", 7), ("a", 5), ("c", 9)):
        watch.deadlines.set(name, seconds)
    watch.advance(20)
    assert watch.passed == [("a", 5), ("b", 7), ("c", 9)]


def test_atTheSameTime(watch: Watch) -> None:
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 5)
    watch.advance(5)
    assert sorted(watch.passed) == [("a", 5), ("b", 5)]


def test_cleared(watch: Watch) -> None:
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 6)
    watch.deadlines.clear("a")
    watch.deadlines.clear("never set")
    assert "a" not in watch.deadlines
    watch.advance(20)
    assert watch.passed == [("b", 6)]


def test_movedOn(watch: Watch) -> None:
    watch.deadlines.set("a", 5)
    watch.advance(3)
    watch.deadlines.set("a", 5)
    watch.advance(20)
    assert watch.passed == [("a", 8)]


def test_movedForward(watch: Watch) -> None:
    watch.deadlines.set("a", 50)
    watch.advance(3)
    watch.deadlines.set("a", 5)
    watch.advance(50)
    assert watch.passed == [("a", 8)]


def test_oneDelayedCallIsEnough(watch: Watch) -> None:
    for i in range(100):
        watch.deadlines.set(f"{i}", 5 + i)
        watch.deadlines.set("a", 5)
        assert watch.calls == 1


def test_movingOnCostsNothing(watch: Watch) -> None:
    """A busy connection sets the same deadline again and again."""
    watch.deadlines.set("a", 5)
    (call,) = watch.clock.getDelayedCalls()
    for _ in range(100):
        watch.clock.advance(0.01)
        watch.deadlines.set("a", 5)
    assert watch.clock.getDelayedCalls() == [call]
    assert call.getTime() == 5


def test_setAgainFromWithin(watch: Watch) -> None:
    watch.then["a"] = lambda: len(watch.passed) < 3 and watch.deadlines.set("a", 5)
    watch.deadlines.set("a", 5)
    watch.advance(100)
    assert watch.passed == [("a", 5), ("a", 10), ("a", 15)]
    assert watch.calls == 0


def test_setFromWithinBehindAnother(watch: Watch) -> None:
    """The new one is later than one that is there already."""
    watch.then["a"] = lambda: watch.deadlines.set("c", 10)
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 6)
    watch.advance(100)
    assert watch.passed == [("a", 5), ("b", 6), ("c", 15)]


def test_setFromWithinBeforeAnother(watch: Watch) -> None:
    watch.then["a"] = lambda: watch.deadlines.set("c", 1)
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 10)
    watch.advance(100)
    assert watch.passed == [("a", 5), ("c", 6), ("b", 10)]


def test_clearedFromWithin(watch: Watch) -> None:
    watch.then["a"] = lambda: watch.deadlines.clear("b")
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 5)
    watch.advance(100)
    assert watch.passed == [("a", 5)]


def test_movedFromWithin(watch: Watch) -> None:
    watch.then["a"] = lambda: watch.deadlines.set("b", 5)
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 5)
    watch.advance(100)
    assert watch.passed == [("a", 5), ("b", 10)]


def test_stop(watch: Watch) -> None:
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 6)
    watch.deadlines.stop()
    assert watch.calls == 0
    assert "a" not in watch.deadlines
    watch.advance(100)
    assert watch.passed == []
    watch.deadlines.stop()


def test_stopFromWithin(watch: Watch) -> None:
    """As when something that expires loses the connection at once."""
    watch.then["a"] = watch.deadlines.stop
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 5)
    watch.deadlines.set("c", 6)
    watch.advance(100)
    assert watch.passed == [("a", 5)]
    assert watch.calls == 0


def test_zeroIsTheNextTurn(watch: Watch) -> None:
    watch.deadlines.set("a", 0)
    assert watch.passed == []
    watch.clock.advance(0)
    assert watch.passed == [("a", 0)]


def test_lateTurns(watch: Watch) -> None:
    """The reactor was busy: everything overdue passes, once."""
    watch.deadlines.set("a", 5)
    watch.deadlines.set("b", 6)
    watch.clock.advance(100)
    assert sorted(watch.passed) == [("a", 100), ("b", 100)]


def test_afterStopNothingIsKept(watch: Watch) -> None:
    """A connection that is gone is not held by its last timer."""
    watch.deadlines.set("a", 5)
    watch.deadlines.stop()
    gc.collect()
    assert watch.clock.calls == []


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.sampled_from("abcd"), st.integers(1, 20)),
            st.tuples(st.just("clear"), st.sampled_from("abcd"), st.just(0)),
            st.tuples(st.just("advance"), st.just(""), st.integers(0, 10)),
        ),
        max_size=30,
    )
)
def test_asIfEachHadItsOwnTimer(steps: list[tuple[str, str, int]]) -> None:
    watch = Watch()
    now, due, expected = 0, {}, []

    def passTime(until: int) -> None:
        for name, when in sorted(due.items(), key=lambda item: item[1]):
            if when <= until:
                expected.append((name, when))
                del due[name]

    for what, name, number in steps:
        if what == "set":
            watch.deadlines.set(name, number)
            due[name] = now + number
        elif what == "clear":
            watch.deadlines.clear(name)
            due.pop(name, None)
        else:
            watch.advance(number)
            now += number
            passTime(now)
        assert {each for each in "abcd" if each in watch.deadlines} == set(due)
    watch.advance(100)
    passTime(1000)
    assert sorted(watch.passed) == sorted(expected)
    assert [when for _, when in watch.passed] == sorted(when for _, when in watch.passed)
