"""The poller does for connections what Twisted's reactors do: the same story, played with either."""

# ruff: noqa: F811  # fixtures are imported

from __future__ import annotations

import itertools
import select
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pollerhelpers import (  # noqa: F401  # fixtures
    Descriptor,
    HalfCloseable,
    Line,
    Turn,
    epollReactor,
    failuresIn,
    poller,
    raisingOnce,
    reactor,
    readersOf,
    turnUntilQuiet,
)
from twisted.internet.error import ProcessDone
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import capturedLogs

from txabstracthttp._poller import Poller

if not hasattr(select, "epoll"):
    pytest.skip("there is no epoll(7)", allow_module_level=True)


# ------------------------------------------------------------------------------------------- as Twisted does


class Part(NamedTuple):
    """One descriptor of a story, and how it begins."""

    kind: str = "unix"
    isHalfCloseable: bool = True
    begins: tuple[str, ...] = ("read", "write")
    reads: tuple[Turn, ...] = ()
    writes: tuple[Turn, ...] = ()


#: Who does what: the number of a part, and what its peer does, or it itself.  Then there are turns.
Phase = list[tuple[int, str]]
PEER_ACTS = ("send", "shutdown", "hangUp", "reset", "fill", "drain", "shutOurs")
OWN_ACTS = ("read", "write", "stopReading", "stopWriting", "leave")


def play(parts: list[Part], phases: list[Phase], isPolled: bool) -> tuple[list[list[tuple[str, ...]]], Any]:
    """What each descriptor was told, and which failures were logged."""
    with epollReactor() as reactor, capturedLogs() as events:
        host = Poller(reactor) if isPolled else reactor
        cast: list[Descriptor] = []
        for part in parts:
            which = HalfCloseable if part.isHalfCloseable else Descriptor
            cast.append(which(Line(part.kind), host, part.reads, part.writes))
            for act in part.begins:
                cast[-1].do(act)
        try:
            # At the end everybody who still listens hears something.
            for phase in [*phases, [(place, "send") for place in range(len(parts))]]:
                for place, act in phase:
                    who = cast[place % len(parts)]
                    if act in OWN_ACTS:
                        who.do(act)
                    else:
                        who.line.peerDoes(act)
                turnUntilQuiet(reactor, cast)
        finally:
            for descriptor in cast:
                descriptor.leave()
        assert readersOf(reactor) == []
        return [descriptor.calls for descriptor in cast], failuresIn(events)


def compare(parts: list[Part], phases: list[Phase]) -> list[list[tuple[str, ...]]]:
    """What both do."""
    twisteds, ours = (play(parts, phases, isPolled) for isPolled in (False, True))
    assert ours == twisteds
    return ours[0]


REASONS = (CONNECTION_DONE, CONNECTION_LOST, OSError(5, "worn out"), ValueError("no"), SystemExit(3))
RETURNED = [Turn("", why) for why in (None, *REASONS[:-1])]
RAISED = [Turn("", why, True) for why in REASONS]
# What doWrite raises is another matter when it says that reading is done: see test_doneRaisedByDoWrite.
RAISED_BY_WRITING = RAISED[1:]

kinds = st.sampled_from(("unix", "tcp", "lone", "broken"))
ownActs = st.sampled_from(("", "", *OWN_ACTS))
phases = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(PEER_ACTS + OWN_ACTS)), max_size=4), max_size=4
)


def turns(endings: list[Turn]) -> st.SearchStrategy[tuple[Turn, ...]]:
    each = st.builds(lambda act, ending: ending._replace(act=act), ownActs, st.sampled_from(endings))
    # Mostly they just go on.
    usual = ownActs.map(Turn)
    return st.lists(usual | each, max_size=3).map(tuple)


parts = st.builds(
    Part,
    kind=kinds,
    isHalfCloseable=st.booleans(),
    begins=st.sampled_from(((), ("read",), ("write",), ("read", "write"), ("write", "read"))),
    reads=turns(RETURNED + RAISED),
    writes=turns(RETURNED + RAISED_BY_WRITING),
)


