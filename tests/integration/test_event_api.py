"""The event store's HTTP API as its clients see it: over TLS, with a real store behind it that a Doppler feeds."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pyarrow as pa
import pytest
import trio

from event_store.engine import Engine, QueryFailed, QueryRefused
from event_store.http.openapi import SCHEMAS
from tests.fakes.event_answers import Question
from tests.running import eventually
from tests.running_event_api import EventApi, log, open_event_api


@pytest.fixture
async def api(certs_dir: Path, tmp_path: Path) -> AsyncIterator[EventApi]:
    async with open_event_api(certs_dir, tmp_path) as api:
        yield api


def is_as_documented(name: str, answer: Any) -> None:
    """See that an answer is as the OpenAPI document says."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    jsonschema.validate(answer, schema)


def rows_of(answer: Any) -> list[dict[str, Any]]:
    names = [column["name"] for column in answer["columns"]]
    return [dict(zip(names, row, strict=True)) for row in answer["rows"]]


async def fill(api: EventApi) -> None:
    """Thirty lines of two sources, some of them errors, and a counter."""
    now = time.time_ns()
    lines = [
        log(
            f'{{"level":"{"info" if n % 3 else "error"}","status":{200 + n},"msg":"request"}}',
            "web" if n % 2 else "db",
            now - 10**9 + n,
            app=f"app-{n % 2}",
        )
        for n in range(30)
    ]
    counter = log("", "web", now)
    counter.ClearField("log")
    counter.counter.name, counter.counter.delta, counter.counter.total = "orders", 2, 7
    await api.send(*lines, counter)


async def test_queries_of_every_form(api: EventApi) -> None:
    await fill(api)

    events = (await api.get("/api/query", query="error app:app-1", limit=3)).json()
    is_as_documented("Table", events)
    shown = rows_of(events)
    assert [(row["source_id"], row["severity"], row["fields"]["status"]) for row in shown] == [
        ("web", "error", 215),
        ("web", "error", 221),
        ("web", "error", 227),
    ]
    assert shown[0]["fields"] == {"app": "app-1", "level": "error", "status": 215, "f_msg": "request"}
    assert shown[0]["time"].endswith("Z")
    assert len(shown[0]["time"]) == 30
    assert events["columns"][-1] == {"name": "fields", "type": "object"}

    counted = (await api.post("/api/query", query="type:log | count by severity")).json()
    is_as_documented("Table", counted)
    assert rows_of(counted) == [{"severity": "info", "count": 20}, {"severity": "error", "count": 10}]
    assert [column["type"] for column in counted["columns"]] == ["text", "integer"]

    [counter] = rows_of((await api.get("/api/query", query="type:counter")).json())
    assert (counter["name"], counter["value"], counter["fields"]) == ("orders", 7.0, {"delta": 2})

    warned = (await api.get("/api/query", query="no_such:1")).json()
    assert (warned["rows"], len(warned["warnings"])) == ([], 1)


async def test_formats(api: EventApi) -> None:
    await fill(api)

    written = await api.get("/api/query", query="error nonsuch:x or error", limit=2, format="csv")
    [first, _] = csv.DictReader(io.StringIO(written.text))
    assert (written.headers["content-type"], first["status"], first["app"]) == (
        "text/csv; charset=utf-8; header=present",
        "224",
        "app-0",
    )
    assert "nonsuch" in orjson.loads(written.headers["standpipe-warnings"])[0]

    answer = await api.get("/api/query", query="| count by source_id", format="arrow")
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    table = pa.ipc.open_stream(answer.content).read_all()
    assert sorted(table.to_pylist(), key=str) == [{"source_id": "db", "count": 15}, {"source_id": "web", "count": 16}]


async def test_progress_is_told_in_lines_and_so_is_an_error(api: EventApi) -> None:
    await fill(api)

    answer = await api.post("/api/query", query="| count", progress="true")
    lines = [orjson.loads(line) for line in answer.content.splitlines()]
    for line in lines:
        is_as_documented("Line", line)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert "progress" in lines[0]
    assert lines[-1]["result"]["rows"] == [[31]]

    refused = await api.post("/api/sql", sql="SELECT * FROM read_csv('/etc/passwd')", progress="true")
    assert orjson.loads(refused.content.splitlines()[-1])["error"]["code"] == "syntax"


