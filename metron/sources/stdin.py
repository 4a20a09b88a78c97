"""Send the lines of this process's standard input on.

In:    a pipe, a terminal, a socket or a file.
Out:   one log envelope per line; at the end also a last line that has no end.
Drops: nothing that was read; at stop, what is waiting in the pipe is read once more, and the rest is left there.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

import structlog
import trio

from metron.sources.config import StdinSource
from metron.sources.counts import SourceCounts
from metron.sources.outlet import LogSender, Outlet, envelope_head
from metron.sources.tail import LineSplitter, Run

log = structlog.get_logger(__name__)

_CHUNK_BYTES = 64 * 1024
_LAST_CHUNK_BYTES = 1024 * 1024  # what a pipe can hold at most, unless root made it larger


async def read_stdin(
    config: StdinSource,
    outlet: Outlet,
    counts: SourceCounts,
    *,
    stop: trio.Event,
    now_ns: Callable[[], int],
    fd: int = 0,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Send the lines of stdin until it ends or `stop` is set."""
    sender = LogSender(outlet, counts, now_ns)
    head = envelope_head(config.source_id, config.instance_id, config.tags)
    splitter = LineSplitter(config.max_line_bytes)

    async def send(runs: list[Run]) -> None:
        for run in runs:
            await sender.send(run, head, err=config.err)

    task_status.started()
    ended = False
    while not ended and await _wait_readable(fd, stop):
        chunk = _read(fd, _CHUNK_BYTES, counts)
        ended = not chunk
        await send(splitter.feed(chunk))
    if not ended and _is_readable(fd):
        await send(splitter.feed(_read(fd, _LAST_CHUNK_BYTES, counts)))
    await send(splitter.flush())
    log.info("stdin_ended", stopped=not ended)


def _read(fd: int, size: int, counts: SourceCounts) -> bytes:
    """Read what there is; an error is the end."""
    try:
        return os.read(fd, size)
    except OSError as error:
        counts.errors["stdin"] += 1
        log.warning("stdin_unreadable", error=str(error))
        return b""


async def _wait_readable(fd: int, stop: trio.Event) -> bool:
    """Wait until there is something to read, and answer True, or until `stop`."""
    async with trio.open_nursery() as nursery:

        async def give_up() -> None:
            await stop.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(give_up)
        try:
            await trio.lowlevel.wait_readable(fd)
        except OSError:
            await trio.lowlevel.checkpoint()  # a regular file, always ready; or a bad one, which the read will tell
        nursery.cancel_scope.cancel()
    return not stop.is_set()


def _is_readable(fd: int) -> bool:
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    return bool(waiting.poll(0))
