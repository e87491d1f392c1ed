"""The header that a proxy sends ahead of everything else, even TLS (the PROXY protocol, versions 1 and 2).

The specification is HAProxy's ``doc/proxy-protocol.txt``; sections named here are its own.  It is read
strictly: a header decides who the peer is, so what is not exactly one is nobody's.
"""

from __future__ import annotations

__all__ = ["Address", "ProxyError", "ProxyHeader", "ProxyHeaderReader"]

import re
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

#: IP address and port, or the path of a Unix socket: empty for one without a name, NUL first for an abstract
#: one.
Address = tuple[str, int] | bytes

#: Section 2.1: the longest line, its CRLF included.
LINE_LIMIT = 107
#: What may follow the first 16 octets of version 2.  Its length field allows 64 KiB, but section 2.2 says
#: that a header is always smaller than an MSS, and nginx stops at 4 KiB, too.
BLOCK_LIMIT = 4096

_START = 16
_LONGEST = _START + BLOCK_LIMIT


class ProxyError(ValueError):
    """This is no PROXY header, and never will be: drop the connection (section 2)."""


class ProxyHeader(NamedTuple):
    """What a proxy says of the connection that it relays.

    :ivar source: who connected to the proxy; None for LOCAL and UNKNOWN: it is the proxy itself, or it does
        not know.  The connection's own addresses count then.
    :ivar destination: where it connected to; None likewise.
    :ivar rest: the octets behind the header.
    """

    source: Address | None
    destination: Address | None
    rest: bytes


class ProxyHeaderReader:
    """Takes the first octets of a connection until they are a header.

    It keeps no more than the longest header may have.
    """

    __slots__ = ("_received",)

    def __init__(self) -> None:
        self._received = b""

    def receive(self, data: bytes) -> ProxyHeader | None:
        """Octets arrived, cut up in any way.

        :return: the header, or None if it is not complete; a reader that gave one has done its work.
        :raises ProxyError: they begin no header; so it says of whatever may follow.
        """
        received = self._received + data
        # What is wrong is wrong within the longest header, so these octets will always tell.
        self._received = received[:_LONGEST]
        if not received:
            return None
        return _readLine(received) if received[:1] == b"P" else _readBlock(received)


# Version 1, section 2.1: a line of text.


def _beginning(*pieces: bytes) -> bytes:
    """A pattern for every beginning of what `pieces` match one after the other."""
    pattern = b""
    for piece in reversed(pieces):
        pattern = b"(?:%b%b)?" % (piece, pattern)
    return pattern


def _letters(text: str) -> list[bytes]:
    return [letter.encode() for letter in text]


def _tcp(word: str, address: bytes) -> bytes:
    port = rb"(?:0|[1-9][0-9]{0,4})"
    return _beginning(
        *_letters(f"PROXY {word} "), address, b" ", address, b" ", port, b" ", port, b"\r", b"\n"
    )


#: A line as far as it came, so that what is wrong is told at its first octet.  IPv6 has dots where it stands
#: for IPv4, which is how HAProxy writes those who come through a port of both families.
_LINE = re.compile(
    b"%b|%b|%b"
    % (
        _tcp("TCP4", rb"[0-9.]{1,15}"),
        _tcp("TCP6", rb"[0-9A-Fa-f:.]{1,45}"),
        _beginning(*_letters("PROXY UNKNOWN"), rb"(?: [^\r\n]*)?", b"\r", b"\n"),
    )
)
_IP = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}


def _readLine(received: bytes) -> ProxyHeader | None:
    stop = received.find(b"\n", 0, LINE_LIMIT) + 1
    line = received[: stop or LINE_LIMIT]
    if not _LINE.fullmatch(line):
        raise ProxyError("malformed line")
    if not stop:
        if len(line) == LINE_LIMIT:
            raise ProxyError("line too long")
        return None
    _, word, *parts = line[:-2].split(b" ")
    if word not in _IP:
        return ProxyHeader(None, None, received[stop:])
    source, destination, sourcePort, destinationPort = parts
    return ProxyHeader(
        (_readIP(word, source), _readPort(sourcePort)),
        (_readIP(word, destination), _readPort(destinationPort)),
        received[stop:],
    )


def _readIP(word: bytes, text: bytes) -> str:
    try:
        return str(_IP[word](text.decode("ascii")))
    except ValueError as error:
        raise ProxyError(str(error)) from None


def _readPort(digits: bytes) -> int:
    port = int(digits)
    if port > 65535:
        raise ProxyError(f"no port: {port}")
    return port


