"""Content that waits: every octet once and in order, and turns that are fair (`wire.http2queue`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txabstracthttp.wire.http2queue import LARGEST_FRAME, Outgoing, Turns

harder = settings(max_examples=max(300, settings().max_examples))

SIZES = st.sampled_from([1, 2, 3, 10, LARGEST_FRAME - 1, LARGEST_FRAME, LARGEST_FRAME + 1, 3 * LARGEST_FRAME])
ROOMS = st.sampled_from([-5, 0, 0, 1, 2, 7, LARGEST_FRAME, 10 * LARGEST_FRAME])
STREAMS = 4


def content(begin: int, size: int) -> bytes:
    """Octets that tell where in a stream they are."""
    return bytes(place * 7919 % 251 for place in range(begin, begin + size))


class TestOutgoing:
    @harder
    @given(st.lists(st.binary(min_size=1, max_size=30), max_size=8), st.lists(st.integers(1, 40), min_size=1))
    def test_everyOctetOnceAndInOrder(self, pieces: list[bytes], sizes: list[int]) -> None:
        stream, taken, put, count = Outgoing(), b"", b"", 0
        while pieces or stream.waiting:
            size = sizes[count % len(sizes)]
            count += 1
            if pieces and (size % 2 or not stream.waiting):
                put += pieces[0]
                stream.put(pieces.pop(0))
            else:
                piece = stream.take(size)
                assert 0 < len(piece) <= size
                taken += piece
            assert (stream.waiting, stream.sent) == (len(put) - len(taken), len(taken))
            assert put.startswith(taken)
        assert taken == put

    def test_wholePiecesAreNotCopied(self) -> None:
        stream, piece = Outgoing(), content(0, 100)
        stream.put(piece)
        assert stream.take(100) is piece
        stream.put(piece)
        assert stream.take(1000) is piece

    def test_anEndOfAPieceIsAnEndOfAFrame(self) -> None:
        """To join pieces would be one more copy of all of them."""
        stream = Outgoing()
        for piece in (b"ab", b"c", b"def"):
            stream.put(piece)
        assert [stream.take(2) for _ in range(4)] == [b"ab", b"c", b"de", b"f"]


class Connection:
    """Streams that wait for their turn, as a wire has them, and an account of who had his.

    :ivar put: what each stream was given; `got`: what was sent of it.
    """

    def __init__(self) -> None:
        self.streams: dict[int, Outgoing] = {}
        self.rooms: dict[int, int] = {}
        self.turns = Turns(self.streams, self.rooms.__getitem__)
        self.put: dict[int, bytes] = {}
        self.got: dict[int, bytes] = {}
        #: Who was ready, all the time, since a stream had its last turn.
        self._passedOver: dict[int, set[int]] = {}
        self._number = 1

    # What may happen at any time:

    def open(self, room: int) -> None:
        if len(self.streams) < STREAMS:
            streamId, self._number = self._number, self._number + 2
            self.streams[streamId] = Outgoing()
            self.rooms[streamId] = room
            self.put[streamId] = self.got[streamId] = b""

    def write(self, place: int, size: int) -> None:
        for streamId in self.pick(place):
            data = content(len(self.put[streamId]), size)
            self.put[streamId] += data
            self.streams[streamId].put(data)
            self.turns.join(streamId)

    def setRoom(self, place: int, room: int) -> None:
        """The stream's window changes, and nobody notices."""
        for streamId in self.pick(place):
            self.rooms[streamId] = room

    def join(self, place: int, times: int) -> None:
        for streamId in self.pick(place):
            for _ in range(times):
                self.turns.join(streamId)

    def leave(self, place: int) -> None:
        for streamId in self.pick(place):
            self.turns.leave(streamId, self.streams.pop(streamId))

    def clear(self) -> None:
        self.turns.clear()
        self.streams.clear()
        assert not self.turns
        assert self.turns.next() is None

    def send(self, times: int) -> None:
        for _ in range(times):
            ready = self.ready
            waiting = {streamId for streamId, stream in self.streams.items() if stream.isQueued}
            turn = self.turns.next()
            assert (turn is not None) == bool(ready)
            if turn is None:
                assert not self.turns
                break
            assert turn[0] in waiting, "who does not wait in line has no turn"
            self.sendFrame(*turn)

    # The account:

    def pick(self, place: int) -> list[int]:
        known = sorted(self.streams)
        return [known[place % len(known)]] if known else []

    @property
    def ready(self) -> set[int]:
        """Who waits in line, and has room."""
        return {number for number, each in self.streams.items() if each.isQueued and self.rooms[number] > 0}

    def sendFrame(self, streamId: int, size: int) -> None:
        assert size == min(self.rooms[streamId], LARGEST_FRAME)
        passedOver = self._passedOver.pop(streamId, set())
        assert not passedOver, f"{streamId} twice, and {passedOver} not at all"
        piece = self.streams[streamId].take(size)
        assert 0 < len(piece) <= size
        self.got[streamId] += piece
        self.rooms[streamId] -= len(piece)
        self.turns.join(streamId)
        for others in self._passedOver.values():
            others.discard(streamId)
        self._passedOver[streamId] = self.ready - {streamId}

    def look(self) -> None:
        """What is so at any time."""
        for others in self._passedOver.values():
            others.intersection_update(self.ready)
        assert bool(self.turns) == any(stream.isQueued for stream in self.streams.values())
        for streamId, stream in self.streams.items():
            assert self.put[streamId].startswith(self.got[streamId])
            assert stream.sent == len(self.got[streamId])
            assert stream.waiting == len(self.put[streamId]) - stream.sent
            assert stream.waiting or not stream.isQueued
            # Who left the line for want of room comes back by `join` alone.
            assert stream.isQueued or not stream.waiting or streamId not in self.ready

    def finish(self) -> None:
        """All get room: all that waits is sent, and nothing else."""
        for streamId in self.streams:
            self.rooms[streamId] = len(self.put[streamId]) + 1
            self.turns.join(streamId)
        while self.turns:
            self.send(1)
            self.look()
        assert self.turns.next() is None
        assert all(self.got[streamId] == self.put[streamId] for streamId in self.streams)


