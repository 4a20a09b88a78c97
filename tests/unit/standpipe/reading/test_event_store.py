"""Asking an event store: tables with their progress, other formats, live tails, and what goes wrong."""

from contextlib import aclosing
from pathlib import Path

import pytest

from standpipe.errors import CommandFailed, NotRunning
from standpipe.reading.event_store import WARNINGS, Place, explained
from standpipe.reading.https_client import ServerRefused, ServerUnavailable
from standpipe.system import System
from tests.unit.standpipe.reading.store_in_memory import COUNTS, MemoryStore, client_of, lines_of, sent

PATH = "/api/query"
SYNTAX = b'{"error":{"code":"syntax","message":"no stage","column":3,"suggestion":"did you mean count?"}}'


async def test_a_table_comes_behind_its_progress() -> None:
    store, told = MemoryStore({PATH: lambda: (200, lines_of(COUNTS))}), []
    async with client_of(store) as client:
        assert await client.ask(PATH, {"query": "a"}, lambda *said: told.append(said)) == COUNTS
    assert store.asked == [(PATH, {"query": "a", "progress": "true"})]
    assert told == [(0.5, 7)]


@pytest.mark.parametrize(
    ("status", "body", "refused_with"),
    [
        (400, SYNTAX, 400),
        (200, SYNTAX + b"\n", 400),
        (200, b'{"error":{"code":"timeout","message":"no stage"}}\n', 504),
    ],
)
async def test_a_refusal_is_one_whenever_it_comes(status: int, body: bytes, refused_with: int) -> None:
    async with client_of(MemoryStore({PATH: lambda: (status, body)})) as client:
        with pytest.raises(ServerRefused, match="no stage") as refused:
            await client.ask(PATH, {}, lambda *_: None)
    assert refused.value.status == refused_with


@pytest.mark.parametrize(
    "body", [b"", b'{"progress":{"done":0,"rows_scanned":0}}\n', b"<html>\n", b"[]\n", b'{"progress":5}\n']
)
async def test_an_answer_that_is_none_makes_no_sense(body: bytes) -> None:
    async with client_of(MemoryStore({PATH: lambda: (200, body)})) as client:
        with pytest.raises(ServerUnavailable, match=r"broke off|makes no sense"):
            await client.ask(PATH, {}, lambda *_: None)


async def test_another_format_comes_as_it_is_with_its_warnings() -> None:
    store = MemoryStore({PATH: lambda: (200, b"a,b\n")}, headers={WARNINGS: '["no such field"]'})
    async with client_of(store) as client:
        assert await client.fetch(PATH, {"format": "csv"}) == (b"a,b\n", ["no such field"])


async def test_a_tail_says_when_it_is_open_and_then_what_comes() -> None:
    store = MemoryStore(tails=[[b": heartbeat\n\n", sent("event", {"seq": 1})[:9], sent("event", {"seq": 1})[9:]]])
    async with client_of(store) as client, aclosing(client.tail("a b", Place())) as arrivals:
        heard = [event and (event.name, event.data) async for event in arrivals]
    assert heard == [None, ("event", b'{"seq":1}')]
    assert store.asked == [("/api/tail", {"query": "a b"})]


async def test_a_lost_connection_is_no_end() -> None:
    async with client_of(MemoryStore(tails=[[b"cut"]])) as client, aclosing(client.tail("", Place())) as arrivals:
        assert await anext(arrivals) is None
        with pytest.raises(ServerUnavailable, match="was cut"):
            await anext(arrivals)


@pytest.mark.parametrize(
    ("query", "shown"),
    [("a |", ["  a |\n    ^"]), ("a ", ["  a \n    ^"]), ("a", []), ("a\nb | c", [])],  # the column is 3
)
def test_the_place_is_shown_in_a_query_of_one_line(tmp_path: Path, query: str, shown: list[str]) -> None:
    system = System(data_dir=tmp_path, endpoints={"event_store": "127.0.0.1:1"})
    with pytest.raises(CommandFailed) as failed, explained(system, query):
        raise ServerRefused(400, "no stage", SYNTAX)
    assert str(failed.value).endswith("column 3, did you mean count?")
    assert getattr(failed.value, "__notes__", []) == shown


def test_a_wrong_query_is_told_with_its_place(tmp_path: Path) -> None:
    system = System(data_dir=tmp_path, endpoints={"event_store": "127.0.0.1:1"})
    with (
        pytest.raises(CommandFailed, match=r"no stage \(HTTP 400\): column 3, did you mean count\?$"),
        explained(system),
    ):
        raise ServerRefused(400, "no stage", SYNTAX)
    with pytest.raises(NotRunning, match=r"later \(HTTP 429\)$"), explained(system):
        raise ServerRefused(429, "later", b"[]")
