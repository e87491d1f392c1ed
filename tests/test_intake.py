"""When descriptors run out: who waits, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import SteadyClock
from twisted.internet import tcp
from twisted.internet.protocol import Factory
from twisted.logger import LogEvent, capturedLogs

from txabstracthttp import _intake
from txabstracthttp._intake import PAUSE, QUIET, RESERVE, Intake
from txabstracthttp._ports import AT_ONCE, PortRegistry

LIMIT = 200


class Port:
    """Is paused, or not."""

    def __init__(self) -> None:
        self.paused = False

    def getHost(self) -> str:
        return "here"

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False


class Transport:
    """Has a descriptor."""

    def __init__(self, descriptor: Any) -> None:
        self.fileno = lambda: descriptor


class Doorman:
    """An intake with one port; `free` is the lowest descriptor that is free."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.port, self.clock, self.free = Port(), SteadyClock(), 10
        registry = PortRegistry()
        registry.listed(registry.reserve(), self.port)  # type: ignore[arg-type]
        self.busy = True
        self.intake = Intake(registry, lambda: self.busy)
        monkeypatch.setattr(_intake, "descriptorLimit", lambda: LIMIT)
        monkeypatch.setattr(_intake, "_lowestFree", lambda: self.free)

    def open(self, descriptor: object) -> bool:
        """A connection comes; whether there may be others."""
        self.intake.opened(Transport(descriptor), self.clock)
        return not self.port.paused


@pytest.fixture
def doorman(monkeypatch: pytest.MonkeyPatch) -> Doorman:
    return Doorman(monkeypatch)


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    with capturedLogs() as events:
        yield events  # type: ignore[misc]


def test_enough(doorman: Doorman) -> None:
    assert doorman.open(LIMIT - RESERVE - 1)
    assert not doorman.clock.getDelayedCalls()


def test_hardlyAny(doorman: Doorman) -> None:
    assert not doorman.open(LIMIT - RESERVE)


def test_whatOneTurnAcceptsFits() -> None:
    assert AT_ONCE < RESERVE


def test_untilThereAreAgain(doorman: Doorman) -> None:
    doorman.free = LIMIT - RESERVE
    doorman.open(LIMIT - RESERVE)
    for _ in range(3):
        doorman.clock.advance(PAUSE)
        assert doorman.port.paused
    doorman.free -= 1
    doorman.clock.advance(PAUSE)
    assert not doorman.port.paused
    assert not doorman.clock.getDelayedCalls()


def test_orUntilOneHasGone(doorman: Doorman) -> None:
    doorman.free = LIMIT - RESERVE
    doorman.open(LIMIT - RESERVE)
    doorman.intake.closed()
    assert doorman.port.paused
    doorman.free -= 1
    doorman.intake.closed()
    assert not doorman.port.paused
    assert not doorman.clock.getDelayedCalls()


def test_ifOthersHoldThemAll(doorman: Doorman) -> None:
    """Nothing of ours will close: then a few are better than none."""
    doorman.free = LIMIT - 5
    doorman.open(LIMIT - 6)
    doorman.busy = False
    doorman.clock.advance(PAUSE)
    assert not doorman.port.paused
    doorman.open(LIMIT - 6)
    assert doorman.port.paused
    doorman.intake.closed()
    assert not doorman.port.paused


def test_ofFewAPart(doorman: Doorman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_intake, "descriptorLimit", lambda: 40)
    assert doorman.open(40 - 11)
    assert not doorman.open(40 - 10)


def test_portsThatAreOpenedMeanwhile(doorman: Doorman) -> None:
    doorman.open(LIMIT)
    doorman.port.resumeProducing()
    assert not doorman.open(LIMIT)


@pytest.mark.parametrize("descriptor", [-1, None, "7"])
def test_whatHasNoDescriptor(doorman: Doorman, descriptor: object) -> None:
    assert doorman.open(descriptor)


def test_withoutALimit(doorman: Doorman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_intake, "descriptorLimit", lambda: None)
    assert doorman.open(10**6)


def test_itIsSaidOnce(doorman: Doorman, logged: list[LogEvent]) -> None:
    for _ in range(5):
        doorman.open(LIMIT)
        doorman.clock.advance(PAUSE)
    assert len(logged) == 1
    doorman.clock.advance(QUIET)
    doorman.open(LIMIT)
    assert len(logged) == 2


def test_theEnd(doorman: Doorman) -> None:
    doorman.open(LIMIT)
    doorman.intake.stop()
    assert not doorman.clock.getDelayedCalls()
    doorman.intake.stop()
    # Those that were accepted at the last moment.
    doorman.open(LIMIT)
    assert not doorman.clock.getDelayedCalls()


def test_aPortOfTwistedsAcceptsFewAtATime() -> None:
    registry = PortRegistry()
    port = tcp.Port(0, Factory(), interface="127.0.0.1")
    port.startListening = lambda: None  # type: ignore[method-assign]
    port.getHost = lambda: "here"  # type: ignore[method-assign]
    registry.listed(registry.reserve(), port)
    port.numberAccepts += 1000
    assert port.numberAccepts == AT_ONCE
