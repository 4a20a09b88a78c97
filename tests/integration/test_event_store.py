"""An event store at a real Doppler: everything is on disk once, before the Doppler forgets it, and is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
import trio

from envelope.pb.loggregator_v2_pb2 import Envelope
from event_store import service
from event_store.storage import Store, StoreFull
from plumbing.config import ConfigError
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, eventually, get, metric, metric_is, readers_at, running, send_over
from tests.running_event_store import messages, running_event_store
from tests.running_nozzle import send

LINES = [f"{number}" for number in range(60)]


class FullDisk(Store):
    """A store whose disk takes nothing while a test wants it so; `append` leaves off after that many of them."""

    is_full = False

    def append(self, batches: Any, marks: bytes = b"") -> int:
        if FullDisk.is_full:
            raise StoreFull("no space left")
        return super().append(batches, marks)

    def flush(self) -> None:
        if FullDisk.is_full:
            raise StoreFull("no space left")
        super().flush()


@dataclass
class Pipeline:
    """One Doppler, and what a test does with it."""

    certs: Path
    doppler: Ports
    folder: Path

    @asynccontextmanager
    async def store(self, **settings: Any) -> AsyncIterator[Ports]:
        """Run a store, subscribed by the time it is yielded."""
        async with running_event_store(self.certs, self.doppler, self.folder, **settings) as ports:
            await readers_at(self.doppler, self.certs, 1)
            yield ports
        await readers_at(self.doppler, self.certs, 0)

    async def send(self, *texts: str, size: int = 1) -> None:
        await send(self.doppler, self.certs, texts, size=size)

    async def books(self, store: Ports, name: str = "store") -> dict[str, Any]:
        return (await accounts(store, self.certs))[name]

    async def subscription(self) -> dict[str, Any]:
        return (await accounts(self.doppler, self.certs))["event-store"]

    def has(self, count: int) -> Callable[[], Awaitable[bool]]:
        async def condition() -> bool:
            return len(messages(self.folder)) >= count

        return condition

    async def is_confirmed(self, count: int) -> bool:
        return bool((await self.subscription())["delivered"] == count)


@pytest.fixture
async def pipeline(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        yield Pipeline(certs_dir, doppler, tmp_path / "events")


async def test_everything_is_stored_in_order_and_confirmed_then(pipeline: Pipeline) -> None:
    async with pipeline.store() as store:
        await pipeline.send(*LINES, size=7)
        await eventually(pipeline.has(60))
        await eventually(lambda: pipeline.is_confirmed(60))
        books = await accounts(store, pipeline.certs)

    assert messages(pipeline.folder) == LINES
    assert (books["dopplers"]["received"], books["dopplers"]["delivered"]) == (60, 60)
    assert (books["store"]["received"], books["store"]["delivered"], books["store"]["held"]) == (60, 60, 0)


async def test_envelopes_are_in_the_books_and_events_beside_them(pipeline: Pipeline) -> None:
    gauge = Envelope(source_id="app", timestamp=1, gauge={"metrics": {f"m{n}": {"value": n} for n in range(5)}})
    async with pipeline.store() as store:
        with dial(pipeline.doppler["listen"], pipeline.certs, "doppler") as channel:
            await send_over(channel, gauge)
        await metric_is(store, pipeline.certs, "event_store_envelopes_stored_total", 1)
        assert await metric(store, pipeline.certs, "event_store_events_stored_total") == 5
        assert (await pipeline.books(store))["delivered"] == 1


async def test_what_is_in_memory_at_the_end_is_flushed_and_there_at_the_next_start(pipeline: Pipeline) -> None:
    async with pipeline.store():
        await pipeline.send(*LINES)
        await eventually(pipeline.has(60))
    assert len(list(pipeline.folder.rglob("*.parquet"))) == 1

    async with pipeline.store() as store:
        await pipeline.send("new")
        await eventually(pipeline.has(61))
        assert (await pipeline.books(store))["received"] == 1
    assert messages(pipeline.folder) == [*LINES, "new"]


async def test_what_is_old_enough_is_flushed_while_it_runs(pipeline: Pipeline) -> None:
    async with pipeline.store(storage={"flush_s": 0.1}) as store:
        await pipeline.send(*LINES)
        await metric_is(store, pipeline.certs, "event_store_segments", 1)
        await metric_is(store, pipeline.certs, "event_store_hot_events", 0)
        assert messages(pipeline.folder) == LINES


async def test_what_is_on_disk_and_was_not_confirmed_is_not_stored_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it was killed between the disk and the Doppler."""

    class NeverConfirms(service.Writer):
        async def put(self, batch: bytes, count: int, *, marks: Any = (), safe: Any) -> None:
            await super().put(batch, count, marks=marks, safe=lambda: None)

    with monkeypatch.context() as killed:
        killed.setattr(service, "Writer", NeverConfirms)
        async with pipeline.store():
            await pipeline.send(*LINES, size=7)
            await eventually(pipeline.has(60))
    assert (await pipeline.subscription())["delivered"] == 0

    async with pipeline.store() as store:
        await pipeline.send("new")
        await eventually(pipeline.has(61))
        await eventually(lambda: pipeline.is_confirmed(61))
        assert await metric(store, pipeline.certs, "event_store_envelopes_repeated_total") == 60
        books = await pipeline.books(store, "dopplers")

    assert messages(pipeline.folder) == [*LINES, "new"]
    assert (books["received"], books["delivered"], books["skipped"]) == (61, 1, 60)


