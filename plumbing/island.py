"""The island: grpc.aio on uvloop, in the one background thread of a process.

trio owns the component's life on the main thread; gRPC lives here. Nothing else in the project starts a thread.
Why so, with measurements: `docs/decisions/0001-grpc-on-an-island.md`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
import trio
import uvloop

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Island:
    """A running event loop in its own thread, seen from trio."""

    def __init__(self, loop: asyncio.AbstractEventLoop, token: trio.lowlevel.TrioToken) -> None:
        self._loop = loop
        self._token = token

    async def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function on the island and wait for its result; cancelling cancels it there."""
        done = trio.Event()
        future = asyncio.run_coroutine_threadsafe(function(*args), self._loop)
        future.add_done_callback(lambda _: self.to_trio(done.set))
        try:
            await done.wait()
        except trio.Cancelled:
            future.cancel()
            raise
        try:
            return future.result()
        finally:
            del future  # a failure's traceback holds this frame, and the future holds the failure

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a plain function on the island's thread: a look at its state between two steps of it."""

        async def once() -> T:
            return function(*args)

        return await self.run(once)

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Run a plain function on the island soon, without waiting."""
        self._loop.call_soon_threadsafe(function, *args)

    def later(self, delay_s: float, function: Callable[..., object], *args: Any) -> None:
        """From the island: run a plain function there after a while."""
        self._loop.call_later(delay_s, function, *args)

    def to_trio(self, function: Callable[..., object], *args: Any) -> None:
        """From the island: run a plain function on the trio thread soon. Nothing happens once trio has ended."""
        try:
            self._token.run_sync_soon(function, *args)
        except trio.RunFinishedError:
            log.debug("island_outlived_trio")


@asynccontextmanager
async def open_island() -> AsyncIterator[Island]:
    """Start the island's thread; on leaving, cancel what still runs there and join it."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=_inhabit, args=(loop,), name="grpc-island")
    thread.start()
    try:
        yield Island(loop, trio.lowlevel.current_trio_token())
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_the_rest(), loop).add_done_callback(
            lambda _: loop.call_soon_threadsafe(loop.stop)
        )
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.join)


def _inhabit(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_log_fault)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _cancel_the_rest() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=2)


def _log_fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody waits for, such as a stranger's broken TLS handshake, as one line."""
    log.warning("island_fault", message=context.get("message"), error=repr(context.get("exception")))
