"""`standpipe log-meta`, from the options to the output."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
from trio.testing import MockClock

from standpipe.commands import log_meta as module
from standpipe.commands.log_meta import log_meta
from standpipe.errors import NotRunning
from standpipe.reading.source_meta import Order
from tests.fakes.cursor_log_cache import CursorLogCache, log
from tests.unit.standpipe.reading.cache_in_memory import client_of
from tests.unit.standpipe.reading.paper import Paper

MINUTE_NS = 60 * 10**9


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> CursorLogCache:
    cache = CursorLogCache()
    cache.put(*(log("x", number * MINUTE_NS) for number in range(11)), source="shop")
    cache.put(*(log("x", number) for number in range(1500)), source="noise")
    monkeypatch.setattr(module, "open_log_cache", lambda _: client_of(cache))
    monkeypatch.setattr(trio, "run", partial(trio.run, clock=MockClock(autojump_threshold=0)))
    return cache


@pytest.fixture
def show(cache: CursorLogCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command and return its lines."""
    (tmp_path / "endpoints.json").write_text('{"log_cache.rest": "127.0.0.1:8083"}')

    def run(**options: Any) -> list[str]:
        paper = Paper()
        monkeypatch.setattr(module, "Stdout", lambda: paper)
        log_meta(data_dir=tmp_path, **{"interval": 10.0, **options})
        return [line.decode() for line in paper.lines]

    return run


def test_a_table_shows_what_is_held_of_each_source(show: Any) -> None:
    assert show() == [
        "source  count  expired  duration  rate/min",
        "noise   1,500        0       1 s    90,000",
        "shop       11        0    10 min       1.1",
    ]


def test_whoever_has_most_may_come_first(show: Any) -> None:
    assert [line.split()[0] for line in show(sort=Order.DURATION)] == ["source", "shop", "noise"]


def test_noise_is_what_comes_in_an_interval(show: Any, cache: CursorLogCache, monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = trio.sleep

    async def sleep_while_it_comes(seconds: float) -> None:
        cache.put(*(log("x", number) for number in range(30)), source="shop")
        cache.expire(5, source="shop")
        await sleep(seconds)

    monkeypatch.setattr(trio, "sleep", sleep_while_it_comes)
    rates = [(line.split()[0], line.split()[-1]) for line in show(noise=True)]
    assert rates == [("source", "rate/min"), ("shop", "180"), ("noise", "0")]


def test_many_sources_are_cut_short(show: Any, cache: CursorLogCache) -> None:
    fields = {"count": "1", "expired": "0", "oldest_timestamp": "0", "newest_timestamp": "0"}
    meta = {"meta": {f"source-{number:06}": fields for number in range(100_000)}}
    cache.answers["/api/v1/meta"] = (200, json.dumps(meta).encode())
    lines = show()
    assert (len(lines), lines[-1]) == (102, "and 99,900 more")
    assert len(show(limit=0)) == 100_001


def test_json_has_every_source(show: Any) -> None:
    (line,) = show(as_json=True, sort=Order.SOURCE)
    assert orjson.loads(line)[1] == {
        "source_id": "shop",
        "count": 11,
        "expired": 0,
        "oldest_timestamp": 0,
        "newest_timestamp": 10 * MINUTE_NS,
        "duration_s": 600.0,
        "rate_per_min": 1.1,
    }


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"meta": {"a": {"count": "many"}}}'])
def test_an_answer_that_makes_no_sense_is_no_log_cache(show: Any, cache: CursorLogCache, answer: bytes) -> None:
    cache.answers["/api/v1/meta"] = (200, answer)
    with pytest.raises(NotRunning, match="makes no sense"):
        show()
