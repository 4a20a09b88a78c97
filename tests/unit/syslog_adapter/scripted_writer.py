"""A drain's other side that does as it is told, without sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from envelope import kernel
from envelope.kinds import Kind
from syslog_adapter.binding import Binding
from syslog_adapter.cutting import cut
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.options import DrainSettings
from syslog_adapter.writers import DrainUnavailable, Written
from tests.unit.syslog_adapter.lines import texts


class OtherSide:
    """Remembers what it was sent; `up` says whether it takes anything, `poison` is a line that it never takes."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.up = True
        self.poison = "nothing is"
        self.writes = 0
        self.opened = 0
        self.open = 0

    @asynccontextmanager
    async def open_writer(self, drain: DrainUrl, binding: Binding) -> AsyncIterator[OtherSide]:
        """Open the way, which connects nothing yet."""
        await trio.lowlevel.checkpoint()
        self.opened += 1
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1

    async def write(self, batch: bytes) -> Written:
        """Take lines, up to the one it never takes; of what is bare nothing is sent."""
        await trio.lowlevel.checkpoint()
        self.writes += 1
        if not self.up:
            raise DrainUnavailable("refused")
        lines = texts(batch)
        taken = lines[: lines.index(self.poison)] if self.poison in lines else lines
        bare = kernel.select(cut(batch, len(taken))[0], int(Kind.BARE))[1]
        self.texts += [text for text in taken if text]
        written = Written(len(taken) - bare, bare)
        if len(taken) < len(lines):
            raise DrainUnavailable("refused", len(taken), written)
        return written


def three_waits() -> Iterator[float]:
    """Wait a second before each of three more tries."""
    return iter((1.0, 1.0, 1.0))


def settings(other: OtherSide, nursery: trio.Nursery, **more: Any) -> DrainSettings:
    """Settings of drains to that other side."""
    return DrainSettings(open_writer=other.open_writer, waits=three_waits, spawn=nursery.start_soon, **more)
