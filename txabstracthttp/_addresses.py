"""Peers, as everything that looks at them should see them."""

from __future__ import annotations

__all__ = ["ipOf", "normalise", "peerKey"]

from ipaddress import IPv4Address as IPv4
from ipaddress import IPv6Address as IPv6
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

#: The octets of an IPv6 address that name a subscriber's network; the rest is his to make up.
_NETWORK_OCTETS = 8


def normalise(address: IAddress) -> IAddress:
    """The same address; IPv4 as IPv4, even where it came through a dual-stack port (RFC 4291 2.5.5.2)."""
    # There are many ways to write it, "0:0:0:0:0:ffff:102:304" among them; all say ffff.
    if isinstance(address, IPv6Address) and "ffff:" in address.host.lower():
        mapped = IPv6(address.host).ipv4_mapped
        if mapped is not None:
            return IPv4Address(address.type, str(mapped), address.port)
    return address


def ipOf(address: IAddress) -> IPv4 | IPv6 | None:
    """The IP address of a normalised peer; None for one without, such as a Unix socket's."""
    host = getattr(address, "host", None)
    try:
        return None if host is None else ip_address(host.partition("%")[0])
    except ValueError:
        # Other networks, such as I2P, have hosts of their own.
        return None


def peerKey(address: IAddress) -> bytes | None:
    """Who counts as one peer: an IPv4 address, an IPv6 /64; None for one that no count is kept of."""
    ip = ipOf(address)
    if ip is None:
        return None
    return ip.packed if ip.version == 4 else ip.packed[:_NETWORK_OCTETS]