places = st.integers(0, STREAMS - 1)
Step = tuple[Any, ...]
write = st.tuples(st.just(Connection.write), places, SIZES)
send = st.tuples(st.just(Connection.send), st.integers(1, 6))
steps: st.SearchStrategy[Step] = st.one_of(
    write,
    write,
    send,
    send,
    st.tuples(st.just(Connection.open), ROOMS),
    st.tuples(st.just(Connection.setRoom), places, ROOMS),
    st.tuples(st.just(Connection.join), places, st.integers(1, 3)),
    st.tuples(st.just(Connection.leave), places),
)
#: One in twenty.
rarely: st.SearchStrategy[Step] = st.integers(0, 19).flatmap(
    lambda number: steps if number else st.just((Connection.clear,))
)


def opened(*rooms: int) -> Connection:
    """As many streams, each with that much room."""
    connection = Connection()
    for room in rooms:
        connection.open(room)
    return connection


class TestTurns:
    @harder
    @given(st.lists(ROOMS, min_size=1, max_size=STREAMS), st.lists(rarely, max_size=40))
    def test_whateverHappens(self, rooms: list[int], story: list[Step]) -> None:
        connection = opened(*rooms)
        for step, *arguments in story:
            step(connection, *arguments)
            connection.look()
        connection.finish()

    def test_oneFrameEach(self) -> None:
        connection = opened(*[10 * LARGEST_FRAME] * 3)
        for place in range(3):
            connection.write(place, 5 * LARGEST_FRAME)
        order = []
        while turn := connection.turns.next():
            order.append(turn[0])
            connection.sendFrame(*turn)
        assert order == [1, 3, 5] * 5

    def test_whoComesLateWaitsForOneRound(self) -> None:
        connection = opened(*[10 * LARGEST_FRAME] * 3)
        connection.write(0, 3 * LARGEST_FRAME)
        connection.write(1, 3 * LARGEST_FRAME)
        connection.send(1)
        connection.write(2, 1)
        assert [connection.turns.next() for _ in range(3)] == [
            (3, LARGEST_FRAME),
            (1, LARGEST_FRAME),
            (5, LARGEST_FRAME),
        ]

    @pytest.mark.parametrize("times", [1, 2, 5])
    def test_whoJoinsTwiceStandsInLineOnce(self, times: int) -> None:
        connection = opened(100, 100)
        connection.write(0, 10)
        connection.join(0, times)
        assert connection.turns.next() == (1, 100)
        assert connection.turns.next() is None

    def test_whoHasNothingToSayDoesNotJoin(self) -> None:
        connection = opened(100)
        connection.join(0, 1)
        assert not connection.turns
        assert connection.turns.next() is None

    @pytest.mark.parametrize("room", [0, -1, -(2**31)])
    def test_whoHasNoRoomWaitsUntilHeJoins(self, room: int) -> None:
        connection = opened(room, 100)
        connection.write(0, 10)
        connection.write(1, 10)
        assert connection.turns.next() == (3, 100)
        connection.setRoom(0, 100)
        assert connection.turns.next() is None
        connection.join(0, 1)
        assert connection.turns.next() == (1, 100)

    def test_whoIsGoneHasNoTurn(self) -> None:
        connection = opened(100, 100, 100)
        for place in (0, 1, 2):
            connection.write(place, 10)
        connection.leave(1)
        assert [connection.turns.next() for _ in range(3)] == [(1, 100), (5, 100), None]

    @pytest.mark.parametrize("before", [lambda connection: None, lambda connection: connection.send(1)])
    def test_leavingWithoutWaiting(self, before: Callable[[Connection], None]) -> None:
        connection = opened(100, 100)
        connection.write(0, 10)
        connection.write(1, 10)
        before(connection)
        connection.send(1)
        connection.leave(0)
        connection.look()
        connection.finish()

    def test_leavingWhenAllAreGone(self) -> None:
        connection = opened(100)
        connection.write(0, 10)
        stream = connection.streams[1]
        connection.turns.clear()
        connection.turns.leave(1, stream)
        assert not connection.turns