async def test_what_the_page_asks(api: EventApi) -> None:
    await fill(api)

    over_time = (await api.get("/api/timeseries", query="type:log", buckets=10, by="severity")).json()
    is_as_documented("Timeseries", over_time)
    assert {each["name"]: sum(each["values"]) for each in over_time["series"]} == {"info": 20, "error": 10}
    assert {len(each["values"]) for each in over_time["series"]} == {len(over_time["times"])}
    assert over_time["times"][1] - over_time["times"][0] == over_time["step_ms"]

    alone = (await api.get("/api/timeseries", query="type:log", step="1m")).json()
    assert (alone["step_ms"], [each["name"] for each in alone["series"]]) == (60_000, ["count"])
    assert sum(alone["series"][0]["values"]) == 30

    facets = (await api.get("/api/facets", query="", field="status", limit=2)).json()
    is_as_documented("Facets", facets)
    assert (len(facets["values"]), facets["other"], facets["missing"], facets["total"]) == (2, 28, 1, 31)
    assert facets["values"][0]["count"] == 1
    assert isinstance(facets["values"][0]["value"], int)

    fields = (await api.get("/api/fields", query="")).json()
    is_as_documented("Fields", fields)
    known = {(each["name"], each["kind"]): each for each in fields["fields"]}
    assert known["status", "field"]["type"] == "number"
    assert known["app", "tag"]["count"] == 30
    assert ("f_msg", "field") in known  # msg is the message


async def test_the_fake_that_the_page_is_tested_with_answers_alike(api: EventApi) -> None:
    await fill(api)
    events = rows_of((await api.get("/api/query", query="type:log")).json())

    async def both(path: str, **asked: str) -> tuple[Any, Any]:
        question = Question(asked, events, time.time_ns())
        answers = {"query": question.query_answer, "facets": question.facets, "timeseries": question.timeseries}
        return (await api.get(f"/api/{path}", **asked)).json(), answers[path]()

    for text in ("error type:log", "status >= 210 type:log", "error type:log | count by source_id"):
        real, fake = await both("query", query=text)
        assert (real["columns"], sorted(real["rows"])) == (fake["columns"], sorted(fake["rows"]))
        assert real.keys() == fake.keys()
        assert real["stats"].keys() == fake["stats"].keys()
    real, fake = await both("facets", query="type:log", field="severity")
    assert {name: real[name] for name in fake} == fake
    real, fake = await both("timeseries", query="type:log", by="severity", buckets="10")
    assert {each["name"]: sum(each["values"]) for each in real["series"]} == {
        each["name"]: sum(each["values"]) for each in fake["series"]
    }
    assert fake.keys() == real.keys()


