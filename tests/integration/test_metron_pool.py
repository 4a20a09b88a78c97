"""Many agents' links and one doppler: all come, all come back, and none of them hammers it."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import trio

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing import grpc_client, ingress_client
from plumbing.diode import Parcel, SharedDiode
from plumbing.ingress_client import LinkCounts, keep_sending
from plumbing.island import Island, open_island
from plumbing.tls import TlsFiles
from tests.running import accounts, eventually, running

LINKS = 100
BATCH = EnvelopeBatch(batch=[Envelope(source_id="app", log={"payload": b"x"})]).SerializeToString()


class Links:
    """Links of as many agents, each with its own diode, on one island."""

    def __init__(self, island: Island, nursery: trio.Nursery, certs: Path) -> None:
        self._island = island
        self._nursery = nursery
        self._tls = TlsFiles.named(certs, "metron")
        self._diodes: list[SharedDiode] = []
        self._counts: list[LinkCounts] = []

    def open(self, count: int, address: str, *, recycle_after: int = 100_000) -> None:
        """Keep `count` links to a doppler open."""
        for number in range(count):
            diode, counts = SharedDiode(1000, 1 << 20), LinkCounts(address)
            self._diodes.append(diode)
            self._counts.append(counts)
            send = partial(keep_sending, server_name="doppler", recycle_after=recycle_after, rng=Rng(number))
            self._nursery.start_soon(self._island.run, send, diode, counts, self._tls)

    async def send_one_each(self) -> None:
        def put() -> None:
            for diode in self._diodes:
                diode.put(Parcel(BATCH, 1))

        await self._island.call(put)

    async def delivered(self) -> list[int]:
        return await self._island.call(lambda: [each.delivered for each in self._counts])

    async def connects(self) -> list[int]:
        return await self._island.call(lambda: [each.connects for each in self._counts])

    async def connected(self) -> int:
        return await self._island.call(lambda: sum(each.connected for each in self._counts))


class Rng(random.Random):
    """Recycles a connection after exactly as many messages as it is told."""

    def randrange(self, *_: Any) -> int:
        return 0


@asynccontextmanager
async def open_links(certs: Path) -> AsyncIterator[Links]:
    """Give an island for links; they end with the block."""
    async with open_island() as island, trio.open_nursery() as nursery:
        yield Links(island, nursery, certs)
        nursery.cancel_scope.cancel()


async def until(read: Callable[[], Awaitable[object]], expected: object) -> None:
    async def reached() -> bool:
        return await read() == expected

    await eventually(reached, within_s=30)


@pytest.fixture
def dials(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a connection was begun, each. Keys are read once: a hundred agents do not wait for each other's."""
    begun: list[float] = []
    open_channel = ingress_client.open_channel

    def dial(*args: Any) -> Any:
        begun.append(time.monotonic())
        return open_channel(*args)

    monkeypatch.setattr(ingress_client, "open_channel", dial)
    monkeypatch.setattr(grpc_client, "grpc_channel_credentials", cache(grpc_client.grpc_channel_credentials))
    return begun


async def test_a_hundred_agents_connect_deliver_and_come_back_spread_in_time(
    certs_dir: Path, dials: list[float]
) -> None:
    async with open_links(certs_dir) as links:
        async with running("doppler", certs_dir) as first:
            address = first["listen"]
            links.open(LINKS, address)
            await links.send_one_each()
            await until(links.delivered, [1] * LINKS)
            assert len(dials) == LINKS
            assert (await accounts(first, certs_dir))["ingress"]["received"] == LINKS
        await until(links.connected, 0)

        async with running("doppler", certs_dir, listen=address) as second:
            await until(links.connected, LINKS)
            await links.send_one_each()
            await until(links.delivered, [2] * LINKS)
            assert (await accounts(second, certs_dir))["ingress"]["received"] == LINKS

        assert await links.connects() == [2] * LINKS
        redials = dials[LINKS:]
        assert len(redials) <= 3 * LINKS
        assert max(redials) - min(redials) > 0.05


async def test_a_connection_that_has_carried_its_share_is_made_anew_and_nothing_is_lost(certs_dir: Path) -> None:
    async with open_links(certs_dir) as links, running("doppler", certs_dir) as doppler:
        links.open(2, doppler["listen"], recycle_after=3)
        for sent in range(1, 8):
            await links.send_one_each()
            await until(links.delivered, [sent] * 2)

        assert await links.connects() == [3, 3]
        assert (await accounts(doppler, certs_dir))["ingress"]["received"] == 14
