"""What an event store is sent that nobody should send: from a Doppler to the answer of a query, nothing is lost."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from envelope.pb.loggregator_v2_pb2 import Envelope
from event_store.http.events import COLUMNS
from tests.running import eventually
from tests.running_event_api import EventApi, log, open_event_api

YEAR_NS = 366 * 86_400 * 10**9
MESSAGE = COLUMNS.index("message")
LARGEST_MESSAGE = (10 << 20) - 200
"""What a Doppler takes in one message of gRPC is 10 MiB, the envelope around the text included."""


@pytest.fixture
async def api(certs_dir: Path, tmp_path: Path) -> AsyncIterator[EventApi]:
    async with open_event_api(certs_dir, tmp_path, storage={"flush_s": 0.2}) as api:
        yield api


async def rows(api: EventApi, query: str, **params: Any) -> list[list[Any]]:
    answer = await api.get("/api/query", query=query, **params)
    assert answer.status_code == 200, answer.text
    found: list[list[Any]] = answer.json()["rows"]
    return found


async def arrow(api: EventApi, query: str, **params: Any) -> list[dict[str, Any]]:
    """What a query finds, as the store has it; but for the time, which Python cannot hold."""
    answer = await api.get("/api/query", query=query, format="arrow", **params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().drop_columns("time").to_pylist()
    return found


async def flushed(api: EventApi) -> None:
    """Wait until all that was sent is in segments."""

    async def is_flushed() -> bool:
        stats = (await api.get("/api/stats")).json()
        return bool(stats["segments"] and not stats["hot_events"])

    await eventually(is_flushed)


async def test_clocks_of_senders_may_be_years_off(api: EventApi) -> None:
    now = time.time_ns()
    times = {"now": now, "behind": now - 30 * YEAR_NS, "ahead": now + 30 * YEAR_NS, "unset": 0, "before": -YEAR_NS}
    extremes = {"least": -(2**63), "most": 2**63 - 1}
    await api.send(*[log(f"clock of {name}", "web", at) for name, at in (times | extremes).items()])
    for is_flushed in (False, True):
        if is_flushed:
            await flushed(api)
        answer = await api.post("/api/sql", sql="SELECT message, epoch_ns(time) FROM events ORDER BY seq")
        found = {said.removeprefix("clock of "): at for said, at in answer.json()["rows"]}
        assert {name: found[name] for name in times} == times
        assert found.keys() == times.keys() | extremes.keys()
        assert await rows(api, "clock last 1h | count") == [[1]]
        for name, at in times.items():
            start, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at // 10**9 + n)) for n in (-60, 60))
            (event,) = await rows(api, f"clock from {start} to {end}")
            assert event[MESSAGE] == f"clock of {name}"
        assert await rows(api, "clock from 1678-01-01 to 2262-04-01 | count") == [[len(times)]]
    assert (await api.get("/api/stats")).json()["events"] == len(times | extremes)


async def test_the_clock_of_the_machine_may_be_set_back_between_flushes(
    api: EventApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_ns, true_s, ahead_s = time.time_ns, time.time, 0

    async def a_line() -> None:
        await api.send(log(f"line {api.sent}", "web"))
        await flushed(api)

    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + ahead_s * 10**9)
    monkeypatch.setattr(time, "time", lambda: true_s() + ahead_s)
    for ahead_s in (0, -7200, 3600, -86_400, 0):  # noqa: B007  # the clock reads it
        await a_line()
        assert (await rows(api, "line last 1m | count"))[0][0] >= 1
    answer = await api.post("/api/sql", sql="SELECT message FROM events ORDER BY seq")
    assert [said for (said,) in answer.json()["rows"]] == [f"line {number}" for number in range(5)]


async def test_a_field_that_is_a_number_and_text_is_found_as_both(api: EventApi) -> None:
    lines = ['{"n":7}', '{"n":"7"}', '{"n":"seven"}', '{"n":12}', "n=7", "n=seven", '{"n":true}', '{"n":{"m":1}}']
    await api.send(*[log(line, "web") for line in lines[:4]])
    await flushed(api)
    await api.send(*[log(line, "web") for line in lines[4:]])
    for is_flushed in (False, True):
        if is_flushed:
            await flushed(api)

        async def found(query: str) -> set[str]:
            return {row["message"] for row in await arrow(api, query)}

        assert await found("n >= 7") >= {'{"n":7}', '{"n":12}', "n=7"}
        assert await found("n < 7") <= {'{"n":true}'}
        assert await found("n:seven") == {'{"n":"seven"}', "n=seven"}
        assert await found("n:7") == {'{"n":7}', '{"n":"7"}', "n=7"}
        assert await found("n contains eve") == {'{"n":"seven"}', "n=seven"}
        assert await found("n.m:1") == {'{"n":{"m":1}}'}
        counted = {str(value): count for value, count in await rows(api, "n:* | count by n")}
        assert (counted["seven"], counted["7"], counted["12"]) == (2, 3, 1)


@pytest.mark.parametrize("kind", ["tags", "fields"])
async def test_ten_thousand_names_are_each_found(api: EventApi, kind: str) -> None:
    names = [(f"{kind}_{number}", f"v{number}") for number in range(10_000)]
    parts = [dict(names[start : start + 50]) for start in range(0, len(names), 50)]
    if kind == "tags":
        await api.send(*[log("many", "web", **part) for part in parts])
    else:
        await api.send(*[log(json.dumps(part), "web") for part in parts])
    for is_flushed in (False, True):
        if is_flushed:
            await flushed(api)
        for number in (0, 4_999, 9_999):
            assert await rows(api, f"{kind}_{number}:v{number} | count") == [[1]]
            assert await rows(api, f"{kind}_{number}:v{number + 1} | count") == [[0]]
        events = await rows(api, "source:web", limit=1000)
        shown = {name: value for *_, fields in events for name, value in fields.items()}
        assert shown == dict(names)
    assert (await api.get("/api/fields", query="")).status_code == 200


async def test_the_largest_message_is_kept_whole_and_found_by_its_end(api: EventApi) -> None:
    text = "start " + "0123456789abcde " * (LARGEST_MESSAGE // 16) + "the-very-end"
    await api.send(log(text, "web"))
    await api.send(log("small", "web"))
    for is_flushed in (False, True):
        if is_flushed:
            await flushed(api)
        (found,) = await arrow(api, "the-very-end")
        assert found["message"] == text
        assert await rows(api, "/the-very-en[d]$/ | count") == [[1]]
        assert await rows(api, "source:web | count") == [[2]]
        assert (await rows(api, "the-very-end"))[0][MESSAGE] == text


async def test_text_that_is_no_utf8_comes_back_byte_for_byte(api: EventApi) -> None:
    payloads = [b"caf\xe9 latin", b"\xff\xfe\x00nul", b"cut \xe2\x82", bytes(range(256)), b"\xed\xa0\x80 surrogate"]
    envelopes = [Envelope(source_id="web", timestamp=time.time_ns(), log={"payload": each}) for each in payloads]
    await api.send(*envelopes, log("caf\u00e9 sound", "web"))
    for is_flushed in (False, True):
        if is_flushed:
            await flushed(api)
        shown = [row["message"] for row in await arrow(api, "source:web | sort seq")]
        assert shown[0::5] == ["caf\ufffd latin", "caf\u00e9 sound"]
        assert await rows(api, "latin | count") == [[1]]
        sql = "SELECT message_raw FROM events ORDER BY seq"
        answer = await api.post("/api/sql", sql=sql, format="arrow")
        assert pa.ipc.open_stream(answer.content).read_all()["message_raw"].to_pylist() == [*payloads, None]
