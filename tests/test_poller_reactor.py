"""The poller inside its reactor: when it is there, what it stands in for, and how it ends."""

# ruff: noqa: F811  # fixtures are imported

from __future__ import annotations

import copy
import errno
import itertools
import os
import select
import time
from pathlib import Path
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
from twisted.internet.interfaces import IReactorTime
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python import log
from twisted.python.failure import Failure

from txabstracthttp._poller import Poller, pollerFor

if not hasattr(select, "epoll"):
    pytest.skip("there is no epoll(7)", allow_module_level=True)


class TestInTheReactor:
    OPERATIONS = ("read", "write", "stopReading", "stopWriting")

    @pytest.mark.parametrize("first", OPERATIONS)
    def test_anyOrder(self, first: str, reactor: Any, poller: Poller) -> None:
        """After whatever was asked for, once or twice, exactly that is told which is asked for now.

        And the poller is in the reactor exactly then when anything is.
        """
        line = Line()
        line.send()
        for rest in itertools.product(self.OPERATIONS, repeat=4):
            descriptor = Descriptor(line, poller, (Turn(),) * 5, (Turn(),) * 5)
            wanted: set[str] = set()
            for operation in (first, *rest):
                descriptor.do(operation)
                name = "doWrite" if operation in ("write", "stopWriting") else "doRead"
                (wanted.discard if operation.startswith("stop") else wanted.add)(name)
                descriptor.calls.clear()
                assert readersOf(reactor) == ([poller] if wanted else [])
                reactor.doIteration(0)
                assert descriptor.names == sorted(wanted), (first, rest)
            descriptor.stopReading()
            descriptor.stopWriting()
        assert readersOf(reactor) == []
        line.close()

    def test_asLongAsThereIsOne(self, reactor: Any, poller: Poller, company: Company) -> None:
        """It comes with the first, goes with the last, and comes again."""
        assert readersOf(reactor) == []
        for _ in range(2):
            several = company(3)
            for descriptor in several:
                assert readersOf(reactor) == [poller]
                assert reactor.getWriters() == []
                descriptor.leave()
            assert readersOf(reactor) == []

    def test_lostOnesAreGone(self, reactor: Any, poller: Poller, company: Company) -> None:
        """Nobody stays whose peer went, or who raised, even if it does not remove itself."""
        several = company(4)
        for descriptor in several:
            descriptor.leave = lambda: None
            descriptor.write()
        several[0].line.hangUp()
        several[1].scripts["doRead"] = [Turn("", LookupError("no"), True)]
        several[2].scripts["doWrite"] = [Turn("", CONNECTION_LOST)]
        several[3].scripts["doRead"] = [Turn("", CONNECTION_DONE)]
        with capturedLogs():
            turnUntilQuiet(reactor, several)
        assert [descriptor.names.index("connectionLost") for descriptor in several] == [
            len(descriptor.names) - 1 for descriptor in several
        ]
        assert readersOf(reactor) == []
        assert "number" not in repr(poller)

    def test_anotherOneInItsPlace(self, reactor: Any, company: Company) -> None:
        """A number that is used again belongs to the connection that has it now."""
        numbers: set[int] = set()
        for _ in range(3):
            [descriptor] = company(1)
            reactor.doIteration(0)
            assert descriptor.names == ["doRead"]
            numbers.add(descriptor.fileno())
            descriptor.leave()
        again = company(2)
        assert numbers & {descriptor.fileno() for descriptor in again}
        reactor.doIteration(0)
        assert [descriptor.names for descriptor in again] == [["doRead"]] * 2

    def test_closedBefore(self, reactor: Any, company: Company) -> None:
        """To remove what has no number any more, and was removed before, is harmless."""
        first, second = company(2)
        first.leave()
        first.stopReading()
        first.stopWriting()
        reactor.doIteration(0)
        assert (first.names, second.names) == ([], ["doRead"])

    def test_whatCannotBeWaitedFor(self, reactor: Any, poller: Poller, tmp_path: Path) -> None:
        """An error, at once and for whoever asks; and nothing stays of it."""
        line = Line()
        descriptor = Descriptor(line, poller)
        line.close()
        with pytest.raises((OSError, ValueError)):
            poller.addReader(descriptor)
        assert readersOf(reactor) == []
        assert "somebody" not in repr(poller)

    def test_repr(self, poller: Poller, company: Company) -> None:
        """Whoever finds it in the reactor learns whose connections these are."""
        assert repr(poller) == "<Poller of []>"
        first, second = company(2)
        assert repr(poller) == "<Poller of [<Descriptor number 0>, <Descriptor number 1>]>"
        first.leave()
        assert repr(poller) == "<Poller of [<Descriptor number 1>]>"
        second.leave()
        assert repr(poller) == "<Poller of []>"

    def test_neverWaits(self, poller: Poller, company: Company) -> None:
        """Not even when there was something to do, and there is nothing any more."""
        [descriptor] = company(1)
        descriptor.line.ours.recv(65536)
        seconds = []
        for _ in range(5):
            begin = time.monotonic()
            poller.doRead()
            seconds.append(time.monotonic() - begin)
        assert min(seconds) < 0.005
        assert descriptor.calls == []

    def test_logPrefix(self, poller: Poller) -> None:
        """The reactor asks it on its own account."""
        assert poller.logPrefix() == "-"


