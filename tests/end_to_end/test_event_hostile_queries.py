"""Queries that mean harm or would take a year, at an event store's door: they end, and touch nothing and nobody."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio

from tests.running import accounts
from tests.running_event_api import EventApi, log, open_event_api

LIMIT_S = 4.0  # of what ends by it; what does not must be far from it on a busy machine, too
ENDLESS = (
    "SELECT count(*) FROM events a, events b, events c, events d, events e",
    "SELECT sum(range % 7) FROM range(1000000000000)",
    "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range = 1",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "SELECT hash(range) AS h FROM range(100000000000) ORDER BY h LIMIT 1",
    "SELECT count(DISTINCT message || r.range) FROM events, range(100000000) r",
    "SELECT count(*) FROM events, range(99999999) r WHERE regexp_matches(message || r.range, '(a|aa)+b+$')",
)
LONG = (
    "/(a|aa)+(b|bb)+(c|cc)+$/ or /(a*)*(a*)*(a*)*b/ or /(a{1,30}){1,30}b/ | count",
    "from 1970-01-02 to 2200-01-01 | count per 1ns",
    "from 1970-01-02 to 2200-01-01 | count by message, source_id per 1s | sort message",
    "/" + ".*" * 100 + "z/ | top 100000 message",
    "message:" + "*a" * 200 + "*b | count",
)
LINES = 500


@pytest.fixture
async def api(certs_dir: Path, tmp_path: Path) -> AsyncIterator[EventApi]:
    async with open_event_api(certs_dir, tmp_path, query={"seconds": LIMIT_S, "memory_bytes": 256 << 20}) as api:
        now = time.time_ns()
        await api.send(*[log(f"line {number} " + "a" * 500, "web", now - number) for number in range(LINES)])
        yield api


def listed(folder: Path) -> set[Path]:
    """All files below a folder, but for the log, which grows by itself."""
    return {path.relative_to(folder) for path in folder.rglob("*") if "wal" not in path.parts}


async def test_sql_neither_writes_nor_reads_files_nor_attaches(api: EventApi, tmp_path: Path) -> None:
    store, secret, target = tmp_path / "store", tmp_path / "secret.csv", tmp_path / "stolen"
    secret.write_text("password\nhunter2\n")
    (store / "inside.csv").write_text("password\nhunter2\n")
    before = listed(tmp_path)
    reads = [
        *(f"SELECT * FROM {call}('{path}')" for call in ("read_csv", "read_text", "read_blob", "read_json", "glob")
          for path in (secret, store / "inside.csv", "/etc/passwd")),
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM events, '{store / 'inside.csv'}'",
        f"SELECT * FROM parquet_metadata('{store}/segments/*')",
        f"SELECT (SELECT content FROM read_text('{secret}')) FROM events",
        "SELECT * FROM duckdb_settings()", "SELECT getenv('HOME')", "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM sniff_csv('/etc/passwd')", "SELECT * FROM information_schema.tables",
        "SELECT query('SELECT 1')", f"SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
        f"SELECT * FROM query_table('{secret}')",
    ]  # fmt: skip
    writes = [
        f"COPY events TO '{target}'", f"COPY (SELECT 1) TO '{store}/evil.parquet'", f"EXPORT DATABASE '{target}'",
        f"ATTACH '{target}' AS other", f"ATTACH '{store}/evil.db'", "DETACH memory", "CREATE TABLE t AS SELECT 1",
        "DROP VIEW events", "DELETE FROM events", "UPDATE events SET message = ''",
        "INSERT INTO events SELECT * FROM events",
        "INSTALL httpfs", "LOAD httpfs", "SET threads = 1", "SET enable_external_access = true", "RESET memory_limit",
        "PRAGMA database_list", "CALL pragma_version()", "CHECKPOINT", "VACUUM", "BEGIN", "USE memory",
        "SELECT 1; DROP VIEW events", f"SELECT 1; COPY events TO '{target}'", "CREATE SECRET s (TYPE s3)",
        "WITH a AS (SELECT 1) INSERT INTO events SELECT * FROM a", "PREPARE p AS SELECT 1", "EXPLAIN ANALYZE SELECT 1",
    ]  # fmt: skip
    for sql in (*reads, *writes):
        answer = await api.post("/api/sql", sql=sql)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "syntax"), (sql, answer.text)
        assert "hunter2" not in answer.text
        assert "root:" not in answer.text
    assert listed(tmp_path) == before
    found = await api.post("/api/sql", sql="SELECT count(*) FROM events")
    assert found.json()["rows"] == [[LINES]]


async def test_what_would_take_a_year_ends_at_its_limit_and_harms_no_other(api: EventApi) -> None:
    ended: dict[str, str] = {}

    async def ask(queries: Sequence[str]) -> None:
        for sql in queries:
            ended[sql] = (await api.post("/api/sql", sql=sql)).json()["error"]["code"]

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ENDLESS[::2])
            nursery.start_soon(ask, ENDLESS[1::2])
            while len(ended) < len(ENDLESS):
                await api.send(log("meanwhile", "other"))
                found = await api.get("/api/query", query=f'source:web "line {LINES - 1} " | count')
                assert found.json().get("rows") == [[1]], found.text
    assert [sql for sql, code in ended.items() if code not in ("timeout", "too_large")] == []
    books = await accounts(api.ports, api.certs)
    assert books["store"]["delivered"] == api.sent
    counted = await api.get("/api/query", query="source:other | count")
    assert counted.json()["rows"] == [[api.sent - LINES]]


async def test_a_long_query_of_the_language_answers_or_is_refused(api: EventApi) -> None:
    with trio.fail_after(60):
        for query in LONG:
            answer = await api.get("/api/query", query=query)
            refused = answer.json().get("error", {}).get("code")
            assert refused in (None, "timeout", "too_large", "syntax"), (query, answer.text)
    found = await api.get("/api/query", query=f'source:web "line {LINES - 1} " | count')
    assert found.json()["rows"] == [[1]]
