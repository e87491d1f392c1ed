"""Header fields as RFC 9110 section 5 has them: ordered, case-insensitive, repeatable.

The wire gives and takes pairs of bytes, so pairs of bytes are what is stored.  Text appears only when
somebody asks for it, and what an application hands in is checked once, at the moment it does.
"""

from __future__ import annotations

__all__ = ["TOKEN", "Fields", "HeadersLike", "HttpHeaders", "encodeFields"]

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, overload

Fields = list[tuple[bytes, bytes]]
T = TypeVar("T")

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token (RFC 9110 section 5.6.2); to be used with `fullmatch`."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HttpHeaders:
    """Header or trailer fields, in order, under names that ignore case (RFC 9110 section 5).

    A name may occur more than once, and keeps the spelling it came with.  Values are `str`, one character
    for each octet (latin-1).  Two are equal when they hold the same fields in the same order; the case of
    names does not count.

    :param headers: another `HttpHeaders`, a mapping of names to a `str` or to a list or tuple of them, or
        pairs of `str`; None for none.
    :raises ValueError: a name is no token, or a value holds a control character or one beyond latin-1.
    :raises TypeError: a name or value is no `str`.
    """

    __slots__ = ("_fields", "_fromWire")

    def __init__(self, headers: HeadersLike = None) -> None:
        self._fields = encodeFields(headers)
        self._fromWire = False

    @classmethod
    def fromWire(cls, fields: Fields) -> HttpHeaders:
        """An unchangeable view of what a wire parsed.

        :param fields: pairs of name and value.  Neither copied nor checked: the wire has done that.
        """
        self = cls.__new__(cls)
        self._fields = fields
        self._fromWire = True
        return self

    def copy(self) -> HttpHeaders:
        """The same fields once more, free to be changed."""
        return HttpHeaders(self)

    __copy__ = copy

    def __getitem__(self, name: str) -> str:
        """The first value of `name`; `KeyError` if there is none."""
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: T) -> str | T: ...

    def get(self, name: str, default: T | None = None) -> str | T | None:
        """The first value of `name`, else `default`."""
        key = _key(name)
        for each, value in self._fields:
            if each.lower() == key:
                return value.decode("latin-1")
        return default

    def getAll(self, name: str) -> list[str]:
        """Every value of `name`, in order; empty if there is none."""
        key = _key(name)
        return [value.decode("latin-1") for each, value in self._fields if each.lower() == key]

    def combined(self, name: str) -> str:
        """All values of `name` joined with ``", "`` (RFC 9110 section 5.3); ``""`` if there is none."""
        return ", ".join(self.getAll(name))

    def items(self) -> list[tuple[str, str]]:
        """Every field, in order, repeated ones too."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._fields]

    def __contains__(self, name: str) -> bool:
        key = _key(name)
        return any(each.lower() == key for each, _ in self._fields)

    def __iter__(self) -> Iterator[str]:
        """The name of every field, in order, as received; a repeated one is repeated."""
        return iter([name.decode("latin-1") for name, _ in self._fields])

    def __len__(self) -> int:
        """How many fields there are, repeated ones counted each."""
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HttpHeaders):
            return NotImplemented
        return _folded(self._fields) == _folded(other._fields)

    __hash__ = None  # type: ignore[assignment]  # they can change

    def __repr__(self) -> str:
        return f"HttpHeaders({self.items()!r})"

    def add(self, name: str, value: str) -> None:
        """Append a field, whether or not there is one of that name already.

        :raises ValueError, TypeError: as for the class; `TypeError` too if these came from a request.
        """
        self._refuseIfFromWire()
        self._fields.append(_encodeField(name, value))

    def set(self, name: str, value: str) -> None:
        """Let one field take the place of all of that name: where the first of them was, else at the end.

        :raises ValueError, TypeError: as for `add`.
        """
        self._refuseIfFromWire()
        field = _encodeField(name, value)
        key = field[0].lower()
        place = next((i for i, (each, _) in enumerate(self._fields) if each.lower() == key), len(self))
        self.remove(name)
        self._fields.insert(place, field)

    def remove(self, name: str) -> None:
        """Take every field of that name out; none there is no error.

        :raises TypeError: these came from a request.
        """
        self._refuseIfFromWire()
        key = _key(name)
        self._fields = [field for field in self._fields if field[0].lower() != key]

    def _refuseIfFromWire(self) -> None:
        if self._fromWire:
            raise TypeError("a request's headers cannot be changed")


# A str is a sequence of str, and what a literal of both kinds of values is inferred as is this.
HeadersLike = HttpHeaders | Mapping[str, Sequence[str]] | Iterable[tuple[str, str]] | None
"""What every `headers=` parameter takes."""


def encodeFields(headers: HeadersLike) -> Fields:
    """Checked header fields, as the wire takes them: a new list, the caller's own.

    :raises ValueError: a name is no token, or a value holds a control character or one beyond latin-1.
    :raises TypeError: a name or value is no `str`, or `headers` nothing that has such.
    """
    if headers is None:
        return []
    if isinstance(headers, HttpHeaders):
        if not headers._fromWire:
            return headers._fields[:]
        # What a wire accepted is checked all the same: no head may leave that could be split.
        headers = headers.items()
    if isinstance(headers, Mapping):
        return [
            _encodeField(name, value)
            for name, values in headers.items()
            for value in (values if isinstance(values, (list, tuple)) else (values,))
        ]
    return [_encodeField(*_pair(pair)) for pair in headers]


def _pair(pair: Any) -> Any:
    # A str of two characters would unpack, too.
    if isinstance(pair, (list, tuple)) and len(pair) == 2:
        return pair
    raise TypeError(f"headers are a mapping, or pairs of name and value; {pair!r} is no pair")


def _encodeField(name: str, value: str) -> tuple[bytes, bytes]:
    if not isinstance(name, str):
        raise TypeError(f"a header's name is a str, not {name!r}")
    if not isinstance(value, str):
        raise TypeError(f"header {name!r}: a value is a str, not {value!r}")
    return _encodeName(name), _encodeValue(name, value)


@lru_cache(maxsize=256)  # an application has few names, and uses them for every answer
def _encodeName(name: str) -> bytes:
    encoded = name.encode("latin-1", "replace")
    if not TOKEN.fullmatch(encoded):
        raise ValueError(f"header {name!r}: the name is not a token")
    return encoded


def _encodeValue(name: str, value: str) -> bytes:
    value = value.strip(" \t")
    # Messages show the culprit only: a value may be a secret.
    if culprit := _CONTROL.search(value):
        raise ValueError(f"header {name!r}: the value has a control character, {culprit[0]!r}")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"header {name!r}: {value[error.start]!r} is beyond latin-1") from None


def _key(name: str) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"a header's name is a str, not {name!r}")
    # Encoded first: str.lower() would make the Kelvin sign a k.  What is replaced matches no token.
    return name.encode("latin-1", "replace").lower()


def _folded(fields: Fields) -> Fields:
    return [(name.lower(), value) for name, value in fields]
