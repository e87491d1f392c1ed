"""An access log in the combined format, which every log analyser reads."""

from __future__ import annotations

__all__ = ["AccessLog"]

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from twisted.logger import Logger

from .records import ExchangeRecord
from .request import HttpRequest

_log = Logger()

#: English whatever the locale is, as the format wants it; strftime() would translate.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

#: What must not appear as it is: controls would forge lines, quotes and backslashes fields, and nobody knows
#: the encoding of the rest.
_ESCAPES = {code: f"\\x{code:02X}" for code in (*range(0x20), 0x22, 0x5C, *range(0x7F, 0x100))}


class AccessLog:
    """Writes a line for each exchange; connect it to `AbstractHttpServer.exchangeFinished`.

    Each line is appended in one write, so several processes may share a file and nothing is lost with one.
    """

    def __init__(self, path: str | os.PathLike[str], seconds: Callable[[], float] = time.time) -> None:
        """
        :param path: the file; made if it is not there, appended to if it is.
        :param seconds: tells the time, in seconds since 1970, UTC.
        :raises OSError: the file cannot be opened.
        """
        # A daemon changes its directory before the file is opened again.
        self._path = Path(path).absolute()
        self._seconds = seconds
        self._second = -1
        self._stamp = ""
        #: The end of a line whose beginning was the last that the disk had room for.
        self._rest = b""
        self._failing = False
        self._file: BinaryIO | None = self._open()

    def __call__(self, record: ExchangeRecord) -> None:
        """Write the line of one exchange.

        When that fails, on a full disk for example, it is logged, once until it works again: serving goes on.
        """
        if self._file is None:
            return
        data = self._rest + self._format(record).encode("ascii", "backslashreplace")
        try:
            written = self._file.write(data) or 0
        except OSError as error:
            self._reportOnce(error)
            return
        if written == len(data):
            self._rest, self._failing = b"", False
        elif written < len(self._rest):
            # There is still no room for the end of that line, and none for this one.
            self._rest = self._rest[written:]
        else:
            self._rest = data[written:]

    def reopen(self) -> None:
        """Open the file by its name again, after somebody has renamed it to rotate the log.

        If that fails it is logged, and the old file stays in use.
        """
        if self._file is None:
            return
        try:
            fresh = self._open()
        except OSError as error:
            _log.error("cannot reopen the access log {path}: {error}", path=self._path, error=error)
            return
        self._file.close()
        self._file, self._rest = fresh, b""

    def close(self) -> None:
        """Close the file; what is told of afterwards is ignored."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        return self._path.open("ab", buffering=0)

    def _reportOnce(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.error("cannot write the access log {path}: {error}", path=self._path, error=error)

    def _format(self, record: ExchangeRecord) -> str:
        host = getattr(record.remoteAddress, "host", "-")
        request = record.request
        if request is None:
            line = referer = agent = "-"
        else:
            line = _requestLine(request)
            referer, agent = _field(request, "Referer"), _field(request, "User-Agent")
        return (
            f"{_escape(host)} - - [{self._time()}] "
            f'"{line}" {record.status} {record.size} "{referer}" "{agent}"\n'
        )

    def _time(self) -> str:
        second = int(self._seconds())
        if second != self._second:
            self._second, self._stamp = second, _formatTime(second)
        return self._stamp


def _formatTime(second: int) -> str:
    now = time.gmtime(second)
    return (
        f"{now.tm_mday:02}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year:04}"
        f":{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} +0000"
    )


def _requestLine(request: HttpRequest) -> str:
    # Other servers say HTTP/2.0, and analysers expect it.
    version = request.version if "." in request.version else f"{request.version}.0"
    return f"{_escape(request.method)} {_escape(request.target.decode('latin-1'))} HTTP/{version}"


def _field(request: HttpRequest, name: str) -> str:
    return _escape(request.value(name)) or "-"


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)