async def test_sql_and_stats_are_for_administrators(api: EventApi) -> None:
    await fill(api)

    found = await api.post("/api/sql", sql="SELECT source_id, count(*) AS n FROM events GROUP BY 1 ORDER BY 1")
    is_as_documented("Table", found.json())
    assert found.json()["rows"] == [["db", 15], ["web", 16]]

    stats = (await api.get("/api/stats")).json()
    is_as_documented("StoreStats", stats)
    assert (stats["events"], stats["oldest"] < stats["newest"]) == (31, True)

    mine = api.token("web")
    for answer in (await api.post("/api/sql", mine, sql="SELECT 1"), await api.get("/api/stats", mine)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    for token in (None, "bad"):
        for path in ("query", "tail", "timeseries", "facets", "fields", "stats"):
            answer = await api.get(f"/api/{path}", token)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def test_others_see_their_sources_alone_whatever_they_write(api: EventApi) -> None:
    await fill(api)
    mine = api.token("db", "of-nobody")

    for query in ("", "source:web or source:db", "not source:db or true", "| top 9 source_id where source_id:*"):
        found = rows_of((await api.get("/api/query", mine, query=query)).json())
        assert {row["source_id"] for row in found} <= {"db"}
    for token, told in ((mine, []), ("", ['no event has a field "statsu" (did you mean status?)'])):
        wrong = (await api.get("/api/query", token, query="statsu:1")).json()
        assert wrong["warnings"] == told
    facets = (await api.get("/api/facets", mine, query="source:*", field="source_id")).json()
    assert (facets["values"], facets["total"]) == ([{"value": "db", "count": 15}], 15)
    over_time = (await api.get("/api/timeseries", mine, by="source_id")).json()
    assert [each["name"] for each in over_time["series"]] == ["db"]
    for answer in (found_of_mine := (await api.get("/api/query", mine, query="")).json(), facets, over_time):
        assert answer["stats"].keys() == {"elapsed_ms"}, "how much others have is nobody's business"
    is_as_documented("Table", found_of_mine)
    lines = (await api.post("/api/query", mine, query="| count", progress="true")).content.splitlines()
    assert orjson.loads(lines[0]) == {"progress": {"done": 0.0}}


async def test_others_are_not_told_what_the_engine_says(api: EventApi, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(api)
    mine = api.token("db")
    for error, code in ((QueryFailed, "internal"), (QueryRefused, "syntax")):

        def fail(*_: Any, error: type[Exception] = error, **__: Any) -> Any:
            raise error("day=2026-01-31/L1-7.parquet holds 'a secret of web'")

        monkeypatch.setattr(Engine, "run", fail)
        told = (await api.get("/api/query", mine, query="x")).json()["error"]
        assert (told["code"], "log" in told["message"], "parquet" in told["message"]) == (code, True, False)
        assert "secret" not in told["message"]
        assert "parquet" in (await api.get("/api/query", query="x")).json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "params", "status", "error"),
    [
        ("query", {"query": "a ) b"}, 400, {"code": "syntax", "column": 3}),
        ("query", {"query": "| cuont"}, 400, {"code": "syntax", "column": 3, "suggestion": "did you mean count?"}),
        ("query", {"query": "x", "start": "tomorrow"}, 400, {"code": "syntax"}),
        ("query", {"query": "x", "start": "1h", "end": "2h"}, 400, {"code": "syntax"}),
        ("query", {"query": "x" * 10_001}, 400, {"code": "syntax"}),
        ("query", {"query": "x", "limit": "0"}, 400, {"code": "syntax"}),
        ("query", {"query": "x", "format": "xml"}, 400, {"code": "syntax"}),
        ("query", {"querry": "x"}, 400, {"code": "syntax"}),
        ("tail", {"query": "x | count"}, 400, {"code": "syntax"}),
        ("facets", {"query": "x"}, 400, {"code": "syntax"}),
        ("timeseries", {"query": "last 10d", "step": "1s"}, 400, {"code": "syntax"}),
        ("nothing", {}, 404, {"code": "not_found"}),
        ("sql", {}, 405, {"code": "not_found"}),
    ],
)
async def test_errors_say_what_and_where(
    api: EventApi, path: str, params: dict[str, str], status: int, error: dict[str, Any]
) -> None:
    answer = await api.get(f"/api/{path}", **params)

    is_as_documented("Error", answer.json())
    assert answer.status_code == status
    assert answer.json()["error"].items() >= error.items()


async def test_a_body_has_bounds(api: EventApi) -> None:
    assert (await api.post("/api/query", query="x" * 70_000)).json()["error"]["code"] == "too_large"
    async with api.http() as client:
        answer = await client.post("/api/query", content=b"<x/>", headers={"content-type": "text/xml"})
        assert answer.status_code == 415
        asked = await client.post("/api/query", json={"query": "| count", "limit": 1})
        assert asked.json()["rows"] == [[0]]


