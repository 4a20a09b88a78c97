"""A node of a log cache for the time of a test, and a client of its gRPC as the original has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.lifecycle import Ports
from tests.running import dial, running

SECOND = 1_000_000_000
_SETTINGS: dict[str, Any] = {"doppler_addresses": [], "rest": {"enabled": False}}
_ANSWERS = {
    "Ingress/Send": pb.SendResponse,
    "Egress/Read": pb.ReadResponse,
    "Egress/Meta": pb.MetaResponse,
    "PromQLQuerier/InstantQuery": pb.PromQL.InstantQueryResult,
    "PromQLQuerier/RangeQuery": pb.PromQL.RangeQueryResult,
}


class Client:
    """Calls with plain gRPC."""

    def __init__(self, ports: Ports, channel: grpc.Channel) -> None:
        self.ports = ports
        self.trailing: dict[str, str] = {}
        self._channel = channel

    async def call(self, method: str, request: Any, **metadata: str) -> Any:
        """Make a call; metadata names have underscores here."""
        asked = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        ask = self._channel.unary_unary(f"/logcache.v1.{method}").with_call
        message = request.SerializeToString()
        answer, call = await trio.to_thread.run_sync(lambda: ask(message, metadata=asked, timeout=30))
        self.trailing = dict(call.trailing_metadata())
        return _ANSWERS[method].FromString(answer)

    async def send(self, *envelopes: Envelope) -> None:
        await self.call("Ingress/Send", pb.SendRequest(envelopes=EnvelopeBatch(batch=envelopes)))

    async def read(self, metadata: dict[str, str] | None = None, **asked: Any) -> list[int]:
        answer = await self.call("Egress/Read", pb.ReadRequest(source_id="app", **asked), **(metadata or {}))
        return [envelope.timestamp for envelope in answer.envelopes.batch]

    async def refusal(self, method: str, request: Any, **metadata: str) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.RpcError) as caught:
            await self.call(method, request, **metadata)
        return caught.value.code(), caught.value.details()


@asynccontextmanager
async def node(certs: Path, **settings: Any) -> AsyncIterator[Client]:
    async with running("log_cache", certs, **_SETTINGS, **settings) as ports:
        with dial(ports["listen"], certs, "log-cache", ("grpc.max_receive_message_length", -1)) as channel:
            yield Client(ports, channel)


def logs(*times: int, **fields: Any) -> list[Envelope]:
    return [Envelope(source_id="app", timestamp=time, log={"payload": b"x"}, **fields) for time in times]
