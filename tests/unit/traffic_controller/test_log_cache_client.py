"""What a log cache answers becomes v1 envelopes, or a failure that says what is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.tls import TlsFiles
from tests.fakes.log_cache import NEVER, Asked, FakeLogCache, batch, open_log_cache
from traffic_controller.config import Config
from traffic_controller.log_cache_client import LogCache, LogCacheFailed


def log(text: bytes, timestamp: int = 1) -> v2.Envelope:
    return v2.Envelope(
        source_id="app",
        instance_id="3",
        timestamp=timestamp,
        tags={"source_type": "APP"},
        deprecated_tags={"old": {"integer": 7}},
        log={"payload": text, "type": v2.Log.ERR},
    )


@pytest.fixture
async def fake(certs_dir: Path) -> AsyncIterator[FakeLogCache]:
    async with open_log_cache(TlsFiles.named(certs_dir, "log-cache")) as fake:
        yield fake


def make_config(certs: Path, url: str, **settings: Any) -> Config:
    files = TlsFiles.named(certs, "trafficcontroller")
    return Config(
        tls_ca=files.ca,
        tls_cert=files.cert,
        tls_key=files.key,
        log_cache_url=url,
        **{"log_cache_timeout_s": 10, **settings},
    )


async def ask(
    fake: FakeLogCache, certs: Path, *, source: str = "app", limit: int = 10, token: str | None = "t", **settings: Any
) -> list[v1.Envelope]:
    """Ask on an event loop of asyncio's, as on the island."""

    async def once() -> list[v1.Envelope]:
        cache = LogCache(make_config(certs, fake.address, **settings))
        try:
            return await cache.newest(source, "LOG", limit=limit, token=token, since_ns=5)
        finally:
            await cache.close()

    with trio.fail_after(20):
        return await trio.to_thread.run_sync(partial(asyncio.run, once()))


async def test_logs_come_back_as_v1(fake: FakeLogCache, certs_dir: Path) -> None:
    fake.answer = lambda _: (200, batch(log(b"\x00two", 2), log(b"one", 1)))

    newer, older = await ask(fake, certs_dir)

    line = newer.logMessage
    assert (line.message, line.message_type, line.app_id, line.timestamp) == (b"\x00two", v1.LogMessage.ERR, "app", 2)
    assert (line.source_type, line.source_instance, newer.tags["old"]) == ("APP", "3", "7")
    assert older.logMessage.message == b"one"


async def test_the_question_names_the_source_whatever_it_is_called_and_carries_the_token(
    fake: FakeLogCache, certs_dir: Path
) -> None:
    await ask(fake, certs_dir, source="a/b ?#%2F")

    [asked] = fake.asked
    assert asked.source_id == "a/b ?#%2F"
    assert asked.headers["authorization"] == "bearer t"
    assert asked.query == {"envelope_types": ["LOG"], "limit": ["10"], "descending": ["true"], "start_time": ["5"]}


async def test_without_a_token_none_is_sent(fake: FakeLogCache, certs_dir: Path) -> None:
    await ask(fake, certs_dir, token=None)

    assert "authorization" not in fake.asked[0].headers


async def test_what_is_too_large_is_asked_for_again_half_as_much(fake: FakeLogCache, certs_dir: Path) -> None:
    def answer(asked: Asked) -> tuple[int, bytes]:
        count = int(asked.query["limit"][0])
        return (429, b"") if count > 50 else (200, batch(*[log(b"x" * 1000)] * count))

    fake.answer = answer

    assert len(await ask(fake, certs_dir, limit=100, log_cache_max_bytes=20_000)) == 12
    assert [asked.query["limit"] for asked in fake.asked] == [["100"], ["50"], ["25"], ["12"]]


async def test_one_envelope_that_is_too_large_is_a_failure(fake: FakeLogCache, certs_dir: Path) -> None:
    fake.answer = lambda _: (200, batch(log(b"x" * 1000)))

    with pytest.raises(LogCacheFailed, match="too large"):
        await ask(fake, certs_dir, limit=3, log_cache_max_bytes=500)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: (404, b""), "answered 404"),
        (lambda _: (200, b"not json"), "no sense"),
        (lambda _: (200, b"[]"), "no sense"),
        (lambda _: (200, b'{"envelopes": {"batch": 5}}'), "no sense"),
        (lambda _: (200, b'{"envelopes": {"batch": [5]}}'), "no sense"),
        (lambda _: (200, json.dumps({"envelopes": {"batch": [{"timestamp": "x"}]}}).encode()), "no sense"),
    ],
)
async def test_what_makes_no_sense_is_a_failure(
    fake: FakeLogCache, certs_dir: Path, answer: Callable[[Asked], tuple[int, bytes]], words: str
) -> None:
    fake.answer = answer

    with pytest.raises(LogCacheFailed, match=words):
        await ask(fake, certs_dir)


async def test_a_stranger_is_not_asked(fake: FakeLogCache, certs_dir: Path, other_certs_dir: Path) -> None:
    with pytest.raises(LogCacheFailed, match="could not be asked"):
        await ask(fake, certs_dir, log_cache_ca=other_certs_dir / "ca.crt")

    assert fake.asked == []


async def test_one_that_does_not_answer_is_waited_for_so_long(fake: FakeLogCache, certs_dir: Path) -> None:
    fake.answer = lambda _: NEVER

    with pytest.raises(LogCacheFailed, match=r"in time|could not be asked"):
        await ask(fake, certs_dir, log_cache_timeout_s=0.5)
