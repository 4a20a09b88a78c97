"""`cf logs`, and the plugin with `cf tail`, `cf log-meta` and `cf query`, at our log cache (loggregator.md 4.7)."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope
from tests import cf_cli
from tests.cf_cli import MetaRow
from tests.go_log_cache import GoLogCache
from tests.running import eventually
from tests.running_log_cache import APP, LogCache, counter, log, open_log_cache, texts

SECOND = 1_000_000_000
SOON = 0.02
"""A client's pause; that of the original is ten times as long."""


class Shown(list[str]):
    """What a command has shown."""

    def __call__(self, envelope: Envelope) -> None:
        self.append(envelope.log.payload.decode())

    async def has(self, count: int) -> bool:
        return len(self) >= count


@asynccontextmanager
async def meanwhile(command: Callable[[], Any]) -> AsyncIterator[None]:
    """Let a command run for the time of the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(command)
        yield
        nursery.cancel_scope.cancel()


async def asks_again(client: GoLogCache) -> None:
    """Wait until a client has asked for what there is by now."""
    before = client.reads

    async def has_asked() -> bool:
        return client.reads >= before + 2

    await eventually(has_asked)


async def test_cf_logs_recent_shows_the_newest_thousand_lines_in_order(cache: LogCache) -> None:
    now = time.time_ns() - 2000
    await cache.put(*[log(f"line {number}", now + number) for number in range(1200)], counter("c", now))

    async with cache.library(cache.token(APP)) as client:
        lines = await cf_cli.recent_logs(client, APP)

    assert texts(lines) == [f"line {number}" for number in range(200, 1200)]


async def test_cf_logs_shows_where_a_line_came_from(cache: LogCache) -> None:
    await cache.put(log("hello", 1_700_000_000_120_000_000))

    async with cache.library() as client:
        [line] = await cf_cli.recent_logs(client, APP)

    assert cf_cli.line(line) == "   2023-11-14T22:13:20.12+0000 [APP/PROC/WEB/0] OUT hello"


async def test_cf_logs_recent_halves_its_limit_when_lines_are_too_long(cache: LogCache) -> None:
    now, long_line = time.time_ns() - 2000, "x" * 61_440
    for start in range(0, 1000, 250):
        await cache.put(*[log(f"{number} {long_line}", now + number) for number in range(start, start + 250)])

    async with cache.library() as client:
        lines = await cf_cli.recent_logs(client, APP)

    assert [int(text.split()[0]) for text in texts(lines)] == list(range(500, 1000))


async def test_cf_logs_waits_for_an_app_and_follows_it(cache: LogCache) -> None:
    """It begins a second before the newest of any kind, and its own delay of two seconds has late lines in order."""
    shown = Shown()
    async with cache.library(cache.token(APP)) as client:
        async with meanwhile(partial(cf_cli.logs, client, APP, shown, SOON)):
            await asks_again(client)
            now = time.time_ns()
            old = [log(str(number), now - SECOND + number) for number in range(250)]
            await cache.put(log("earlier", now - 2 * SECOND), *old, counter("requests", now), log("second", now))
            await asks_again(client)
            await cache.put(log("first", now - SECOND // 2))
            await eventually(partial(shown.has, 252))

    assert shown == [*map(str, range(250)), "first", "second"]


async def test_cf_tail_shows_the_newest_of_any_kind_in_order(cache: LogCache) -> None:
    now = time.time_ns() - 1000
    await cache.put(*[log(str(number), now + number) for number in range(20)], counter("c", now + 30))
    shown = Shown()
    async with cache.library() as client:
        await cf_cli.tail(client, APP, shown, lines=3)
        await cf_cli.tail(client, APP, shown, lines=1000, kind="COUNTER", name_filter="^c$")

    assert shown == ["18", "19", "", ""]


async def test_cf_tail_that_follows_shows_late_lines_thanks_to_the_settle_window(
    certs_dir: Path, tmp_path: Path
) -> None:
    """Its delay is two nanoseconds: what it has seen once, nothing older comes behind."""
    shown = Shown()
    async with open_log_cache(certs_dir, tmp_path, settle_s=1.5) as cache, cache.library() as client:
        await cache.put(log("before", time.time_ns() - SECOND))
        async with meanwhile(partial(cf_cli.tail, client, APP, shown, follow=True, pause_s=SOON)):
            await eventually(partial(shown.has, 1))
            now = time.time_ns()
            await cache.put(log("second", now))
            await asks_again(client)
            await cache.put(log("first", now - SECOND // 10))
            await eventually(partial(shown.has, 3))

    assert shown == ["before", "first", "second"]


async def test_without_a_settle_window_cf_tail_misses_late_lines(certs_dir: Path, tmp_path: Path) -> None:
    shown = Shown()
    async with open_log_cache(certs_dir, tmp_path, settle_s=0.0) as cache, cache.library() as client:
        async with meanwhile(partial(cf_cli.tail, client, APP, shown, follow=True, pause_s=SOON)):
            now = time.time_ns()
            await cache.put(log("second", now))
            await eventually(partial(shown.has, 1))
            await cache.put(log("first", now - SECOND // 10), log("third", now + 1))
            await eventually(partial(shown.has, 2))

    assert shown == ["second", "third"]


@pytest.mark.parametrize("alike", [1, 7])
async def test_cf_tail_that_follows_pages_over_equal_timestamps(cache: LogCache, alike: int) -> None:
    """It reads on from the last timestamp and one nanosecond; as with the original, pages do not end between equals."""
    began = time.time_ns() - 3 * SECOND
    await cache.put(*[log(str(number), began + number // alike) for number in range(350)])
    shown = Shown()
    async with cache.library() as client:
        async with meanwhile(partial(cf_cli.tail, client, APP, shown, lines=0, follow=True, pause_s=SOON)):
            await eventually(partial(shown.has, 350))

    assert shown == [str(number) for number in range(350)]


async def test_a_read_with_an_end_is_no_follower_and_sees_all_up_to_it(certs_dir: Path, tmp_path: Path) -> None:
    """Whoever polls one span of time after the other would never see the last moments of any of them."""
    async with open_log_cache(certs_dir, tmp_path, settle_s=3600.0) as cache, cache.library() as client:
        now = time.time_ns()
        await cache.put(log("young", now))

        assert texts(await client.read(APP, now - SECOND, end_time=now + 1)) == ["young"]
        assert texts(await client.read(APP, now - SECOND)) == []


async def test_cf_log_meta_shows_names_counts_and_durations(certs_dir: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def names(guids: Any) -> dict[str, str]:
        asked.append(len(guids))
        return {APP: "web"} if APP in guids else {}

    async with open_log_cache(certs_dir, tmp_path, max_per_source=10) as cache:
        await cache.put(*[log("x", number * SECOND) for number in range(12)])
        await cache.put(*[log("x", 1, f"platform-{number}") for number in range(60)])
        async with cache.library() as client:
            rows = await cf_cli.log_meta(client, names)
            before = await client.meta()

    assert asked == [50, 11]
    assert rows[APP] == MetaRow(source="web", kind="application", count=10, expired=2, duration_s=9)
    assert rows["platform-7"] == MetaRow(source="platform-7", kind="platform", count=1, expired=0, duration_s=1)
    assert cf_cli.rate_per_minute(before[APP], pb.MetaInfo(count=10, expired=52)) == 10


async def test_cf_log_meta_shows_others_what_is_theirs(cache: LogCache) -> None:
    await cache.put(log("x", 1), log("x", 1, "platform"))

    async with cache.library(cache.token(APP)) as client:
        assert list(await cf_cli.log_meta(client, lambda _: {})) == [APP]


async def test_cf_query_shows_what_came(cache: LogCache) -> None:
    now = time.time_ns() // SECOND
    await cache.put(counter("requests", (now - 5) * SECOND, 42))
    query = f'requests{{source_id="{APP}"}}'

    async with cache.library(cache.token(APP)) as client:
        instant = await client.promql_raw("query", query, time=f"{now}.000")
        ranged = await client.promql_raw("query_range", query, start=str(now - 5), end=str(now), step="5")
        refused = await client.promql_raw("query", "requests")
        wrong = await client.promql_raw("query", "requests{")

    value = f'{{"metric":{{"source_id":"{APP}"}},"value":[{now}.000,"42"]}}'
    assert instant == f'{{"status":"success","data":{{"resultType":"vector","result":[{value}]}}}}\n'
    assert json.loads(ranged)["data"]["result"][0]["values"] == [[now - 5, "42"], [now, "42"]]
    assert json.loads(refused) == {
        "status": "error",
        "errorType": "bad_data",
        "error": "query does not request any source_ids",
    }
    assert json.loads(wrong)["errorType"] == "bad_data"
