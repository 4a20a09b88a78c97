"""Read on when showing what has arrived takes too long, so that pings are answered whatever the output does.

As long as the output keeps up, nothing is read ahead: what was read is shown before the server's next ping is answered,
and what a reader that is killed did not show goes to the next reader of its subscription.

In:    lists of messages, from `websocket_reader`.
Out:   the same messages, those that wait joined to longer lists.
Drops: nothing. When too much waits, reading waits too, and the server sees a slow reader.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

import trio

from plumbing.websocket_conversation import StreamError
from standpipe.errors import CommandFailed

MAX_WAITING_BYTES = 16 << 20
PATIENCE_S = 10.0
"""How long the output may take before reading goes on without it: a server waits 30 s for an answer to a ping."""
_AT_ONCE_BYTES = 256 << 10

Show: TypeAlias = Callable[[list[bytes]], Awaitable[bool]]
"""Shows messages; False when it wants no more. An empty list says that the stream is open."""


async def read_ahead(arrivals: AsyncGenerator[list[bytes], None], show: Show) -> None:
    """Show what arrives until `show` has enough; the error that ends the stream is raised when all has been shown."""
    waiting = _Waiting()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read, arrivals, waiting)
        while (messages := await waiting.take()) is not None and await show(messages):
            pass
        nursery.cancel_scope.cancel()
    if messages is None and waiting.error is not None:
        raise waiting.error


async def _read(arrivals: AsyncGenerator[list[bytes], None], waiting: _Waiting) -> None:
    try:
        async with aclosing(arrivals):
            async for messages in arrivals:
                behind = waiting.behind
                await waiting.put(messages)
                with trio.move_on_after(0 if behind else PATIENCE_S):
                    await waiting.all_shown()
    except (StreamError, CommandFailed) as error:
        waiting.error = error
    waiting.end()


class _Waiting:
    """Messages that arrived and were not shown yet."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._lists: deque[list[bytes]] = deque()
        self._bytes = 0
        self._ended = False
        self._showing = False
        self._changed = trio.Event()

    async def put(self, messages: list[bytes]) -> None:
        """Add messages; waits while there are too many."""
        while self._bytes >= MAX_WAITING_BYTES:
            await self._changed.wait()
        self._lists.append(messages)
        self._bytes += sum(map(len, messages))
        self._change()

    @property
    def behind(self) -> bool:
        """Whether some messages wait already, or are being shown."""
        return bool(self._lists) or self._showing

    async def all_shown(self) -> None:
        """Wait until nothing waits, and what was taken last has been shown."""
        while self.behind:
            await self._changed.wait()

    async def take(self) -> list[bytes] | None:
        """Take some messages, as soon as there are any; None at the end. The ones taken before have been shown."""
        self._showing = False
        self._change()
        while not self._lists:
            if self._ended:
                return None
            await self._changed.wait()
        self._showing = True
        messages = self._lists.popleft()
        size = sum(map(len, messages))
        while self._lists and size < _AT_ONCE_BYTES:
            more = self._lists.popleft()
            messages = messages + more
            size += sum(map(len, more))
        self._bytes -= size
        self._change()
        return messages

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
