"""Readers of a log cache's REST interface that follow, wait, stop reading, vanish or ask for too much (4.3, 4.7)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import h11
import httpx
import structlog.testing
import trio

from tests.raw_http import ask as ask_raw
from tests.raw_http import dial as dial_raw
from tests.raw_http import request
from tests.running import eventually
from tests.running_log_cache import APP, LogCache, log, open_log_cache, payloads, texts_of

OTHER = "9f3c2a41-58cc-4372-a567-0e02b2c3d480"
ACCEPT = "Accept: text/event-stream"


class Following:
    """A stream, event by event."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.last_id = ""
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        self._text = ""

    async def event(self) -> dict[str, str]:
        """Read one block: its fields."""
        with trio.fail_after(20):
            while "\n\n" not in self._text:
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    self._http.receive_data(await self._stream.receive_some())
                if isinstance(event, h11.Response):
                    assert event.status_code == 200
                else:
                    assert isinstance(event, h11.Data)
                    self._text += event.data.decode()
        block, _, self._text = self._text.partition("\n\n")
        fields = {name: value.strip() for name, _, value in (line.partition(":") for line in block.splitlines())}
        self.last_id = fields.get("id", self.last_id)
        return fields

    async def payloads(self) -> list[str]:
        """Read on to the next data."""
        while "data" not in (event := await self.event()):
            pass
        return texts_of(json.loads(event["data"])["batch"])


@asynccontextmanager
async def follow(cache: LogCache, target: str, *headers: str) -> AsyncIterator[Following]:
    """Open a stream; leaving it breaks its connection."""
    stream = await dial_raw(cache.address, cache.trusting)
    try:
        await stream.send_all(request(target, f"Authorization: bearer {cache.token()}", ACCEPT, *headers))
        yield Following(stream)
    finally:
        await trio.aclose_forcefully(stream)


async def test_a_reader_goes_on_in_order_of_arrival(cache: LogCache) -> None:
    await cache.put(log("late", 9), log("early", 1))
    first = await cache.get(f"/api/v1/read/{APP}", cursor="", limit="1")
    assert (payloads(first), first.headers["standpipe-rest"]) == (["late"], "1")

    second = await cache.get(f"/api/v1/read/{APP}", cursor=first.headers["standpipe-cursor"])
    assert (payloads(second), second.headers["standpipe-missed"]) == (["early"], "0")

    async with trio.open_nursery() as nursery:
        answers: list[httpx.Response] = []

        async def wait() -> None:
            cursor = second.headers["standpipe-cursor"]
            answers.append(await cache.get(f"/api/v1/read/{APP}", cursor=cursor, wait="30"))

        nursery.start_soon(wait)
        await cache.metric_is("log_cache_followers", 1)
        await cache.put(log("news", 1))

    assert payloads(answers[0]) == ["news"]


async def test_a_stream_brings_what_arrives_and_is_continued(cache: LogCache) -> None:
    await cache.put(log("before"))
    async with follow(cache, f"/api/v1/read/{APP}") as stream:
        assert (await stream.event()).keys() == {"id"}
        await cache.put(log("1"))
        assert await stream.payloads() == ["1"]
        last_id = stream.last_id
    await cache.put(log("2"))

    async with follow(cache, f"/api/v1/read/{APP}?cursor=", f"Last-Event-ID: {last_id}") as stream:
        assert await stream.payloads() == ["2"]
    async with follow(cache, f"/api/v1/read/{APP}?cursor=") as stream:
        assert await stream.payloads() == ["before", "1", "2"]
    await cache.metric_is("log_cache_rest_streams", 0)


