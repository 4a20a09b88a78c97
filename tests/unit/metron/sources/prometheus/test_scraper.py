"""Every target is scraped in its time, whatever the others do."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from metron.sources.counts import SourceCounts
from metron.sources.prometheus import Prometheus, ScrapeTarget, scrape_prometheus, scraper
from metron.sources.prometheus.fetch import Answer, ScrapeFailed
from tests.running import eventually
from tests.unit.metron.sources.fakes import FakeOutlet


class FakeTargets:
    """Answers in place of every target: with a body or an error, by port; without either, never."""

    def __init__(self) -> None:
        self.answers: dict[int, bytes | Exception] = {}
        self.asked: list[int] = []
        self.asked_at: list[float] = []

    async def fetch(self, target: ScrapeTarget, _: Prometheus) -> Answer:
        self.asked.append(target.port)
        self.asked_at.append(trio.current_time())
        match self.answers.get(target.port):
            case bytes(body):
                await trio.lowlevel.checkpoint()
                return Answer(body, "")
            case Exception() as error:
                raise error
        await trio.sleep_forever()
        raise AssertionError


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> FakeTargets:
    fake = FakeTargets()
    monkeypatch.setattr(scraper, "fetch", fake.fetch)
    return fake


class Scrape:
    """A running scraper."""

    def __init__(self) -> None:
        self.outlet = FakeOutlet()
        self.counts = SourceCounts()
        self.stop = trio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        async def holds() -> bool:
            return condition()

        await eventually(holds)


@asynccontextmanager
async def scraping(*ports: int, **settings: Any) -> AsyncIterator[Scrape]:
    scrape = Scrape()
    named = [ScrapeTarget(port=port, source_id=f"s{port}") for port in ports]
    values = {"targets": named, "default_interval_s": 0.1, "look_again_s": 0.01, "timeout_s": 0.2, **settings}
    config = Prometheus(**values)
    run = partial(scrape_prometheus, config, scrape.outlet, scrape.counts, rng=random.Random(1))
    with trio.fail_after(15):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run, stop=scrape.stop, now_ns=lambda: 7))
            yield scrape
            scrape.stop.set()


async def test_a_target_is_scraped_again_and_again(targets: FakeTargets) -> None:
    targets.answers[1] = b"a 1\n"
    async with scraping(1) as scrape:
        await scrape.until(lambda: scrape.counts.samples_read >= 3)

    first = scrape.outlet.envelopes[0]
    assert (first.source_id, first.timestamp, first.gauge.metrics["a"].value) == ("s1", 7, 1)
    assert scrape.counts.failed_scrapes == {"s1": 0}


@pytest.mark.parametrize("answer", [ScrapeFailed("status 500"), RuntimeError("a bug"), b"garbage\n", None])
async def test_a_target_that_fails_is_counted_and_harms_no_other(
    targets: FakeTargets, answer: bytes | Exception | None
) -> None:
    targets.answers = {2: b"a 1\n"} | ({1: answer} if answer else {})
    async with scraping(1, 2) as scrape:
        await scrape.until(lambda: scrape.counts.failed_scrapes["s1"] >= 2)
        await scrape.until(lambda: scrape.counts.samples_read >= 2)

    assert scrape.counts.failed_scrapes["s2"] == 0
    assert {envelope.source_id for envelope in scrape.outlet.envelopes} == {"s2"}


async def test_a_failure_and_a_recovery_are_said_once(targets: FakeTargets, capsys: pytest.CaptureFixture[str]) -> None:
    async with scraping(1) as scrape:
        targets.answers[1] = ScrapeFailed("status 500")
        await scrape.until(lambda: scrape.counts.failed_scrapes["s1"] >= 3)
        targets.answers[1] = b"a 1\n"
        await scrape.until(lambda: scrape.counts.samples_read >= 2)

    said = capsys.readouterr().out
    assert said.count("scrape_failed") == 1
    assert said.count("scrape_recovered") == 1


async def test_an_answer_that_takes_long_to_read_is_given_up(targets: FakeTargets) -> None:
    labels = ",".join(f'l{number}=""' for number in range(1500))
    targets.answers = {1: f"a{{{labels}}} 1\n".encode() * 1000, 2: b"a 1\n"}
    async with scraping(1, 2, max_bytes=1 << 30) as scrape:
        await scrape.until(lambda: scrape.counts.failed_scrapes["s1"] >= 1)
        await scrape.until(lambda: scrape.counts.samples_read >= 2)


async def test_a_scrape_that_fails_at_its_end_sends_nothing(targets: FakeTargets) -> None:
    targets.answers[1] = b"a 1\n" * 2000 + b"garbage\n"
    async with scraping(1) as scrape:
        await scrape.until(lambda: scrape.counts.failed_scrapes["s1"] >= 1)

    assert scrape.outlet.batches == []


async def test_samples_that_make_no_sense_are_counted(targets: FakeTargets) -> None:
    targets.answers[1] = b"a NaN\nb 1\n"
    async with scraping(1) as scrape:
        await scrape.until(lambda: scrape.counts.samples_read >= 1)

    assert scrape.counts.samples_skipped == scrape.counts.samples_read


async def test_files_are_taken_up_changed_and_left(targets: FakeTargets, tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    async with scraping(config_globs=[str(tmp_path / "*.yml")]) as scrape:
        path.write_text("port: 1\nsource_id: one")
        await scrape.until(lambda: 1 in targets.asked)
        assert scrape.counts.failed_scrapes.keys() == {"one"}

        path.write_text("port: 2\nsource_id: two")
        await scrape.until(lambda: 2 in targets.asked)
        assert scrape.counts.failed_scrapes.keys() == {"two"}

        path.unlink()
        await scrape.until(lambda: scrape.counts.scrape_targets == 0)
        assert scrape.counts.failed_scrapes == {}


async def test_what_cannot_be_used_is_counted_once_while_it_stays_so(targets: FakeTargets, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("port: x")
    targets.answers[1] = b"a 1\n"
    nameless = ScrapeTarget(port=2, scheme="https")
    good = ScrapeTarget(port=1)
    async with scraping(targets=[nameless, good], config_globs=[str(tmp_path / "*.yml")]) as scrape:
        await scrape.until(lambda: scrape.counts.samples_read >= 2)
        assert scrape.counts.errors["scrape_config"] == 2

        (tmp_path / "bad.yml").write_text("port: 0")
        await scrape.until(lambda: scrape.counts.errors["scrape_config"] == 3)

    assert scrape.counts.scrape_targets == 1


async def test_more_targets_than_allowed_are_not_scraped(targets: FakeTargets) -> None:
    async with scraping(1, 2, 3, max_targets=2) as scrape:
        await scrape.until(lambda: set(targets.asked) == {1, 2})

        assert scrape.counts.scrape_targets == 2
        assert scrape.counts.errors["scrape_config"] == 1


@pytest.mark.parametrize("interval", ["0", "-1s"])
async def test_an_interval_of_nothing_is_never(targets: FakeTargets, interval: str) -> None:
    never = ScrapeTarget(port=1, scrape_interval=interval)
    async with scraping(targets=[never, ScrapeTarget(port=2)]) as scrape:
        await scrape.until(lambda: targets.asked.count(2) >= 2)

    assert 1 not in targets.asked


async def test_targets_do_not_start_all_at_once(targets: FakeTargets) -> None:
    async with scraping(*range(1, 21), default_interval_s=0.2) as scrape:
        await scrape.until(lambda: len(set(targets.asked)) == 20)

    assert targets.asked_at[19] - targets.asked_at[0] > 0.1


async def test_it_stops_though_a_target_hangs_and_the_outlet_is_full(targets: FakeTargets) -> None:
    targets.answers[2] = b"a 1\n"
    async with scraping(1, 2, timeout_s=60) as scrape:

        async def full(*_: object) -> None:
            await trio.sleep_forever()

        scrape.outlet.send = full  # type: ignore[method-assign, assignment]
        await scrape.until(lambda: set(targets.asked) == {1, 2})
        with trio.fail_after(2):
            scrape.stop.set()


async def test_while_nothing_is_taken_few_answers_are_made_envelopes(
    targets: FakeTargets, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Answer] = []
    read_in_thread = scraper._read_in_thread

    def spied_on(answer: Answer, *args: Any, **settings: Any) -> Any:
        read.append(answer)
        return read_in_thread(answer, *args, **settings)

    monkeypatch.setattr(scraper, "_read_in_thread", spied_on)
    ports = range(1, 6)
    targets.answers = dict.fromkeys(ports, b"a 1\n")
    async with scraping(*ports, timeout_s=60, look_again_s=60) as scrape:

        async def full(*_: object) -> None:
            await trio.sleep_forever()

        scrape.outlet.send = full  # type: ignore[method-assign, assignment]
        await scrape.until(lambda: set(targets.asked) == set(ports) and len(read) >= scraper.READ_AT_ONCE)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(read) == scraper.READ_AT_ONCE
