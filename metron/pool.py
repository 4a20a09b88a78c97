"""The agent's links to the Dopplers: all pull from one diode, so load follows whoever has time.

Each Doppler behind the configured addresses gets `connections_per_doppler` links; those of the agent's own zone alone
while their name resolves. A Doppler that goes away gives back what it had not confirmed, and the others send that;
one that comes is noticed (`plumbing.peers`).
"""

from __future__ import annotations

import asyncio
import random

from metron.agent import Agent
from metron.config import Config
from plumbing.ingress_client import keep_sending
from plumbing.peers import one_task_each

ROUTER_NAME = "doppler"  # the name a router's certificate must carry (loggregator.md 0.1)


async def run_pool(config: Config, agent: Agent, rng: random.Random) -> None:
    """Send what the agent holds until its diode is closed and drained."""

    async def links_to(peer: str) -> None:
        await asyncio.gather(*(link_to(peer) for _ in range(config.connections_per_doppler)))

    async def link_to(peer: str) -> None:
        with agent.link_to(peer) as counts:
            await keep_sending(
                agent.diode,
                counts,
                config.tls,
                server_name=ROUTER_NAME,
                recycle_after=config.recycle_batches,
                rng=rng,
            )

    await one_task_each(
        config.doppler_addresses, links_to, preferred=map(zone_name, config.preferred_doppler_addresses)
    )


def zone_name(address: str) -> str:
    """Write an address that names a zone as the name server knows it: `z1@doppler:8082` is `z1-doppler:8082`."""
    return address.replace("@", "-")
