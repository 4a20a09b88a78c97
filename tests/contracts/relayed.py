"""A way to a sink that can be cut, slowed, and made to lose answers; and the bench of a sink at the end of one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import trio

from plumbing.config import parse_listen
from tests.contracts.nozzle_contract import Bench

_RECEIVE_BYTES = 65536
_SLOW_BYTES = 64


class Relay:
    """Carries bytes both ways between whoever connects to `address` and a sink."""

    def __init__(self, address: str, sink: str) -> None:
        self.address = address
        self._sink = sink
        self._connections: set[trio.CancelScope] = set()
        self._is_cut = self._is_slow = False
        self._lost_answer: bytes | None = None

    @asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        """Hang up, and on whoever connects meanwhile too."""
        self._is_cut = True
        for connection in self._connections:
            connection.cancel()
        yield
        self._is_cut = False

    @asynccontextmanager
    async def slow(self) -> AsyncIterator[None]:
        """Carry a few bytes at a time."""
        self._is_slow = True
        yield
        self._is_slow = False

    @asynccontextmanager
    async def losing(self, answer: bytes) -> AsyncIterator[None]:
        """Hang up in the place of each answer that holds these bytes."""
        self._lost_answer = answer
        yield
        self._lost_answer = None

    async def carry(self, client: trio.SocketStream) -> None:
        """Carry one connection until either side hangs up, or it is cut."""
        async with client:
            try:
                sink = None if self._is_cut else await trio.open_tcp_stream(*parse_listen(self._sink))
            except OSError:
                sink = None
            if sink is not None:
                await self._both_ways(client, sink)

    async def _both_ways(self, client: trio.SocketStream, sink: trio.SocketStream) -> None:
        async with sink, trio.open_nursery() as nursery:
            scope = nursery.cancel_scope
            self._connections.add(scope)
            nursery.start_soon(self._pump, client, sink, scope)
            nursery.start_soon(self._pump, sink, client, scope, True)
        self._connections.discard(scope)

    async def _pump(
        self, source: trio.SocketStream, drain: trio.SocketStream, both: trio.CancelScope, answers: bool = False
    ) -> None:
        try:
            while data := await source.receive_some(_RECEIVE_BYTES):
                if answers and self._lost_answer is not None and self._lost_answer in data:
                    break
                size = _SLOW_BYTES if self._is_slow else len(data)
                for start in range(0, len(data), size):
                    await drain.send_all(data[start : start + size])
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        both.cancel()


@asynccontextmanager
async def relaying(sink: str) -> AsyncIterator[Relay]:
    """Relay to the sink at an address for the time of the block."""
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        relay = Relay(f"127.0.0.1:{listener.socket.getsockname()[1]}", sink)
        nursery.start_soon(trio.serve_listeners, relay.carry, [listener])
        try:
            yield relay
        finally:
            nursery.cancel_scope.cancel()


class RelayedBench(Bench):
    """A sink on a TCP port: it is slow, away, or not heard when the way to it is."""

    answer: ClassVar[bytes]
    """What the sink's word that something is safe has in it."""

    relay: Relay

    @abstractmethod
    def sink(self) -> AbstractAsyncContextManager[str]:
        """Run the sink; gives its address."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.sink() as address, relaying(address) as self.relay:
            yield

    def slow(self) -> AbstractAsyncContextManager[None]:
        return self.relay.slow()

    def stopped(self) -> AbstractAsyncContextManager[None]:
        return self.relay.cut()

    def unheard(self) -> AbstractAsyncContextManager[None]:
        return self.relay.losing(self.answer)
