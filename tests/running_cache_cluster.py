"""A cluster of log caches for the time of a test, whose nodes come and go."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from log_cache.placement import Placement
from tests.log_cache_node import Node, node


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
        async with node(self.certs, **{**given, **settings}) as running:
            task_status.started(running)
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
