"""`standpipe query`, from the options to the output."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from standpipe.commands import query as module
from standpipe.commands.query import query
from standpipe.errors import CommandFailed
from standpipe.reading import follow_events, print_answer
from tests.unit.standpipe.reading.paper import Paper
from tests.unit.standpipe.reading.store_in_memory import MemoryStore, answer_of, client_of, event, lines_of, sent

PATH = "/api/query"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore({PATH: lambda: (200, lines_of(answer_of(event(1))))})
    for each in (print_answer, follow_events):
        monkeypatch.setattr(each, "open_event_store", lambda _: client_of(store))
    return store


@pytest.fixture
def ask(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command and return its output."""
    (tmp_path / "endpoints.json").write_text('{"event_store": "127.0.0.1:8085"}')
    paper = Paper()
    for each in (print_answer, module):
        monkeypatch.setattr(each, "Stdout", lambda: paper)

    def run(text: str = "error", **options: Any) -> bytes:
        query(text, data_dir=tmp_path, **options)
        return b"".join(paper.writes)

    run.paper = paper  # type: ignore[attr-defined]  # for those that end otherwise
    return run


def test_the_text_is_what_is_asked(ask: Any, store: MemoryStore) -> None:
    assert ask("error | tail 5").endswith(b"LOG     hello\n")
    assert store.asked == [(PATH, {"query": "error | tail 5", "progress": "true"})]


def test_options_go_over_the_text(ask: Any, store: MemoryStore) -> None:
    ask(start="2h", end="1h", limit=7, as_csv=True)
    [(_, parameters)] = store.asked
    assert parameters == {"query": "error", "start": "2h", "end": "1h", "limit": "7", "format": "csv"}


def test_a_wrong_query_is_told(ask: Any, store: MemoryStore) -> None:
    store.answers[PATH] = lambda: (400, b'{"error":{"code":"syntax","message":"no stage","column":3}}')
    with pytest.raises(CommandFailed, match=r"no stage .*column 3\n  error\n    \^$") as failed:
        ask()
    assert failed.value.exit_code == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_what_comes_is_followed(ask: Any, store: MemoryStore, as_json: bool) -> None:
    store.tails = [[sent("event", event(2, "later"))]]
    with pytest.raises(CommandFailed, match="the end"):
        ask(forever=True, as_json=as_json)
    lines = ask.paper.lines
    if as_json:
        assert [orjson.loads(line) for line in lines] == [event(1), event(2, "later")]
    else:
        assert [line.split()[-1] for line in lines] == [b"hello", b"later"]
    assert store.asked[1] == (PATH, {"query": "error", "limit": "10", "progress": "true"})


def test_following_ends_when_nobody_reads(ask: Any, store: MemoryStore) -> None:
    store.tails = [[sent("event", event(2))]]
    ask.paper.until = 1
    ask(forever=True, limit=3)
    assert len(ask.paper.writes) == 1
    assert store.asked[1][1]["limit"] == "3"


@pytest.mark.parametrize("options", [{"end": "now"}, {"start": "1h"}, {"as_csv": True}])
def test_what_comes_has_no_end(ask: Any, options: dict[str, Any]) -> None:
    with pytest.raises(typer.BadParameter, match="has no end"):
        ask(forever=True, **options)
