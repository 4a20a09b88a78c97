"""A cluster of log caches for the time of a test, each node asked by plain gRPC as clients of the original's do."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import trio

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.placement import Placement
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, get, running

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
    trailing: dict[str, str] = field(default_factory=dict)
    """The metadata behind the last answer."""
    _channel: grpc.Channel | None = None

    async def call(self, method: str, request: Any, timeout_s: float = 30.0, **metadata: str) -> Any:
        """Make a call; metadata names have underscores here."""
        assert self._channel is not None
        asked = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        ask = self._channel.unary_unary(f"/logcache.v1.{method}").with_call
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


@dataclass
class Nodes:
    """All addresses of a cluster, and its nodes as they come and go."""

    addresses: Sequence[str]
    certs: Path
    nursery: trio.Nursery
    running: dict[int, Node] = field(default_factory=dict)
    _stops: dict[int, tuple[trio.Event, trio.Event]] = field(default_factory=dict)

    def __getitem__(self, index: int) -> Node:
        return self.running[index]

    def node_of(self, source: str) -> int:
        """Which node the hash names for a source."""
        return Placement(len(self.addresses)).node_of(source.encode())

    def source_of(self, index: int, number: int = 0) -> str:
        """The name of a source that belongs to a node; with another number another one."""
        of_node = (name for name in (f"app-{each}" for each in range(10_000)) if self.node_of(name) == index)
        return next(name for at, name in enumerate(of_node) if at == number)

    async def start(self, *indices: int, **settings: Any) -> None:
        """Start nodes, or start them again."""
        for index in indices:
            stop, stopped = self._stops[index] = trio.Event(), trio.Event()
            self.running[index] = await self.nursery.start(self._run, index, settings, stop, stopped)

    async def stop(self, *indices: int) -> None:
        """Stop nodes; what they hold is gone."""
        for index in indices:
            stop, stopped = self._stops.pop(index)
            stop.set()
            await stopped.wait()
            del self.running[index]

    async def _run(
        self,
        index: int,
        settings: dict[str, Any],
        stop: trio.Event,
        stopped: trio.Event,
        *,
        task_status: trio.TaskStatus[Node],
    ) -> None:
        given = {"listen": self.addresses[index], "node_addresses": list(self.addresses), "node_index": index}
        async with running("log_cache", self.certs, **{**_SETTINGS, **given, **settings}) as ports:
            extra = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
            with dial(ports["listen"], self.certs, "log-cache", *extra) as channel:
                task_status.started(Node(ports, self.certs, _channel=channel))
                await stop.wait()
        stopped.set()


@asynccontextmanager
async def cluster(certs: Path, count: int, *others: str, **settings: Any) -> AsyncIterator[Nodes]:
    """Run so many nodes; behind them in the list stand `others`, addresses that the test fills, or nobody."""
    addresses = [*free_addresses(count), *others]
    async with trio.open_nursery() as nursery:
        nodes = Nodes(addresses, certs, nursery)
        try:
            await nodes.start(*range(count), **settings)
            yield nodes
        finally:
            with trio.CancelScope(shield=True):
                await nodes.stop(*nodes.running)


def free_addresses(count: int) -> list[str]:
    """Find ports that nobody has, for nodes that must know each other before they listen."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in found]


def logs(source: str, times: Iterable[int], text: str = "x") -> list[Envelope]:
    """Logs of one source, each with its place among them in its text."""
    return [
        Envelope(source_id=source, timestamp=time, log={"payload": f"{text}{at}".encode()})
        for at, time in enumerate(times)
    ]


def payloads(envelopes: Iterable[Envelope]) -> list[str]:
    """What logs say."""
    return [envelope.log.payload.decode() for envelope in envelopes]
