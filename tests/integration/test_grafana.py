"""Grafana's Prometheus data source at our log cache; answers have the shapes of Prometheus's HTTP API v1 (4.3, 4.4)."""

import math
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from envelope.pb.loggregator_v2_pb2 import Envelope
from tests.prometheus_api import (
    BUILD_INFO,
    FAILURE,
    LABEL_LIST,
    METADATA,
    SERIES,
    VALUE_LIST,
    Grafana,
    check,
    query_result,
    success,
)
from tests.running_log_cache import APP, LogCache, log, open_log_cache

OTHER = "9f3c2a41-58cc-4372-a567-0e02b2c3d480"
SECOND = 1_000_000_000
NOW_S = time.time_ns() // SECOND
MINE = f'{{source_id="{APP}"}}'


def counter(source_id: str, age_s: int, total: int) -> Envelope:
    at = (NOW_S - age_s) * SECOND
    tags = {"az": "z1", "deployment.name": "cf"}
    return Envelope(
        source_id=source_id, instance_id="0", timestamp=at, counter={"name": "requests", "total": total}, tags=tags
    )


def gauge(source_id: str, instance: int, **values: float) -> Envelope:
    metrics = {name: {"unit": "percentage", "value": value} for name, value in values.items()}
    at = (NOW_S - 5) * SECOND
    return Envelope(
        source_id=source_id, instance_id=str(instance), timestamp=at, gauge={"metrics": metrics}, tags={"az": "z2"}
    )


@pytest.fixture
async def cache(certs_dir: Path, tmp_path: Path) -> AsyncIterator[LogCache]:
    async with open_log_cache(certs_dir, tmp_path) as opened:
        requests = [counter(source, 60 - age, age) for source in (APP, OTHER) for age in range(0, 60, 15)]
        timer = {"name": "http", "start": 1, "stop": 5}
        await opened.put(
            *requests,
            gauge(APP, 0, cpu=0.5, odd=math.nan),
            gauge(APP, 1, cpu=1e21, odd=-math.inf),
            Envelope(source_id=APP, timestamp=(NOW_S - 5) * SECOND, timer=timer),
            log("no number", (NOW_S - 5) * SECOND),
        )
        yield opened


@pytest.fixture(params=["GET", "POST"])
async def grafana(cache: LogCache, request: pytest.FixtureRequest) -> AsyncIterator[Grafana]:
    """The data source of somebody who may read everything."""
    async with cache.http() as http:
        yield Grafana(http, request.param)


@pytest.fixture(params=["GET", "POST"])
async def grafana_of_one_app(cache: LogCache, request: pytest.FixtureRequest) -> AsyncIterator[Grafana]:
    """The data source of somebody who may read one app."""
    async with cache.http(cache.token(APP)) as http:
        yield Grafana(http, request.param)


async def test_save_and_test_succeeds(grafana: Grafana) -> None:
    """It evaluates a sum, as of four seconds after 1970, and looks which kind of Prometheus it is."""
    answer = check(await grafana.instant("1+1", 4), query_result("scalar"))
    build = check(await grafana.resource("status/buildinfo"), success(BUILD_INFO))

    assert answer["data"]["result"] == [4, "2"]
    assert tuple(map(int, build["data"]["version"].split("."))) >= (2, 24, 0)


@pytest.mark.parametrize(
    ("query", "kind", "series"),
    [
        (f"requests{MINE}", "vector", 1),
        (f"sum by (az) (cpu{MINE})", "vector", 1),
        ("requests", "vector", 2),
        (f"odd{MINE}", "vector", 2),
        (f"nothing{MINE}", "vector", 0),
        (f"requests{MINE}[1m]", "matrix", 1),
        (f"nothing{MINE}[1m]", "matrix", 0),
        ("1e300 * 1e300", "scalar", None),
        ('"some \\"text\\""', "string", None),
    ],
)
async def test_every_kind_of_result_has_its_shape(grafana: Grafana, query: str, kind: str, series: int | None) -> None:
    answer = check(await grafana.instant(query, NOW_S + 0.123), query_result(kind))

    if series is not None:
        assert len(answer["data"]["result"]) == series


async def test_numbers_are_written_as_prometheus_writes_them(grafana: Grafana) -> None:
    odd = check(await grafana.instant(f"odd{MINE}", NOW_S), query_result("vector"))
    cpu = check(await grafana.instant(f"cpu{MINE}", NOW_S), query_result("vector"))

    assert {sample["value"][1] for sample in odd["data"]["result"]} == {"NaN", "-Inf"}
    assert {sample["value"][1] for sample in cpu["data"]["result"]} == {"0.5", "1000000000000000000000"}


async def test_a_graph_is_a_matrix_of_evenly_spaced_points(grafana: Grafana) -> None:
    start = NOW_S - 60
    answer = check(await grafana.range(f"requests{MINE}", start, NOW_S - 15, 7.5), query_result("matrix"))

    [series] = answer["data"]["result"]
    assert [at for at, _ in series["values"]] == [start + 7.5 * step for step in range(7)]
    assert [value for _, value in series["values"]] == ["0", "0", "15", "15", "30", "30", "45"]
    assert series["metric"] == {"source_id": APP, "instance_id": "0", "az": "z1", "deployment.name": "cf"}


async def test_a_graph_of_nothing_is_an_empty_matrix(grafana: Grafana) -> None:
    answer = check(await grafana.range(f"nothing{MINE}", NOW_S - 60, NOW_S, 15), query_result("matrix"))

    assert answer["data"]["result"] == []


