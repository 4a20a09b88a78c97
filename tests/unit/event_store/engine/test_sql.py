"""Which SQL may be run; every other is refused in words."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.engine.errors import QueryRefused
from event_store.engine.sql import MAX_CHARACTERS, checked

SELECTS = [
    "select * from events",
    "FROM events",
    "with a as (select severity s, count(*) n from events group by all) select * from a order by n",
    "select 1 union all select seq from events",
    "select * exclude (message) from events e where e.seq in (select max(seq) from events)",
    'select "f_status$num", time + interval 1 hour from events limit 5 -- why not',
    "select time_bucket(interval '1 minute', time), quantile_cont(duration, 0.99) from events group by 1",
    "select * from range(5), unnest([1, 2])",
    "select message like '%copy%' from events",
]
REFUSED = {
    "insert into events values (1)": "INSERT",
    "update events set seq = 1": "UPDATE",
    "delete from events": "DELETE",
    "create table x as select 1": "CREATE",
    "create or replace view events as select 1": "CREATE",
    "drop view events": "DROP",
    "copy (select 1) to '/tmp/x'": "COPY",
    "copy events from 'x.csv'": "COPY",
    "attach 'x.db'": "ATTACH",
    "detach x": "DETACH",
    "use x": "USE",
    "install httpfs": "INSTALL",
    "load httpfs": "LOAD",
    "pragma version": "PRAGMA",
    "set threads = 1": "SET",
    "reset threads": "RESET",
    "call pragma_version()": "CALL",
    "explain select 1": "EXPLAIN",
    "prepare a as select 1": "PREPARE",
    "begin": "TRANSACTION",
    "vacuum": "VACUUM",
    "export database 'x'": "understood",
    "with a as (insert into x values (1) returning *) select * from a": "INSERT",
    "select * into y from events": "INTO",
    "select 1; drop view events": "2 statements",
    "": "0 statements",
    "checkpoint": "expression",
    "select * from read_csv('/etc/passwd')": "read_csv",
    "select * from read_text('/etc/passwd')": "read_text",
    "select (select content from read_text('/etc/passwd'))": "read_text",
    "select * from read_blob('x')": "read_blob",
    "select * from read_parquet('x')": "read_parquet",
    "select * from glob('*')": "glob",
    "select * from '/etc/passwd'": "no table",
    "select * from 'https://example.com/x.parquet'": "no table",
    "select * from duckdb_settings()": "duckdb_settings",
    "select * from information_schema.tables": "no table",
    "select * from other.events": "no table",
    "select * from sqlite_master": "no table",
    "select * from query('select 1')": "query",
    "select getenv('HOME')": "getenv",
    "select current_setting('temp_directory')": "current_setting",
    "select repeat('x', 1000000000)": "repeat",
    "select lpad('x', 2000000000, 'y')": "pad",
    "select from where": "understood",
    "select '": "understood",
}


@pytest.mark.parametrize("text", SELECTS)
def test_a_select_may_be_run(text: str) -> None:
    assert checked(text).sql(dialect="duckdb")


@pytest.mark.parametrize(("text", "why"), REFUSED.items())
def test_anything_else_is_refused(text: str, why: str) -> None:
    with pytest.raises(QueryRefused, match=why):
        checked(text)


def test_a_statement_has_an_end() -> None:
    with pytest.raises(QueryRefused, match="at most"):
        checked("select " + "1," * MAX_CHARACTERS)
    with pytest.raises(QueryRefused):
        checked("select " + "(" * 9000 + "1" + ")" * 9000)


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(" ".join([*SELECTS, *REFUSED]).split()), max_size=12).map(" ".join),
    )
)
def test_any_text_is_a_select_or_refused(text: str) -> None:
    with suppress(QueryRefused):
        assert checked(text).sql(dialect="duckdb")


def test_the_name_of_a_with_is_no_file() -> None:
    with pytest.raises(QueryRefused, match="the name of a WITH"):
        checked("""SELECT * FROM (WITH "/data/x.csv" AS (SELECT 1) SELECT 1) x, "/data/x.csv\"""")
