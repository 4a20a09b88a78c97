"""DuckDB for tests of queries: one connection, and the events that it is asked about."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa


class Engine:
    """Answers SQL. Who holds on to it after `close` holds no connection: hypothesis does, until Python ends."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(config={"threads": 1})

    def show(self, events: pa.Table) -> None:
        """Let queries find these events."""
        self._connection.register("events", events)

    def table(self, sql: str) -> pa.Table:
        return self._connection.sql(sql).to_arrow_table()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def close(self) -> None:
        self._connection.close()
        del self._connection
