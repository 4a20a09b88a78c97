"""Start components, keep them running, and stop them in the order in which envelopes flow."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio

from plumbing.tls import TlsFiles
from standpipe.supervisor.books import keep_books, save_book
from standpipe.supervisor.child import Child, Surroundings
from standpipe.supervisor.data_dir import LEDGER_DIR, DataDir
from standpipe.supervisor.plan import FLOW, Component, Plan, dialable
from standpipe.system import CERTS_DIR

log = structlog.get_logger(__name__)

KILL_AFTER_S = 8.0
"""How long stopping may take all in all before what still runs is killed."""


class Supervisor:
    """The components that were started, and how to start and stop them."""

    def __init__(self, nursery: trio.Nursery, surroundings: Surroundings) -> None:
        self._nursery = nursery
        self._surroundings = surroundings
        self._children: list[Child] = []

    @property
    def children(self) -> Sequence[Child]:
        """Every component that was started, in that order."""
        return tuple(self._children)

    @property
    def endpoints(self) -> dict[str, str]:
        """Where everything listens, as clients dial it: name → `host:port`."""
        return {
            child.name if port == "listen" else f"{child.name}.{port}": dialable(address)
            for child in self._children
            for port, address in child.endpoints.items()
        }

    async def start(self, components: Iterable[Component]) -> None:
        """Start some components at once, and wait until all of them accept work. Raises `StartFailed`."""
        started = [Child(component, self._surroundings) for component in components]
        self._children += started
        try:
            async with trio.open_nursery() as starting:
                for child in started:
                    starting.start_soon(self._nursery.start, child.run)
        except* StartFailed as failures:
            raise failures.exceptions[0] from None

    async def stop(self) -> None:
        """Let all of them drain and end, those first whose envelopes the others take; kill who takes too long."""
        kill_at = trio.current_time() + KILL_AFTER_S
        for number, room in enumerate(FLOW):
            going = [child for child in self._children if child.component.room is room]
            for child in going:
                child.ask_to_end()
            share_s = (kill_at - trio.current_time()) / (len(FLOW) - number)
            with trio.move_on_after(share_s):
                await _ended(going)
        with trio.move_on_at(kill_at):
            await _ended(self._children)
        for child in self._children:
            if not child.ended.is_set():
                log.error("killed", component=child.name, after_s=KILL_AFTER_S)
                child.kill()
        await _ended(self._children)
