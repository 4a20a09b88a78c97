"""The table gets columns as they appear, and each event where it belongs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest

from event_store.clickhouse.client import ClickHouseUnavailable, open_clickhouse
from event_store.clickhouse.table import ClickHouseTable
from event_store.storage import schema
from tests.fakes.clickhouse import FakeClickHouse, Remembering
from tests.unit.event_store.clickhouse.running import TABLE, clickhouse, settings
from tests.unit.event_store.storage.events import START, events


def table(*batches: pa.RecordBatch) -> pa.Table:
    return schema.joined([schema.numbered(batch, 0) for batch in batches])


@asynccontextmanager
async def opened(server: FakeClickHouse, **given: object) -> AsyncIterator[ClickHouseTable]:
    asked = settings(server, **given)
    async with open_clickhouse(asked) as client:
        yield ClickHouseTable(client, asked)


async def test_the_table_is_made_and_widened() -> None:
    memory = Remembering()
    with clickhouse(memory) as server:
        async with opened(server) as made:
            await made.insert(table(events([1], t_app=["web"])), "a")
            await made.insert(table(events([2], t_app=["web"], f_ms_num=[2.5])), "b")
        statements = [one.split("\n")[0][:40] for one in server.statements]

    assert [row.get("f_ms$num") for row in memory.rows[TABLE]] == [None, 2.5]
    assert memory.rows[TABLE][0]["time"] == START + 1
    assert {"t_app", "f_ms$num"} < set(memory.columns[TABLE])
    assert sum(one.startswith("ALTER") for one in statements) == 2


async def test_what_comes_twice_is_there_once() -> None:
    memory = Remembering()
    with clickhouse(memory) as server:
        async with opened(server) as made:
            for _ in range(2):
                await made.insert(table(events([1, 2])), "a")

    assert (memory.inserts, len(memory.rows[TABLE])) == (2, 2)


async def test_what_finds_no_column_is_in_the_map() -> None:
    memory = Remembering()
    with clickhouse(memory) as server:
        async with opened(server, max_columns=2) as made:
            batch = events([1, 2], t_a=["x", "y"], t_b=["x", None], t_c=["z", "z"], f_n_num=[None, 2.5])
            await made.insert(table(batch), "a")

    first, second = memory.rows[TABLE]
    assert (first["t_a"], first["t_c"], first["attrs"]) == ("x", "z", [("t_b", "x")])
    assert second["attrs"] == [("f_n", "2.5")]


async def test_ids_are_no_dictionary_and_are_found_by_an_index() -> None:
    with clickhouse() as server:
        async with opened(server) as made:
            ids = [f"id-{number}" for number in range(1500)]
            await made.insert(table(events(range(1500), f_id=ids, t_app=["web"] * 1500)), "a")
        (alter,) = [one for one in server.statements if one.startswith("ALTER")]

    assert "`f_id` Nullable(String)" in alter
    assert "ADD INDEX IF NOT EXISTS `f_id_ids`" in alter
    assert "`t_app` LowCardinality" in alter


async def test_a_table_that_somebody_changed_is_looked_at_again() -> None:
    memory = Remembering()
    with clickhouse(memory) as server:
        async with opened(server) as made:
            await made.insert(table(events([1], t_app=["a"])), "a")
            memory.columns[TABLE].remove("t_app")
            with pytest.raises(ClickHouseUnavailable, match="Unknown fields"):
                await made.insert(table(events([2], t_app=["b"])), "b")
            made.forget()
            await made.insert(table(events([2], t_app=["b"])), "b")

    assert [row["t_app"] for row in memory.rows[TABLE]] == ["a", "b"]
