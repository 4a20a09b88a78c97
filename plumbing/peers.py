"""Keep one task for each peer that some addresses stand for now; notice peers that come and go."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

LOOK_AGAIN_S = 5.0
"""How often names are resolved again."""

MISSES = 3
"""How often in a row a preferred name that did resolve must fail to, before the others are used."""


async def one_task_each(
    addresses: Iterable[str], run: Callable[[str], Coroutine[Any, Any, None]], *, preferred: Iterable[str] = ()
) -> None:
    """Run `run(peer)` for every `ip:port` behind the addresses, until cancelled or until all have returned.

    As long as any of the `preferred` addresses resolves, these are used and no others (loggregator.md 1.1).
    What one of them raises ends all, and is raised. A name that does not resolve for a moment takes nobody away.
    """
    lookup = _Lookup(tuple(addresses), tuple(preferred))
    tasks: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            wanted = await lookup.peers()
            for peer in wanted - tasks.keys():
                tasks[peer] = asyncio.ensure_future(run(peer))
            gone = tasks.keys() - wanted if wanted else set()
            for peer in gone:
                log.info("peer_gone", peer=peer)
            await _end([tasks.pop(peer) for peer in gone])
            if not tasks:
                await asyncio.sleep(LOOK_AGAIN_S)
                continue
            done, pending = await asyncio.wait(
                tasks.values(), timeout=LOOK_AGAIN_S, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in done:
                task.result()
            if not pending:
                return
    finally:
        await _end(tasks.values())


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Lookup:
    """Resolves the preferred addresses, and the others while those do not resolve."""

    def __init__(self, addresses: tuple[str, ...], preferred: tuple[str, ...]) -> None:
        self._addresses = addresses
        self._preferred = preferred
        self._known: dict[str, set[str]] = {}
        self._misses = MISSES - 1
        """Lookups since a preferred name resolved; at the start one is enough to use the others."""

    async def peers(self) -> set[str]:
        """Give every `ip:port` that is wanted now; none if that cannot be told at present."""
        if not self._preferred:
            return await resolve_all(self._addresses, self._known)
        if found := await resolve_all(self._preferred, self._known):
            if self._misses >= MISSES:
                log.info("peers_preferred", addresses=self._preferred)
            self._misses = 0
            return found
        self._misses += 1
        if self._misses < MISSES:
            return set()
        if self._misses == MISSES:
            log.warning("peers_preferred_unresolved", addresses=self._preferred, instead=self._addresses)
        return await resolve_all(self._addresses, self._known)


async def resolve_all(addresses: Collection[str], known: dict[str, set[str]]) -> set[str]:
    """Give every `ip:port` behind several `host:port`; empty when none of them resolves now.

    While others do, one that does not stands for what it did before: `known`, which is brought up to date.
    """
    found = dict(zip(addresses, await asyncio.gather(*map(resolve, addresses)), strict=True))
    known.update({address: peers for address, peers in found.items() if peers})
    if not any(found.values()):
        return set()
    return set().union(*(known.get(address, set()) for address in addresses))


async def resolve(address: str) -> set[str]:
    """Give every `ip:port` behind one `host:port`; empty when the name does not resolve now."""
    host, _, port = address.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    else:
        return {address}
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name that IDNA knows
        log.warning("name_unresolved", address=address, error=str(error))
        return set()
    return {f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}" for *_, (ip, *_) in infos}
