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


async def one_task_each(addresses: Iterable[str], run: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Run `run(peer)` for every `ip:port` behind the addresses, until cancelled or until all have returned.

    What one of them raises ends all, and is raised. A name that does not resolve for a moment takes nobody away.
    """
    addresses = tuple(addresses)
    tasks: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            wanted = await resolve_all(addresses)
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


async def resolve_all(addresses: Iterable[str]) -> set[str]:
    """Give every `ip:port` behind several `host:port`."""
    found = await asyncio.gather(*(resolve(address) for address in addresses))
    return set().union(*found)


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
    except OSError as error:
        log.warning("name_unresolved", address=address, error=str(error))
        return set()
    return {f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}" for *_, (ip, *_) in infos}
