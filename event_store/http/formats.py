"""An answer in bytes: JSON, CSV or Arrow. Pure; takes a while for many rows."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv

from event_store.http import events, plain

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv; charset=utf-8; header=present"
ARROW_TYPE = "application/vnd.apache.arrow.stream"
NDJSON_TYPE = "application/x-ndjson"
WARNINGS = "Standpipe-Warnings"
"""The header that says in CSV and Arrow what stands under `warnings` in JSON: an array, in ASCII."""

_MOST_HEADER = 4000
_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a query found."""

    table: pa.Table
    are_events: bool
    """Whether its rows are events as the store has them, with all their columns."""
    warnings: Sequence[str] = ()
    span: Mapping[str, str] | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> bytes:
        """Write all of it, some rows at a time: as Python has them they take several times the memory."""
        slices = (self.table.slice(start, _AT_ONCE) for start in range(0, self.table.num_rows, _AT_ONCE))
        rows = b",".join(orjson.dumps(self._rows(part))[1:-1] for part in slices)
        span = {"span": self.span} if self.span else {}
        rest = orjson.dumps({"warnings": list(self.warnings), **span, "stats": self.stats})
        return b'{"columns":%b,"rows":[%b],%b\n' % (orjson.dumps(self._columns()), rows, rest[1:])

    def as_csv(self) -> bytes:
        """Write the rows; of events, each tag and field that has a value is a column."""
        if self.are_events:
            texts = events.spread(self.table)
        else:
            names = self.table.column_names
            texts = pa.Table.from_arrays([plain.texts(column) for column in self.table.columns], names=names)
        written = io.BytesIO()
        pa.csv.write_csv(texts, written, pa.csv.WriteOptions(quoting_style="needed"))
        return written.getvalue()

    def as_arrow(self) -> bytes:
        """Write a stream of Arrow's IPC; events have the store's own columns, those of them that have a value."""
        table = events.without_empty(self.table) if self.are_events else self.table
        written = io.BytesIO()
        with pa.ipc.new_stream(written, table.schema) as stream:
            stream.write_table(table)
        return written.getvalue()

    def body(self, format_: str) -> tuple[bytes, str]:
        """Write it in a format, and say what type that is."""
        match format_:
            case "csv":
                return self.as_csv(), CSV_TYPE
            case "arrow":
                return self.as_arrow(), ARROW_TYPE
            case _:
                return self.as_json(), JSON_TYPE

    def headers(self) -> dict[str, str]:
        """Say what CSV and Arrow have no room for; of very many warnings, the first."""
        warnings = list(self.warnings)
        while len(text := json.dumps(warnings)) > _MOST_HEADER:
            del warnings[-1]
        return {WARNINGS: text} if warnings else {}

    def _columns(self) -> list[dict[str, str]]:
        if self.are_events:
            return events.columns()
        schema = self.table.schema
        return [{"name": each.name, "type": plain.kind_of(each.type)} for each in schema]

    def _rows(self, table: pa.Table) -> list[list[Any]]:
        if self.are_events:
            return events.rows(table)
        return [list(row) for row in zip(*map(plain.values, table.columns), strict=True)]


def json_bytes(value: Any) -> bytes:
    """Write JSON, on one line."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) + b"\n"
