"""The poller: many connections, one reader to the reactor.

The reactor is Twisted's own, over real sockets, turned by hand.
"""

# ruff: noqa: F811  # fixtures are imported

from __future__ import annotations

import select
from typing import Any

import pytest
from pollerhelpers import (  # noqa: F401  # fixtures
    Company,
    Descriptor,
    HalfCloseable,
    Line,
    Turn,
    company,
    failuresIn,
    poller,
    raisingOnce,
    reactor,
    readersOf,
    turnUntilQuiet,
)
from twisted.internet import tcp
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import capturedLogs, formatEventAsClassicLogText
from twisted.python import log
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from txabstracthttp import _poller
from txabstracthttp._poller import Poller

if not hasattr(select, "epoll"):
    pytest.skip("there is no epoll(7)", allow_module_level=True)


# -------------------------------------------------------------------------------------------- log contexts


class TestLogContext:
    def test_eachItsOwn(self, reactor: Any, company: Company) -> None:
        """Whatever is called logs as its own connection does, also when many are ready in one turn."""
        several = company(4, HalfCloseable)
        for descriptor in several:
            descriptor.also = lambda name, who=descriptor: log.msg(f"{name} by {who.prefix}")
            descriptor.write()
            descriptor.line.shutdown()
        with capturedLogs() as events:
            for _ in range(3):
                reactor.doIteration(0)
            for descriptor in several:
                descriptor.scripts["doRead"] = [Turn("", CONNECTION_LOST)]
                descriptor.read()
            reactor.doIteration(0)
        said = [(event["system"], event["message"][0]) for event in events]
        assert sorted(said) == sorted(
            (f"number {place}", f"{name} by number {place}")
            for place in range(4)
            for name in ("doRead", "doWrite", "doRead", "readConnectionLost", "doRead", "connectionLost")
        )

    def test_whatTheReactorSaysToo(self, reactor: Any, company: Company) -> None:
        """What was in the log context stays there."""
        (descriptor,) = company(1)
        descriptor.also = log.msg
        with capturedLogs() as events:
            log.callWithContext({"instance": "web-3"}, reactor.doIteration, 0)
        assert [(event["system"], event["instance"]) for event in events] == [("number 0", "web-3")]

    def test_nobodysAfterwards(self, reactor: Any, company: Company) -> None:
        """Who logs after the turn is no connection."""
        company(2)
        reactor.doIteration(0)
        with capturedLogs() as events:
            log.msg("and now?")
        assert [event["system"] for event in events] == ["-"]

    def test_whoFailed(self, reactor: Any, company: Company) -> None:
        """An error is logged as its connection's, so that there is somebody to look for."""
        several = company(2)
        several[1].scripts["doRead"] = [Turn("", LookupError("no"), True)]
        with capturedLogs() as events:
            reactor.doIteration(0)
        lines = [formatEventAsClassicLogText(event) or "" for event in events]
        assert [line.partition("[")[2].partition("]")[0] for line in lines] == ["number 1"]

    def test_threads(self, reactor: Any, company: Company) -> None:
        """What a connection lets a thread do is logged as that connection's, whenever it is done."""
        pool = ThreadPool(1, 1)
        several = company(3)
        for descriptor in several:
            descriptor.also = lambda name, who=descriptor: pool.callInThread(log.msg, who.prefix)
        reactor.doIteration(0)
        assert [descriptor.names for descriptor in several] == [["doRead"]] * 3
        with capturedLogs() as events:
            pool.start()
            pool.stop()
        said = [(event["system"], event["message"][0]) for event in events if event.get("message")]
        assert len(said) == 3
        assert all(system == message for system, message in said)

    @pytest.mark.parametrize("place", range(3))
    def test_prefixThatRaises(self, place: int, reactor: Any, company: Company) -> None:
        """It costs that connection, and no other."""
        several = company(3)

        def logPrefix() -> str:
            raise LookupError("who am I?")

        several[place].logPrefix = logPrefix
        with capturedLogs() as events:
            reactor.doIteration(0)
        assert set(failuresIn(events)) == {"LookupError"}
        for descriptor in several:
            if descriptor is several[place]:
                assert descriptor.calls == [("connectionLost", "LookupError", "who am I?")]
            else:
                assert descriptor.calls == [("doRead",)]


# ---------------------------------------------------------------------------------------- several in a turn


