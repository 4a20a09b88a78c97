"""All sources of one agent together."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from metron.sources import FileSource, HostMetrics, Prometheus, SourceCounts, StdinSource, run_sources
from tests.unit.metron.sources.fakes import FakeOutlet


@dataclass
class Settings:
    files: list[FileSource] = field(default_factory=list)
    stdin: StdinSource | None = None
    host_metrics: HostMetrics = field(default_factory=HostMetrics)
    prometheus: Prometheus = field(default_factory=Prometheus)
    checkpoint_dir: Path | None = None


async def test_without_sources_it_starts_and_ends() -> None:
    outlet = FakeOutlet()
    with trio.fail_after(5):
        await run_sources(Settings(), outlet, SourceCounts(), stop=trio.Event())

    assert outlet.batches == []


async def test_every_source_named_is_read(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"line\n")
    files = [FileSource(paths=[str(tmp_path / "*.log")], source_id="app", start="beginning")]
    settings = Settings(files, host_metrics=HostMetrics(enabled=True), checkpoint_dir=tmp_path / "checkpoints")
    outlet, stop = FakeOutlet(), trio.Event()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_sources, settings, outlet, SourceCounts(), stop=stop))
            while {envelope.source_id for envelope in outlet.envelopes} != {"app", "host"}:
                await outlet.wait_for(sum(outlet.counts) + 1)
            stop.set()

    assert (tmp_path / "checkpoints" / "files.json").exists()


async def test_checkpoints_are_optional(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"line\n")
    files = [FileSource(paths=[str(tmp_path / "*.log")], source_id="app", start="beginning")]
    outlet, stop = FakeOutlet(), trio.Event()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_sources, Settings(files), outlet, SourceCounts(), stop=stop))
            assert await outlet.wait_for(1) == [b"line"]
            stop.set()


async def test_prometheus_targets_are_taken_up(tmp_path: Path) -> None:
    (tmp_path / "target.yml").write_text("port: 1\nscrape_interval: 0s\n")
    counts, stop = SourceCounts(), trio.Event()
    settings = Settings(prometheus=Prometheus(config_globs=[str(tmp_path / "*.yml")]))

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_sources, settings, FakeOutlet(), counts, stop=stop))
            assert counts.scrape_targets == 1
            stop.set()
