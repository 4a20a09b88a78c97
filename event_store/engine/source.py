"""The view `events` that a query reads: files of segments and a table of those in memory, whole or some of their rows.

Segments that have the same of the columns that are needed are read together; a column that a part lacks is null there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as ds
from sqlglot import exp

from event_store.engine.database import Connection
from event_store.engine.errors import QueryFailed
from event_store.engine.found import Places
from event_store.model import OVERFLOW, RAW_MESSAGE, ColumnType, type_of
from event_store.query.compile import TABLE
from event_store.storage import Segment, Snapshot, StoreLocked

_HOT = "hot_events"
_CHOSEN = "chosen_events"
_FEW = 100_000
"""As many events are copied before a filter looks at them."""
_TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.TIME: "TIMESTAMP_NS",
}
_OF_ONE = {RAW_MESSAGE: "BLOB", OVERFLOW: "MAP(VARCHAR, VARCHAR)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a query reads."""

    snapshot: Snapshot
    whole: Sequence[Segment] = ()
    """Of these, all events."""
    partial: Sequence[Segment] = ()
    """Of these, the events whose `seq` is among `chosen`."""
    chosen: Places | None = None
    hot: pa.Table | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        return not (self.whole or self.partial or (self.hot is not None and self.hot.num_rows))


def show(source: Source, columns: Collection[str], connection: Connection) -> None:
    """Make the view, with these columns."""
    names = sorted(columns)
    parts: list[exp.Query] = list(_selects(source, source.whole, names, connection))
    if source.chosen is not None and len(source.chosen):
        connection.register(_CHOSEN, pa.table({"seq": source.chosen}))
        seqs = exp.select("seq").from_(_CHOSEN)
        for select in _selects(source, source.partial, names, connection):
            rows = select.where(exp.column("seq").isin(query=seqs))
            parts.append(_first(rows) if len(source.chosen) <= _FEW else rows)
    if source.hot is not None and source.hot.num_rows:
        connection.register(_HOT, source.hot)
        parts.append(_select(names, source.hot.column_names).from_(_HOT))
    if not parts:
        parts.append(_select(names, ()).where(exp.false()))
    union = parts[0] if len(parts) == 1 else exp.union(*parts, distinct=False, copy=False)
    view = exp.Create(
        this=exp.to_table(TABLE),
        kind="VIEW",
        replace=True,
        expression=union,
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )
    connection.execute(view.sql(dialect="duckdb"))


def hot_table(snapshot: Snapshot, columns: Collection[str]) -> pa.Table | None:
    """Return these columns of the events in memory, without a copy; None if there are no events."""
    tables = [
        pa.Table.from_batches([batch]).select([name for name in batch.schema.names if name in columns])
        for batch in snapshot.hot
        if batch.num_rows
    ]
    return pa.concat_tables(tables, promote_options="default") if tables else None


def _first(rows: exp.Select) -> exp.Query:
    """Have rows chosen before a filter looks at them: DuckDB looks for text in whole row groups (twice as long)."""
    return exp.select("*").from_("few").with_("few", as_=rows, materialized=True).subquery()


def _selects(
    source: Source, segments: Sequence[Segment], names: Sequence[str], connection: Connection
) -> Iterator[exp.Select]:
    """Yield what reads these segments. DuckDB reads files itself, and of those that are sealed what Arrow opened."""
    for files in _alike([one for one in segments if not one.key], names):
        yield _files(source, files, names)
    for segment in segments:
        if segment.key:
            name = f"sealed_events_{segment.checksum}"
            connection.register(name, opened(source.snapshot, segment))
            yield _select(names, segment.columns).from_(exp.to_table(name))


def opened(snapshot: Snapshot, segment: Segment) -> ds.Dataset:
    """Open a segment that is sealed; QueryFailed if that cannot be done."""
    try:
        return snapshot.dataset(segment)
    except (StoreLocked, OSError, pa.ArrowException) as error:
        raise QueryFailed(f"{segment.file} cannot be read: {error}") from error


def _alike(segments: Iterable[Segment], columns: Collection[str]) -> list[list[Segment]]:
    """Group segments by which of these columns they have."""
    groups: dict[frozenset[str], list[Segment]] = {}
    for segment in segments:
        groups.setdefault(segment.columns.intersection(columns), []).append(segment)
    return list(groups.values())


def _files(source: Source, segments: Sequence[Segment], names: Sequence[str]) -> exp.Select:
    paths = [exp.Literal.string(str(source.snapshot.path(segment).absolute())) for segment in segments]
    plain = exp.EQ(this=exp.column("hive_partitioning"), expression=exp.false())
    read = exp.Anonymous(this="read_parquet", expressions=[exp.Array(expressions=paths), plain])
    return _select(names, segments[0].columns).from_(exp.Table(this=read))


def _select(names: Sequence[str], present: Collection[str]) -> exp.Select:
    return exp.select(*(_column(name, name in present) for name in names))


def _column(name: str, is_present: bool) -> exp.Expr:
    column = exp.column(name, quoted=True)
    kind = exp.DataType.build(_OF_ONE.get(name) or _TYPES[type_of(name)], dialect="duckdb")
    return column if is_present else exp.alias_(exp.cast(exp.null(), kind), name, quoted=True)