class TestTogether:
    @pytest.mark.parametrize("number", [2, 7])
    @pytest.mark.parametrize("way", ["leave", "stopReading"])
    def test_oneEndsTheOthers(self, way: str, number: int, reactor: Any, company: Company) -> None:
        """Who was closed or removed by another one is not called, though it was ready."""
        several = company(number)

        def goAll(by: Descriptor) -> None:
            for other in several:
                if other is not by:
                    getattr(other, way)()

        for descriptor in several:
            descriptor.also = lambda name, by=descriptor: goAll(by)
        reactor.doIteration(0)
        assert sorted(descriptor.names for descriptor in several) == [[]] * (number - 1) + [["doRead"]]

    def test_oneBeginsAnother(self, reactor: Any, company: Company) -> None:
        """A connection may come while others are served."""
        first, second = company(2)
        second.stopReading()
        first.also = lambda name: second.read()
        turnUntilQuiet(reactor, [first, second])
        assert first.names == second.names == ["doRead"]

    @pytest.mark.parametrize("place", range(5))
    @pytest.mark.parametrize("error", [LookupError("this one"), SystemExit(3), KeyboardInterrupt()], ids=repr)
    @pytest.mark.parametrize("name", ["doRead", "doWrite"])
    def test_oneRaises(
        self, name: str, error: BaseException, place: int, reactor: Any, company: Company
    ) -> None:
        """That is logged, and it is lost with it; the others have their turn at once."""
        several = company(5)
        several[place].scripts[name] = [Turn("", error, True)]
        for descriptor in several:
            descriptor.write()
        with capturedLogs() as events:
            reactor.doIteration(0)
        assert failuresIn(events) == [type(error).__name__]
        assert [reason.value for reason in several[place].reasons] == [error]
        assert several[place].names[-2:] == [name, "connectionLost"]
        others = [descriptor.names for descriptor in several if descriptor is not several[place]]
        assert others == [["doRead", "doWrite"]] * 4

    @pytest.mark.parametrize("place", range(3))
    @pytest.mark.parametrize(
        "turn",
        [
            Turn("", CONNECTION_LOST),
            Turn("", ValueError("no"), True),
        ],
        ids=repr,
    )
    def test_oneRaisesAtItsEnd(self, turn: Turn, place: int, reactor: Any, company: Company) -> None:
        """What is raised by its connectionLost is logged, and harms nobody else."""
        several = company(3)
        several[place].scripts["doRead"] = [turn]
        several[place].also = raisingOnce("connectionLost")
        with capturedLogs() as events:
            reactor.doIteration(0)
        assert "LookupError" in failuresIn(events)
        others = [descriptor.names for descriptor in several if descriptor is not several[place]]
        assert others == [["doRead"]] * 2

    def test_protocolThatOnlyRaises(self, reactor: Any, poller: Poller) -> None:
        """The same with Twisted's own connections: a protocol that fails costs its own alone."""

        class Quiet(Protocol):
            lost = False

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                self.lost = True

        class Raising(Quiet):
            def dataReceived(self, data: bytes) -> None:
                raise ValueError("no data")

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                super().connectionLost(reason)
                raise LookupError("no end")

        host: Any = poller
        protocols = [Quiet(), Raising(), Quiet()]
        lines = [Line("tcp") for _ in protocols]
        with capturedLogs() as events:
            for line, protocol in zip(lines, protocols, strict=True):
                # No port has accepted it.
                port: Any = None
                transport = tcp.Server(line.ours, protocol, ("127.0.0.1", 1), port, 1, host)
                protocol.makeConnection(transport)
                transport.startReading()
            lines[1].send()
            for _ in range(3):
                reactor.doIteration(0)
            lost = [protocol.lost for protocol in protocols]
            reactor.disconnectAll()
        for line in lines:
            line.close()
        assert lost == [False, True, False]
        assert failuresIn(events) == ["LookupError", "ValueError"]

    def test_noMoreThanAtOnce(self, reactor: Any, company: Company) -> None:
        """So many a turn, that the reactor's other business has its turn, too."""
        several = company(_poller.AT_ONCE + 5)
        reactor.doIteration(0)
        assert sum(len(descriptor.calls) for descriptor in several) == _poller.AT_ONCE
        reactor.doIteration(0)
        assert [descriptor.names for descriptor in several] == [["doRead"]] * len(several)

    def test_nobodyStarves(self, monkeypatch: pytest.MonkeyPatch, reactor: Any, company: Company) -> None:
        """With ever more to do for all of them, each is served as often as every other."""
        monkeypatch.setattr(_poller, "AT_ONCE", 4)
        several = company(10)
        for descriptor in several:
            # It reads nothing, so that it stays ready.
            descriptor.scripts["doRead"] = [Turn()] * 100
        for turn in range(1, 21):
            reactor.doIteration(0)
            counts = [len(descriptor.calls) for descriptor in several]
            assert sum(counts) == 4 * turn
            assert max(counts) - min(counts) <= 1
