"""An event store that ships: what the Doppler sent is in ClickHouse once, however it fails, and the store goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from plumbing.config import ConfigError
from tests.fakes.clickhouse import FakeClickHouse, Remembering
from tests.fakes.http_receiver import Posted, Said
from tests.running import eventually, metric_is, readers_at, running
from tests.running_event_store import messages, running_event_store
from tests.running_nozzle import send
from tests.unit.event_store.clickhouse.running import PASSWORD, TABLE, password_file

SOON = {"flush_s": 0.1}


@pytest.fixture
def memory() -> Remembering:
    return Remembering()


@pytest.fixture
def server(memory: Remembering) -> Iterator[FakeClickHouse]:
    server = FakeClickHouse(memory, user="store", password=PASSWORD)
    yield server
    server.close()


@pytest.fixture
def settings(server: FakeClickHouse, tmp_path: Path) -> dict[str, Any]:
    asked = {"url": server.url, "username": "store", "password_file": password_file(tmp_path)}
    return {"storage": SOON, "clickhouse": {**asked, "wait_s": 0.1, "retry_s": 60}}


def shipped(memory: Remembering) -> list[str]:
    return [row["message"] for row in memory.rows.get(TABLE, ())]


def has(memory: Remembering, count: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return len(shipped(memory)) >= count

    return condition


async def test_what_is_stored_is_shipped_over_failures_and_restarts(
    certs_dir: Path, tmp_path: Path, memory: Remembering, server: FakeClickHouse, settings: dict[str, Any]
) -> None:
    lost = iter([Said(503, b"not now")])  # the first insert is done, and nobody is told

    def answer_lost(post: Posted) -> Said | None:
        return next(lost, None) if "ArrowStream" in post.query else None

    server.after = answer_lost
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        for first in (0, 10):
            async with running_event_store(certs_dir, doppler, tmp_path / "events", **settings) as store:
                await readers_at(doppler, certs_dir, 1)
                await send(doppler, certs_dir, [str(number) for number in range(first, first + 10)])
                await eventually(has(memory, first + 10))
                await metric_is(store, certs_dir, "event_store_clickhouse_events_total", first + 10)
                await metric_is(store, certs_dir, "event_store_clickhouse_trouble", 0)
            await readers_at(doppler, certs_dir, 0)

    assert shipped(memory) == messages(tmp_path / "events") == [str(number) for number in range(20)]
    assert memory.inserts > len(memory.tokens)


async def test_a_store_stores_while_nothing_can_be_shipped(
    certs_dir: Path, tmp_path: Path, memory: Remembering, server: FakeClickHouse, settings: dict[str, Any]
) -> None:
    server.before = lambda _: Said(404, b"Code: 81. DB::Exception: Database default does not exist")
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with running_event_store(certs_dir, doppler, tmp_path / "events", **settings) as store:
            await readers_at(doppler, certs_dir, 1)
            await send(doppler, certs_dir, ["1", "2"])
            await metric_is(store, certs_dir, "event_store_clickhouse_trouble", 1)
            assert messages(tmp_path / "events") == ["1", "2"]

    assert shipped(memory) == []


async def test_a_password_that_others_may_read_ends_the_start(
    certs_dir: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    (tmp_path / "password").chmod(0o640)
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        refused = pytest.RaisesExc(ConfigError, match="password: others have access")
        with pytest.RaisesGroup(refused, flatten_subgroups=True):
            async with running_event_store(certs_dir, doppler, tmp_path / "events", **settings):
                await trio.sleep_forever()
