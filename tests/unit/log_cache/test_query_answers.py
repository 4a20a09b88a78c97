"""What PromQL over cached envelopes answers, as clients ask for it (loggregator.md 4.3, 4.4)."""

from log_cache.promql.query import parse
from tests.unit.log_cache.nodes import run
from tests.unit.log_cache.querying import NOW_S, Node, vector


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
