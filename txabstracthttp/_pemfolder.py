"""A folder of PEM files, as ``tls:`` endpoints have it: whatever keys and certificates are in there."""

from __future__ import annotations

__all__ = ["PemFolder"]

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509 import Certificate as X509Certificate
from OpenSSL.SSL import Context
from twisted.logger import Logger

from ._certificates import Credentials, certificatesIn, hostNames, keysIn, publicOctets, readFile
from ._reloading import Build, Complaints, Signature, lookUp, signatureOf
from ._stapling import Staple, readStaple, staplePath

_log = Logger()


#: Of a file, and of the OCSP response beside it.
_Signatures = tuple[Signature, Signature]


class _PemFile(NamedTuple):
    """What stands in one file, each with its public key."""

    signature: _Signatures
    certificates: list[tuple[bytes, X509Certificate]]
    keys: list[tuple[bytes, PrivateKeyTypes]]
    staple: Staple | None


class _Pair(NamedTuple):
    """A certificate and its key, and the files that they are in."""

    certificateFile: Path
    keyFile: Path
    credentials: Credentials

    @property
    def files(self) -> set[Path]:
        return {self.certificateFile, self.keyFile}


class _Served(NamedTuple):
    """A pair in use."""

    pair: _Pair
    names: list[bytes]
    context: Context

    @property
    def until(self) -> float:
        return self.pair.credentials.certificate.not_valid_after_utc.timestamp()


_Files = dict[Path, _PemFile]


class PemFolder:
    """Serves every host that the folder has a certificate and a key for.

    Keys are paired with certificates by what is in them, and chains are completed with the issuers that are
    found.  Of several certificates for one key or one name, that which is valid longest is taken.  The first
    pair, by the name of its certificate's file, is for clients that ask for no name or an unknown one.

    :ivar context: that of the first pair.
    """

    context: Context

    def __init__(self, folder: Path, build: Build) -> None:
        """
        :raises ValueError: no folder, or without a single pair.
        """
        self._folder = folder
        self._build = build
        self._complaints = Complaints()
        self._found: dict[Path, _Signatures] = {}
        self._files: _Files = {}
        self._unreadable: dict[str, str] = {}
        self._mismatched: dict[str, str] = {}
        self._served: list[_Served] = []
        self._table: dict[bytes, _Served] = {}
        self._load()
        if not self._served:
            problems = "".join(f"; {file}: {problem}" for file, problem in self._problems().items())
            raise ValueError(f"no certificate with its key in {str(folder)!r}{problems}")
        self._complaints.update(self._problems())

    def find(self, name: bytes) -> Context | None:
        """The context for a host name."""
        served = lookUp(self._table, name)
        return None if served is None else served.context

    def refresh(self) -> None:
        """Look at the folder, and read what has changed.  Never raises."""
        try:
            changed = self._load()
        except Exception as error:
            self._complaints.update({str(self._folder): str(error)})
            return
        self._complaints.update(self._problems())
        if changed:
            _log.info("TLS: reloaded {folder}", folder=self._folder)

    def _problems(self) -> dict[str, str]:
        return {**self._mismatched, **self._unreadable}

    def _load(self) -> bool:
        """Read what has changed; whether that changes anything."""
        found = _scan(self._folder)
        if found == self._found and not self._unreadable:
            return False
        files, self._found = self._read(found), found
        if files == self._files:
            return False
        self._files = files
        self._mismatched = {}
        served = self._serve(_pairs(files))
        self._findStrayKeys()
        if not served:
            self._mismatched[str(self._folder)] = "no certificate with its key is left"
            return False
        self._served = served
        self._table = _tabulate(served)
        self.context = served[0].context
        return True

    def _read(self, found: Mapping[Path, _Signatures]) -> _Files:
        """The files as they are now; those that make no sense, as they were when they did."""
        files: _Files = {}
        self._unreadable = {}
        for path, signature in found.items():
            file = self._files.get(path)
            if file is None or file.signature != signature:
                try:
                    file = _parse(path, signature)
                except ValueError as error:
                    self._unreadable[str(path)] = str(error)
            if file is not None:
                files[path] = file
        return files

    def _serve(self, pairs: Iterable[_Pair]) -> list[_Served]:
        """Contexts for `pairs`, and former ones for what was renewed by halves so far."""
        served = [each for each in map(self._tryToServe, pairs) if each is not None]
        used = {file for each in served for file in each.pair.files}
        for former in self._served:
            pair = former.pair
            # Of one that was meant to go, a file would be missing.
            if pair.files <= self._files.keys() and not pair.files & used:
                served.append(former)
                problem = f"the private key does not belong to the certificate in {pair.certificateFile}"
                self._mismatched[str(pair.keyFile)] = problem
        return sorted(served, key=lambda each: each.pair.certificateFile)

    def _tryToServe(self, pair: _Pair) -> _Served | None:
        credentials = pair.credentials
        for former in self._served:
            if former.pair.credentials[1:] == credentials[1:]:
                return former._replace(pair=pair)
        try:
            names = [name.lower().encode() for name in hostNames(credentials.certificate)]
            return _Served(pair, names, self._build(credentials, self.find))
        except Exception as error:
            # An extension may be broken in many ways.
            self._mismatched[str(pair.certificateFile)] = str(error)
            return None

    def _findStrayKeys(self) -> None:
        known = {octets for file in self._files.values() for octets, _ in file.certificates}
        for path, file in self._files.items():
            if any(octets not in known for octets, _ in file.keys):
                self._mismatched.setdefault(str(path), "no certificate in the folder is for this private key")


