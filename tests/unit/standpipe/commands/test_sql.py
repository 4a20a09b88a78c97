"""`standpipe sql`, from the options to the output."""

from pathlib import Path

import pytest

from standpipe.commands.sql import sql
from standpipe.errors import AccessDenied
from standpipe.reading import print_answer
from tests.unit.standpipe.reading.paper import Paper
from tests.unit.standpipe.reading.store_in_memory import COUNTS, MemoryStore, client_of, lines_of

PATH = "/api/sql"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryStore:
    (tmp_path / "endpoints.json").write_text('{"event_store": "127.0.0.1:8085"}')
    store = MemoryStore({PATH: lambda: (200, lines_of(COUNTS))})
    monkeypatch.setattr(print_answer, "open_event_store", lambda _: client_of(store))
    return store


def test_a_statement_is_asked_and_its_rows_are_printed(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = Paper()
    monkeypatch.setattr(print_answer, "Stdout", lambda: paper)

    sql("SELECT 1", data_dir=tmp_path, limit=5)

    assert paper.lines[0] == b"severity   count"
    assert store.asked == [(PATH, {"sql": "SELECT 1", "limit": "5", "progress": "true"})]


def test_it_is_for_administrators(store: MemoryStore, tmp_path: Path) -> None:
    store.answers[PATH] = lambda: (403, b'{"error":{"code":"forbidden","message":"this is for administrators"}}')
    with pytest.raises(AccessDenied, match="this is for administrators"):
        sql("SELECT 1", data_dir=tmp_path)
