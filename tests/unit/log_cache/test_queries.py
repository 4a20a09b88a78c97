"""PromQL over cached envelopes, as clients ask for it and within bounds of time (loggregator.md 4.3, 4.4)."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache import queries as module
from log_cache.cache import Cache
from log_cache.promql.query import Query, parse
from log_cache.promql.values import QueryError, Result
from log_cache.queries import MAX_MATCHES, Queries
from log_cache.reads import Reads
from log_cache.store import Store, StoreLimits
from plumbing.unary_client import CallFailed

SECOND = 1_000_000_000
NOW_S = 1_700_000_000
NOW = NOW_S * SECOND + SECOND // 3


class Node:
    def __init__(self, *, timeout_s: float = 5.0, at_once: int = 2) -> None:
        self.cache = Cache(Store(StoreLimits()), lambda: NOW)
        reads = Reads(self.cache, incarnation=7, now_ns=lambda: NOW, settle_ns=0, threads=2)
        self.queries = Queries(reads, now_ns=lambda: NOW, timeout_s=timeout_s, at_once=at_once)

    def put(self, ago_s: float, source_id: str = "app", instance_id: str = "0", **fields: Any) -> None:
        time = NOW_S * SECOND - int(ago_s * SECOND)
        envelope = Envelope(source_id=source_id, instance_id=instance_id, timestamp=time, **fields)
        self.cache.put(frame(envelope.SerializeToString()), 1)

    def put_counter(self, ago_s: float, name: str, total: int, **fields: Any) -> None:
        self.put(ago_s, counter={"name": name, "total": total}, **fields)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(bounded())


def vector(result: Result) -> list[tuple[dict[str, str], float, float]]:
    assert result.kind == "vector"
    return [(dict(labels), time_s, value) for labels, time_s, value in result.data]


async def refusal(asking: Coroutine[Any, Any, Any]) -> tuple[str, str]:
    with pytest.raises(QueryError) as caught:
        await asking
    return caught.value.kind, str(caught.value)


def test_a_counter_is_its_total() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(10, "http.requests", 41, tags={"job": "api"})
        result = await node.queries.instant('http_requests{source_id="app"}')

        assert vector(result) == [({"instance_id": "0", "job": "api", "source_id": "app"}, NOW_S, 41.0)]

    run(scenario)


def test_a_gauge_is_its_value() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(10, gauge={"metrics": {"cpu": {"value": 0.5}, "memory": {"value": 3}}})

        assert vector(await node.queries.instant('cpu{source_id="app"}'))[0][2] == 0.5

    run(scenario)


def test_a_timer_is_its_duration_in_nanoseconds() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(10, timer={"name": "http", "start": 1_000, "stop": 4_500})

        assert vector(await node.queries.instant('http{source_id="app"}'))[0][2] == 3500.0

    run(scenario)


def test_logs_and_events_are_not_queryable() -> None:
    async def scenario() -> None:
        node = Node()
        node.put(10, log={"payload": b"cpu"})
        node.put(10, event={"title": "cpu"})

        assert vector(await node.queries.instant('{source_id="app"}')) == []

    run(scenario)


def test_what_an_autoscaler_asks_is_answered_by_instance() -> None:
    """loggregator.md 1.16."""

    async def scenario() -> None:
        node = Node()
        for ago, instance, milliseconds in [(31, "0", 9), (29.5, "0", 2), (20, "0", 4), (10, "1", 8)]:
            node.put(ago, instance_id=instance, timer={"name": "http", "start": 0, "stop": milliseconds * 1_000_000})
        counted = await node.queries.instant(
            "sum by (instance_id) (count_over_time(http{source_id='app'}[30s])) / 30", f"{NOW_S}.000"
        )
        slowest = await node.queries.instant(
            "avg by (instance_id) (max_over_time(http{source_id='app'}[30s])) / (1000 * 1000)"
        )

        assert [(labels, value * 30) for labels, _, value in vector(counted)] == [
            ({"instance_id": "0"}, 2.0),
            ({"instance_id": "1"}, 1.0),
        ]
        assert [value for *_, value in vector(slowest)] == [4.0, 8.0]

    run(scenario)


def test_matchers_do_what_they_say() -> None:
    async def scenario() -> None:
        node = Node()
        for job in ("api", "web", "db"):
            node.put_counter(10, "requests", 1, tags={"job": job})

        async def jobs(matchers: str) -> list[str]:
            found = vector(await node.queries.instant(f'requests{{source_id="app", {matchers}}}'))
            return [labels["job"] for labels, *_ in found]

        assert await jobs('job!="api"') == ["db", "web"]
        assert await jobs('job=~"a.+|w.+"') == ["api", "web"]
        assert await jobs('instance_id="0", job="db"') == ["db"]

    run(scenario)


def test_the_default_time_is_now_to_the_second() -> None:
    async def scenario() -> None:
        result = await Node().queries.instant("1")

        assert (result.kind, result.data) == ("scalar", (NOW_S, 1.0))

    run(scenario)


def test_a_sample_stands_at_its_whole_second_and_is_looked_for_five_minutes() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(299.5, "young", 1)
        node.put_counter(300.5, "old", 1)
        young = await node.queries.instant('timestamp(young{source_id="app"})')
        old = await node.queries.instant('old{source_id="app"}')

        assert [value for *_, value in vector(young)] == [NOW_S - 300]
        assert vector(old) == []

    run(scenario)


def test_nothing_later_than_the_moment_counts() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(100, "requests", 1)
        node.put_counter(99.5, "requests", 2)
        result = await node.queries.instant('requests{source_id="app"}', str(NOW_S - 100))

        assert [value for *_, value in vector(result)] == [1.0]

    run(scenario)


def test_a_range_query_has_a_point_at_every_step() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(20, "requests", 1)
        node.put_counter(10, "requests", 5)
        result = await node.queries.range('requests{source_id="app"}', str(NOW_S - 20), str(NOW_S), "10s")

        assert result.kind == "matrix"
        assert result.data == [
            (
                (("instance_id", "0"), ("source_id", "app")),
                [(NOW_S - 20, 1.0), (NOW_S - 10, 5.0), (NOW_S, 5.0)],
            )
        ]

    run(scenario)


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


def test_a_parsed_query_is_confined_to_the_sources_it_was_given() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(10, "requests", 1, source_id="guid-1")
        node.put_counter(10, "requests", 2, source_id="guid-2")
        query = parse('requests{source_id="name"}').renamed({"name": ["guid-2"]})

        assert [value for *_, value in vector(await node.queries.instant(query))] == [2.0]

    run(scenario)


def test_results_carry_no_name() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(10, "requests", 1)
        instant = await node.queries.instant('requests{source_id="app"}')
        raw = await node.queries.instant('requests{source_id="app"}[1m]')

        assert "__name__" not in vector(instant)[0][0]
        assert [labels for labels, _ in raw.data] == [(("instance_id", "0"), ("source_id", "app"))]

    run(scenario)


def test_results_carry_the_name_where_the_selector_does_not_give_it() -> None:
    async def scenario() -> None:
        node = Node()
        node.put_counter(10, "cpu", 1)
        node.put_counter(10, "disk", 2)
        result = await node.queries.instant('{__name__=~"cpu|disk", source_id="app"}')

        assert [labels["__name__"] for labels, *_ in vector(result)] == ["cpu", "disk"]

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
