"""The paths that Grafana, the `cf query` of the original and the autoscaler ask (loggregator.md 4.3, 4.5)."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest

from log_cache.promql.values import QueryError
from tests.unit.log_cache.rest.fakes import MINE, THEIRS, Visitor

MY_METRIC = f'http{{source_id="{MINE}"}}'
ASK = f"query?query={quote(MY_METRIC)}"


@pytest.fixture
async def visitor() -> Visitor:
    visitor = Visitor()
    visitor.reads.put(MINE, b"1")
    visitor.reads.put(THEIRS, b"2")
    return visitor


async def test_a_query_is_answered_as_prometheus_does(visitor: Visitor) -> None:
    assert await visitor.ask(f"/api/v1/{ASK}&time=1.5", "mine") == 200
    assert visitor.json == {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "2"]}}
    assert visitor.headers["content-type"] == "application/json"
    assert (visitor.queries.asked, visitor.queries.sources) == ([("1.5",)], [(MINE,)])


async def test_a_range_has_a_start_an_end_and_a_step(visitor: Visitor) -> None:
    target = f"/api/v1/query_range?query={quote(MY_METRIC)}&start=1&end=2&step=1s"

    assert await visitor.ask(target, "mine") == 200
    assert visitor.queries.asked == [("1", "2", "1s")]


async def test_a_form_will_do_and_goes_before_the_query(visitor: Visitor) -> None:
    body = urlencode({"query": MY_METRIC, "time": "2"}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert await visitor.ask("/api/v1/query?time=1", "mine", method="POST", body=body, headers=headers) == 200
    assert visitor.queries.asked == [("2",)]


async def test_another_body_will_not(visitor: Visitor) -> None:
    headers = {"content-type": "application/json"}

    assert await visitor.ask("/api/v1/query", "mine", method="POST", body=b"{}", headers=headers) == 415


async def test_a_client_that_leaves_before_its_form_is_there_is_answered_nothing(visitor: Visitor) -> None:
    async def leave() -> Any:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": b"/api/v1/query",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [],
        "state": {"connection": visitor.connection},
    }
    await visitor.door(scope, leave, leave)  # type: ignore[arg-type]  # nothing is sent

    assert visitor.door.counts.requests == {("query", "gone"): 1}


@pytest.mark.parametrize(("token", "everything"), [("mine", False), ("admin", True)])
async def test_only_an_admin_may_ask_for_everything(visitor: Visitor, token: str, everything: bool) -> None:
    await visitor.ask(f"/api/v1/{ASK}", token)

    assert visitor.queries.everything == [everything]


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (QueryError("bad_data", "why"), 400, "bad_data"),
        (QueryError("execution", "why"), 500, "execution"),
        (QueryError("timeout", "why"), 500, "timeout"),
    ],
)
async def test_an_error_says_what_is_wrong(visitor: Visitor, fault: Exception, status: int, kind: str) -> None:
    visitor.queries.fault = fault

    assert await visitor.ask(f"/api/v1/{ASK}") == status
    assert visitor.json == {"status": "error", "errorType": kind, "error": "why"}


@pytest.mark.parametrize(
    ("target", "data", "asked"),
    [
        ("series?match[]=up&start=1&end=2", [{"__name__": "up"}], ("1", "2")),
        ("labels?match[]=up&start=1", ["__name__"], ("1", "")),
        ("labels", ["__name__"], ("", "")),
        ("label/__name__/values?match[]=up", ["up"], ("__name__", "", "")),
        ("label/__name__/values", ["up"], ("__name__", "", "")),
        ("label/source_id/values?match[]=up", ["up"], ("source_id", "", "")),
    ],
)
async def test_what_grafana_asks_beside_queries(
    visitor: Visitor, target: str, data: Any, asked: tuple[str, ...]
) -> None:
    assert await visitor.ask(f"/api/v1/{target}") == 200
    assert visitor.json == {"status": "success", "data": data}
    assert visitor.queries.asked == [asked]


async def test_without_a_selector_others_are_shown_the_labels_of_what_is_theirs(visitor: Visitor) -> None:
    assert await visitor.ask("/api/v1/labels", "mine") == 200
    assert (visitor.queries.sources, visitor.queries.everything) == ([(MINE,)], [False])


async def test_a_selector_of_others_says_of_which_source(visitor: Visitor) -> None:
    assert await visitor.ask("/api/v1/series?match[]=up", "mine") == 400
    assert await visitor.ask(f"/api/v1/series?match[]={quote(MY_METRIC)}&match[]=up", "mine") == 400
    assert await visitor.ask(f"/api/v1/series?match[]=up{{source_id=%22{THEIRS}%22}}", "mine") == 404
    assert visitor.queries.asked == []


async def test_series_are_selected(visitor: Visitor) -> None:
    assert await visitor.ask("/api/v1/series") == 400


@pytest.mark.parametrize(("token", "sources"), [("admin", sorted([MINE, THEIRS])), ("mine", [MINE])])
async def test_the_sources_are_those_that_are_held_and_may_be_read(
    visitor: Visitor, token: str, sources: list[str]
) -> None:
    assert await visitor.ask("/api/v1/label/source_id/values", token) == 200
    assert visitor.json["data"] == sources

    assert await visitor.ask("/api/v1/metadata", token) == 200
    assert visitor.json["data"].keys() == {"up"}
    assert visitor.queries.asked == [tuple(sources)]


async def test_grafana_recognises_a_prometheus(visitor: Visitor) -> None:
    assert await visitor.ask("/api/v1/status/buildinfo", None) == 200
    assert visitor.json["data"]["version"] == "2.24.0"


@pytest.mark.parametrize("target", [ASK, "query_range", "labels", "series", "status/buildinfo", "metadata"])
async def test_without_promql_there_are_no_metrics(target: str) -> None:
    visitor = Visitor({"promql": False})

    assert await visitor.ask(f"/api/v1/{target}") == 501
    assert visitor.body == b"Metrics not available"
    assert await visitor.ask("/api/v1/info") == 200
