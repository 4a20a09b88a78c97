"""As many links to each Doppler as the settings say, and all of them in the books."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metron import pool
from metron.agent import Agent
from metron.config import Config
from plumbing import peers
from plumbing.diode import SharedDiode
from plumbing.ingress_client import LinkCounts

NOWHERE = Path("none.pem")


class FakeLinks:
    """Stands in for `keep_sending`: each link sends what it gets, until the diode ends."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    async def keep_sending(self, diode: SharedDiode, counts: LinkCounts, tls: Any, **_: Any) -> None:
        self.opened.append(counts.address)
        while parcels := await diode.next(1):
            counts.delivered += sum(parcel.envelopes for parcel in parcels)


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> FakeLinks:
    fake = FakeLinks()
    monkeypatch.setattr(pool, "keep_sending", fake.keep_sending)
    monkeypatch.setattr(peers, "LOOK_AGAIN_S", 0.01)
    return fake


def run(
    agent: Agent, addresses: list[str], *, connections: int = 1, preferred: list[str] | None = None
) -> asyncio.Task[None]:
    config = Config(
        tls_ca=NOWHERE,
        tls_cert=NOWHERE,
        tls_key=NOWHERE,
        doppler_addresses=addresses,
        preferred_doppler_addresses=preferred or [],
        connections_per_doppler=connections,
    )
    return asyncio.ensure_future(pool.run_pool(config, agent, random.Random(1)))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_every_doppler_gets_its_links_and_all_end_when_the_diode_is_drained(links: FakeLinks) -> None:
    async def scenario() -> None:
        agent = Agent({}, SharedDiode(10, 1000))
        running = run(agent, ["10.0.0.1:1", "10.0.0.2:1"], connections=2)
        await until(lambda: len(links.opened) == 4)

        agent.diode.close()
        async with asyncio.timeout(5):
            await running

        assert sorted(links.opened) == ["10.0.0.1:1", "10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:1"]

    asyncio.run(scenario())


def test_what_went_to_a_doppler_that_has_left_stays_in_the_books(
    links: FakeLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"10.0.0.1:1"}

    async def resolve_all(*_: object) -> set[str]:
        return set(known)

    monkeypatch.setattr(peers, "resolve_all", resolve_all)

    async def scenario() -> None:
        agent = Agent({}, SharedDiode(10, 1000))
        running = run(agent, ["doppler:1"])
        await until(lambda: bool(links.opened))
        agent.accept_from_source(b"", 3, lambda: None)
        await until(lambda: agent.account().delivered == 3)

        for number in range(2, 5):
            known.clear()
            known.add(f"10.0.0.{number}:1")
            await until(lambda number=number: [link.address for link in agent.links] == [f"10.0.0.{number}:1"])

        assert agent.account().delivered == 3
        assert agent.account().balance == 0
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())


def test_the_name_of_the_own_zone_is_preferred_and_written_as_name_servers_know_it(
    links: FakeLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"z1-doppler:1": {"10.0.0.1:1"}, "doppler:1": {"10.0.0.1:1", "10.0.0.2:1"}}

    async def resolve(address: str) -> set[str]:
        return known.get(address, set())

    monkeypatch.setattr(peers, "resolve", resolve)

    async def scenario() -> None:
        agent = Agent({}, SharedDiode(10, 1000))
        running = run(agent, ["doppler:1"], preferred=["z1@doppler:1"])
        await until(lambda: links.opened == ["10.0.0.1:1"])

        del known["z1-doppler:1"]
        await until(lambda: links.opened == ["10.0.0.1:1", "10.0.0.2:1"])
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())