def _parse(path: Path, signature: _Signatures) -> _PemFile:
    """
    :raises ValueError: it cannot be read, or not to its end.
    """
    text = readFile(path)
    if not text.strip():
        raise ValueError("the file is empty")  # as it is for a moment when it is written
    certificates = [(publicOctets(each), each) for each in certificatesIn(text)]
    keys = [(publicOctets(each), each) for each in keysIn(text)]
    return _PemFile(signature, certificates, keys, readStaple(staplePath(path)))


def _scan(folder: Path) -> dict[Path, _Signatures]:
    """The PEM files in there, by name.

    :raises ValueError: the folder cannot be read.
    """
    found = {}
    for path in _walk(folder):
        signature = signatureOf(path)
        if signature is not None:
            found[path] = signature, signatureOf(staplePath(path))
    return dict(sorted(found.items()))


def _walk(folder: Path) -> Iterator[Path]:
    visited = set()
    for name, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        where = Path(name)
        status = where.stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()  # a link has led us in a circle
            continue
        visited.add((status.st_dev, status.st_ino))
        folders.sort()  # of two ways to one, it is always the same that counts
        yield from (where / file for file in files if file.endswith(".pem") and (where / file).is_file())


def _refuse(error: OSError) -> None:
    raise ValueError(f"cannot read the folder of certificates {error.filename!r}: {error.strerror}")


def _pairs(files: _Files) -> list[_Pair]:
    """Every key of which there is a certificate, with its chain."""
    byKey = _lastingByKey(files)
    issuers = list({each: None for file in files.values() for _, each in file.certificates})
    keys: dict[bytes, tuple[Path, PrivateKeyTypes]] = {}
    for path, file in files.items():
        for octets, key in file.keys:
            keys.setdefault(octets, (path, key))
    return [
        _Pair(path, keys[octets][0], _complete(keys[octets][1], each, issuers, files[path].staple))
        for octets, (path, each) in byKey.items()
        if octets in keys
    ]


def _complete(
    key: PrivateKeyTypes, certificate: X509Certificate, issuers: list[X509Certificate], staple: Staple | None
) -> Credentials:
    fits = staple is not None and staple.isAbout(certificate)
    return Credentials(key, certificate, _chain(certificate, issuers), staple if fits else None)


def _lastingByKey(files: _Files) -> dict[bytes, tuple[Path, X509Certificate]]:
    """For each public key the certificate that is valid longest, and its file."""
    byKey: dict[bytes, tuple[Path, X509Certificate]] = {}
    for path, file in files.items():
        for octets, each in file.certificates:
            other = byKey.get(octets)
            if other is None or other[1].not_valid_after_utc < each.not_valid_after_utc:
                byKey[octets] = path, each
    return byKey


def _chain(certificate: X509Certificate, issuers: list[X509Certificate]) -> list[X509Certificate]:
    """Those that lead from a certificate to an authority, without that one: peers must know it anyway."""
    chain: list[X509Certificate] = []
    while True:
        candidates = (
            each for each in issuers if _issued(each, certificate) and each not in (certificate, *chain)
        )
        issuer = next(candidates, None)
        if issuer is None or issuer.subject == issuer.issuer:
            return chain
        chain.append(issuer)
        certificate = issuer


def _issued(issuer: X509Certificate, certificate: X509Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _tabulate(served: Iterable[_Served]) -> dict[bytes, _Served]:
    table: dict[bytes, _Served] = {}
    for each in served:
        for name in each.names:
            if name not in table or table[name].until < each.until:
                table[name] = each
    return table