class TestAsTwistedDoes:
    """Played twice: with a poller inside the reactor, and with the reactor alone."""

    @given(st.lists(parts, min_size=1, max_size=3), phases)
    @example([Part("tcp", begins=("write",))], [[(0, "fill")], [(0, "reset")]])
    @example([Part("tcp", begins=("read",))], [[(0, "shutOurs"), (0, "send"), (0, "shutdown")]])
    def test_story(self, parts: list[Part], phases: list[Phase]) -> None:
        compare(parts, phases)

    @pytest.mark.parametrize("kind", ["unix", "tcp"])
    @pytest.mark.parametrize("begins", [(), ("read",), ("write",), ("read", "write")])
    @pytest.mark.parametrize("isHalfCloseable", [False, True])
    def test_whateverThePeerDoes(self, kind: str, begins: tuple[str, ...], isHalfCloseable: bool) -> None:
        """One thing, or two, at once or one after the other."""
        heard: set[str] = set()
        for first, second in itertools.product((*PEER_ACTS, ""), PEER_ACTS):
            acts = [(0, act) for act in (first, second) if act]
            # What is writable at once is not told so for ever.
            part = Part(kind, isHalfCloseable, begins, writes=(Turn(), Turn(), Turn()))
            for phases in ([acts], [[act] for act in acts]):
                heard.update(call[0] for call in compare([part], phases)[0])
        expected = {"doRead"} if "read" in begins else set()
        expected |= {"doWrite"} if "write" in begins else set()
        expected |= {"readConnectionLost"} if "read" in begins and isHalfCloseable else set()
        # Whether the whole end is among it depends on the socket.
        assert heard - {"connectionLost"} == expected

    @pytest.mark.parametrize("turn", RETURNED + RAISED, ids=repr)
    @pytest.mark.parametrize("isHalfCloseable", [False, True])
    @pytest.mark.parametrize("begins", [("read",), ("read", "write")])
    def test_whateverReadingGives(self, turn: Turn, isHalfCloseable: bool, begins: tuple[str, ...]) -> None:
        """The half of an end for who knows halves, and only when it is returned, not raised."""
        [calls] = compare([Part("unix", isHalfCloseable, begins, reads=(turn,))], [[(0, "send")]])
        names = [name for name, *_ in calls]
        if turn.why is None:
            assert names.count("doRead") >= 2
        elif turn.why is CONNECTION_DONE and isHalfCloseable and not turn.isRaised:
            assert "readConnectionLost" in names
            assert "connectionLost" not in names
        else:
            assert names[-1] == "connectionLost"

    @pytest.mark.parametrize("turn", RETURNED + RAISED_BY_WRITING, ids=repr)
    @pytest.mark.parametrize("isHalfCloseable", [False, True])
    @pytest.mark.parametrize("begins", [("write",), ("read", "write")])
    @pytest.mark.parametrize("acts", [[], [(0, "send")]], ids=["", "readable"])
    def test_whateverWritingGives(
        self, turn: Turn, isHalfCloseable: bool, begins: tuple[str, ...], acts: Phase
    ) -> None:
        """It is never the half of an end."""
        [calls] = compare([Part("unix", isHalfCloseable, begins, writes=(turn,))], [acts])
        names = [name for name, *_ in calls]
        assert "readConnectionLost" not in names
        assert ("connectionLost" in names) == (turn.why is not None)

    @pytest.mark.parametrize("isHalfCloseable", [False, True])
    def test_noWritingAfterAnEnd(self, isHalfCloseable: bool) -> None:
        """When reading ends the connection, it is not asked to write, in the same event at least."""
        part = Part("unix", isHalfCloseable, reads=(Turn("", CONNECTION_DONE),))
        [calls] = compare([part._replace(begins=())], [[(0, "send"), (0, "read"), (0, "write")]])
        assert [name for name, *_ in calls[:2]] == [
            "doRead",
            "readConnectionLost" if isHalfCloseable else "connectionLost",
        ]

    @pytest.mark.parametrize("isHalfCloseable", [False, True])
    @pytest.mark.parametrize(
        ("begins", "expected"), [(("read",), "ConnectionDone"), (("write",), "ConnectionLost")]
    )
    @pytest.mark.parametrize("kind", ["lone", "broken"])
    def test_nothingButAnEnd(
        self, kind: str, begins: tuple[str, ...], expected: str, isHalfCloseable: bool
    ) -> None:
        """Hung up or broken, and nothing to read: clean for who reads, and unclean for who does not."""
        [calls] = compare([Part(kind, isHalfCloseable, begins)], [])
        isHalf = isHalfCloseable and expected == "ConnectionDone"
        assert calls[0][:2] == ("readConnectionLost" if isHalf else "connectionLost", expected)

    def test_readsFirst(self) -> None:
        """What has come is read before there is writing."""
        [calls] = compare([Part(begins=())], [[(0, "send"), (0, "write"), (0, "read")]])
        assert calls[:2] == [("doRead",), ("doWrite",)]

    @pytest.mark.parametrize("begins", [("read",), ("write",)])
    def test_messages(self, begins: tuple[str, ...]) -> None:
        """An end reads as elsewhere in logs."""
        messages = []
        for isPolled in (False, True):
            with epollReactor() as reactor:
                descriptor = Descriptor(Line("lone"), Poller(reactor) if isPolled else reactor)
                descriptor.do(*begins)
                reactor.doIteration(0)
                descriptor.line.close()
            messages.append([reason.getErrorMessage() for reason in descriptor.reasons])
        assert messages[0] == messages[1]

    def test_kinOfDone(self) -> None:
        """No half of an end is what only inherits from it."""
        compare([Part(begins=("read",), reads=(Turn("", ProcessDone(0)),))], [[(0, "send")]])

    def test_doneRaisedByDoWrite(self, reactor: Any, poller: Poller) -> None:
        """Here we differ: Twisted takes what doWrite raises for half an end, if doRead came before it."""
        descriptor = HalfCloseable(Line(), poller, writes=(Turn("", CONNECTION_DONE, True),))
        descriptor.line.send()
        descriptor.read()
        descriptor.write()
        with capturedLogs():
            reactor.doIteration(0)
        assert descriptor.names == ["doRead", "doWrite", "connectionLost"]

    @pytest.mark.parametrize("kind", [Descriptor, HalfCloseable])
    def test_toldOnce(self, kind: type[Descriptor]) -> None:
        """An end is told once, whatever comes of it."""
        names = []
        for isPolled in (False, True):
            with epollReactor() as reactor, capturedLogs() as events:
                descriptor = kind(Line(), Poller(reactor) if isPolled else reactor)
                descriptor.read()
                descriptor.also = raisingOnce("connectionLost", "readConnectionLost")
                descriptor.line.shutdown()
                reactor.doIteration(0)
                descriptor.leave()
            assert failuresIn(events) == ["LookupError"]
            names.append(descriptor.names)
        assert names[0] == names[1]
