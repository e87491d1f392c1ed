"""A response that is sent piece by piece: what was promised, what was sent, and who produces it."""

from __future__ import annotations

__all__ = ["FileProducer", "ResponseStream", "fileFields", "openFile"]

import os
from collections.abc import Callable
from errno import EINVAL
from io import BufferedRandom, BufferedReader, FileIO
from mimetypes import guess_type
from stat import S_ISREG
from sys import maxsize
from typing import Any, BinaryIO

from twisted.internet.interfaces import IPullProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from .headers import HeadersLike, HttpHeaders

#: How much of a file is read at a time.
FILE_PIECE = 64 * 1024
#: How often a pull producer is asked in one turn of the reactor, if the peer takes what it gives: often
#: enough that the turn itself costs little, and seldom enough that nobody else has to wait.
PULLS_PER_TURN = 4


class ResponseStream:
    """The state of one streamed response.

    :ivar declared: the Content-Length that was given, or None.
    :ivar ending: the answer is finished as soon as its producer is.
    :ivar hasContent: whether octets may follow the head at all.
    :ivar sent: octets of content so far, whether or not they may be sent.
    """

    __slots__ = (
        "_callSoon",
        "_failed",
        "_paused",
        "_producer",
        "_pulling",
        "_streaming",
        "declared",
        "ending",
        "hasContent",
        "sent",
    )

    def __init__(
        self,
        declared: int | None,
        hasContent: bool,
        callSoon: Callable[[Callable[[], None]], None],
        failed: Callable[[Failure], None],
    ) -> None:
        """
        :param failed: called with what a producer raised.
        """
        self.declared = declared
        self.ending = False
        self._failed = failed
        self._callSoon = callSoon
        self._producer: Any = None
        self._streaming = False
        self._paused = False
        self._pulling = False
        self.hasContent = hasContent
        self.sent = 0

    def count(self, size: int) -> None:
        """`size` octets more.

        :raises ValueError: more than the Content-Length that was given.
        """
        if self.declared is not None and self.sent + size > self.declared:
            raise ValueError(f"{self.sent + size} octets are more than the Content-Length, {self.declared}")
        self.sent += size

    @property
    def hasProducer(self) -> bool:
        """Whether somebody produces the content."""
        return self._producer is not None

    @property
    def missing(self) -> int:
        """How many octets were promised and not sent."""
        return 0 if self.declared is None else self.declared - self.sent

    def register(self, producer: Any, streaming: bool, blocked: bool) -> None:
        """See `IConsumer.registerProducer`."""
        if self._producer is not None:
            raise RuntimeError(f"cannot register {producer!r}: {self._producer!r} is registered")
        self._producer = producer
        self._streaming = streaming
        if blocked:
            self.pause()
        elif not streaming:
            self._pull()

    def unregister(self) -> None:
        """See `IConsumer.unregisterProducer`."""
        self._producer = None
        self._paused = False

    def pause(self) -> None:
        """The peer does not keep up."""
        if self._producer is not None and not self._paused:
            self._paused = True
            if self._streaming:
                self._tell(self._producer.pauseProducing)

    def resume(self) -> None:
        """The peer has caught up."""
        if self._producer is not None and self._paused:
            self._paused = False
            if self._streaming:
                self._tell(self._producer.resumeProducing)
            else:
                self._pull()

    def stop(self) -> None:
        """There is no peer any more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            self._tell(producer.stopProducing)

    def _tell(self, what: Callable[[], object]) -> None:
        """Call a producer; one that fails is the end of what it produced, and of nothing else."""
        try:
            what()
        except Exception:
            self._producer = None
            self._failed(Failure())

    def _pull(self) -> None:
        if self._producer is None or self._paused or self._pulling:
            return
        self._pulling = True
        for _ in range(PULLS_PER_TURN):
            before = self.sent
            self._tell(self._producer.resumeProducing)
            if self._producer is None or self._paused or self.sent == before:
                break
        self._callSoon(self._pullAgain)

    def _pullAgain(self) -> None:
        self._pulling = False
        self._pull()


@implementer(IPullProducer)
class FileProducer:
    """Reads a file as it is asked to, and no faster."""

    def __init__(self, file: BinaryIO, socket: Any, length: int | None) -> None:
        """
        :param length: how much of the file is sent; None is all of it.
        """
        self._file = file
        self._socket = socket
        self._left = maxsize if length is None else length

    def resumeProducing(self) -> None:
        """One piece more, or the end."""
        try:
            piece = self._file.read(min(FILE_PIECE, self._left))
            if piece:
                self._left -= len(piece)
                self._socket.write(piece)
                return
        except Exception:
            self._file.close()
            raise
        self._file.close()
        self._socket.unregisterProducer()
        if not self._socket.isAnswered:
            self._socket.finish()

    def stopProducing(self) -> None:
        """Nobody wants the rest."""
        self._file.close()


def openFile(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to be sent.

    :raises OSError: there is none, it must not be read, or it is a pipe or a device: to read those may take
        for ever.
    """
    return open(path, "rb", opener=_openRegular)


def _openRegular(path: str, flags: int) -> int:
    # Without O_NONBLOCK, to open a pipe is to wait for somebody who writes to it.
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(EINVAL, "no regular file", path)
    return descriptor


def fileFields(file: BinaryIO, headers: HeadersLike) -> HttpHeaders:
    """What can be said of a file: how much of it there is, and of what kind it seems to be."""
    fields = HttpHeaders(headers)
    mediaType, encoding = guess_type(str(getattr(file, "name", "")))
    if "Content-Type" not in fields:
        fields.add("Content-Type", mediaType if mediaType and not encoding else "application/octet-stream")
    length = _lengthOf(file)
    if length is not None and "Content-Length" not in fields:
        fields.add("Content-Length", str(length))
    return fields


def _lengthOf(file: BinaryIO) -> int | None:
    """How much of `file` is left; None for what has no length, such as a pipe."""
    file = getattr(file, "file", file)  # what tempfile wraps
    if not isinstance(file, FileIO | BufferedReader | BufferedRandom):
        # It may be made of a file, such as a compressed one, and have another length than that.
        return None
    try:
        status = os.fstat(file.fileno())
        return max(status.st_size - file.tell(), 0) if S_ISREG(status.st_mode) else None
    except OSError:
        return None