async def test_a_live_tail_goes_on_where_it_was_whatever_the_clocks_say(api: EventApi) -> None:
    ahead = time.time_ns() + 10**15
    async with api.tail("error") as tail:
        await api.send(log("error one", at=ahead), log("quiet"))
        assert (await tail.next())[1]["message"] == "error one"
        place = tail.last_id
    async with api.tail("quiet") as other:
        assert int(other.last_id) > int(place), "a tail has a place from the beginning"
    await api.send(log("error two"), log("quiet"), log("error three", "db"))
    async with api.tail("error", last_id=place) as tail, api.tail("error", api.token("db"), last_id=place) as of_db:
        await api.send(log("error four", "db"))
        assert [(await tail.next())[1]["message"] for _ in range(3)] == ["error two", "error three", "error four"]
        assert [(await of_db.next())[1]["message"] for _ in range(2)] == ["error three", "error four"]


async def test_a_live_tail_has_what_comes_at_once(api: EventApi) -> None:
    async with api.tail("error source:web") as all_events, api.tail("", api.token("db")) as of_db:
        sent_at = time.monotonic()
        await api.send(log("an error", "web", app="a"), log("quiet", "web"), log("an error", "db"))

        name, event = await all_events.next()
        assert time.monotonic() - sent_at < 5.0
        assert (name, event["message"], event["source_id"], event["fields"]) == (
            "event",
            "an error",
            "web",
            {"app": "a"},
        )
        is_as_documented("Event", event)
        assert (await of_db.next())[1]["source_id"] == "db"
        await api.send(log("quiet", "web"), log("last error", "web"))
        assert (await all_events.next())[1]["message"] == "last error"
    await eventually(lambda: _is(api, "event_store_http_tails", 0.0))
    found = rows_of((await api.get("/api/query", query="error source:web")).json())
    assert found[0] == event


async def _is(api: EventApi, name: str, value: float) -> bool:
    return await api.metric(name) == value


async def test_a_slow_tail_loses_its_own_oldest_and_is_told(certs_dir: Path, tmp_path: Path) -> None:
    async with open_event_api(certs_dir, tmp_path, http={"enabled": True, "tail_events": 5}) as api:
        async with api.tail("line") as slow:
            for start in range(0, 400, 100):
                await api.send(*[log(f"line {n}" + "x" * 50_000) for n in range(start, start + 100)])
            seen, dropped = 0, 0
            with trio.fail_after(20):
                while seen + dropped < 400:
                    name, data = await slow.next()
                    seen += name == "event"
                    dropped += data["count"] if name == "dropped" else 0
        assert dropped > 0
        assert await api.metric("event_store_http_tail_events_dropped_total") == dropped


async def test_a_client_that_leaves_ends_its_query(api: EventApi) -> None:
    await fill(api)
    endless = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: api.post("/api/sql", sql=endless))
        await eventually(lambda: _is(api, "event_store_http_queries", 1.0))
        nursery.cancel_scope.cancel()
    await eventually(lambda: _is(api, "event_store_http_queries", 0.0))
    assert await api.metric("event_store_http_queries_cancelled_total") == 1.0


async def test_queries_beyond_the_limit_and_the_time_are_refused(certs_dir: Path, tmp_path: Path) -> None:
    endless = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3"
    limits = {"concurrent": 1, "seconds": 2.0}
    http = {"enabled": True, "queue_s": 0.01}
    async with open_event_api(certs_dir, tmp_path, query=limits, http=http) as api, trio.open_nursery() as nursery:
        answers: list[Any] = []

        async def ask() -> None:
            answers.append((await api.post("/api/sql", sql=endless)).json())

        nursery.start_soon(ask)
        await eventually(lambda: _is(api, "event_store_http_queries", 1.0))
        busy = await api.get("/api/query", query="| count")
        assert (busy.status_code, busy.json()["error"]["code"], busy.headers["retry-after"]) == (429, "busy", "1")
        await eventually(lambda: _is(api, "event_store_http_queries", 0.0))
    assert answers[0]["error"]["code"] == "timeout"


async def test_the_page_and_the_document_are_for_anybody(api: EventApi) -> None:
    async with api.http(None) as client:
        page = await client.get("/?query=error")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        again = await client.get("/", headers={"if-none-match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert (await client.get("/static/page.js")).headers["content-type"].startswith("text/javascript")
        assert (await client.get("/static/..%2ffiles.py")).status_code == 404
        assert (await client.get("/api/openapi.json")).json()["openapi"] == "3.1.0"
