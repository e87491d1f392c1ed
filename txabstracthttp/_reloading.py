"""TLS contexts of files: built anew when those change, and kept while they make no sense."""

from __future__ import annotations

__all__ = ["Build", "Complaints", "Find", "Signature", "WatchedPair", "lookUp", "signatureOf"]

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from OpenSSL.SSL import Context
from twisted.logger import Logger

from ._certificates import Credentials, loadCredentials
from ._stapling import staplePath

_log = Logger()

_T = TypeVar("_T")

#: The context for the name that a client asks for, in lower case; None: no other one.
Find = Callable[[bytes], Context | None]
Build = Callable[[Credentials, Find], Context]

Signature = tuple[int, ...] | None


def signatureOf(path: Path) -> Signature:
    """What is different when a file has changed; None if it cannot be seen."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    # The last of them changes with the permissions, too: what could not be read may now be.
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def lookUp(table: Mapping[bytes, _T], name: bytes) -> _T | None:
    """Find a host name (RFC 6066 section 3), or the wildcard in its place, which stands for one label."""
    return table.get(name) or table.get(b"*." + name.partition(b".")[2])


class Complaints:
    """What is wrong with which file, so that it is said once and not at every look."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def update(self, problems: Mapping[str, str]) -> None:
        """This is all that is wrong now."""
        for file, problem in problems.items():
            if self._known.get(file) != problem:
                _log.error("TLS: {file}: {problem}; what was read before stays", file=file, problem=problem)
        for file in self._known.keys() - problems.keys():
            _log.info("TLS: {file} is good again", file=file)
        self._known = dict(problems)


class WatchedPair:
    """A certificate and its key, some of it in files.

    :ivar context: of the last state of the files that made sense.
    """

    def __init__(
        self,
        build: Build,
        find: Find,
        sources: tuple[object, object, object],
        more: Iterable[Path] = (),
    ) -> None:
        """
        :param sources: certificate, key and further chain, as `loadCredentials` takes them.
        :param more: files that the context depends on otherwise.
        :raises ValueError: they make no sense now.
        :raises TypeError: they are none of the types that are taken.
        """
        self._build = build
        self._find = find
        self._sources = sources
        self._paths = [*dict.fromkeys(each for each in (*sources, *more) if isinstance(each, Path))]
        #: They need not be there.
        self._staples = [staplePath(each) for each in sources[:1] if isinstance(each, Path)]
        self._complaints = Complaints()
        self._seen = self._look()
        self.context = self._load()

    def _look(self) -> list[Signature]:
        return [signatureOf(path) for path in (*self._paths, *self._staples)]

    def _load(self) -> Context:
        return self._build(loadCredentials(*self._sources), self._find)

    def refresh(self) -> None:
        """Look at the files, and read them if they have changed.  Never raises."""
        seen, files = self._look(), " and ".join(map(str, self._paths))
        # What is wrong need not be the files: there may be no descriptor left to read them with.
        if seen == self._seen and not self._complaints:
            return
        self._seen = seen
        try:
            self.context = self._load()
        except Exception as error:
            self._complaints.update({files: str(error)})
        else:
            self._complaints.update({})
            _log.info("TLS: reloaded {files}", files=files)