# Version 2, section 2.2: a block of octets.

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
#: The 13th octet: the version, which is 2, and a command.
_LOCAL, _PROXY = 0x20, 0x21
#: The 14th octet, and how many octets of addresses follow: AF_UNSPEC, and streams over IPv4, IPv6 and Unix
#: sockets.  HTTP comes in no datagrams; to refuse them is what section 2.2 allows for what is not supported.
_ADDRESS_SIZES = {0x00: 0, 0x01: 0, 0x11: 12, 0x21: 36, 0x31: 216}
_UNSPECIFIED = (0x00, 0x01)

_CRC32C = 0x03


def _readBlock(received: bytes) -> ProxyHeader | None:
    start = received[:_START]
    _checkStart(start)
    if len(start) < _START:
        return None
    stop = _START + int.from_bytes(start[14:])
    if len(received) < stop:
        return None
    # Neither LOCAL nor AF_UNSPEC tells where addresses would end, so their blocks are skipped as they are.
    if start[12] == _LOCAL or start[13] in _UNSPECIFIED:
        return ProxyHeader(None, None, received[stop:])
    vectors = _START + _ADDRESS_SIZES[start[13]]
    _checkVectors(received[:stop], vectors)
    source, destination = _readAddresses(received[_START:vectors])
    return ProxyHeader(source, destination, received[stop:])


def _checkStart(start: bytes) -> None:
    """Look at the fixed part, as far as it came."""
    if not _SIGNATURE.startswith(start[:12]):
        raise ProxyError("neither version's beginning")
    if len(start) > 12 and start[12] not in {_LOCAL, _PROXY}:
        raise ProxyError(f"unknown version or command: {start[12]:#04x}")
    isProxy = start[12:13] == bytes((_PROXY,))
    if len(start) > 13 and isProxy and start[13] not in _ADDRESS_SIZES:
        raise ProxyError(f"unknown family or protocol: {start[13]:#04x}")
    if len(start) == _START:
        length = int.from_bytes(start[14:])
        if length > BLOCK_LIMIT or (isProxy and length < _ADDRESS_SIZES[start[13]]):
            raise ProxyError(f"impossible length: {length}")


def _readAddresses(octets: bytes) -> tuple[Address, Address]:
    """Both addresses; how long they are tells which they are."""
    if len(octets) == 216:
        return _readPath(octets[:108]), _readPath(octets[108:])
    ip = IPv4Address if len(octets) == 12 else IPv6Address
    size = len(octets) // 2 - 2
    return (
        (str(ip(octets[:size])), int.from_bytes(octets[-4:-2])),
        (str(ip(octets[size : 2 * size])), int.from_bytes(octets[-2:])),
    )


def _readPath(octets: bytes) -> bytes:
    """What the kernel would take the 108 octets for; an abstract name has a NUL in front, and may in it."""
    if octets.startswith(b"\0"):
        return octets.rstrip(b"\0")
    return octets.partition(b"\0")[0]


# Section 2.2, from "Type-Length-Value" on: what may follow the addresses.


def _checkVectors(header: bytes, position: int) -> None:
    """Skip the vectors from `position` to the end, which must be that of the last; verify the checksum."""
    summed = False
    while position < len(header):
        value = position + 3
        stop = value + int.from_bytes(header[position + 1 : value])
        if stop > len(header):
            raise ProxyError("a vector without its end")
        if header[position] == _CRC32C:
            # One costs half a millisecond, hundreds would be an attack.
            if summed or not _isSum(header, value, stop):
                raise ProxyError("wrong checksum")
            summed = True
        position = stop


def _isSum(header: bytes, start: int, stop: int) -> bool:
    """Whether the checksum that stands there is that of the header without it (section 2.2.3)."""
    expected = _crc32c(header[:start] + bytes(4) + header[stop:])
    return header[start:stop] == expected.to_bytes(4)


def _crc32c(data: bytes) -> int:
    """The checksum of RFC 9260 appendix A (Castagnoli's)."""
    table = _crcTable()
    crc = 0xFFFFFFFF
    for octet in data:
        crc = crc >> 8 ^ table[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


@cache
def _crcTable() -> tuple[int, ...]:
    return tuple(map(_crcEntry, range(256)))


def _crcEntry(entry: int) -> int:
    for _ in range(8):
        entry = entry >> 1 ^ (0x82F63B78 if entry & 1 else 0)
    return entry
