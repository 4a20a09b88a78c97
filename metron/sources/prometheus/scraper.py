"""Scrape every target at its interval, each in its own task.

In:    the text of `/metrics` endpoints, those of TOML targets and of YAML files, which are looked up again and again.
Out:   one gauge or counter envelope per sample.
Drops: samples that make no sense, counted as skipped. A scrape that fails sends nothing and is counted as failed.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog
import trio

from metron.sources.counts import SourceCounts, printable
from metron.sources.outlet import Outlet
from metron.sources.prometheus.config import Prometheus, ScrapeTarget
from metron.sources.prometheus.exposition import ExpositionError, samples_of
from metron.sources.prometheus.fetch import Answer, ScrapeFailed, fetch, problem_of
from metron.sources.prometheus.mapping import Origin, Scraped, scraped_of
from metron.sources.prometheus.target_files import Found, TargetFiles
from plumbing.config import join_listen

log = structlog.get_logger(__name__)

READ_AT_ONCE = 2
"""Answers that are read and sent on at a time: each takes a thread, and memory of several times its size."""


async def scrape_prometheus(
    config: Prometheus,
    outlet: Outlet,
    counts: SourceCounts,
    *,
    stop: trio.Event,
    now_ns: Callable[[], int],
    rng: random.Random,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Scrape until `stop` is set; started once every target is known."""
    files = TargetFiles(config.config_globs)
    named: dict[str, Found] = {f"targets[{number}]": target for number, target in enumerate(config.targets)}
    async with trio.open_nursery() as nursery:
        targets = _Targets(config, counts, _Scraper(config, outlet, counts, now_ns, rng).scrape_regularly, nursery)
        targets.update(named | await trio.to_thread.run_sync(files.look))
        task_status.started()
        while not stop.is_set():
            with trio.move_on_after(config.look_again_s):
                await stop.wait()
                break
            targets.update(named | await trio.to_thread.run_sync(files.look))
        nursery.cancel_scope.cancel()


class _Targets:
    """Keeps one task for each target that is named now."""

    def __init__(
        self,
        config: Prometheus,
        counts: SourceCounts,
        scrape: Callable[[str, ScrapeTarget, trio.CancelScope], Awaitable[None]],
        nursery: trio.Nursery,
    ) -> None:
        self._config = config
        self._counts = counts
        self._scrape = scrape
        self._nursery = nursery
        self._running: dict[str, tuple[ScrapeTarget, trio.CancelScope]] = {}
        self._problems: dict[str, str] = {}

    def update(self, found: Mapping[str, Found]) -> None:
        """Take up what is new or changed, and leave what is gone."""
        problems = {name: problem for name, one in found.items() if (problem := self._problem(one))}
        usable = [(name, one) for name, one in found.items() if name not in problems and isinstance(one, ScrapeTarget)]
        for name, _ in usable[self._config.max_targets :]:
            problems[name] = f"one of more than {self._config.max_targets} targets"
        self._tell(problems)
        wanted = dict(usable[: self._config.max_targets])
        for name, (target, scope) in list(self._running.items()):
            if wanted.get(name) != target:
                scope.cancel()
                del self._running[name]
        for name, target in wanted.items():
            if name not in self._running:
                self._start(name, target)
        self._count(wanted)

    def _problem(self, one: Found) -> str:
        return one if isinstance(one, str) else problem_of(one, self._config)

    def _tell(self, problems: dict[str, str]) -> None:
        for name, problem in problems.items():
            if self._problems.get(name) != problem:
                self._counts.errors["scrape_config"] += 1
                log.warning("scrape_target_unusable", target=printable(name), problem=problem)
        self._problems = problems

    def _start(self, name: str, target: ScrapeTarget) -> None:
        scope = trio.CancelScope()
        self._running[name] = target, scope
        if self._config.interval_s(target) > 0:
            self._nursery.start_soon(self._scrape, printable(name), target, scope)

    def _count(self, wanted: Mapping[str, ScrapeTarget]) -> None:
        """Keep the failures of the targets there are now, and of no others: files may come and go for ever."""
        names = {target.source_id or self._config.default_source_id for target in wanted.values()}
        before = self._counts.failed_scrapes
        self._counts.failed_scrapes = {name: before.get(name, 0) for name in sorted(names)}
        self._counts.scrape_targets = len(wanted)


class _Scraper:
    """Scrapes a target at its interval, and sends on what it says."""

    def __init__(
        self, config: Prometheus, outlet: Outlet, counts: SourceCounts, now_ns: Callable[[], int], rng: random.Random
    ) -> None:
        self._config = config
        self._outlet = outlet
        self._counts = counts
        self._now_ns = now_ns
        self._rng = rng
        self._reading = trio.Semaphore(READ_AT_ONCE)

    async def scrape_regularly(self, name: str, target: ScrapeTarget, scope: trio.CancelScope) -> None:
        """Scrape until cancelled, for the first time within one interval: not all targets at once."""
        interval_s = self._config.interval_s(target)
        with scope:
            await trio.sleep(self._rng.uniform(0, interval_s))
            failing = False
            while True:
                next_at = trio.current_time() + interval_s
                problem = await self._scrape(target)
                if problem and not failing:
                    _tell(name, target, problem)
                if failing and not problem:
                    log.info("scrape_recovered", target=name)
                failing = problem is not None
                await trio.sleep_until(next_at)

    async def _scrape(self, target: ScrapeTarget) -> Exception | None:
        """Scrape once; the answer is what went wrong, if anything did."""
        source_id = target.source_id or self._config.default_source_id
        try:
            with trio.fail_after(self._config.timeout_s):
                answer = await fetch(target, self._config)
            async with self._reading:
                scraped = await self._read(answer, Origin(source_id, target.instance_id, target.labels))
                await self._send(scraped)
        except Exception as error:  # whatever one target does, the others go on
            self._counts.failed_scrapes[source_id] = self._counts.failed_scrapes.get(source_id, 0) + 1
            return error
        return None

    async def _read(self, answer: Answer, origin: Origin) -> Scraped:
        read = partial(
            _read_in_thread,
            answer,
            origin,
            self._now_ns(),
            max_samples=self._config.max_samples,
            max_bytes=4 * self._config.max_bytes,
        )
        with trio.fail_after(self._config.timeout_s):
            return await trio.to_thread.run_sync(read)

    async def _send(self, scraped: Scraped) -> None:
        self._counts.samples_skipped += scraped.skipped
        for batch, count in scraped.batches:
            await self._outlet.send(batch, count)
            self._counts.samples_read += count


def _read_in_thread(answer: Answer, origin: Origin, timestamp: int, *, max_samples: int, max_bytes: int) -> Scraped:
    """Make envelopes of an answer; ends soon after it is cancelled."""
    samples = samples_of(
        answer.body, answer.content_type, max_samples=max_samples, check=trio.from_thread.check_cancelled
    )
    return scraped_of(samples, origin, timestamp, max_bytes=max_bytes)


def _tell(name: str, target: ScrapeTarget, problem: Exception) -> None:
    expected = isinstance(problem, ScrapeFailed | ExpositionError | trio.TooSlowError)
    text = "took too long" if isinstance(problem, trio.TooSlowError) else str(problem) or repr(problem)
    address = join_listen(target.host, target.port)
    log.warning("scrape_failed", target=name, address=address, problem=text, exc_info=None if expected else problem)
