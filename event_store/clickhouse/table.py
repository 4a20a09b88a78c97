"""The table of events in ClickHouse, as it is written: made, given columns as tags and fields appear, inserted into.

In:    tables of events, as segments have them.
Out:   Arrow streams, each inserted once, however often it comes: by its token.
Drops: nothing. A tag or field for which there is no column any more goes into the map `attrs`.
"""

from __future__ import annotations

from collections.abc import Collection

import orjson
import pyarrow as pa
import trio

from event_store.clickhouse import schema
from event_store.clickhouse.client import ClickHouse
from event_store.clickhouse.config import ClickHouseSettings
from event_store.clickhouse.schema import TextKind
from event_store.sealed import columns_to_add
from event_store.storage.overflow import demote

_MANY_VALUES = 1000
_ID_SHARE = 0.2
"""Texts of which more than so many, and so large a part, are different are ids."""


class ClickHouseTable:
    """Inserts into one table. One task at a time."""

    def __init__(self, clickhouse: ClickHouse, settings: ClickHouseSettings) -> None:
        self._clickhouse = clickhouse
        self._settings = settings
        self._columns: set[str] = set()

    async def open(self) -> None:
        """Make the table if need be, and look which columns it has. Raises what `ClickHouse.ask` does."""
        for statement in schema.create(self._settings):
            await self._clickhouse.ask(statement)
        answer = await self._clickhouse.ask(schema.columns_query(self._settings))
        self._columns = {orjson.loads(line)[0] for line in answer.splitlines() if line}

    async def insert(self, events: pa.Table, token: str) -> None:
        """Insert events; those that came with this token before are not inserted again. Raises as `open`."""
        if not self._columns:
            await self.open()
        await self._widen(events)
        rows = await trio.to_thread.run_sync(_stream, events, frozenset(self._columns))
        settings = self._settings
        await self._clickhouse.insert(schema.insert(settings), rows, schema.insert_settings(settings, token))

    def forget(self) -> None:
        """Look again which columns there are, before the next insert: somebody may have changed the table."""
        self._columns.clear()

    async def _widen(self, events: pa.Table) -> None:
        """Give the table the columns that are new, the fullest first, as long as there is room."""
        chosen = columns_to_add(events, self._columns, self._settings.max_columns)
        for statement in schema.add(self._settings, [(name, _kind(events[name])) for name in chosen]):
            await self._clickhouse.ask(statement)
        self._columns.update(chosen)


def _kind(column: pa.ChunkedArray) -> TextKind:
    if not pa.types.is_dictionary(column.type):
        return TextKind.FEW
    filled, values = len(column) - column.null_count, len(column.unify_dictionaries().unique())
    return TextKind.IDS if values > max(_MANY_VALUES, filled * _ID_SHARE) else TextKind.FEW


def _stream(events: pa.Table, columns: Collection[str]) -> bytes:
    """Write an Arrow stream of one batch, if it fits into one: what comes again is then the same piece again."""
    made = [demote(batch, columns) for batch in events.combine_chunks().to_batches()]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made[0].schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        for batch in made:
            stream.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())
