"""Which network addresses a workflow may reach: public ones, and those the operator allowed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from rowel.core.errors import Invalid, NodeFailed

Resolve = Callable[[str, int], Awaitable[list[str]]]

#: Public by number, yet they answer with a machine's credentials or settings.
_METADATA = frozenset({IPv4Address("168.63.129.16"), IPv4Address("192.0.0.192")})
#: Networks that carry an IPv4 address in their last 32 bits and lead to it.
_NAT64 = IPv6Network("64:ff9b::/96")


class Addresses:
    """Looks up host names and refuses what a workflow may not reach."""

    def __init__(self, allow: Iterable[str] = (), resolve: Resolve | None = None) -> None:
        """`allow` holds `host:port` entries that may be reached although they are not public.

        Raises `Invalid` for an entry without a port.
        """
        self._allowed = frozenset(_parse(entry) for entry in allow)
        self._resolve = resolve or look_up_name

    async def reachable(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host`, to be tried in this order.

        Raises `NodeFailed` where the name leads nowhere (retryable) or to any address that is not public.
        """
        name = plain_host(host)
        addresses = await self._resolve(name, port)
        if not addresses:
            raise NodeFailed(f"the host {name} has no address", retryable=True)
        if (name, port) in self._allowed:
            return addresses
        if any(not (is_public(found) or (found, port) in self._allowed) for found in addresses):
            raise NodeFailed(
                f"{name}:{port} is not a public address, and workflows may only reach public ones; the operator can"
                f" allow it with ROWEL_HTTP_ALLOW={name}:{port}"
            )
        return addresses


def is_public(address: str) -> bool:
    """Say whether an IP address belongs to the open internet: not private, loopback, link-local, carrier-grade NAT,
    multicast, reserved or a cloud's metadata service, and not an IPv6 form of such an IPv4 address."""
    try:
        return _is_public(ip_address(address))
    except ValueError:
        return False


def plain_host(host: str) -> str:
    """Return a host as it is compared: lower case, without brackets and without the root's dot."""
    return host.strip("[]").rstrip(".").lower()


async def look_up_name(host: str, port: int) -> list[str]:
    """Return all addresses of `host`, in the system's order. Raises `NodeFailed`, retryable."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise NodeFailed(f"the host {host} can't be found", retryable=True) from None
    except (UnicodeError, ValueError):
        raise NodeFailed(f"{host!r} is not a host name") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return _is_public(inner)
        if address.is_reserved or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and address not in _METADATA


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to this IPv6 address would reach in the end."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _parse(entry: str) -> tuple[str, int]:
    host, _, port = entry.strip().rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise Invalid(f"ROWEL_HTTP_ALLOW: {entry!r} is not host:port")
    return plain_host(host), int(port)
