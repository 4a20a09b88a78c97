"""Answers in bytes."""

import json
from typing import Any

import orjson
import pyarrow as pa

from event_store.http.formats import ARROW_TYPE, CSV_TYPE, JSON_TYPE, WARNINGS, Table

COUNTS = pa.table({"app": ["a,b", None], "count": [1, 2]})


def table(**options: Any) -> Table:
    return Table(**{"table": COUNTS, "are_events": False, "stats": {"segments": 1}, **options})


def test_json_has_all_of_it() -> None:
    body, type_ = table(warnings=["w"], span={"start": "a", "end": "b"}).body("json")
    assert type_ == JSON_TYPE
    assert orjson.loads(body) == {
        "columns": [{"name": "app", "type": "text"}, {"name": "count", "type": "integer"}],
        "rows": [["a,b", 1], [None, 2]],
        "warnings": ["w"],
        "span": {"start": "a", "end": "b"},
        "stats": {"segments": 1},
    }


def test_csv_has_the_rows() -> None:
    assert table().body("csv") == (b'"app","count"\n"a,b","1"\n,"2"\n', CSV_TYPE)


def test_arrow_has_the_types_too() -> None:
    body, type_ = table().body("arrow")
    assert type_ == ARROW_TYPE
    assert pa.ipc.open_stream(body).read_all() == COUNTS


def test_many_rows_are_written_as_few_are() -> None:
    many = pa.table({"n": range(12_001)})
    assert orjson.loads(table(table=many).as_json())["rows"] == [[n] for n in range(12_001)]


def test_an_event_of_arrow_has_no_columns_of_others() -> None:
    events = pa.table({"time": pa.array([0], pa.timestamp("ns")), "seq": [3], "t_app": ["web"], "t_other": pa.nulls(1)})
    body = table(table=events, are_events=True).as_arrow()
    assert pa.ipc.open_stream(body).read_all().column_names == ["time", "seq", "t_app"]


def test_events_have_columns_of_their_own() -> None:
    events = pa.table({"time": pa.array([0], pa.timestamp("ns")), "seq": [3], "t_app": ["web"]})
    written = table(table=events, are_events=True)
    assert orjson.loads(written.as_json())["rows"][0][-1] == {"app": "web"}
    assert written.as_csv() == b'"time","seq","app"\n"1970-01-01T00:00:00.000000000Z","3","web"\n'


def test_an_empty_table_is_one() -> None:
    assert orjson.loads(table(table=COUNTS.slice(0, 0)).as_json())["rows"] == []
    assert table(table=COUNTS.slice(0, 0)).as_csv() == b'"app","count"\n'


def test_warnings_go_into_a_header_of_ascii_as_many_as_fit() -> None:
    assert table().headers() == {}
    assert json.loads(table(warnings=["ä\n"]).headers()[WARNINGS]) == ["ä\n"]
    many = table(warnings=["x" * 1000] * 10).headers()[WARNINGS]
    assert many.isascii()
    assert len(json.loads(many)) == 3
