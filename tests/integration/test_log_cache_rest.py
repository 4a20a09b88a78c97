"""The REST interface of a log cache as its clients see it, over TLS and with a real cache behind it (4.3, 4.5, 4.7)."""

import time
from typing import Any
from urllib.parse import quote

import pytest
import structlog.testing

from envelope.pb import loggregator_v2_pb2 as v2
from tests.raw_http import ask as ask_raw
from tests.raw_http import request
from tests.running_log_cache import APP, LogCache, log, payloads

OTHER = "9f3c2a41-58cc-4372-a567-0e02b2c3d480"


async def test_the_cli_finds_its_paths_and_reads_recent_logs(cache: LogCache) -> None:
    await cache.put(log("1"), log("2"), v2.Envelope(source_id=APP, timestamp=time.time_ns(), counter={"name": "c"}))

    info = await cache.get("/api/v1/info", None)
    recent = await cache.get(
        f"/api/v1/read/{APP}",
        start_time="-6795364578871345152",
        envelope_types="LOG",
        limit="1000",
        descending="true",
    )

    assert (info.json()["version"], info.text[-1]) == ("3.2.0", "\n")
    assert payloads(recent) == ["2", "1"]
    assert recent.headers["content-type"] == "application/json"


async def test_metadata_and_reads_agree(cache: LogCache) -> None:
    await cache.put(log("1", 5), log("2", 7), log("3", source_id="another"))

    meta = (await cache.get("/api/v1/meta")).json()["meta"]

    assert meta[APP] == {"count": "2", "oldestTimestamp": "5", "newestTimestamp": "7"}
    assert meta.keys() == {APP, "another"}


@pytest.mark.parametrize("source_id", ["a/b c", "ä\n", "../../meta", "%2e%2e", "x" * 10_000, "a?b#c"])
async def test_a_source_of_any_name_is_read(cache: LogCache, source_id: str) -> None:
    await cache.put(log("x", source_id=source_id))

    for safe in ("", "/"):
        target = f"/api/v1/read/{quote(source_id, safe=safe)}"
        answer = await ask_raw(cache.address, cache.trusting, request(target, f"Authorization: bearer {cache.token()}"))
        assert (answer.status, answer.body.count(b"payload")) == (200, 1)


async def test_access_is_refused_with_404_and_nothing_else(cache: LogCache) -> None:
    await cache.put(log("1"), log("2", source_id=OTHER))
    mine = cache.tokens.create(scopes=["source.read"], sources=[APP], expires_in_s=60, now=time.time())

    assert payloads(await cache.get(f"/api/v1/read/{APP}", mine)) == ["1"]
    assert (await cache.get("/api/v1/meta", mine)).json()["meta"].keys() == {APP}
    for path, token in ((f"read/{OTHER}", mine), (f"read/{APP}", None), ("meta", "bad"), ("query?query=up", None)):
        answer = await cache.get(f"/api/v1/{path}", token)
        assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("cursor", ["x", "A" * 38, "ä"])
async def test_a_foreign_cursor_is_refused(cache: LogCache, cursor: str) -> None:
    answer = await cache.get(f"/api/v1/read/{APP}", cursor=cursor)

    assert (answer.status_code, answer.json()["code"]) == (400, 3)


async def test_promql_is_answered_to_a_get_and_to_a_form(cache: LogCache) -> None:
    now = time.time_ns()
    await cache.put(
        *[
            v2.Envelope(source_id=APP, instance_id="0", timestamp=now, timer={"name": "http", "start": 0, "stop": 3})
            for _ in range(2)
        ]
    )
    query = f"sum by (instance_id) (count_over_time(http{{source_id='{APP}'}}[60s])) / 60"
    moment = f"{now / 1e9 + 1:.3f}"

    async with cache.http() as client:
        got = await client.get("/api/v1/query", params={"query": query, "time": moment})
        posted = await client.post("/api/v1/query", data={"query": query, "time": moment})

    assert got.json() == posted.json()
    [sample] = got.json()["data"]["result"]
    assert (got.json()["status"], sample["metric"]) == ("success", {"instance_id": "0"})


@pytest.mark.parametrize(
    ("path", "params", "status", "kind"),
    [
        ("query", {"query": "sum("}, 400, "bad_data"),
        ("query", {"query": f"up{{source_id='{APP}'}}", "time": "x"}, 400, "bad_data"),
        ("query_range", {"query": f"up{{source_id='{APP}'}}", "start": "1"}, 400, "bad_data"),
        ("series", {}, 400, "bad_data"),
    ],
)
async def test_a_bad_query_is_told_what_is_wrong(
    cache: LogCache, path: str, params: dict[str, str], status: int, kind: str
) -> None:
    answer = await cache.get(f"/api/v1/{path}", **params)

    assert (answer.status_code, answer.json()["errorType"]) == (status, kind)


async def test_grafana_is_at_home(cache: LogCache) -> None:
    mine = cache.tokens.create(scopes=["source.read"], sources=[APP], expires_in_s=60, now=time.time())
    gauge = {"metrics": {"cpu": {"unit": "percentage", "value": 5}}}
    await cache.put(
        *[v2.Envelope(source_id=s, timestamp=time.time_ns(), gauge=gauge, tags={"az": s[-1]}) for s in (APP, OTHER)]
    )

    async def data(path: str, token: str, **params: str) -> Any:
        return (await cache.get(f"/api/v1/{path}", token, **params)).json()["data"]

    assert (await data("status/buildinfo", mine))["version"]
    assert await data("label/source_id/values", mine) == [APP]
    assert await data("label/source_id/values", cache.token()) == [APP, OTHER]
    assert await data("label/__name__/values", mine) == ["cpu"]
    assert await data("label/az/values", mine) == ["9"]
    assert await data("label/az/values", cache.token(), **{"match[]": "cpu"}) == ["0", "9"]
    assert set(await data("labels", mine)) == {"__name__", "az", "source_id"}
    assert (await data("metadata", mine)).keys() == {"cpu"}
    [series] = await data("series", mine, **{"match[]": f'cpu{{source_id="{APP}"}}'})
    assert (series["__name__"], series["source_id"]) == ("cpu", APP)


async def test_a_head_is_an_answer_without_its_body(cache: LogCache) -> None:
    async with cache.http() as client:
        head, options, wrong = [
            await client.request(method, f"/api/v1/read/{APP}") for method in ("HEAD", "OPTIONS", "DELETE")
        ]

    assert (head.status_code, head.content, options.status_code, wrong.status_code) == (200, b"", 204, 405)


async def test_requests_are_counted_and_their_lines_hold_no_token(cache: LogCache) -> None:
    with structlog.testing.capture_logs() as lines:
        await cache.get(f"/api/v1/read/{APP}", access_token=cache.token())
        await cache.get("/v1/meta")
        await cache.metric_is('log_cache_rest_requests_total{route="other",status="4xx"}', 1)
    assert await cache.metric('log_cache_rest_requests_total{route="read",status="2xx"}') == 1
    assert [line["status"] for line in lines if line["event"] == "rest_request"] == [200, 404]
    assert cache.token() not in str(lines)
