"""The tables of events in ClickHouse: what they are made with, and how they get more columns. Pure: SQL as text.

A column is null where the event has no such thing, as everywhere else, so that a query answers the same. Names of
columns are somebody else's text: they are quoted here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from event_store.clickhouse.config import ClickHouseSettings
from event_store.model import FIXED, OVERFLOW, RAW_MESSAGE, ColumnType, type_of

REMEMBERED_INSERTS = 10_000
"""An insert that comes again is recognised if it is one of so many, and not older than a week."""

_WEEK_S = 7 * 86_400
_FEW_TEXT = "LowCardinality(Nullable(String)) CODEC(ZSTD(1))"
_TEXT = "Nullable(String) CODEC(ZSTD(1))"
_OF_KIND = {
    ColumnType.TEXT: _FEW_TEXT,
    ColumnType.NUMBER: "Nullable(Float64) CODEC(ZSTD(1))",
    ColumnType.INTEGER: "Nullable(Int64) CODEC(ZSTD(1))",
}
_OF_ONE = {
    "time": "DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1))",
    "seq": "Int64 CODEC(Delta(8), ZSTD(1))",
    "message": _TEXT,
    RAW_MESSAGE: _TEXT,
    OVERFLOW: "Map(LowCardinality(String), String) CODEC(ZSTD(1))",
}
_TOKENS = "INDEX message_tokens lowerUTF8(ifNull(message, '')) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1"
_ORDER = "(source_id, time)"
_SHARD = "cityHash64(ifNull(source_id, ''))"
"""An insert that comes again must go where it went before, or it would not be recognised: by no random number."""
_REPLICATED = "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')"


class TextKind(Enum):
    """What the texts of a column are like."""

    FEW = "few"
    """Mostly the same again."""
    IDS = "ids"
    """Mostly different: looked up one by one."""


def create(settings: ClickHouseSettings) -> list[str]:
    """Return what makes the tables, unless they are there."""
    database, table = settings.database, settings.table
    if settings.cluster is None:
        engine = f"MergeTree\n{_layout(settings)}, non_replicated_deduplication_window = {REMEMBERED_INSERTS}"
        return [f"CREATE TABLE IF NOT EXISTS {_name(database, table)}\n(\n{_columns()}\n)\nENGINE = {engine}"]
    cluster, local = quoted(settings.cluster), local_table(settings)
    window = (
        f"replicated_deduplication_window = {REMEMBERED_INSERTS}, replicated_deduplication_window_seconds = {_WEEK_S}"
    )
    spread = f"Distributed({cluster}, {quoted(database)}, {quoted(local)}, {_SHARD})"
    return [
        f"CREATE TABLE IF NOT EXISTS {_name(database, local)} ON CLUSTER {cluster}\n(\n{_columns()}\n)\n"
        f"ENGINE = {_REPLICATED}\n{_layout(settings)}, {window}",
        f"CREATE TABLE IF NOT EXISTS {_name(database, table)} ON CLUSTER {cluster} "
        f"AS {_name(database, local)}\nENGINE = {spread}",
    ]


def add(settings: ClickHouseSettings, columns: Iterable[tuple[str, TextKind]]) -> list[str]:
    """Return what gives the tables more columns; those of ids get an index, by which one is found fast."""
    parts, indexes = [], []
    for name, kind in columns:
        is_id = kind is TextKind.IDS and type_of(name) is ColumnType.TEXT
        parts.append(f"ADD COLUMN IF NOT EXISTS {quoted(name)} {_TEXT if is_id else column_type(name)}")
        if is_id:
            index = f"{quoted(f'{name}_ids')} {quoted(name)} TYPE bloom_filter(0.01) GRANULARITY 1"
            indexes.append(f"ADD INDEX IF NOT EXISTS {index}")
    if not parts:
        return []
    more = ", ".join(parts)
    if settings.cluster is None:
        return [f"ALTER TABLE {_name(settings.database, settings.table)} {', '.join([more, *indexes])}"]
    where = f"ON CLUSTER {quoted(settings.cluster)}"
    return [
        f"ALTER TABLE {_name(settings.database, local_table(settings))} {where} {', '.join([more, *indexes])}",
        f"ALTER TABLE {_name(settings.database, settings.table)} {where} {more}",
    ]


def columns_query(settings: ClickHouseSettings) -> str:
    """Return what asks for the names of the columns, one a line, as JSON strings."""
    where = f"database = '{settings.database}' AND table = '{settings.table}'"
    return f"SELECT name FROM system.columns WHERE {where} FORMAT JSONCompactEachRow"  # noqa: S608  # plain words


def insert(settings: ClickHouseSettings) -> str:
    """Return what an Arrow stream is inserted by: its columns find theirs by name."""
    return f"INSERT INTO {_name(settings.database, settings.table)} FORMAT ArrowStream"


def insert_settings(settings: ClickHouseSettings, token: str) -> dict[str, str]:
    """Return how: once, in one piece, and on disk of who is to keep it before there is an answer."""
    asked = {
        "insert_deduplicate": "1",
        "insert_deduplication_token": token,
        "async_insert": "0",
        "wait_end_of_query": "1",
        "input_format_skip_unknown_fields": "0",
        "max_partitions_per_insert_block": "0",
    }
    if settings.cluster is not None:
        asked["distributed_foreground_insert"] = "1"
    if settings.quorum:
        asked["insert_quorum"] = "auto"
    return asked


def local_table(settings: ClickHouseSettings) -> str:
    """Return what the table of one node of a cluster is called."""
    return f"{settings.table}_local"


def column_type(name: str) -> str:
    """Return what a column of this name is declared as."""
    return _OF_ONE.get(name) or _OF_KIND[type_of(name)]


def quoted(name: str) -> str:
    """Quote a name: whatever is in it, it ends nothing and begins nothing."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _name(database: str, table: str) -> str:
    return f"{quoted(database)}.{quoted(table)}"


def _columns() -> str:
    names = (*FIXED, RAW_MESSAGE, OVERFLOW)
    return ",\n".join([*(f"    {quoted(name)} {column_type(name)}" for name in names), f"    {_TOKENS}"])


def _layout(settings: ClickHouseSettings) -> str:
    """Return how the rows lie: by month, so that wrong clocks make no more than some thousand parts."""
    days = settings.retention_days
    ttl = f"\nTTL toDateTime64(time, 0) + INTERVAL {days} DAY" if days else ""
    return f"PARTITION BY toYYYYMM(time)\nORDER BY {_ORDER}{ttl}\nSETTINGS allow_nullable_key = 1"