async def test_variables_are_filled_with_labels(grafana: Grafana) -> None:
    async def labels(path: str, schema: Any = VALUE_LIST, **given: Any) -> list[str]:
        found: list[str] = check(await grafana.resource(path, **given), success(schema))["data"]
        return found

    window = {"start": str(NOW_S - 3600), "end": str(NOW_S), "limit": "40000"}
    before = {"start": str(NOW_S - 7200), "end": str(NOW_S - 3600)}
    names = ["__name__", "az", "deployment.name", "instance_id", "source_id"]
    assert await labels("labels", LABEL_LIST, **window) == names
    assert await labels("labels", LABEL_LIST, match=f"cpu{MINE}", **window) == [*names[:2], *names[3:]]
    assert await labels("labels", LABEL_LIST, **before) == []
    assert await labels("label/__name__/values", **window) == ["cpu", "http", "odd", "requests"]
    assert await labels("label/az/values", **window) == ["z1", "z2"]
    assert await labels("label/az/values", match=["requests", f"odd{MINE}"], **window) == ["z1", "z2"]
    assert await labels("label/instance_id/values", match='{__name__=~"cpu|requests",az!="z1"}') == ["0", "1"]
    assert await labels("label/source_id/values") == [APP, OTHER]
    assert await labels("label/nothing/values", **window) == []
    assert await labels("label/az/values", **before) == []


async def test_series_are_listed_by_selectors(grafana: Grafana) -> None:
    window = {"start": str(NOW_S - 3600), "end": str(NOW_S)}
    matches = [f"requests{MINE}", f'{{__name__="cpu",source_id="{APP}"}}']

    found = check(await grafana.resource("series", match=matches, **window), success(SERIES))["data"]

    assert [(series["__name__"], series["instance_id"]) for series in found] == [
        ("cpu", "0"),
        ("cpu", "1"),
        ("requests", "0"),
    ]


async def test_metadata_says_what_metrics_are(grafana: Grafana) -> None:
    found = check(await grafana.resource("metadata", limit="40000"), success(METADATA))["data"]

    assert found["requests"] == [{"type": "counter", "help": "", "unit": ""}]
    assert found["cpu"] == [{"type": "gauge", "help": "", "unit": "percentage"}]
    assert found["http"] == [{"type": "gauge", "help": "", "unit": "ns"}]


async def test_somebody_who_reads_one_app_sees_that_app_alone(grafana_of_one_app: Grafana) -> None:
    grafana = grafana_of_one_app
    for path, shape in (("label/source_id/values", VALUE_LIST), ("labels", LABEL_LIST), ("metadata", METADATA)):
        assert check(await grafana.resource(path), success(shape))["data"]
    found = check(await grafana.resource("series", match=f"requests{MINE}"), success(SERIES))["data"]
    theirs = await grafana.resource("series", match=f'requests{{source_id="{OTHER}"}}')
    answer = check(await grafana.instant(f"requests{MINE}", NOW_S), query_result("vector"))

    assert {series["source_id"] for series in found} == {APP}
    assert (theirs.status_code, theirs.content) == (404, b"")
    assert len(answer["data"]["result"]) == 1


def failed(answer: httpx.Response) -> tuple[int, str, str]:
    body = check(answer, FAILURE)
    return answer.status_code, body["errorType"], body["error"]


async def test_save_and_test_says_what_the_original_s_proxy_says_to_others(grafana_of_one_app: Grafana) -> None:
    reason = "query does not request any source_ids"

    assert failed(await grafana_of_one_app.instant("1+1", 4)) == (400, "bad_data", reason)
    assert failed(await grafana_of_one_app.resource("series", match="requests")) == (400, "bad_data", reason)


@pytest.mark.parametrize("query", ["sum(", "", "requests{", "rate(requests)", "foo(1)", "x" * 20_000 + "{"])
async def test_a_query_that_is_none_is_bad_data(grafana: Grafana, query: str) -> None:
    status, kind, _ = failed(await grafana.instant(query, NOW_S))

    assert (status, kind) == (400, "bad_data")


@pytest.mark.parametrize(
    ("start", "end", "step"), [(10, 5, 1), (0, 20, 0), (0, 20, -1), (0, 1_000_000, 1), (0, 20, math.nan)]
)
async def test_a_range_that_is_none_is_bad_data(grafana: Grafana, start: float, end: float, step: float) -> None:
    status, kind, _ = failed(await grafana.range(f"requests{MINE}", start, end, step))

    assert (status, kind) == (400, "bad_data")


async def test_what_cannot_be_matched_is_an_error_of_execution(grafana: Grafana) -> None:
    status, kind, _ = failed(await grafana.instant(f"cpu{MINE} * on(source_id) cpu{MINE}", NOW_S))

    assert (status, kind) == (500, "execution")


async def test_series_without_a_selector_are_bad_data(grafana: Grafana) -> None:
    assert failed(await grafana.resource("series")) == (400, "bad_data", "no match[] parameter provided")


@pytest.mark.parametrize("path", ["rules", "alerts", "targets", "status/config", "format_query", "nothing"])
async def test_what_is_not_there_is_not_found_in_json(grafana: Grafana, path: str) -> None:
    for answer in (await grafana.resource(path, query="up"), await grafana.exemplars(f"requests{MINE}", 0, NOW_S)):
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
        assert answer.json() == {"code": 5, "message": "Not Found", "details": []}
