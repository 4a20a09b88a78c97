"""DuckDB is shut in, whatever comes past the check of SQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from event_store.engine.database import Connection, Database, _batches
from event_store.engine.errors import QueryRefused, QueryTooLarge
from event_store.engine.watch import Limits, watched


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    (tmp_path / "secret.txt").write_text("hush")
    return tmp_path / "store"


@contextmanager
def connected(folder: Path, limits: Limits | None = None) -> Iterator[Connection]:
    database = Database(folder, memory_bytes=100 << 20, temp_bytes=1 << 20, threads=1)
    try:
        with watched(limits or Limits(), None, None) as watch, database.connect(watch) as connection:
            yield connection
    finally:
        database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{}/secret.txt')",
        "SELECT * FROM read_csv('{}/secret.txt')",
        "SELECT * FROM glob('{}/*')",
        "SELECT * FROM '{}/secret.txt'",
        "SELECT * FROM folder",  # a variable of Python's
    ],
)
def test_nothing_beside_the_store_is_read(folder: Path, statement: str) -> None:
    with pytest.raises(QueryRefused), connected(folder) as connection:
        connection.select(statement.format(folder.parent))


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{}/x.csv'",
        "CREATE TABLE x (a INT)",
        "SET memory_limit = '10GB'",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "PRAGMA version",
        "CALL pragma_version()",
        "INSTALL httpfs",
        "ATTACH '{}/x.db'",
        "EXPLAIN SELECT 1",
        "",
    ],
)
def test_what_is_no_select_is_not_run(folder: Path, statement: str) -> None:
    with pytest.raises(QueryRefused), connected(folder) as connection:
        connection.select(statement.format(folder))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SET memory_limit = '10GB'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET allowed_directories",
        "ATTACH '{}/x.db'",
        "COPY (SELECT 1) TO '{}/x.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_the_door_stays_shut(folder: Path, statement: str) -> None:
    with pytest.raises(QueryRefused), connected(folder) as connection:
        connection.execute(statement.format(folder.parent))


def test_what_one_connection_shows_another_does_not_see(folder: Path) -> None:
    database = Database(folder, memory_bytes=100 << 20, temp_bytes=1 << 20, threads=1)
    with watched(Limits(), None, None) as watch:
        with database.connect(watch) as one:
            one.register("shown", pa.table({"a": [1]}))
            assert one.select("SELECT * FROM shown").to_pylist() == [{"a": 1}]
            with pytest.raises(QueryRefused, match="shown"), database.connect(watch) as other:
                other.select("SELECT * FROM shown")
    database.close()


def test_answers_have_an_end(folder: Path) -> None:
    with connected(folder) as connection:
        assert connection.select("SELECT * FROM range(100000)", 10).num_rows == 11
        assert connection.select("SELECT * FROM range(5)", 10).num_rows == 5
    with pytest.raises(QueryTooLarge, match="1 MiB"), connected(folder, Limits(bytes=1 << 20)) as connection:
        connection.select("SELECT * FROM range(1000000)")


def test_an_error_amidst_the_answer_is_said_as_one_before_it(folder: Path) -> None:
    late = "SELECT (CASE i WHEN 500000 THEN 'x' ELSE '1' END)::INT FROM range(1000000) t(i)"
    with pytest.raises(QueryRefused, match="Could not convert string 'x'"), connected(folder) as connection:
        connection.select(late)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("INTERRUPT Error: Interrupted!", duckdb.InterruptException),
        ("Out of Memory Error: no more", duckdb.OutOfMemoryException),
        ("IO Error: cannot read x.parquet", duckdb.Error),
        ("Out of buffer", duckdb.Error),
    ],
)
def test_what_arrow_says_of_an_error_is_known_by_its_text(text: str, kind: type[Exception]) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"a": [1]})
        raise OSError(text)

    with pytest.raises(duckdb.Error, match=text) as failed:
        list(_batches(pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), broken())))
    assert type(failed.value) is kind
