"""Questions to the cache, and what becomes of the errors of its nodes."""

import json
from dataclasses import replace

import pytest
import trio
import trio.testing

from log_cache.query import BadRequest, Query
from log_cache.rest.reader import Reader
from plumbing.grpc_client import PeerUnavailable
from plumbing.http.refusal import Refusal
from plumbing.unary_client import CallFailed
from tests.unit.log_cache.rest.fakes import FakeReads, Here

QUERY = Query(source_id="app", start=0, end=1)
FOLLOW = Query(source_id="app", start=0, end=1, cursor="0", wait_s=30)


@pytest.fixture
async def reads() -> FakeReads:
    return FakeReads()


@pytest.fixture
def reader(reads: FakeReads) -> Reader:
    reader = Reader(reads)
    reader.begin(Here())  # type: ignore[arg-type]  # a fake
    return reader


async def refusal(reader: Reader, query: Query) -> tuple[int, int, str]:
    with pytest.raises(Refusal) as caught:
        await reader.read(query)
    said = json.loads(caught.value.body)
    return caught.value.status, said["code"], said["message"]


async def test_a_read_is_answered(reader: Reader, reads: FakeReads) -> None:
    reads.put("app", b"x")

    assert (await reader.read(QUERY)).count == 1


async def test_every_wait_ends_when_the_process_stops(reader: Reader) -> None:
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(reader.read, FOLLOW)
            await trio.testing.wait_all_tasks_blocked()
            reader.stop()


async def test_after_that_nobody_waits(reader: Reader, reads: FakeReads) -> None:
    reader.stop()

    assert (await reader.read(FOLLOW)).count == 0
    assert [query.wait_s for query in reads.asked] == [0.0]


async def test_what_is_newest_costs_no_reading(reader: Reader, reads: FakeReads) -> None:
    reads.put("app", b"x", b"y")

    assert await reader.newest("app") == "2"
    assert (reads.asked[0].start, reads.asked[0].end) == (0, 0)


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (CallFailed("UNKNOWN", "why"), (500, 2, "why")),
        (CallFailed("RESOURCE_EXHAUSTED", "why"), (429, 8, "why")),
        (PeerUnavailable("why"), (503, 14, "why")),
        (BadRequest("why"), (500, 2, "why")),
    ],
)
async def test_what_another_node_says_is_said(
    reader: Reader, reads: FakeReads, fault: Exception, answer: tuple[int, int, str]
) -> None:
    reads.fault = fault

    assert await refusal(reader, QUERY) == answer


async def test_what_is_wrong_with_a_cursor_is_the_clients_mistake(reader: Reader) -> None:
    assert (await refusal(reader, replace(FOLLOW, cursor="x")))[:2] == (400, 3)


async def test_metadata_is_asked_for_as_it_is_wished(reader: Reader, reads: FakeReads) -> None:
    reads.put("app", b"x")

    assert (await reader.meta(local_only=True))["app"].count == 1
    assert reads.local_only is True
