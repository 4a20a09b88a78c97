"""Wire the file nozzle together: batches into the file that grows; a task beside it that tends those that do not."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import trio

from nozzles.file.config import Config
from nozzles.file.finished import FinishedFiles
from nozzles.file.rotating import RotatingFile
from nozzles.json_lines import full_disk_is_unavailable, lines
from nozzles.sdk import Batch, Write

log = structlog.get_logger(__name__)

_RETRY_S = 60.0


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Open the file; `write` returns when the system has the lines. A full disk is `SinkUnavailable`."""
    finished = FinishedFiles(config)
    file = await trio.to_thread.run_sync(RotatingFile, config, finished, trio.current_time())
    turn, changed, stop = trio.Lock(), trio.Event(), threading.Event()

    async def write(batch: Batch) -> None:
        text = lines(batch)
        async with turn:
            before = file.rotations, file.due_at
            try:
                with full_disk_is_unavailable():
                    await trio.to_thread.run_sync(file.append, text, trio.current_time())
            finally:
                if before != (file.rotations, file.due_at):
                    changed.set()

    async def tend() -> None:
        """Rotate for age, compress, and delete: all that no batch waits for."""
        nonlocal changed
        while True:
            changed = trio.Event()
            try:
                async with turn:
                    await trio.to_thread.run_sync(file.rotate_if_due, trio.current_time())
                await trio.to_thread.run_sync(finished.tidy, stop)
                look_again_at = file.due_at
            except OSError as error:
                log.warning("finished_files_untended", path=str(config.path), error=str(error), retry_in_s=_RETRY_S)
                look_again_at = trio.current_time() + _RETRY_S
            with trio.move_on_at(look_again_at):
                await changed.wait()

    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tend)
            try:
                yield write
            except Exception as error:
                failure = error  # raised again below, as itself and in no group
            finally:
                stop.set()
                nursery.cancel_scope.cancel()
    finally:
        file.close()
    if failure is not None:
        raise failure
