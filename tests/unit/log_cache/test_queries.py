"""PromQL over cached envelopes: what is refused, listed and counted, in bounds of time (loggregator.md 4.3, 4.4)."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from log_cache import queries as module
from log_cache.promql.query import Query
from log_cache.promql.values import QueryError, Result
from log_cache.queries import MAX_MATCHES
from plumbing.unary_client import CallFailed
from tests.unit.log_cache.nodes import run
from tests.unit.log_cache.querying import NOW_S, Node, refusal, vector


def test_parameters_are_refused_by_their_names() -> None:
    async def scenario() -> None:
        queries = Node().queries

        assert await refusal(queries.instant("1", "then")) == (
            "bad_data",
            'couldn\'t parse time: cannot parse "then" to a valid Unix or RFC3339 timestamp',
        )
        assert (await refusal(queries.range("1", "", "1", "1")))[1].startswith("couldn't parse start: cannot parse")
        assert (await refusal(queries.range("1", "1", "x", "1")))[1].startswith("couldn't parse end: cannot parse")
        assert (await refusal(queries.range("1", "1", "1", "x")))[1].startswith("couldn't parse step: cannot parse")
        assert (await refusal(queries.range("1", "1", "1", "0")))[0] == "bad_data"

    run(scenario)


def test_a_query_that_does_not_parse_is_refused() -> None:
    async def scenario() -> None:
        assert (await refusal(Node().queries.instant("sum(")))[0] == "bad_data"

    run(scenario)


def test_a_selector_without_a_source_is_refused_unless_everything_may_be_asked_for() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(10, "requests", 1)
        node.put_counter(10, "requests", 2, source_id="other")

        assert await refusal(node.queries.instant('requests{source_id="app"} + requests')) == (
            "bad_data",
            "metric 'requests' does not have a 'source_id' label",
        )
        assert vector(await node.queries.instant("sum(requests)", everything=True)) == [({}, NOW_S, 3.0)]

    run(scenario)


def test_a_query_that_takes_too_long_times_out_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        node = Node(timeout_s=0.05)
        go = threading.Event()
        monkeypatch.setattr(Query, "evaluate", lambda *_: go.wait(5))
        refused = await refusal(node.queries.instant("1"))
        go.set()

        assert refused == ("timeout", "query timed out in query execution")
        assert (node.queries.counts.failures, node.queries.counts.timeouts) == (1, 1)

    run(scenario)


def test_an_evaluation_notices_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        node = Node(timeout_s=0.05)
        noticed = threading.Event()

        def evaluate(_: object, __: object, ___: object, budget: Any) -> None:
            try:
                while True:
                    budget.check()
            except QueryError:
                noticed.set()
                raise

        monkeypatch.setattr(Query, "evaluate", evaluate)

        assert (await refusal(node.queries.instant("1")))[0] == "timeout"
        assert await asyncio.to_thread(noticed.wait, 5)
        assert node.queries.counts.timeouts == 1

    run(scenario)


def test_one_query_more_waits_and_its_time_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        node = Node(timeout_s=1.0, at_once=1)
        go = threading.Event()
        monkeypatch.setattr(module, "_result", lambda *_: go.wait(5) and Result("scalar", (0.0, 1.0)))
        first = asyncio.ensure_future(node.queries.instant("1"))
        while not node.queries.counts.running:
            await asyncio.sleep(0)
        second = asyncio.ensure_future(node.queries.instant("1"))
        await asyncio.sleep(0.01)
        running = node.queries.counts.running
        go.set()
        await asyncio.gather(first, second)

        assert running == 1
        assert node.queries.counts.queries["instant"] == 2

    run(scenario)


def test_every_question_is_counted_with_how_long_it_took() -> None:
    async def scenario() -> None:
        node = Node()
        await node.queries.instant("1")
        await node.queries.range("1", "0", "1", "1")
        await node.queries.metadata()
        await refusal(node.queries.instant("("))
        counts = node.queries.counts

        assert counts.queries == {"instant": 2, "range": 1, "listing": 1}
        assert (counts.failures, counts.timeouts, counts.running) == (1, 0, 0)
        assert counts.seconds["instant"] > counts.last_s["instant"] > 0

    run(scenario)


def test_series_labels_and_values_are_listed_for_what_a_selector_accepts() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(10, "http.requests", 1, tags={"job": "api"})
        node.put_counter(5000, "disk", 1, tags={"zone": "z1"})
        node.put_counter(10, "cpu", 1, source_id="other")
        queries, matches = node.queries, ['{source_id="app"}']

        assert await queries.series(['http_requests{source_id="app"}']) == [
            {"__name__": "http_requests", "instance_id": "0", "job": "api", "source_id": "app"}
        ]
        assert await queries.labels(matches) == ["__name__", "instance_id", "job", "source_id", "zone"]
        assert await queries.label_values("__name__", matches) == ["disk", "http_requests"]
        assert await queries.label_values("__name__", matches, str(NOW_S - 60), str(NOW_S)) == ["http_requests"]
        assert await queries.label_values("source_id", everything=True) == ["app", "other"]

    run(scenario)


def test_a_listing_of_everything_is_for_whoever_may() -> None:
    async def scenario() -> None:
        queries = Node().queries

        assert await refusal(queries.labels()) == ("bad_data", "no match[] parameter provided")
        assert (await refusal(queries.series(["cpu"])))[1] == "metric 'cpu' does not have a 'source_id' label"
        assert await queries.labels(everything=True) == []

    run(scenario)


def test_a_listing_takes_so_many_selectors() -> None:
    async def scenario() -> None:
        queries = Node().queries

        assert await queries.labels(['cpu{source_id="a"}'] * MAX_MATCHES) == []
        assert (await refusal(queries.labels(['cpu{source_id="a"}'] * (MAX_MATCHES + 1))))[0] == "bad_data"

    run(scenario)


def test_metadata_says_what_the_metrics_of_some_sources_are() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(10, "http.requests", 1)
        node.put(10, source_id="other", gauge={"metrics": {"cpu": {"unit": "percentage", "value": 1}}})
        counter, gauge = (
            {"type": "counter", "help": "", "unit": ""},
            {"type": "gauge", "help": "", "unit": "percentage"},
        )

        assert await node.queries.metadata() == {"cpu": [gauge], "http_requests": [counter]}
        assert await node.queries.metadata(["app", "nobody"]) == {"http_requests": [counter]}

    run(scenario)


@pytest.mark.parametrize("asked", ["instant", "range", "series", "metadata"])
def test_what_another_node_says_is_the_error_of_the_query(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        queries = Node().queries

        async def fail(*_: Any, **__: Any) -> Any:
            raise CallFailed("DEADLINE_EXCEEDED", "too slow")

        monkeypatch.setattr(queries._reads, "is_here", lambda _: False)
        monkeypatch.setattr(queries._reads, "samples", fail)
        monkeypatch.setattr(queries._reads, "read", fail)
        text = 'cpu{source_id="app"}'
        asking: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "instant": lambda: queries.instant(text),
            "range": lambda: queries.range(text, "1", "2", "1"),
            "series": lambda: queries.series([text]),
            "metadata": lambda: queries.metadata(["app"]),
        }

        assert await refusal(asking[asked]()) == ("execution", "too slow")

    run(scenario)


def test_nothing_is_evaluated_once_closed() -> None:
    async def scenario() -> None:
        node = Node()
        node.queries.close()

        with pytest.raises(RuntimeError):
            await node.queries.instant("1")

    run(scenario)
