"""A Doppler and an HTTP door of ours for the time of a test, for clients of the original."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import TokenStore
from tests.noaa import Consumer
from tests.rlp_gateway_client import RlpGatewayClient
from tests.running import dial, readers_at, running, send_over

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


@dataclass
class Scene:
    """A Doppler, a traffic controller or a gateway on it, and the tokens that it takes."""

    doppler: Ports
    ports: Ports
    certs: Path
    tokens: TokenStore
    channel: grpc.Channel
    trusting: ssl.SSLContext

    def token(self, *, expires_in_s: float = 600) -> str:
        return self.tokens.create(
            scopes=["doppler.firehose", "logs.admin"],
            expires_in_s=abs(expires_in_s),
            now=time.time() + min(expires_in_s, 0) * 2,
        )

    def consumer(self, **settings: Any) -> Consumer:
        return Consumer(f"wss://{self.ports['listen']}", self.trusting, min_retry_s=0.5, **settings)

    @asynccontextmanager
    async def gateway_client(self, token: Callable[[], str], **settings: Any) -> AsyncIterator[RlpGatewayClient]:
        async with httpx.AsyncClient(verify=self.trusting, trust_env=False, timeout=20) as http:
            yield RlpGatewayClient(f"https://{self.ports['gateway']}", http, token, **settings)

    async def send(self, *envelopes: v2.Envelope) -> None:
        """Send to the Doppler as an agent does, and wait for its answer."""
        await send_over(self.channel, *envelopes)

    async def read_by(self, count: int) -> None:
        """Wait until the Doppler has so many readers."""
        await readers_at(self.doppler, self.certs, count)


@asynccontextmanager
async def scene(certs: Path, tmp_path: Path, room: str, **settings: Any) -> AsyncIterator[Scene]:
    """Run a Doppler, and a room with settings on it."""
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    async with running("doppler", certs, drain_grace_s=0.2) as doppler:
        common: dict[str, Any] = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 0.2}
        common |= {"auth": {"tokens_dir": tmp_path / "tokens"}}
        async with running(room, certs, **{**common, **settings}) as ports:
            with dial(doppler["listen"], certs, "doppler") as channel:
                yield Scene(doppler, ports, certs, tokens, channel, client_context(certs / "ca.crt"))


def log(payload: bytes, source: str = APP) -> v2.Envelope:
    return v2.Envelope(source_id=source, timestamp=1, instance_id="0", log={"payload": payload})


def counter(name: str) -> v2.Envelope:
    return v2.Envelope(source_id="router", counter={"name": name, "delta": 1, "total": 5})


def container(instance: int) -> v2.Envelope:
    metrics = {name: {"unit": "x", "value": 1} for name in ("cpu", "memory", "disk", "memory_quota", "disk_quota")}
    return v2.Envelope(source_id=APP, instance_id=str(instance), timestamp=1, gauge={"metrics": metrics})


@asynccontextmanager
async def meanwhile(work: Callable[[], Any]) -> AsyncIterator[None]:
    """Let a client work for the time of the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        yield
        nursery.cancel_scope.cancel()


class Heard(list[Any]):
    """What a client heard."""

    async def has(self, count: int) -> bool:
        return len(self) >= count

    def so_many(self, count: int) -> Callable[[], Any]:
        return partial(self.has, count)

    @property
    def lines(self) -> list[bytes]:
        return [envelope.logMessage.message for envelope in self]
