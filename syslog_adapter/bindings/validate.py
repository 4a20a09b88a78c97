"""Which bindings can become drains, and what is wrong with the others (loggregator.md 5.1).

In:    bindings. Out: what is wrong with each that is not good, in the original's words; URLs in them are redacted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import trio
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates

from syslog_adapter.addresses import Addresses, IpRange, Resolve
from syslog_adapter.binding import Binding
from syslog_adapter.drain_url import BadDrain, parse_drain_url, redacted

REMEMBERED_S = 120.0
"""How long a host's addresses, or its having none, are remembered."""

_AT_ONCE = 20
_RESOLVE_S = 10.0


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a binding is no drain now."""

    reason: str
    is_blacklisted: bool = False
    may_pass: bool = False
    """Whether it is the name server's affair, which may answer another time."""

    is_repeated: bool = False
    """Whether it was said a moment ago already."""


@dataclass(frozen=True, slots=True)
class _Host:
    until: float
    addresses: frozenset[str]


class Validator:
    """Looks at bindings, and remembers of each host for a while what became of its name."""

    def __init__(self, resolve: Resolve, now: Callable[[], float], blacklist: Iterable[IpRange] = ()) -> None:
        self._resolve = resolve
        self._now = now
        self._blacklist = Addresses(blacklist)
        self._hosts: dict[str, _Host] = {}

    async def rejections(self, bindings: Iterable[Binding]) -> dict[Binding, Rejection]:
        """Say what is wrong; bindings that nothing is wrong with are not in the answer."""
        hosts, rejected = await trio.to_thread.run_sync(_look_at, list(bindings))
        known = await self._addresses(set(hosts.values()))
        for binding, host in hosts.items():
            if rejection := self._of_host(binding, known[host], looked_up=known[host] is not self._hosts.get(host)):
                rejected[binding] = rejection
        self._hosts = known
        return rejected

    def _of_host(self, binding: Binding, host: _Host, *, looked_up: bool) -> Rejection | None:
        url = redacted(binding.url)
        if not host.addresses and looked_up:
            return Rejection(f"Cannot resolve ip address for syslog drain with url {url}", may_pass=True)
        if not host.addresses:
            reason = f"Skipped resolve ip address for syslog drain with url {url} due to prior failure"
            return Rejection(reason, may_pass=True, is_repeated=True)
        if self._blacklist.are_forbidden(host.addresses):
            return Rejection(f"Resolved ip address for syslog drain with url {url} is blacklisted", is_blacklisted=True)
        return None

    async def _addresses(self, hosts: set[str]) -> dict[str, _Host]:
        """Give each host's addresses: remembered ones, or looked up, several at once."""
        now = self._now()
        known = {name: host for name, host in self._hosts.items() if name in hosts and host.until > now}
        turns = trio.CapacityLimiter(_AT_ONCE)

        async def look_up(name: str) -> None:
            async with turns:
                known[name] = _Host(self._now() + REMEMBERED_S, await self._look_up(name))

        async with trio.open_nursery() as lookups:
            for name in hosts - known.keys():
                lookups.start_soon(look_up, name)
        return known

    async def _look_up(self, name: str) -> frozenset[str]:
        with trio.move_on_after(_RESOLVE_S):
            try:
                return frozenset(await self._resolve(name))
            except (OSError, UnicodeError):
                pass
        return frozenset()


def _look_at(bindings: list[Binding]) -> tuple[dict[Binding, str], dict[Binding, Rejection]]:
    """Look at what can be seen without a name server: (the host of each that is good so far, what is wrong)."""
    hosts: dict[Binding, str] = {}
    rejected: dict[Binding, Rejection] = {}
    for binding in bindings:
        try:
            hosts[binding] = parse_drain_url(binding.url).host
            check_pems(binding)
        except BadDrain as error:
            hosts.pop(binding, None)
            rejected[binding] = Rejection(str(error))
    return hosts, rejected


def check_pems(binding: Binding) -> None:
    """Raise `BadDrain` if a certificate of a binding cannot be used."""
    url = redacted(binding.url)
    if (binding.cert or binding.key) and not _is_pair(binding.cert, binding.key):
        raise BadDrain(f"failed to load certificate for {url}")
    if binding.ca and not _is_authority(binding.ca):
        raise BadDrain(f"failed to load root ca for {url}")


@lru_cache(maxsize=1024)  # each poll brings the same ones, and an RSA key takes tens of milliseconds
def _is_pair(cert: str, key: str) -> bool:
    try:
        public = load_pem_private_key(key.encode(), password=None).public_key()
        return public == load_pem_x509_certificate(cert.encode()).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


@lru_cache(maxsize=1024)
def _is_authority(ca: str) -> bool:
    try:
        return bool(load_pem_x509_certificates(ca.encode()))
    except ValueError:
        return False
