"""Start components, keep them running, and stop them in the order in which envelopes flow."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
import trio

from plumbing.config import join_listen, parse_listen
from plumbing.tls import TlsFiles
from standpipe.supervisor.books import keep_books, save_book
from standpipe.supervisor.child import Child, StartFailed, Surroundings
from standpipe.supervisor.data_dir import LEDGER_DIR
from standpipe.supervisor.plan import Component, Plan, dialable, make_cluster
from standpipe.supervisor.rates import flow_of
from standpipe.supervisor.rooms import FLOW
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
        children = [Child(component, self._surroundings) for component in components]
        self._children += children
        failures: list[StartFailed] = []

        async def start(child: Child) -> None:
            try:
                await self._nursery.start(child.run)
            except StartFailed as failure:
                failures.append(failure)
                starting.cancel_scope.cancel()

        async with trio.open_nursery() as starting:
            for child in children:
                starting.start_soon(start, child)
        if failures:
            raise failures[0]

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
                log.error("killed", child=child.name, after_s=KILL_AFTER_S)
                child.kill()
        await _ended(self._children)


async def start_all(supervisor: Supervisor, plan: Plan) -> None:
    """Start a plan's components, those first whom the others dial."""
    for components in plan.stages:
        if components is plan.log_caches and len(components) > 1:
            components = make_cluster([replace(each, listen=_settled(each.listen)) for each in components])
        await supervisor.start(plan.dialling(components, supervisor.endpoints))


def _settled(listen: str) -> str:
    """Choose a port where any will do, for one that others must know before it listens."""
    host, port = parse_listen(listen)
    if port:
        return listen
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        return join_listen(host, found.getsockname()[1])


@asynccontextmanager
async def open_supervisor(
    data_dir: Path,
    *,
    pass_on: Callable[[str, str], None],
    heard: Callable[[Child], None] = lambda _: None,
    keepsakes: Sequence[int] = (),
) -> AsyncIterator[Supervisor]:
    """Supervise what is started in the block. On leaving it everything is stopped; cancelling it kills.

    `pass_on` shows what the components write, `heard` is called with each whose ledger was read.
    """
    read_end, write_end = os.pipe()
    surroundings = Surroundings(
        pass_on=pass_on, bury=partial(_bury, data_dir / LEDGER_DIR), lifeline=read_end, keepsakes=keepsakes
    )
    try:
        async with trio.open_nursery() as nursery:
            supervisor = Supervisor(nursery, surroundings)
            tls = TlsFiles.named(data_dir / CERTS_DIR, "client")
            nursery.start_soon(keep_books, lambda: supervisor.children, tls, heard)
            try:
                yield supervisor
            finally:
                await supervisor.stop()
            nursery.cancel_scope.cancel()
    finally:
        os.close(read_end)
        os.close(write_end)


async def _bury(directory: Path, child: Child) -> None:
    """Keep the last book of a component that died: it says what it held, which is lost."""
    book, child.book = child.book, None
    if book is None:
        return
    try:
        path = save_book(directory, book)
    except OSError as error:
        log.warning("last_book_lost", child=child.name, error=str(error))
        return
    log.warning("last_book_kept", child=child.name, held=flow_of(book).held, path=str(path))


async def _ended(children: Iterable[Child]) -> None:
    for child in children:
        await child.ended.wait()
