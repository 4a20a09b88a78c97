"""A segment that is damaged while the store runs: the query that meets it is answered by the rest, and says so."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import jsonschema
import orjson
import pytest
import trio

from event_store.engine import Engine, SegmentUnreadable
from event_store.http.openapi import SCHEMAS
from event_store.storage import Reader, StorageSettings
from tests.running import eventually
from tests.running_event_api import EventApi, log, open_event_api

EACH = 300
"""Lines of a segment."""
ASKED = (
    ("query", {"query": "| count by message"}),
    ("query", {"query": "line | tail 9000", "format": "csv"}),
    ("timeseries", {"query": "line", "by": "app"}),
    ("facets", {"query": "", "field": "message"}),
)


@asynccontextmanager
async def open_store(certs: Path, tmp_path: Path, segments: int) -> AsyncIterator[tuple[EventApi, list[str]]]:
    """Run a store that has some segments, and say which."""
    storage = StorageSettings(flush_s=0.05, compact_after_s=3600, verify_bytes_per_s=0)
    async with open_event_api(certs, tmp_path, storage=storage) as api:
        for part in range(segments):
            await api.send(*(log(f"{os.urandom(30).hex()} line {part}-{n}", app=f"app-{n % 2}") for n in range(EACH)))
            await eventually(partial(has_segments, api, part + 1))
        yield api, [segment.file for segment in Reader.open(tmp_path / "store").snapshot().segments]


async def has_segments(api: EventApi, count: int) -> bool:
    return await api.metric("event_store_segments") == count


def harm(path: Path) -> None:
    """Lose the middle of a segment: messages are the greatest part of it."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(bytes(size // 2))


def warnings_of(answer: httpx.Response) -> list[str]:
    if answer.headers["content-type"] == "application/json":
        return list(answer.json().get("warnings", []))
    return list(orjson.loads(answer.headers.get("standpipe-warnings", b"[]")))


async def test_what_cannot_be_read_is_set_aside_and_the_rest_answers(certs_dir: Path, tmp_path: Path) -> None:
    async with open_store(certs_dir, tmp_path, len(ASKED) + 1) as (api, files):
        for number, (path, params) in enumerate(ASKED):
            harm(tmp_path / "store" / files[number])
            first, second = [await api.get(f"/api/{path}", **params) for _ in range(2)]

            assert (first.status_code, second.status_code) == (200, 200)
            assert [len(warnings_of(each)) for each in (first, second)] == [1, 0]
            assert files[number] in warnings_of(first)[0]
            if "format" not in params:
                name = "Table" if path == "query" else path.capitalize()
                schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
                jsonschema.validate(first.json(), schema)
            assert (await api.get("/api/query", query="| count")).json()["rows"] == [[EACH * (len(ASKED) - number)]]
        stats = (await api.get("/api/stats")).json()
        assert (stats["writer"]["set_aside"], stats["writer"]["damages"]) == (len(ASKED), files[:-1])
        (left,) = Reader.open(tmp_path / "store").snapshot().segments
        assert stats["bytes"] == left.bytes + left.index_bytes


async def test_several_that_meet_the_same_damage_are_all_answered_and_others_are_not_told_which_it_is(
    certs_dir: Path, tmp_path: Path
) -> None:
    answers: list[httpx.Response] = []

    async with open_store(certs_dir, tmp_path, 2) as (api, files):
        harm(tmp_path / "store" / files[0])
        mine = api.token("web")

        async def ask(number: int) -> None:
            query = f"line or {number} | count by message | limit 1000"
            answers.append(await api.get("/api/query", mine, query=query))

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(ask, number)

    assert [len(each.json()["rows"]) for each in answers] == [EACH] * 4
    warned = [warning for each in answers for warning in warnings_of(each)]
    assert 1 <= len(warned) <= 4
    assert all("was set aside" in warning and "parquet" not in warning for warning in warned)


async def test_where_nothing_is_damaged_the_query_fails_once(
    certs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def fail(*asked: object, **_: object) -> None:
        tries.append(asked)
        raise SegmentUnreadable("some.parquet cannot be read", {"some.parquet"})

    async with open_event_api(certs_dir, tmp_path) as api:
        monkeypatch.setattr(Engine, "run", fail)
        answer = await api.get("/api/query", query="x")

    assert (answer.status_code, answer.json()["error"]["message"]) == (500, "some.parquet cannot be read")
    assert len(tries) == 1
