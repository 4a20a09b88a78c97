"""Ship the events of a store to ClickHouse: what is in segments, in order, each once. A trio task.

In:    events of sealed segments, `insert_rows` at a time.
Out:   inserts whose token is the places of their events. What is about to be sent is written down first, so that after
       a kill the same piece is sent again, and recognised.
Drops: nothing. While ClickHouse fails, events stay in the store, which goes on; places where there is none any more
       are counted as `missing`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import structlog
import trio

from event_store.clickhouse.client import ClickHouseRefused, ClickHouseUnavailable
from event_store.clickhouse.config import ClickHouseSettings
from event_store.clickhouse.progress import Progress, ProgressDamaged, ProgressFile
from event_store.sealed import Sealed
from event_store.storage import StoreDamaged, StoreLocked, StoreMissing
from event_store.storage.errors import SegmentDamaged

log = structlog.get_logger(__name__)

FOLDER = "shipped"
"""In the folder of the store: a file for each table that it is shipped to."""

TROUBLES = (
    ClickHouseUnavailable,
    ClickHouseRefused,
    ProgressDamaged,
    SegmentDamaged,
    StoreDamaged,
    StoreLocked,
    StoreMissing,
    OSError,
)
"""What may be wrong with a shipment: nothing is lost, and it may work the next time."""

_LOOK_S = 1.0
_AFTER_TROUBLE_S = 10.0


class Inserts(Protocol):
    """Where events go: `event_store.clickhouse.table.ClickHouseTable`."""

    async def insert(self, events: pa.Table, token: str) -> None:
        """Insert events, once for each token."""

    def forget(self) -> None:
        """Look at the table anew the next time."""


def progress_file(folder: Path, settings: ClickHouseSettings) -> ProgressFile:
    """Return the file that says how far a store was shipped into a table. Where that answers may change."""
    return ProgressFile(folder / FOLDER / f"clickhouse-{settings.database}.{settings.table}.json")


class Shipper:
    """Ships one store into one table. Whoever runs it holds the progress file."""

    def __init__(self, sealed: Sealed, table: Inserts, file: ProgressFile, settings: ClickHouseSettings) -> None:
        self.progress = Progress("")
        """As of the last insert."""
        self.trouble = ""
        """Why nothing can be shipped now; empty when it can."""
        self._sealed = sealed
        self._table = table
        self._file = file
        self._settings = settings
        self._waits_since: float | None = None

    async def run(self) -> None:
        """Ship what comes, until cancelled."""
        while True:
            await trio.sleep(await self.look())

    async def look(self) -> float:
        """Ship a piece, if there is one, and say how long to wait for the next look; what fails is `trouble`."""
        try:
            shipped = await self.step()
        except TROUBLES as error:
            self._table.forget()
            if not self.trouble:
                log.error("shipping_fails", error=str(error))  # noqa: TRY400  # a peer's fault: no traceback
            self.trouble = str(error)
            return _AFTER_TROUBLE_S
        if self.trouble:
            log.info("shipping_again")
        self.trouble = ""
        return 0.0 if shipped else _LOOK_S

    async def ship_all(self) -> Progress:
        """Ship what is in segments now, however little. Raises what is in `TROUBLES`."""
        end = await trio.to_thread.run_sync(self._sealed.end)
        while self.progress.next < end and await self.step(wait=False):
            pass
        return self.progress

    async def step(self, *, wait: bool = True) -> bool:
        """Ship one piece, if there is one: with `wait`, a small one only after a while. Raises as `ship_all`."""
        if not self.progress.store:
            self.progress = await trio.to_thread.run_sync(self._load)
        progress = self.progress
        if not progress.sending:
            end, is_full = await trio.to_thread.run_sync(self._cut)
            if end <= progress.next or (wait and not is_full and not self._has_waited()):
                return False
            progress = await self._note(replace(progress, sending=end))
        start, end = progress.next, progress.sending
        events = await trio.to_thread.run_sync(self._sealed.read, start, end)
        if events.num_rows:
            await self._table.insert(events, f"{progress.store}-{start}-{end}")
        await self._note(
            Progress(
                progress.store,
                next=end,
                events=progress.events + events.num_rows,
                missing=progress.missing + end - start - events.num_rows,
            )
        )
        self._waits_since = None
        return True

    def _load(self) -> Progress:
        store, flushed = self._sealed.store()
        progress = self._file.read(store)
        if max(progress.next, progress.sending) > flushed:
            raise ProgressDamaged(
                f"{self._file.path}: events before {max(progress.next, progress.sending)} were shipped, and the store "
                f"has none behind {flushed}: it is older, from a backup; without the file, all of it is shipped again"
            )
        return progress

    def _cut(self) -> tuple[int, bool]:
        """Say up to where the next piece goes, and whether it is as large as one may be."""
        settings, start, end = self._settings, self.progress.next, self._sealed.end()
        if start >= end:
            return start, False
        cut = self._sealed.cut(start, end, most_rows=settings.insert_rows, most_bytes=settings.insert_bytes)
        return cut, cut < end or cut - start >= settings.insert_rows

    def _has_waited(self) -> bool:
        if self._waits_since is None:
            self._waits_since = trio.current_time()
        return trio.current_time() - self._waits_since >= self._settings.wait_s

    async def _note(self, progress: Progress) -> Progress:
        await trio.to_thread.run_sync(self._file.write, progress)
        self.progress = progress
        return progress
