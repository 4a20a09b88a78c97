"""A node that is away, comes back or hangs: the others answer for what is theirs, and count what they cannot send."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
import trio

from tests.fakes.hung_node import HANGS, hung_node
from tests.log_cache_node import Node, logs, payloads
from tests.running import eventually
from tests.running_cache_cluster import Nodes, cluster, free_addresses


@asynccontextmanager
async def balancing(node: Node) -> AsyncIterator[None]:
    """Read the books of a node again and again: at every moment they balance."""
    enough = trio.Event()

    async def look() -> None:
        while not enough.is_set():
            await node.books()

    async with trio.open_nursery() as looking:
        looking.start_soon(look)
        yield
        enough.set()


async def peer_has(node: Node, address: str, **expected: int) -> None:
    """Wait until the account of a peer says so."""

    async def has() -> bool:
        account = (await node.books())[f"peer {address}"]
        found = {**account, **account["dropped"]}
        return all(found[name] == count for name, count in expected.items())

    await eventually(has)


async def waits_for(node: Node, address: str, count: int) -> None:
    """Wait until so many envelopes are kept for a peer, and those it is just being dialled for are among them."""

    async def waits() -> bool:
        account = (await node.books())[f"peer {address}"]
        return bool(account["held"] + account["in_flight"] == count)

    await eventually(waits)


async def test_of_a_node_that_is_away_nothing_is_read_and_the_others_are_as_ever(certs_dir: Path) -> None:
    async with cluster(certs_dir, 3) as nodes:
        sources = [nodes.source_of(index) for index in range(3)]
        for index, source in enumerate(sources):
            await nodes[index].send(logs(source, [1]))
        await nodes.stop(1)

        for index in (0, 2):
            found = {source: payloads(await nodes[index].read(source)) for source in sources}
            assert found == {sources[0]: ["x0"], sources[1]: [], sources[2]: ["x0"]}
            assert await nodes[index].counts() == Counter({sources[0]: 1, sources[2]: 1})


async def test_whoever_follows_a_source_of_a_node_that_is_away_stays_where_he_was(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        source = nodes.source_of(1)
        await nodes[1].send(logs(source, [1, 2]))
        await nodes[0].read(source, {"standpipe_cursor": ""}, limit=1)
        cursor = nodes[0].trailing["standpipe-cursor"]
        await nodes.stop(1)

        assert await nodes[0].read(source, {"standpipe_cursor": cursor}) == []
        assert nodes[0].trailing["standpipe-cursor"] == cursor
        assert nodes[0].trailing["standpipe-missed"] == "0"

        await nodes.start(1)
        await nodes[1].send(logs(source, [3], "new"))

        async def is_read() -> bool:
            return payloads(await nodes[0].read(source, {"standpipe_cursor": cursor})) == ["new0"]

        await eventually(is_read)
        assert nodes[0].trailing["standpipe-missed"] == "unknown"


async def test_whoever_waits_waits_for_the_node_too(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        source, found = nodes.source_of(1), []
        await nodes.stop(1)

        async def follow() -> None:
            found.extend(await nodes[0].read(source, {"standpipe_cursor": "", "standpipe_wait": "30"}))

        with trio.fail_after(15):
            async with trio.open_nursery() as reading:
                reading.start_soon(follow)
                await nodes.start(1)
                await nodes[0].send(logs(source, [5]))

    assert payloads(found) == ["x0"]


async def test_whoever_waits_for_a_node_that_stays_away_is_told_so_in_time(certs_dir: Path) -> None:
    async with cluster(certs_dir, 1, *free_addresses(1)) as nodes:
        began = trio.current_time()

        assert await nodes[0].read(nodes.source_of(1), {"standpipe_cursor": "", "standpipe_wait": "0.7"}) == []

        assert 0.6 < trio.current_time() - began < 5


async def test_what_waits_for_a_node_is_sent_when_it_is_back(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        source, address = nodes.source_of(1), nodes.addresses[1]
        await nodes.stop(1)
        async with balancing(nodes[0]):
            for number in range(10):
                await nodes[0].send(logs(source, range(10), f"{number}:"))
            await waits_for(nodes[0], address, 100)

            await nodes.start(1)

            await peer_has(nodes[0], address, delivered=100, held=0, in_flight=0, peer_full=0, peer_failed=0)
        found = payloads(await nodes[1].read(source, {"standpipe_cursor": ""}, limit=1000))
    assert found == [f"{number}:{at}" for number in range(10) for at in range(10)]


async def test_beyond_the_bound_the_oldest_that_wait_are_dropped_and_counted(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("log_cache.peer._OUTBOX_ENVELOPES", 100)
    monkeypatch.setattr("plumbing.grpc_client.CONNECT_TIMEOUT_S", 0.2)  # what it was dialled for goes back by then
    async with cluster(certs_dir, 2) as nodes:
        source, address = nodes.source_of(1), nodes.addresses[1]
        await nodes.stop(1)
        async with balancing(nodes[0]):
            for number in range(10):
                await nodes[0].send(logs(source, range(30), f"{number}:"))
            await peer_has(nodes[0], address, received=300, peer_full=210)

            await nodes.start(1)

            await peer_has(nodes[0], address, delivered=90, held=0, in_flight=0, peer_full=210, peer_failed=0)
        assert (await nodes[0].books())["all"]["dropped"] == {"peer_full": 210, "peer_failed": 0}
        assert 'log_cache_envelopes_dropped_total{reason="peer_full"} 210.0' in await nodes[0].metrics()
        found = payloads(await nodes[1].read(source, {"standpipe_cursor": ""}, limit=1000))
    assert found == [f"{number}:{at}" for number in (7, 8, 9) for at in range(30)]


async def test_the_books_balance_while_a_node_comes_and_goes(certs_dir: Path) -> None:
    async with cluster(certs_dir, 2) as nodes:
        ours, theirs = nodes.source_of(0), nodes.source_of(1)
        sent, address = 0, nodes.addresses[1]
        async with balancing(nodes[0]):
            for _ in range(3):
                for _ in range(20):
                    await nodes[0].send([*logs(ours, range(5)), *logs(theirs, range(5))])
                    sent += 5
                await nodes.stop(1)
                await nodes[0].send(logs(theirs, range(5)))
                sent += 5
                await nodes.start(1)

            async def is_settled() -> bool:
                account = (await nodes[0].books())[f"peer {address}"]
                return not account["held"] and not account["in_flight"]

            await eventually(is_settled)
            book = await nodes[0].books()
    assert book[f"peer {address}"]["received"] == sent
    assert book["cache"]["held"] == 300


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that are short."""
    monkeypatch.setattr("log_cache.peer._TIMEOUT_S", 0.3)
    monkeypatch.setattr("log_cache.peer._READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr("plumbing.grpc_client.CONNECT_TIMEOUT_S", 0.3)


@pytest.fixture(params=HANGS)
def how(request: pytest.FixtureRequest) -> str:
    """At which step the third node hangs."""
    return str(request.param)


@pytest.fixture
async def half_hung(how: str, certs_dir: Path, impatient: None) -> AsyncIterator[Nodes]:
    """Two nodes, and a third that hangs."""
    async with hung_node(how, certs_dir) as address, cluster(certs_dir, 2, address) as nodes:
        yield nodes


async def test_a_node_that_hangs_holds_up_nobody_who_does_not_ask_it(half_hung: Nodes, how: str) -> None:
    sources = [half_hung.source_of(index) for index in range(3)]
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(_is_not_read, half_hung[0], sources[2], how)
        with trio.fail_after(3):
            await half_hung[0].send([each for source in sources for each in logs(source, [1, 2])])
            for source in sources[:2]:
                await eventually(partial(_is_read, half_hung[0], source))


async def test_a_read_of_a_node_that_hangs_ends_by_its_deadline(half_hung: Nodes, how: str) -> None:
    with trio.fail_after(5):
        await _is_not_read(half_hung[0], half_hung.source_of(2), how)


async def test_metadata_come_without_those_of_a_node_that_hangs(half_hung: Nodes) -> None:
    sources = [half_hung.source_of(index) for index in range(2)]
    for index, source in enumerate(sources):
        await half_hung[index].send(logs(source, [1]))

    with trio.fail_after(5):
        assert await half_hung[0].counts() == Counter(sources)


async def test_a_promql_query_of_a_node_that_hangs_ends_by_its_deadline(half_hung: Nodes, how: str) -> None:
    query = f'requests{{source_id="{half_hung.source_of(2)}"}}'
    with trio.fail_after(5):
        if how == "before its answer":
            with pytest.raises(grpc.RpcError, match="Deadline Exceeded"):
                await half_hung[0].instant(query, "1")
        else:
            assert await half_hung[0].instant(query, "1") == Counter()


async def test_what_a_node_that_hangs_did_not_confirm_is_counted(half_hung: Nodes) -> None:
    address, source = half_hung.addresses[2], half_hung.source_of(2)
    async with balancing(half_hung[0]):
        await half_hung[0].send(logs(source, range(7)))

        async def is_settled() -> bool:
            account = (await half_hung[0].books())[f"peer {address}"]
            return bool(account["held"] == 7 or account["dropped"]["peer_failed"] == 7)  # not dialled, or not answered

        await eventually(is_settled)


async def test_a_node_stops_in_time_though_another_one_hangs(half_hung: Nodes) -> None:
    await half_hung[0].send(logs(half_hung.source_of(2), range(7)))

    with trio.fail_after(5):
        await half_hung.stop(0)


async def _is_not_read(node: Node, source: str, how: str) -> None:
    """See what a read of a node's that hangs comes to: one that never was connected is taken for one that is away."""
    if how != "before its answer":
        assert await node.read(source) == []
        return
    with pytest.raises(grpc.RpcError) as refused:
        await node.read(source)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def _is_read(node: Node, source: str) -> bool:
    return payloads(await node.read(source)) == ["x0", "x1"]
