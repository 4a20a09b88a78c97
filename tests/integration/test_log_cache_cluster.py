"""Nodes of a cluster that all run: whoever is asked, the answer is the same (loggregator.md 4.2)."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import grpc
import pytest
import trio

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope
from tests.log_cache_node import logs, payloads
from tests.running import eventually
from tests.running_cache_cluster import Nodes, cluster, free_addresses

SECOND = 1_000_000_000
SOURCES = [f"app-{number}" for number in range(30)]


async def all_held(nodes: Nodes, count: int) -> None:
    """Wait until so many envelopes are in the caches of all nodes, and nothing is on its way between them."""

    async def are_there() -> bool:
        books = [await nodes[index].books() for index in nodes.running]
        waiting = sum(book["all"]["held"] + book["all"]["in_flight"] for book in books)
        return not waiting and sum(book["cache"]["held"] for book in books) >= count

    await eventually(are_there)


@pytest.mark.parametrize("count", [2, 3])
async def test_each_source_is_held_by_the_node_that_the_hash_names_and_by_no_other(certs_dir: Path, count: int) -> None:
    async with cluster(certs_dir, count) as nodes:
        await nodes[0].send([each for source in SOURCES for each in logs(source, range(3))])
        await all_held(nodes, 3 * len(SOURCES))

        for index in range(count):
            own = [source for source in SOURCES if nodes.node_of(source) == index]
            assert await nodes[index].counts(local_only=True) == Counter(dict.fromkeys(own, 3))
            assert own


async def test_what_is_sent_to_any_node_arrives_once_at_the_one_it_belongs_to(certs_dir: Path) -> None:
    async with cluster(certs_dir, 3) as nodes:
        async with trio.open_nursery() as sending:
            for index in range(3):
                batch = [each for source in SOURCES for each in logs(source, range(10), f"{index}:")]
                sending.start_soon(nodes[index].send, batch)
        await all_held(nodes, 30 * len(SOURCES))

        for source in SOURCES:
            found = await nodes[nodes.node_of(source)].read(source, {"standpipe_cursor": ""})
            for index in range(3):  # in the order in which each sender had them
                sent = [f"{index}:{number}" for number in range(10)]
                assert [text for text in payloads(found) if text in sent] == sent
            assert len(found) == 30


async def test_a_batch_that_a_node_knows_to_be_ours_stays_here(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        theirs = nodes.source_of(1)
        await nodes[0].send(logs(theirs, [1]), local_only=True)

        assert (await nodes[0].counts(local_only=True))[theirs] == 1
        assert (await nodes[0].books())["all"]["delivered"] == 1


async def test_a_read_through_any_node_finds_the_same(certs_dir: Path) -> None:
    asked = [
        pb.ReadRequest(limit=7),
        pb.ReadRequest(start_time=3, end_time=9, limit=1000),
        pb.ReadRequest(limit=5, descending=True),
        pb.ReadRequest(envelope_types=[pb.COUNTER]),
        pb.ReadRequest(name_filter="^req"),
    ]
    async with cluster(certs_dir, 3) as nodes:
        source = nodes.source_of(2)
        counters = [Envelope(source_id=source, timestamp=at, counter={"name": "req", "total": at}) for at in (2, 4)]
        await nodes[0].send(logs(source, [5, 1, 3, 3, 9, 2, 8]) + counters)
        await all_held(nodes, 9)

        for request in asked:
            request.source_id = source
            answers = [await nodes[index].call("Egress/Read", request) for index in range(3)]
            assert answers[0].envelopes.batch
            assert answers[0] == answers[1] == answers[2]


async def test_a_reader_in_order_of_arrival_may_change_nodes(certs_dir: Path) -> None:
    async with cluster(certs_dir, 3) as nodes:
        source = nodes.source_of(1)
        await nodes[0].send(logs(source, [5, 1, 3, 3, 9, 2, 8]))
        await all_held(nodes, 7)

        found, cursor = [], ""
        for index in (0, 1, 2, 0):
            found += await nodes[index].read(source, {"standpipe_cursor": cursor}, limit=2)
            cursor = nodes[index].trailing["standpipe-cursor"]
            assert nodes[index].trailing["standpipe-missed"] == "0"
            assert ("standpipe-rest" in nodes[index].trailing) == (len(found) < 7)

    assert payloads(found) == [f"x{number}" for number in range(7)]


async def test_a_cursor_that_comes_with_a_read_by_time_goes_on_from_there(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        source = nodes.source_of(1)
        await nodes[1].send(logs(source, [1, 2]))
        assert len(await nodes[0].read(source, limit=1, descending=True)) == 1
        cursor = nodes[0].trailing["standpipe-cursor"]
        await nodes[1].send(logs(source, [0], "late"))

        assert payloads(await nodes[0].read(source, {"standpipe_cursor": cursor})) == ["late0"]


async def test_what_expired_before_it_was_read_is_told_by_every_node(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2, max_per_source=10) as nodes:
        source = nodes.source_of(1)
        await nodes[1].send(logs(source, range(5)))
        await nodes[0].read(source, {"standpipe_cursor": ""})
        cursor = nodes[0].trailing["standpipe-cursor"]
        await nodes[1].send(logs(source, range(5, 20)))

        for index in range(2):
            assert len(await nodes[index].read(source, {"standpipe_cursor": cursor})) == 10
            assert nodes[index].trailing["standpipe-missed"] == "5"


async def test_who_waits_at_one_node_is_woken_by_what_is_sent_to_another(certs_dir: Path) -> None:
    async with cluster(certs_dir, 3) as nodes:
        source, found = nodes.source_of(1), []

        async def follow() -> None:
            found.extend(await nodes[0].read(source, {"standpipe_cursor": "", "standpipe_wait": "30"}))

        async def waits() -> bool:
            return "log_cache_followers 1.0" in await nodes[1].metrics()

        with trio.fail_after(10):
            async with trio.open_nursery() as reading:
                reading.start_soon(follow)
                await eventually(waits)
                await nodes[2].send(logs(source, [5]))

    assert payloads(found) == ["x0"]


async def test_who_waits_for_nothing_is_told_so_in_time(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        with trio.fail_after(10):
            assert await nodes[0].read(nodes.source_of(1), {"standpipe_cursor": "", "standpipe_wait": "0.2"}) == []


async def test_a_refusal_of_the_node_that_is_asked_for_us_is_passed_on(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        for index in range(2):
            with pytest.raises(grpc.RpcError) as refused:
                await nodes[index].read(nodes.source_of(1), {"standpipe_cursor": "x"})
            assert refused.value.code() is grpc.StatusCode.UNKNOWN
            assert refused.value.details() == "the cursor is not one of this cache"


async def test_metadata_are_those_of_all_nodes_or_with_local_only_of_one(certs_dir: Path) -> None:
    async with cluster(certs_dir, 3) as nodes:
        await nodes[0].send([each for source in SOURCES for each in logs(source, [7, 3])])
        await all_held(nodes, 2 * len(SOURCES))

        for index in range(3):
            answer = await nodes[index].call("Egress/Meta", pb.MetaRequest())
            assert sorted(answer.meta) == sorted(SOURCES)
            for info in answer.meta.values():
                assert (info.count, info.expired, info.oldest_timestamp, info.newest_timestamp) == (2, 0, 3, 7)
            own = {source for source in SOURCES if nodes.node_of(source) == index}
            assert set(await nodes[index].counts(local_only=True)) == own


async def test_nodes_that_ask_each_other_for_metadata_at_once_all_get_them(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        await nodes[0].send([each for source in SOURCES for each in logs(source, [1])])
        await all_held(nodes, len(SOURCES))
        found: list[Counter[str]] = []

        async def ask(index: int) -> None:
            found.append(await nodes[index].counts())

        with trio.fail_after(2):
            async with trio.open_nursery() as asking:
                for index in (0, 1, 0, 1):
                    asking.start_soon(ask, index)

    assert found == [Counter(dict.fromkeys(SOURCES, 1))] * 4


async def test_promql_asks_for_sources_of_several_nodes_at_once(certs_dir: Path) -> None:
    async with cluster(certs_dir, 3) as nodes:
        sources = [nodes.source_of(index) for index in range(3)]
        await nodes[0].send([counter(source, at, 10 * at) for source in sources for at in range(100, 160)])
        await all_held(nodes, 180)
        selector = f'requests{{source_id=~"{"|".join(sources)}"}}'

        for index in range(3):
            assert await nodes[index].instant(selector, "159") == Counter({named(source): 1590.0 for source in sources})
            assert await nodes[index].instant(f"sum(rate({selector}[30s]))", "159") == Counter({(): 30.0})
            ranged = pb.PromQL.RangeQueryRequest(query=f"sum({selector})", start="100", end="159", step="1")
            result = await nodes[index].call("PromQLQuerier/RangeQuery", ranged)
            assert [point.value for point in result.matrix.series[0].points] == [30.0 * at for at in range(100, 160)]


async def test_promql_reads_all_that_another_node_has_of_a_source_though_it_fills_pages(certs_dir: Path) -> None:
    """2,500 samples, fifty of each second; and those of one moment are of as many instances."""
    async with cluster(certs_dir, 2) as nodes:
        source = nodes.source_of(1)
        sent = [counter(source, 100 + at, at, instance=str(each)) for at in range(50) for each in range(50)]
        await nodes[0].send(sent)
        await all_held(nodes, len(sent))
        query = f'count_over_time(requests{{source_id="{source}"}}[60s])'

        for index in range(2):
            found = await nodes[index].instant(query, "150")
            assert found == Counter({named(source, str(each)): 50.0 for each in range(50)})


async def test_nodes_that_do_not_agree_whose_a_source_is_do_not_send_a_read_round_in_circles(certs_dir: Path) -> None:
    addresses = free_addresses(2)
    async with trio.open_nursery() as nursery:
        first, second = (Nodes(order, certs_dir, nursery) for order in (addresses, addresses[::-1]))
        await first.start(0)
        await second.start(0)
        theirs = first.source_of(1)

        await first[0].send(logs(theirs, [1]))
        await eventually(partial(_is_read, first, theirs))
        await first.stop(0)
        await second.stop(0)


async def _is_read(nodes: Nodes, source: str) -> bool:
    return payloads(await nodes[0].read(source)) == ["x0"]


async def test_the_books_say_what_went_where(certs_dir: Path) -> None:
    async with cluster(certs_dir, 3) as nodes:
        for index in range(3):
            await nodes[index].send([each for source in SOURCES for each in logs(source, range(10))])
        await all_held(nodes, 30 * len(SOURCES))
        books = [await nodes[index].books() for index in range(3)]
        exposed = [await nodes[index].metrics() for index in range(3)]

    peers = [account for book in books for name, account in book.items() if name.startswith("peer ")]
    assert len(peers) == 6
    forwarded = sum(account["delivered"] for account in peers)
    assert sum(book["all"]["received"] for book in books) == 30 * len(SOURCES) + forwarded
    assert sum(book["cache"]["received"] for book in books) == 30 * len(SOURCES)
    for book, text in zip(books, exposed, strict=True):
        mine = sum(account["delivered"] for name, account in book.items() if name.startswith("peer "))
        assert f"log_cache_envelopes_forwarded_total {float(mine)}" in text


def counter(source: str, second: int, total: int, instance: str = "") -> Envelope:
    return Envelope(
        source_id=source,
        instance_id=instance,
        timestamp=second * SECOND,
        counter={"name": "requests", "total": total},
    )


def named(source: str, instance: str = "") -> tuple[tuple[str, str], ...]:
    return (*((("instance_id", instance),) if instance else ()), ("source_id", source))
