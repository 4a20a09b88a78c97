"""Where a host is, and which addresses no drain may have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

import trio

Resolve: TypeAlias = Callable[[str], Awaitable[Iterable[str]]]
"""Says which addresses a host has; raises `OSError` when it has none."""

IpAddress: TypeAlias = IPv4Address | IPv6Address
IpRange: TypeAlias = tuple[IpAddress, IpAddress]

_HERE: dict[int, IpAddress] = {4: IPv4Address("127.0.0.1"), 6: IPv6Address("::1")}
"""Where a connection to no address (`0.0.0.0`, `::`) leads."""


async def resolve_host(name: str) -> list[str]:
    """Ask the system for a host's addresses."""
    found = await trio.socket.getaddrinfo(name, None, type=trio.socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def parse_range(text: str) -> IpRange:
    """Read `start-end`; raises `ValueError`."""
    start, _, end = text.partition("-")
    first, last = _plain(ip_address(start.strip())), _plain(ip_address(end.strip()))
    if first.version != last.version or int(first) > int(last):
        raise ValueError(f"{text!r} is no range of addresses, like 10.0.0.0-10.0.0.255")
    return first, last


class Addresses:
    """Knows the addresses that are forbidden, and finds those of a host that are not."""

    def __init__(self, blacklist: Iterable[IpRange] = (), resolve: Resolve = resolve_host) -> None:
        self._blacklist = tuple(blacklist)
        self._resolve = resolve

    def __bool__(self) -> bool:
        """Whether any are forbidden: if not, whoever dials need not ask."""
        return bool(self._blacklist)

    def are_forbidden(self, texts: Iterable[str]) -> bool:
        """Whether one of these addresses is."""
        return any(self._is_forbidden(text) for text in texts)

    async def of(self, host: str) -> tuple[str, ...]:
        """Give the addresses that a host has now, for a connection to be made to one of them, and not to the name.

        Raises `OSError` when it has none, and when one of them is forbidden.
        """
        found = tuple(dict.fromkeys(await self._resolve(host)))
        if self.are_forbidden(found):
            raise OSError(0, "its address is blacklisted")
        if not found:
            raise OSError(0, "it has no address")
        return found

    def _is_forbidden(self, text: str) -> bool:
        address = _plain(ip_address(text.partition("%")[0]))
        meant = (address, _HERE[address.version]) if address.is_unspecified else (address,)
        return any(
            each.version == first.version and int(first) <= int(each) <= int(last)
            for each in meant
            for first, last in self._blacklist
        )


def _plain(address: IpAddress) -> IpAddress:
    """Return where an address leads: one of IPv4 that is written as one of IPv6 (`::ffff:10.0.0.1`) is of IPv4."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


ANY_ADDRESS = Addresses()
"""None is forbidden."""
