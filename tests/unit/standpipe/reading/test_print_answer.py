"""Printing answers: in each form, with warnings, and a bar where somebody sees it."""

import sys
from contextlib import nullcontext
from pathlib import Path

import orjson
import pytest
import typer

from standpipe.reading import print_answer as module
from standpipe.reading.event_store import WARNINGS
from standpipe.reading.print_answer import Form, form_of, print_answer
from standpipe.system import System
from tests.unit.standpipe.reading.paper import Paper
from tests.unit.standpipe.reading.store_in_memory import COUNTS, MemoryStore, answer_of, client_of, event, lines_of

PATH = "/api/query"
OVER_TIME = {
    **COUNTS,
    "columns": [{"name": "time", "type": "time"}, {"name": "count", "type": "integer"}],
    "rows": [[f"2026-01-31T12:0{n}:00.000000000Z", n] for n in range(3)],
}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore({PATH: lambda: (200, lines_of(COUNTS))})
    monkeypatch.setattr(module, "open_event_store", lambda _: client_of(store))
    return store


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    paper = Paper()
    monkeypatch.setattr(module, "Stdout", lambda: paper)
    return paper


async def printed(paper: Paper, tmp_path: Path, form: Form = Form.TEXT) -> bytes:
    system = System(data_dir=tmp_path, endpoints={"event_store": "127.0.0.1:1"})
    await print_answer(system, PATH, {"query": "a"}, form, "a title")
    return b"".join(paper.writes)


async def test_figures_are_a_table(store: MemoryStore, paper: Paper, tmp_path: Path) -> None:
    assert (await printed(paper, tmp_path)).splitlines()[:2] == [b"severity   count", b"error          3"]


async def test_events_are_lines(store: MemoryStore, paper: Paper, tmp_path: Path) -> None:
    store.answers[PATH] = lambda: (200, lines_of(answer_of(event(1, "one"), event(2, "two"))))
    assert [line.split()[-1] for line in (await printed(paper, tmp_path)).splitlines()] == [b"one", b"two"]


async def test_json_is_what_was_answered(store: MemoryStore, paper: Paper, tmp_path: Path) -> None:
    assert orjson.loads(await printed(paper, tmp_path, Form.JSON)) == COUNTS


async def test_csv_comes_as_it_is(
    store: MemoryStore, paper: Paper, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store.answers[PATH] = lambda: (200, b"a\n1\n")
    store.headers = {WARNINGS: '["be warned"]'}
    assert await printed(paper, tmp_path, Form.CSV) == b"a\n1\n"
    assert store.asked == [(PATH, {"query": "a", "format": "csv"})]
    assert capfd.readouterr().err == "standpipe: be warned\n"


async def test_on_a_terminal_figures_over_time_are_a_plot(
    store: MemoryStore, paper: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.answers[PATH] = lambda: (200, lines_of(OVER_TIME))
    assert b"a title" not in await printed(paper, tmp_path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert b"a title" in await printed(paper, tmp_path)


async def test_nothing_is_told(
    store: MemoryStore, paper: Paper, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store.answers[PATH] = lambda: (200, lines_of({**COUNTS, "rows": [], "warnings": ["no event has a field x"]}))
    assert await printed(paper, tmp_path) == b""
    assert capfd.readouterr().err == (
        "standpipe: no event has a field x\nstandpipe: the event store has nothing that this finds\n"
    )


async def test_a_long_scan_has_a_bar_on_a_terminal(
    store: MemoryStore, paper: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float | None, str]] = []
    monkeypatch.setattr(module, "bar", lambda: nullcontext(lambda done, about: told.append((done, about))))
    progress = [{"progress": {"done": 0.4, "rows_scanned": 1_234_567}}, {"progress": {"done": 0.5}}]
    store.answers[PATH] = lambda: (200, b"".join(orjson.dumps(one) + b"\n" for one in progress) + lines_of(COUNTS))

    await printed(paper, tmp_path)

    # who may not read everything is not told how many there are
    assert told == [(0.4, "40% 1,234,567 events"), (0.5, "50%"), (0.5, "50% 7 events")]


def test_one_form_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert form_of(as_json=False, as_csv=False, as_arrow=False) is Form.TEXT
    assert form_of(as_json=False, as_csv=True, as_arrow=False) is Form.CSV
    with pytest.raises(typer.BadParameter, match="one of them"):
        form_of(as_json=True, as_csv=True, as_arrow=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(typer.BadParameter, match="nothing for a terminal"):
        form_of(as_json=False, as_csv=False, as_arrow=True)