async def test_the_process_ends_streams_and_waits(certs_dir: Path, tmp_path: Path) -> None:
    heard: list[bytes] = []
    answers: list[int] = []
    async with trio.open_nursery() as nursery:
        async with open_log_cache(certs_dir, tmp_path, drain_grace_s=20) as cache:

            async def read_on() -> None:
                async with (
                    cache.http() as client,
                    client.stream("GET", f"/api/v1/read/{APP}", headers={"Accept": "text/event-stream"}) as answer,
                ):
                    heard.extend([piece async for piece in answer.aiter_raw()])

            async def wait() -> None:
                answer = await cache.get(f"/api/v1/read/{APP}", cursor="", wait="30")
                answers.append(answer.status_code)

            nursery.start_soon(read_on)
            nursery.start_soon(wait)
            await cache.metric_is("log_cache_followers", 2)
            began = trio.current_time()
        assert trio.current_time() - began < 10

    assert (answers, len(heard)) == ([200], 1)


async def test_a_thousand_requests_on_one_connection(cache: LogCache) -> None:
    stream = await dial_raw(cache.address, cache.trusting)
    asked = request("/api/v1/info")
    received = b""

    async def send() -> None:
        await stream.send_all(asked * 1000)

    with trio.fail_after(40):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while received.count(b"HTTP/1.1 200") < 1000:
                piece = await stream.receive_some(65536)
                assert piece, received.count(b"HTTP/1.1 200")
                received += piece
    await trio.aclose_forcefully(stream)


async def test_whatever_is_too_large_is_refused(cache: LogCache) -> None:
    flood = [f"X-{number}: {'y' * 1000}" for number in range(200)]
    headers = await ask_raw(cache.address, cache.trusting, request("/api/v1/info", *flood))
    form = ["Content-Type: application/x-www-form-urlencoded"]
    body = await ask_raw(
        cache.address, cache.trusting, request("/api/v1/query", *form, method="POST", body="x" * 300_000), method="POST"
    )
    parameters = await cache.get(f"/api/v1/read/{APP}?{'&a' * 2000}")

    assert headers.status in (400, 431)
    assert body.status == 413
    assert parameters.status_code == 400


async def test_clients_that_vanish_leave_nothing_behind(cache: LogCache) -> None:
    streams = [await dial_raw(cache.address, cache.trusting) for _ in range(10)]
    with structlog.testing.capture_logs() as lines:
        for number, stream in enumerate(streams):
            if number % 2:
                asked = request(f"/api/v1/read/{APP}", f"Authorization: bearer {cache.token()}", ACCEPT)
            else:
                asked = request(f"/api/v1/read/{APP}?cursor=&wait=30", f"Authorization: bearer {cache.token()}")
            await stream.send_all(asked)
        await cache.metric_is("log_cache_followers", 10)
        for stream in streams:
            await trio.aclose_forcefully(stream)
        await cache.metric_is("log_cache_rest_connections", 0)
        await cache.metric_is("log_cache_followers", 0)

    assert all(line["log_level"] in ("debug", "info") for line in lines)
    assert cache.token() not in str(lines)


async def test_a_slow_reader_is_cut_and_holds_up_nobody(certs_dir: Path, tmp_path: Path) -> None:
    rest = {"listen": "127.0.0.1:0", "slow_reader_s": 0.5}
    async with open_log_cache(certs_dir, tmp_path, rest=rest) as cache:
        await cache.put(*[log(chr(65 + number) * 60_000) for number in range(40)])
        await cache.put(log("x", source_id=OTHER))
        slow = await dial_raw(cache.address, cache.trusting)
        token = f"Authorization: bearer {cache.token()}"
        await slow.send_all(request(f"/api/v1/read/{APP}?cursor=&limit=10", token, ACCEPT) * 5)

        async with follow(cache, f"/api/v1/read/{OTHER}?cursor=") as stream:
            assert await stream.payloads() == ["x"]

        async def cut() -> bool:
            await cache.put(*[log("y" * 60_000) for _ in range(40)])
            return await cache.metric("log_cache_rest_slow_readers_total") == 1

        await eventually(cut)
        await trio.aclose_forcefully(slow)