async def test_a_full_disk_stops_confirming_says_so_and_loses_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "Store", FullDisk)
    monkeypatch.setattr(FullDisk, "is_full", True)
    async with pipeline.store() as store:
        await pipeline.send(*LINES)
        await metric_is(store, pipeline.certs, "event_store_full", 1)
        assert (await pipeline.subscription())["delivered"] == 0
        with pytest.raises(httpx.HTTPStatusError) as unwell:
            await get(store, pipeline.certs, "/healthz")
        assert (unwell.value.response.status_code, unwell.value.response.json()["reasons"]) == (503, ["no space left"])
        assert (await pipeline.books(store, "dopplers"))["delivered"] == 60

        FullDisk.is_full = False
        await eventually(pipeline.has(60))
        await eventually(lambda: pipeline.is_confirmed(60))
        assert await get(store, pipeline.certs, "/healthz") == {"status": "ok"}
        assert await metric(store, pipeline.certs, "event_store_appends_refused_total") > 0
    assert Counter(messages(pipeline.folder)) == Counter(LINES)


async def test_what_found_no_room_before_the_end_stays_with_the_doppler(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(service, "Store", FullDisk)
        full.setattr(FullDisk, "is_full", True)
        async with pipeline.store(drain_grace_s=0.1) as store:
            await pipeline.send(*LINES)
            await metric_is(store, pipeline.certs, "event_store_full", 1)
    assert (await pipeline.subscription())["held"] == 60

    async with pipeline.store():
        await eventually(pipeline.has(60))
    assert messages(pipeline.folder) == LINES


async def test_what_no_store_can_keep_is_dropped_alone_and_counted(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky(Store):
        def append(self, batches: Any, marks: bytes = b"") -> int:
            if any("30" in batch.column("message").to_pylist() for batch in batches):
                raise pa.ArrowInvalid("unheard of")
            return super().append(batches, marks)

    monkeypatch.setattr(service, "Store", Picky)
    async with pipeline.store() as store:
        await pipeline.send(*LINES, size=60)
        await eventually(pipeline.has(59))
        await eventually(lambda: pipeline.is_confirmed(60))
        books = await pipeline.books(store)

    assert messages(pipeline.folder) == [line for line in LINES if line != "30"]
    assert (books["delivered"], books["dropped"]) == (59, {"unfit": 1})


async def test_a_second_store_on_one_folder_is_refused(pipeline: Pipeline) -> None:
    async with pipeline.store():
        busy = pytest.RaisesExc(ConfigError, match="another process writes to the store")
        with pytest.RaisesGroup(busy, flatten_subgroups=True):
            async with running_event_store(pipeline.certs, pipeline.doppler, pipeline.folder):
                await trio.sleep_forever()
