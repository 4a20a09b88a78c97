"""A node of a log cache for the time of a test, asked by plain gRPC as clients of the original's do."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, get, running

SECOND = 1_000_000_000
_SETTINGS: dict[str, Any] = {"doppler_addresses": [], "rest": {"enabled": False}, "drain_grace_s": 0.5}
_ANSWERS = {
    "Ingress/Send": pb.SendResponse,
    "Egress/Read": pb.ReadResponse,
    "Egress/Meta": pb.MetaResponse,
    "PromQLQuerier/InstantQuery": pb.PromQL.InstantQueryResult,
    "PromQLQuerier/RangeQuery": pb.PromQL.RangeQueryResult,
}


@dataclass
class Node:
    """One node that runs."""

    ports: Ports
    certs: Path
    channel: grpc.Channel
    trailing: dict[str, str] = field(default_factory=dict)
    """The metadata behind the last answer."""

    async def call(self, method: str, request: Any, timeout_s: float = 30.0, **metadata: str) -> Any:
        """Make a call; metadata names have underscores here."""
        asked = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        ask = self.channel.unary_unary(f"/logcache.v1.{method}").with_call
        message = request.SerializeToString()
        answer, call = await trio.to_thread.run_sync(lambda: ask(message, metadata=asked, timeout=timeout_s))
        self.trailing = dict(call.trailing_metadata())
        return _ANSWERS[method].FromString(answer)

    async def send(self, envelopes: Sequence[Envelope], *, local_only: bool = False) -> None:
        """Send a batch to this node, whoever it belongs to."""
        request = pb.SendRequest(envelopes=EnvelopeBatch(batch=envelopes), local_only=local_only)
        await self.call("Ingress/Send", request)

    async def read(self, source: str, metadata: dict[str, str] | None = None, **asked: Any) -> list[Envelope]:
        """Read a source through this node."""
        answer = await self.call("Egress/Read", pb.ReadRequest(source_id=source, **asked), **(metadata or {}))
        return list(answer.envelopes.batch)

    async def times(self, source: str = "app", metadata: dict[str, str] | None = None, **asked: Any) -> list[int]:
        """Read a source through this node: the timestamps."""
        return [envelope.timestamp for envelope in await self.read(source, metadata, **asked)]

    async def refusal(self, method: str, request: Any, **metadata: str) -> tuple[grpc.StatusCode, str]:
        """Make a call that has to fail, and say how it did."""
        with pytest.raises(grpc.RpcError) as caught:
            await self.call(method, request, **metadata)
        return caught.value.code(), caught.value.details()

    async def pages(self, source: str, cursor: str = "", **asked: Any) -> AsyncIterator[list[Envelope]]:
        """Read in order of arrival until there is no more."""
        while True:
            yield await self.read(source, {"standpipe_cursor": cursor}, **asked)
            cursor = self.trailing["standpipe-cursor"]
            if "standpipe-rest" not in self.trailing:
                return

    async def counts(self, *, local_only: bool = False) -> Counter[str]:
        """How many envelopes of each source are held, as of a second ago at most."""
        answer = await self.call("Egress/Meta", pb.MetaRequest(local_only=local_only))
        return Counter({source: info.count for source, info in answer.meta.items()})

    async def instant(self, query: str, time: str) -> Counter[tuple[tuple[str, str], ...]]:
        """Evaluate PromQL at a moment: labels → value."""
        result = await self.call("PromQLQuerier/InstantQuery", pb.PromQL.InstantQueryRequest(query=query, time=time))
        return Counter({tuple(sorted(each.metric.items())): each.point.value for each in result.vector.samples})

    async def books(self) -> dict[str, dict[str, Any]]:
        """The books of this node; they balance, or the test fails."""
        return await accounts(self.ports, self.certs)

    async def metrics(self) -> str:
        """Everything it exposes."""
        text: str = await get(self.ports, self.certs, "/metrics")
        return text


@asynccontextmanager
async def node(certs: Path, **settings: Any) -> AsyncIterator[Node]:
    """Run one node, without Dopplers and without REST."""
    async with running("log_cache", certs, **{**_SETTINGS, **settings}) as ports:
        extra = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
        with dial(ports["listen"], certs, "log-cache", *extra) as channel:
            yield Node(ports, certs, channel)


def logs(source: str, times: Iterable[int], text: str = "x") -> list[Envelope]:
    """Logs of one source, each with its place among them in its text."""
    return [
        Envelope(source_id=source, timestamp=time, log={"payload": f"{text}{at}".encode()})
        for at, time in enumerate(times)
    ]


def payloads(envelopes: Iterable[Envelope]) -> list[str]:
    """What logs say."""
    return [envelope.log.payload.decode() for envelope in envelopes]
