"""The real engine: it takes the statements and the streams, and answers queries on the table as plain Python does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from event_store.clickhouse import schema
from event_store.clickhouse.client import open_clickhouse
from event_store.clickhouse.config import ClickHouseSettings
from event_store.clickhouse.schema import TextKind
from event_store.clickhouse.service import open_shipper
from event_store.clickhouse.table import ClickHouseTable
from event_store.query.compile import compile_query
from event_store.query.dialects import CLICKHOUSE
from event_store.query.writing import format_query
from tests.event_store_oracle import evaluate
from tests.event_store_queries import Maker, table_of
from tests.fakes.clickhouse import Embedded
from tests.unit.event_store.clickhouse.running import clickhouse, sealed, settings
from tests.unit.event_store.storage.events import START, batch_of, events, opened

pytestmark = pytest.mark.slow
ODD = "t_a\\b`\"c\n'"


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    chdb = pytest.importorskip("chdb.session", reason="ClickHouse as a library is big, and is installed by hand")
    with closing(chdb.Session()) as session:
        yield session


def asked(session: Any, sql: str) -> list[tuple[Any, ...]]:
    table = session.query(sql, "ArrowTable")
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_all_statements_are_clickhouses(session: Any) -> None:
    many = ClickHouseSettings(url="http://ch", cluster="all", retention_days=7)
    more = [(ODD, TextKind.IDS), ("f_ms$num", TextKind.FEW)]
    for statement in (*schema.create(many), *schema.add(many, more)):
        assert b"Query" in session.query(f"EXPLAIN AST {statement}", "TSV").bytes()


async def test_events_of_a_store_are_there_once_with_all_they_have(session: Any, tmp_path: Path) -> None:
    far = [-(2**63) + 2, START, 2**63 - 1]
    with closing(opened(tmp_path / "store")) as store, clickhouse(Embedded(session.query)) as server:
        store.append([events(range(250), t_app=["web"] * 250, f_ms_num=[0.5] * 250)])
        store.append(
            [
                batch_of(
                    time=far,
                    source_id=[None, "a", "b"],
                    message_raw=[b"\xff\0", None, None],
                    **{ODD: ["x\n", None, "'"]},
                )
            ]
        )
        store.append([batch_of(time=[START], attrs=[[("t_rare", "1")]], message=["rare"])])
        store.flush()
        given = settings(server, table="shipped", insert_rows=100)
        async with open_shipper(store.folder, sealed(store), given) as shipper:
            await shipper.ship_all()
            shipper.progress = type(shipper.progress)(shipper.progress.store, next=0, sending=100)
            await shipper.ship_all()  # everything again: recognised by its token

    assert asked(session, "SELECT count(), uniqExact(seq), countIf(t_app = 'web'), sum(`f_ms$num`) FROM shipped") == [
        (254, 254, 250, 125.0)
    ]
    odd = schema.quoted(ODD)
    rows = asked(
        session,
        f"SELECT toUnixTimestamp64Nano(time), source_id, hex(message_raw), {odd} FROM shipped "
        "WHERE seq BETWEEN 250 AND 252 ORDER BY seq",
    )
    assert rows == [(far[0], None, "FF00", "x\n"), (far[1], "a", None, None), (far[2], "b", None, "'")]
    assert asked(session, "SELECT attrs['t_rare'] FROM shipped WHERE message = 'rare'") == [("1",)]


async def test_queries_answer_on_the_table_as_the_oracle_does(session: Any) -> None:
    rng = random.Random(20261121)
    with clickhouse(Embedded(session.query)) as server:
        for round_ in range(4):
            maker, rows = Maker(rng.getrandbits(60)), list[dict[str, Any]]()
            while len(rows) < 5:
                rows = maker.events(overflow=True)
            table, given = table_of(rows, overflow=True), settings(server, table=f"asked_{round_}", insert_rows=50)
            async with open_clickhouse(given) as client:
                made = ClickHouseTable(client, given)
                for start in range(0, len(rows), 50):
                    await made.insert(table.slice(start, 50), f"{round_}-{start}")
            for _ in range(40):
                check(session, maker, rows, table, given.table)


def check(session: Any, maker: Maker, rows: list[dict[str, Any]], table: pa.Table, name: str) -> None:
    query = maker.query()
    compiled = compile_query(query, table.column_names, CLICKHOUSE, table=name)
    answer = session.query(compiled.sql, "ArrowTable")
    columns, expected = evaluate(query, rows, table.column_names)
    found = [tuple(cell(value) for value in row) for row in zip(*map(values, answer.columns), strict=True)]
    wanted = [tuple(None if value != value else value for value in row) for row in expected]

    assert (compiled.columns, found) == (columns, wanted), format_query(query)


def values(column: pa.ChunkedArray) -> list[Any]:
    plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return list(plain.to_pylist())


def cell(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value else pytest.approx(value, rel=1e-12)
    return (dict(value) or None) if isinstance(value, list | dict) else value
