"""The runner of nozzles at a real Doppler: everything arrives, in order, whatever the sink does, and is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from nozzles import service
from plumbing.config import ConfigError
from plumbing.lifecycle import Ports
from tests.running import accounts, eventually, get, running
from tests.running_nozzle import FakeSink, running_nozzle, send

LINES = [f"{number}" for number in range(60)]


@dataclass
class Pipeline:
    """One Doppler, and what a test does with it."""

    certs: Path
    doppler: Ports

    @asynccontextmanager
    async def nozzle(self, sink: FakeSink, **settings: Any) -> AsyncIterator[Ports]:
        """Run a nozzle, subscribed by the time it is yielded."""
        async with running_nozzle(self.certs, sink.kind, self.doppler, **settings) as ports:
            await eventually(lambda: self._readers_are(1))
            yield ports
        await eventually(lambda: self._readers_are(0))

    async def send(self, *texts: str, source_id: str = "app", size: int = 1) -> None:
        await send(self.doppler, self.certs, texts, source_id=source_id, size=size)

    async def books(self, nozzle: Ports, name: str = "relay") -> dict[str, Any]:
        return (await accounts(nozzle, self.certs))[name]

    async def subscription(self) -> dict[str, Any]:
        return (await accounts(self.doppler, self.certs))["nozzle-relay"]

    async def _readers_are(self, count: int) -> bool:
        return f"doppler_readers {count}.0" in await get(self.doppler, self.certs, "/metrics")


@pytest.fixture
async def pipeline(certs_dir: Path) -> AsyncIterator[Pipeline]:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        yield Pipeline(certs_dir, doppler)


def has(sink: FakeSink, count: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return len(sink.taken) >= count

    return condition


def tried(sink: FakeSink, times: int = 1) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return sink.attempts >= times

    return condition


async def test_delivers_everything_in_the_order_of_each_source(pipeline: Pipeline) -> None:
    sink = FakeSink()
    async with pipeline.nozzle(sink) as nozzle:
        async with trio.open_nursery() as senders:
            for source in ("a", "b"):
                senders.start_soon(lambda source=source: pipeline.send(*LINES, source_id=source, size=7))
        await eventually(has(sink, 120))
        books = await pipeline.books(nozzle)

    assert sink.texts_by_source == {"a": LINES, "b": LINES}
    assert (books["received"], books["dropped"]) == (120, {})


async def test_delivers_everything_once_through_failures_of_all_kinds(pipeline: Pipeline) -> None:
    sink = FakeSink()
    sink.away, sink.hangs, sink.breaks = True, 1, 2
    async with pipeline.nozzle(sink, write_timeout_s=0.2, batch_max_envelopes=10) as nozzle:
        await pipeline.send(*LINES)
        await eventually(tried(sink, 3))
        await eventually(lambda: _held(pipeline, nozzle, 60))
        sink.away = False
        await eventually(has(sink, 60))

        metrics = await get(nozzle, pipeline.certs, "/metrics")
        assert 'nozzle_errors_total{kind="timeout"} 1.0' in metrics
        assert 'nozzle_errors_total{kind="failed"} 2.0' in metrics

    assert sink.texts == LINES


async def test_what_is_neither_delivered_nor_on_disk_stays_with_the_doppler(pipeline: Pipeline) -> None:
    sink = FakeSink()
    sink.away = True
    async with pipeline.nozzle(sink, drain_grace_s=0.1):
        await pipeline.send(*LINES)
        await eventually(tried(sink))
    subscription = await pipeline.subscription()
    assert (subscription["delivered"], subscription["held"]) == (0, 60)

    sink.away = False
    async with pipeline.nozzle(sink):
        await eventually(has(sink, 60))
    assert sink.texts == LINES


async def test_what_is_held_is_delivered_and_confirmed_in_the_end(pipeline: Pipeline) -> None:
    sink = FakeSink()
    sink.takes = trio.Event()
    async with pipeline.nozzle(sink, batch_max_age_s=60):
        await pipeline.send(*LINES)
        sink.takes.set()
        await eventually(lambda: _in_flight(pipeline, 60))

    assert sink.texts == LINES
    assert (await pipeline.subscription())["delivered"] == 60


async def _in_flight(pipeline: Pipeline, count: int) -> bool:
    return bool((await pipeline.subscription())["in_flight"] == count)


@pytest.mark.parametrize("mode", ["auto", "always"])
async def test_what_is_on_disk_outlives_the_process(pipeline: Pipeline, tmp_path: Path, mode: str) -> None:
    settings = {"spool_dir": tmp_path / "spool", "spool_mode": mode}
    sink = FakeSink()
    sink.away = True
    async with pipeline.nozzle(sink, drain_grace_s=0.1, **settings) as nozzle:
        await pipeline.send(*LINES)
        await eventually(lambda: _held(pipeline, nozzle, 60))
    assert (await pipeline.subscription())["delivered"] == 60

    sink.away = False
    async with pipeline.nozzle(sink, **settings) as nozzle:
        await pipeline.send("new")
        await eventually(has(sink, 61))
        await eventually(lambda: _delivered(pipeline, nozzle, 61))
        assert (await pipeline.books(nozzle))["received"] == 61

    assert sink.texts == [*LINES, "new"]


async def _held(pipeline: Pipeline, nozzle: Ports, count: int) -> bool:
    return bool((await pipeline.books(nozzle))["held"] == count)


async def _delivered(pipeline: Pipeline, nozzle: Ports, count: int) -> bool:
    return bool((await pipeline.books(nozzle))["delivered"] == count)


async def test_while_the_sink_is_away_the_doppler_is_relieved_by_the_disk(pipeline: Pipeline, tmp_path: Path) -> None:
    sink = FakeSink()
    sink.away = True

    async def confirmed() -> bool:
        return bool((await pipeline.subscription())["delivered"] == 60)

    async with pipeline.nozzle(sink, spool_dir=tmp_path) as nozzle:
        await pipeline.send(*LINES)
        await eventually(confirmed)
        assert (await pipeline.books(nozzle))["held"] == 60
        sink.away = False

    assert sink.texts == LINES


async def test_what_the_sink_refuses_is_dropped_and_counted(pipeline: Pipeline) -> None:
    sink = FakeSink()
    sink.refuses = {"1", "2", "59"}
    async with pipeline.nozzle(sink, batch_max_envelopes=10) as nozzle:
        await pipeline.send(*LINES, size=6)
        await eventually(has(sink, 57))
        await eventually(lambda: _delivered(pipeline, nozzle, 57))
        books = await pipeline.books(nozzle)
        metrics = await get(nozzle, pipeline.certs, "/metrics")

    assert (books["received"], books["dropped"], books["held"]) == (60, {"unwanted": 3}, 0)
    assert 'nozzle_envelopes_dropped_total{reason="unwanted"} 3.0' in metrics


async def test_what_has_no_form_at_the_sink_is_skipped_once_through_failures(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    sink = FakeSink()
    sink.skips, sink.refuses, sink.denials = {"1", "2", "3", "4"}, {"5"}, 2
    async with pipeline.nozzle(sink, batch_max_envelopes=10, spool_dir=tmp_path, spool_mode="always") as nozzle:
        await pipeline.send(*LINES, size=6)
        await eventually(lambda: _delivered(pipeline, nozzle, 55))
        books = await pipeline.books(nozzle)
        metrics = await get(nozzle, pipeline.certs, "/metrics")

    assert (books["received"], books["skipped"], books["dropped"]) == (60, 4, {"unwanted": 1})
    assert (books["held"], books["balance"]) == (0, 0)
    assert "nozzle_envelopes_skipped_total 4.0" in metrics
    assert 'nozzle_errors_total{kind="denied"} 2.0' in metrics


async def test_what_is_filtered_out_is_confirmed_and_counted(pipeline: Pipeline) -> None:
    sink = FakeSink()
    async with pipeline.nozzle(
        sink, filter={"exclude_sources": ["b"]}, transforms=[{"step": "add_tags", "tags": {"seen": "yes"}}]
    ) as nozzle:
        await pipeline.send(*LINES, source_id="b")
        await pipeline.send("x", source_id="a")
        await eventually(has(sink, 1))
        await eventually(lambda: _delivered(pipeline, nozzle, 1))
        books = (await accounts(nozzle, pipeline.certs))["dopplers"]

    assert [(envelope.source_id, envelope.tags["seen"]) for envelope in sink.taken] == [("a", "yes")]
    assert (books["received"], books["delivered"], books["skipped"]) == (61, 1, 60)
    assert (await pipeline.subscription())["delivered"] == 61


async def test_what_a_filter_does_not_select_never_leaves_the_doppler(pipeline: Pipeline) -> None:
    sink = FakeSink()
    async with pipeline.nozzle(sink, filter={"types": ["log"], "sources": ["a", "c"]}) as nozzle:
        for source in ("b", "a"):
            await pipeline.send(*LINES, source_id=source, size=7)
        await pipeline.send("last", source_id="c")
        await eventually(has(sink, 61))
        books = (await accounts(nozzle, pipeline.certs))["dopplers"]

    assert sink.texts_by_source == {"a": LINES, "c": ["last"]}
    assert (books["received"], books["delivered"], books["skipped"]) == (61, 61, 0)
    assert (await pipeline.subscription())["received"] == 61


async def test_the_books_balance_at_every_moment(pipeline: Pipeline, tmp_path: Path) -> None:
    sink = FakeSink()
    sink.breaks, sink.refuses, sink.skips = 3, {"5"}, {"7"}
    async with pipeline.nozzle(sink, spool_dir=tmp_path, batch_max_envelopes=5, memory_bytes=2000) as nozzle:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: pipeline.send(*LINES, size=3))
            while len(sink.taken) < 58:
                await accounts(nozzle, pipeline.certs)  # which says so if they do not

    assert sink.texts == [line for line in LINES if line not in ("5", "7")]


async def test_two_processes_of_a_nozzle_share_the_stream(pipeline: Pipeline) -> None:
    one, other = FakeSink(), FakeSink()
    async with running_nozzle(pipeline.certs, other.kind, pipeline.doppler):
        await eventually(lambda: pipeline._readers_are(1))
        async with running_nozzle(pipeline.certs, one.kind, pipeline.doppler):
            await eventually(lambda: pipeline._readers_are(2))
            await pipeline.send(*LINES)

    assert sorted(one.texts + other.texts, key=int) == LINES


async def test_a_spool_belongs_to_one_process(pipeline: Pipeline, tmp_path: Path) -> None:
    sink = FakeSink()
    async with pipeline.nozzle(sink, spool_dir=tmp_path):
        with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match="spool_dir"), flatten_subgroups=True):
            async with running_nozzle(pipeline.certs, sink.kind, pipeline.doppler, spool_dir=tmp_path):
                pass


async def test_a_kind_that_delivers_exactly_once_gets_the_same_id_in_every_attempt(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    sink = FakeSink(delivery="exactly-once")
    sink.breaks = 2
    async with pipeline.nozzle(sink, spool_dir=tmp_path):
        await pipeline.send(*LINES, size=60)
        await eventually(has(sink, 60))

    assert sink.texts == LINES
    assert all(sink.ids)
    assert len(set(sink.ids)) == len(sink.ids)


@pytest.mark.parametrize("away", [True, False])
async def test_what_a_doppler_repeats_is_not_delivered_twice_where_once_is_promised(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    sink = FakeSink(delivery="exactly-once")
    sink.away = away
    with monkeypatch.context() as mute:
        mute.setattr(service, "confirm_all", lambda arrivals: None)  # as if the process died before it could tell
        async with pipeline.nozzle(sink, spool_dir=tmp_path, drain_grace_s=0.1) as nozzle:
            await pipeline.send(*LINES, size=7)
            await eventually(lambda: _held(pipeline, nozzle, 60) if away else _delivered(pipeline, nozzle, 60))
    assert (await pipeline.subscription())["delivered"] == 0

    sink.away = False
    async with pipeline.nozzle(sink, spool_dir=tmp_path) as nozzle:
        await pipeline.send("new")
        await eventually(has(sink, 61))
        await eventually(lambda: _repeated(pipeline, nozzle, 60))

    assert sink.texts == [*LINES, "new"]
    assert (await pipeline.subscription())["delivered"] == 61


async def _repeated(pipeline: Pipeline, nozzle: Ports, count: int) -> bool:
    return f"nozzle_envelopes_repeated_total {count}.0" in await get(nozzle, pipeline.certs, "/metrics")
