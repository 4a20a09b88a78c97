"""Which events of a batch meet which filters: the live tail's question, asked of the engine that queries have.

One SELECT answers for all filters: a millisecond or two for a batch. Blocks; not for two threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from event_store.query.conditions import condition
from event_store.query.dialects import DUCKDB
from event_store.query.names import resolve
from event_store.query.row import ALIAS, Row
from event_store.query.syntax import Expr

_TABLE = "batch"
_MOST_KEPT = 100  # texts of SELECTs: there are as many as there are sets of columns


class Matcher:
    """Looks at one batch after the other."""

    def __init__(self) -> None:
        self._engine = duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": False})
        self._selects: dict[tuple[tuple[str, ...], tuple[Expr, ...]], str] = {}

    def close(self) -> None:
        """Let go of the engine."""
        self._engine.close()

    def masks(self, batch: pa.RecordBatch, filters: Sequence[Expr]) -> list[pa.BooleanArray]:
        """Say for each filter which events meet it."""
        if not filters:
            return []
        self._engine.register(_TABLE, pa.Table.from_batches([batch]))
        try:
            found = self._engine.sql(self._select(tuple(batch.schema.names), tuple(filters))).to_arrow_table()
        finally:
            self._engine.unregister(_TABLE)
        return [column.combine_chunks() for column in found.columns]

    def _select(self, columns: tuple[str, ...], filters: tuple[Expr, ...]) -> str:
        key = columns, filters
        if key not in self._selects:
            if len(self._selects) >= _MOST_KEPT:
                self._selects.clear()
            self._selects[key] = _compiled(frozenset(columns), filters)
        return self._selects[key]


def _compiled(columns: frozenset[str], filters: Sequence[Expr]) -> str:
    row = Row(lambda field: resolve(field, columns), DUCKDB)
    met = (
        f"coalesce({condition(each, row).sql(dialect=DUCKDB.name)}, false) AS c{at}" for at, each in enumerate(filters)
    )
    return f"SELECT {', '.join(met)} FROM {_TABLE} AS {ALIAS}"  # noqa: S608 - of names and literals that sqlglot wrote
