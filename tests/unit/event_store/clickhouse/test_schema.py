"""The SQL of the tables: what it says, and that no name in it can say anything else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from event_store.clickhouse import schema
from event_store.clickhouse.config import ClickHouseSettings
from event_store.clickhouse.schema import TextKind
from event_store.model import FIXED

ONE = ClickHouseSettings(url="http://ch:8123")
MANY = ClickHouseSettings(url="https://ch:8443", database="logs", cluster="all", retention_days=30, quorum=True)


def test_one_node_has_one_table_with_every_fixed_column() -> None:
    (made,) = schema.create(ONE)

    assert made.startswith("CREATE TABLE IF NOT EXISTS `default`.`events`\n")
    assert [name for name in FIXED if f"    `{name}` " not in made] == []
    assert "ENGINE = MergeTree\nPARTITION BY toYYYYMM(time)\nORDER BY (source_id, time)\nSETTINGS" in made
    assert "non_replicated_deduplication_window = 10000" in made
    assert "TTL" not in made


def test_a_cluster_has_replicated_tables_and_one_that_spreads_by_source() -> None:
    local, spread = schema.create(MANY)

    assert "`logs`.`events_local` ON CLUSTER `all`" in local
    assert "ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')" in local
    assert "TTL toDateTime64(time, 0) + INTERVAL 30 DAY" in local
    assert "replicated_deduplication_window_seconds = 604800" in local
    assert spread.endswith("ENGINE = Distributed(`all`, `logs`, `events_local`, cityHash64(ifNull(source_id, '')))")


def test_columns_are_added_where_they_are_kept_before_where_they_are_asked_for() -> None:
    local, spread = schema.add(MANY, [("t_app", TextKind.FEW), ("f_id", TextKind.IDS), ("f_ms$num", TextKind.IDS)])

    assert local == (
        "ALTER TABLE `logs`.`events_local` ON CLUSTER `all` "
        "ADD COLUMN IF NOT EXISTS `t_app` LowCardinality(Nullable(String)) CODEC(ZSTD(1)), "
        "ADD COLUMN IF NOT EXISTS `f_id` Nullable(String) CODEC(ZSTD(1)), "
        "ADD COLUMN IF NOT EXISTS `f_ms$num` Nullable(Float64) CODEC(ZSTD(1)), "
        "ADD INDEX IF NOT EXISTS `f_id_ids` `f_id` TYPE bloom_filter(0.01) GRANULARITY 1"
    )
    assert "`logs`.`events` ON CLUSTER `all`" in spread
    assert "INDEX" not in spread
    assert schema.add(ONE, []) == []


def test_an_insert_is_in_one_piece_and_counts_when_it_is_where_it_belongs() -> None:
    assert schema.insert(ONE) == "INSERT INTO `default`.`events` FORMAT ArrowStream"
    alone, spread = schema.insert_settings(ONE, "a-0-9"), schema.insert_settings(MANY, "a-0-9")

    assert (alone["insert_deduplication_token"], alone["async_insert"]) == ("a-0-9", "0")
    assert set(spread.items()) - set(alone.items()) == {
        ("distributed_foreground_insert", "1"),
        ("insert_quorum", "auto"),
    }


@given(st.text())
def test_a_name_stays_a_name(name: str) -> None:
    quoted = schema.quoted(name)

    assert re.fullmatch(r"`(?:[^`\\]|\\[`\\])*`", quoted, re.DOTALL)
    assert re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL) == name


@pytest.mark.parametrize(
    "bad",
    [
        {"url": "clickhouse:8123"},
        {"url": "https://user:pass@ch"},
        {"url": "https://ch/?password=x"},
        {"database": "a`b"},
        {"table": "a-b"},
        {"cluster": ""},
        {"password_file": "/nowhere"},
        {"tls_cert": "/nowhere"},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ClickHouseSettings.model_validate(bad)


def test_the_docs_show_the_tables_that_are_made() -> None:
    shown = (Path(__file__).parents[4] / "docs" / "event-store-cluster.md").read_text().replace("`", "")
    settings = ClickHouseSettings(url="http://ch", database="logs", cluster="logs", retention_days=30)
    local, spread = (statement.replace("`", "").splitlines() for statement in schema.create(settings))
    lines = [line for line in (*local, *spread) if line.startswith(("ENGINE", "TTL", "    INDEX"))]
    lines += [line.rstrip(",") for line in local if line.split()[0] in ("time", "source_id", "message", "seq", "attrs")]

    assert len(lines) == 9
    assert [line for line in lines if line not in shown] == []


def test_the_docs_have_every_setting() -> None:
    shown = (Path(__file__).parents[4] / "docs" / "event-store-cluster.md").read_text()

    assert [name for name in ClickHouseSettings.model_fields if f"`{name}`" not in shown] == []
