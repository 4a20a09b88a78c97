"""What hostile and broken clients send a log cache: it is refused or held, it is counted, and others are served."""

from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from envelope.framing import frame, varint
from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope
from tests.log_cache_node import Node, logs, node
from tests.running import accounts, metric, metric_is

LEAST, MOST = -(2**63), 2**63 - 1


class Raw:
    """A request of bytes as they are."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    def SerializeToString(self) -> bytes:
        return self._message


async def test_times_of_every_kind_are_held_and_found(certs_dir: Path) -> None:
    times = [LEAST, -1, 0, 1, 2**62, MOST - 1]
    async with node(certs_dir) as client:
        await client.send(logs("app", times[::-1]))

        assert await client.times(start_time=LEAST, end_time=MOST) == times
        assert await client.times(start_time=LEAST, end_time=MOST, descending=True) == times[::-1]
        assert await client.times(start_time=-1, end_time=1) == [-1, 0]


async def test_ten_thousand_of_one_nanosecond_come_once_each(certs_dir: Path) -> None:
    async with node(certs_dir) as client:
        for start in range(0, 10_000, 2500):
            numbers = range(start, start + 2500)
            await client.send([Envelope(source_id="app", timestamp=7, instance_id=str(number)) for number in numbers])

        seen: list[str] = []
        cursor = ""
        while not seen or client.trailing.get("standpipe-rest"):
            request = pb.ReadRequest(source_id="app", limit=999)
            answer = await client.call("Egress/Read", request, standpipe_cursor=cursor)
            seen += [envelope.instance_id for envelope in answer.envelopes.batch]
            cursor = client.trailing["standpipe-cursor"]

    assert seen == [str(number) for number in range(10_000)]


@pytest.mark.parametrize("source_id", ["a/b c", "\0", "🚒\n", "..", "x" * 60_000])
async def test_a_source_may_have_any_name(certs_dir: Path, source_id: str) -> None:
    async with node(certs_dir) as client:
        await client.send([Envelope(source_id=source_id, timestamp=1)])

        answer = await client.call("Egress/Read", pb.ReadRequest(source_id=source_id))

        assert [envelope.source_id for envelope in answer.envelopes.batch] == [source_id]


async def test_what_is_no_envelope_is_counted_and_the_others_are_held(certs_dir: Path) -> None:
    good = frame(Envelope(source_id="app", timestamp=1).SerializeToString())
    batch = good + frame(b"\xff") + good
    async with node(certs_dir) as client:
        await client.call("Ingress/Send", Raw(b"\x0a" + varint(len(batch)) + batch))
        code, _ = await client.refusal("Ingress/Send", Raw(b"\x0a\xff"))

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert await client.times() == [1, 1]
        everything = (await accounts(client.ports, certs_dir))["all"]
        assert (everything["received"], everything["delivered"], everything["skipped"]) == (4, 2, 2)


@pytest.mark.parametrize(
    "query",
    [
        "(" * 10_000 + "1" + ")" * 10_000,
        "-" * 10_000 + "1",
        "1" + "+1" * 10_000,
        'x{source_id="app"}' + "[5m:1s]" * 200,
        "abs(" * 5_000,
        '{source_id="app",__name__=~"' + "(a+)+" * 3_000 + '"}',
        "x" * 20_000,
        "\0",
        "",
    ],
    ids=["parentheses", "signs", "operators", "subqueries", "calls", "pattern", "long", "nul", "nothing"],
)
async def test_a_query_that_is_too_much_is_refused_and_ends_nothing(certs_dir: Path, query: str) -> None:
    async with node(certs_dir) as client:
        code, message = await client.refusal("PromQLQuerier/InstantQuery", pb.PromQL.InstantQueryRequest(query=query))

        assert code is grpc.StatusCode.UNKNOWN
        assert message
        answer = await client.call("PromQLQuerier/InstantQuery", pb.PromQL.InstantQueryRequest(query="1+1"))
        assert answer.scalar.value == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"start": "0", "end": "1000000", "step": "1"}, "11,000"),
        ({"start": "0", "end": "10", "step": "0"}, "zero or negative"),
        ({"start": "10", "end": "0", "step": "1"}, "before start"),
        ({"start": "x", "end": "1", "step": "1"}, "start"),
    ],
)
async def test_a_span_of_time_that_makes_no_sense_is_refused(certs_dir: Path, asked: dict[str, str], said: str) -> None:
    async with node(certs_dir) as client:
        _, message = await client.refusal("PromQLQuerier/RangeQuery", pb.PromQL.RangeQueryRequest(query="1", **asked))

        assert said in message


async def test_a_pattern_that_would_take_for_ever_takes_no_time(certs_dir: Path) -> None:
    names = [f"{'a' * 4000}{number}!" for number in range(100)]
    async with node(certs_dir) as client:
        await client.send(
            [Envelope(source_id="app", timestamp=at, counter={"name": name}) for at, name in enumerate(names)]
        )

        with trio.fail_after(10):
            assert await client.times(name_filter="(a+)+$") == []


async def test_a_hundred_thousand_sources_are_held_and_told_of(certs_dir: Path) -> None:
    async with node(certs_dir) as client:
        for start in range(0, 100_000, 10_000):
            await client.send([Envelope(source_id=f"app-{n}", timestamp=n) for n in range(start, start + 10_000)])

        meta = await client.call("Egress/Meta", pb.MetaRequest())

        assert len(meta.meta) == 100_000
        assert (await client.call("Egress/Read", pb.ReadRequest(source_id="app-77777"))).envelopes.batch


async def test_followers_that_vanish_leave_nothing_behind(certs_dir: Path) -> None:
    async with node(certs_dir) as client:
        async with trio.open_nursery() as followers:
            for _ in range(20):
                followers.start_soon(_follow, client)
            await metric_is(client.ports, certs_dir, "log_cache_followers", 20)
            await client.send(logs("app", [1]))

        assert await metric(client.ports, certs_dir, "log_cache_followers") == 0


async def _follow(client: Node) -> None:
    first = await client.call("Egress/Read", pb.ReadRequest(source_id="app"), standpipe_cursor="", standpipe_wait="20")
    assert len(first.envelopes.batch) == 1


async def test_a_node_that_may_take_less_than_it_does_serves_all_the_same(certs_dir: Path) -> None:
    settings: dict[str, Any] = {"memory_limit_bytes": 1 << 20, "truncation_interval_s": 0.05}
    async with node(certs_dir, **settings) as client:
        await client.send(logs("app", range(1000)))
        await metric_is(client.ports, certs_dir, "log_cache_envelopes_held", 0)

        assert await client.times() == []
        book = await accounts(client.ports, certs_dir)
        assert (book["cache"]["skipped"], book["cache"]["held"]) == (1000, 0)
