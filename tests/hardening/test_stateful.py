"""Random exchanges with random faults: whatever happens, each request has one answer at most, and in order.

Peers come and go, send in pieces, read or do not, break off anywhere; the application answers at once, later,
half or not at all; time passes, limits change, the server closes.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest
from connectionhelpers import SteadyClock
from hardening.faults import Planned, failuresLogged, keep, remains
from hardening.faultspeers import Http1Client, Http2Client, Peer, Request
from hardening.faultsworld import BEHAVIOURS, Application, Exchange
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from websockethelpers import text

INDEX = st.integers(0, 7)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "maximumBodySize": st.sampled_from([0, 100, 60_000]),
        "keepAliveTimeout": st.sampled_from([0, 2, 15, 15]),
        "headerTimeout": st.sampled_from([1, 10]),
        "bodyTimeout": st.sampled_from([1, 30]),
        "writeTimeout": st.sampled_from([2, 30]),
        "closeTimeout": st.sampled_from([1, 5]),
        "handlerTimeout": st.sampled_from([0, 3]),
        "rateLimitPerSecond": st.sampled_from([0, 5]),
        "maximumConnections": st.sampled_from([0, 2]),
        "maximumPendingWebSockets": st.sampled_from([0, 30]),
        "serverHeader": st.just("x"),
    },
)
KINDS = st.sampled_from([Http1Client, Http2Client])
MOSTLY = st.sampled_from([True, True, True, False])
REQUESTS = st.lists(
    st.builds(
        Request,
        behaviour=st.sampled_from(BEHAVIOURS),
        size=st.none() | st.sampled_from([0, 1, 300, 70_000]),
        framing=st.sampled_from(["length", "chunked", "expect"]),
        streamed=st.booleans(),
        isOld=st.sampled_from([False, False, False, True]),
        isWhole=MOSTLY,
    ),
    min_size=1,
    max_size=4,
)
WHAT = st.integers(0, 20)


class Faults(RuleBasedStateMachine):
    """The rules are what peers, application, clock and operator may do."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = keep()
        self._kept.__enter__()
        self._logging = failuresLogged()
        self.logged = self._logging.__enter__()
        self.clock = SteadyClock()
        self.server = Application(self.clock)
        self.peers: list[Any] = []
        self.closed: list[Any] = []

    # Who is there:

    def peer(self, index: int, kind: type[Peer] = Peer) -> Any:
        """One of those of a kind that are there; None if none is."""
        those = [each for each in self.peers if isinstance(each, kind) and not each.transport.gone]
        return those[index % len(those)] if those else None

    def turn(self) -> None:
        """One turn of the reactor, and a little time."""
        self.clock.advance(0.001)

    @initialize(kinds=st.lists(KINDS, min_size=1, max_size=3))
    def begin(self, kinds: list[Any]) -> None:
        for kind in kinds:
            self.connect(kind)

    @rule(kind=KINDS)
    def connect(self, kind: Any) -> None:
        if sum(not each.transport.gone for each in self.peers) < 4 and not self.closed:
            self.peers.append(kind(self.server, self.clock))

    @rule(index=INDEX, requests=REQUESTS, whole=MOSTLY)
    def ask(self, index: int, requests: list[Request], whole: bool) -> None:
        peer = self.peer(index)
        for request in requests:
            if peer is not None and peer.mayAsk:
                peer.ask(request)
        if peer is not None and whole:
            peer.transport.arrive()

    @rule(index=INDEX, early=st.booleans())
    def upgrade(self, index: int, early: bool) -> None:
        peer = self.peer(index, Http1Client)
        if peer is not None and peer.mayAsk:
            peer.upgrade()
            if early:
                peer.transport.arrive()

    @rule(index=INDEX, letters=st.sampled_from([0, 1, 200, 90_000]), size=st.integers(0, 300))
    def say(self, index: int, letters: int, size: int) -> None:
        peer = self.peer(index, Http1Client)
        if peer is not None:
            peer.say("c" * letters, text("c" * letters))
            peer.transport.arrive(size or None)

    @rule(index=INDEX, size=st.integers(1, 400) | st.integers(1, 70_000) | st.none())
    def arrive(self, index: int, size: int | None) -> None:
        peer = self.peer(index)
        if peer is not None:
            peer.transport.arrive(size)

    @rule(index=INDEX, size=st.none() | st.integers(0, 100_000))
    def read(self, index: int, size: int | None) -> None:
        """Some of what is held; or nothing from now on, or all of it."""
        peer = self.peer(index)
        if peer is not None and not peer.transport.gone:
            peer.transport.stuck = size is not None
            peer.transport.release(size)

    @rule(index=INDEX, how=st.sampled_from(["end", "reset", "vanish", "spoil", "cancel"]), what=WHAT)
    def trouble(self, index: int, how: str, what: int) -> None:
        peer = self.peer(index)
        if peer is not None:
            getattr(peer, how)(what)

    # What the application does:

    @precondition(lambda self: self.server.waiting)
    @rule(index=INDEX, how=st.sampled_from(["go", "go", "piece", "much", "end", "fail", "abort", "lose"]))
    def goOn(self, index: int, how: str) -> None:
        exchange = self.server.waiting[index % len(self.server.waiting)]
        if self._act(exchange, how):
            self.server.waiting.remove(exchange)

    def _act(self, exchange: Exchange, how: str) -> bool:
        """Whether that was all."""
        socket = exchange.socket
        if how == "fail" and exchange.behaviour == "wait" and not exchange.event.called:
            exchange.event.errback(self.server.fail())
        elif how == "abort":
            socket.abortConnection()
        elif how == "lose" and not socket.isAnswered:
            socket.loseConnection()
        elif exchange.behaviour == "wait" and not exchange.event.called:
            exchange.event.callback(True)
        elif exchange.behaviour == "stream" and not socket.isAnswered:
            return self._stream(exchange, how)
        else:
            exchange.respond()
        if exchange.behaviour == "wait" and not exchange.event.called:
            exchange.event.callback(True)
        return True

    def _stream(self, exchange: Exchange, how: str) -> bool:
        if how in ("piece", "much"):
            exchange.socket.write(b"x" * (90_000 if how == "much" else 5))
            return False
        exchange.socket.finish({"X-Trailer": "a"})
        return True

    # Time, and those who run the server:

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 11.0, 40.0]))
    def wait(self, seconds: float) -> None:
        for _ in range(8):
            self.turn()
            self.clock.advance(seconds / 8)

    @rule(limits=LIMITS)
    def configure(self, limits: dict[str, Any]) -> None:
        self.server.configure(**limits)

    @precondition(lambda self: len(self.server.exchanges) > 6 and not self.closed)
    @rule(grace=st.sampled_from([0, 5, None]))
    def close(self, grace: float | None) -> None:
        self.closed.append(None)
        self.server.close(grace).addBoth(self.closed.append)

    # What is always true:

    @invariant()
    def sensible(self) -> None:
        self.turn()
        for peer in self.peers:
            peer.check()
        assert max(self.server.records.values(), default=0) <= 1, self.server.records
        assert not self.unplanned(), self.logged
        for exchange in self.server.exchanges:
            assert len(exchange.outcome) <= 1
            assert len(exchange.content) <= 1

    def unplanned(self) -> list[Any]:
        """What was logged that the application has not raised, or that it has raised once and not twice."""
        values = [getattr(each, "value", each) for each in self.logged]
        return [each for each in values if not isinstance(each, Planned) or values.count(each) > 1]

    def teardown(self) -> None:
        try:
            # What has failed already is what should be told.
            if sys.exception() is None:
                self._calmDown()
                self._everybodyLeaves()
                self._nothingIsLeft()
        finally:
            self._logging.__exit__(None, None, None)
            self._kept.__exit__(None, None, None)

    def _calmDown(self) -> None:
        """Everything arrives, everybody answers; whoever has made no trouble has his answers."""
        for _ in range(15):
            for peer in self.peers:
                if peer.isCalm and not peer.transport.gone:
                    peer.transport.stuck = False
                    peer.transport.release()
                    peer.transport.arrive()
            while self.server.waiting:
                self._act(self.server.waiting.pop(), "go")
            for _ in range(3):
                self.sensible()
        for peer in self.peers:
            if peer.isCalm and not self.closed:
                peer.finishUp()

    def _everybodyLeaves(self) -> None:
        for peer in self.peers:
            peer.check()
            peer.transport.reset()
        for _ in range(5):
            self.turn()
        self.sensible()
        assert not self.server._site.connections
        for exchange in self.server.exchanges:
            assert len(exchange.outcome) == 1, exchange.behaviour
        if not self.closed:
            self.server.close(0).addBoth(self.closed.append)
        self.clock.advance(0)
        assert self.closed[-1] is None

    def _nothingIsLeft(self) -> None:
        assert not self.server._site._awaited
        calls = self.clock.getDelayedCalls()
        assert not calls, calls
        self.peers.clear()
        planned = list(self.server.raised)
        self.server = None  # type: ignore[assignment]
        values: list[Any] = [getattr(each, "value", each) for each in self.logged]
        assert sorted(each.args for each in values) == sorted(each.args for each in planned)
        self.logged.clear()
        del planned, values
        assert remains() == {}


# An example takes a tenth of a second, most of which is the search for what is left behind.
Faults.TestCase.settings = settings(max_examples=min(settings().max_examples, 2000), stateful_step_count=40)
TestFaults = pytest.mark.timeout(1800)(Faults.TestCase)