class TestItsOwnDescriptor:
    def test_notBeforeThereIsAnybody(self, poller: Poller, company: Company) -> None:
        """Whoever forks before that has one of his own."""
        assert poller.fileno() == -1
        company(1)
        assert poller.fileno() > 2

    def test_noneLeft(self, reactor: Any, poller: Poller, monkeypatch: pytest.MonkeyPatch) -> None:
        """That costs the connection for which there is none, and not those that come later."""

        def epoll() -> None:
            raise OSError(errno.EMFILE, "none left")

        line = Line()
        line.send()
        with monkeypatch.context() as patch:
            patch.setattr(select, "epoll", epoll)
            with pytest.raises(OSError, match="none left"):
                Descriptor(line, poller).read()
        descriptor = Descriptor(line, poller)
        descriptor.read()
        reactor.doIteration(0)
        assert descriptor.names == ["doRead"]
        line.close()

    def test_givenBack(self, reactor: Any, poller: Poller, company: Company) -> None:
        """With the last connection, when no other will come; not before."""
        first, second = company(2)
        number = poller.fileno()
        poller.retire()
        first.leave()
        reactor.doIteration(0)
        assert second.names == ["doRead"]
        second.leave()
        assert poller.fileno() == -1
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)

    def test_anotherOneAfterAll(self, reactor: Any, poller: Poller, company: Company) -> None:
        """A port may listen again."""
        poller.retire()
        (descriptor,) = company(1)
        reactor.doIteration(0)
        assert descriptor.names == ["doRead"]

    def test_whenItIsTakenOut(self, reactor: Any, poller: Poller, company: Company) -> None:
        """Somebody has emptied the reactor; who comes then is served, and who was there with him."""
        (first,) = company(1)
        reactor.removeAll()
        (second,) = company(1)
        reactor.doIteration(0)
        assert [first.names, second.names] == [["doRead"]] * 2

    def test_copies(self, poller: Poller) -> None:
        """Who looks at every object, and copies some, finds no trap."""
        assert copy.copy(poller).fileno() == -1


class TestTheReactorEnds:
    def test_allAreTold(self, reactor: Any, company: Company) -> None:
        """Who reads, who writes, who does both: each once, with the reactor's reason, in its own name."""
        several = company(3)
        several[0].write()
        several[1].stopReading()
        several[1].write()
        for descriptor in several:
            descriptor.also = log.msg
        with capturedLogs() as events:
            reactor.disconnectAll()
        for descriptor in several:
            assert descriptor.names == ["connectionLost"]
            assert [reason.value for reason in descriptor.reasons] == [CONNECTION_LOST]
        systems = [event["system"] for event in events if event.get("message") == ("connectionLost",)]
        assert sorted(systems) == ["number 0", "number 1", "number 2"]
        assert readersOf(reactor) == []

    @pytest.mark.parametrize("place", range(3))
    def test_oneRaises(self, place: int, reactor: Any, poller: Poller, company: Company) -> None:
        """The others are told all the same."""
        several = company(3)
        several[place].also = raisingOnce("connectionLost")
        with capturedLogs() as events:
            reactor.disconnectAll()
        assert failuresIn(events) == ["LookupError"]
        assert [descriptor.names for descriptor in several] == [["connectionLost"]] * 3
        assert readersOf(reactor) == []
        assert repr(poller) == "<Poller of []>"

    def test_notCalledAnyMore(self, reactor: Any, poller: Poller, company: Company) -> None:
        """Even those who do not remove themselves."""
        several = company(3)
        for descriptor in several:
            descriptor.leave = lambda: None
            descriptor.write()
        reactor.disconnectAll()
        poller.doRead()
        reactor.doIteration(0)
        assert [descriptor.names for descriptor in several] == [["connectionLost"]] * 3

    def test_thatReason(self, poller: Poller, company: Company) -> None:
        """Whatever it is."""
        several = company(2)
        reason = Failure(LookupError("the end"))
        poller.connectionLost(reason)
        assert [descriptor.reasons for descriptor in several] == [[reason], [reason]]


class TestPollerFor:
    def test_insideThat(self, reactor: Any) -> None:
        """One for each who asks, in a reactor that waits for descriptors."""
        poller, other = pollerFor(reactor), pollerFor(reactor)
        assert type(poller) is type(other) is Poller
        assert poller is not other
        assert readersOf(reactor) == []

    def test_withoutEpoll(self, monkeypatch: pytest.MonkeyPatch, reactor: Any) -> None:
        """The reactor itself, as on macOS or Windows."""
        monkeypatch.delattr(select, "epoll")
        assert pollerFor(reactor) is reactor

    def test_onAsyncio(self, monkeypatch: pytest.MonkeyPatch, reactor: Any) -> None:
        """Nor there: each connection has a context (PEP 567) of its own, which is not ours to mix up."""
        monkeypatch.setattr(reactor, "_asyncioEventloop", object(), raising=False)
        assert pollerFor(reactor) is reactor

    def test_noDescriptors(self) -> None:
        """Nor in one that does not wait for descriptors."""
        clock = Clock()
        assert pollerFor(clock) is clock

    def test_theRestIsTheReactors(self, reactor: Any) -> None:
        """What is not about descriptors."""
        poller = pollerFor(reactor)
        for name in ("callLater", "callFromThread", "seconds", "getDelayedCalls", "listenTCP", "running"):
            assert getattr(poller, name) == getattr(reactor, name)
        with pytest.raises(AttributeError):
            poller.nothingOfThatKind  # noqa: B018
        called: list[str] = []
        poller.callLater(0, called.append, "later")
        reactor.runUntilCurrent()
        assert called == ["later"]

    def test_whatItProvides(self, reactor: Any) -> None:
        """Who is careful asks for interfaces: `IReactorTime(transport.reactor)`."""
        assert IReactorTime.providedBy(pollerFor(reactor))
