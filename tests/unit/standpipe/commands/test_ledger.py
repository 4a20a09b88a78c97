"""`standpipe ledger`: what it shows, and the exit code that goes with it."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
import typer
from rich.console import Console

from plumbing.ledger import Account
from standpipe.books.balance import Book, Reading, judge
from standpipe.books.read_books import Read
from standpipe.commands import ledger as module
from standpipe.commands.ledger import ledger, picture
from standpipe.errors import NotRunning
from standpipe.system import System
from tests.unit.standpipe.reading.paper import Paper

NOW = 1_000_000.0


def _book(missing: int = 0, *, component: str = "metron", held: int = 0, gone: bool = False) -> Book:
    account = Account(account="agent", kind="hop", received=10, delivered=10 - held - missing, held=held)
    return Book(component=component, incarnation="1st", pid=7, started_at=NOW - 90, accounts=(account,), gone=gone)


def _shown(reading: Reading) -> str:
    text = io.StringIO()
    Console(file=text, width=160).print(picture(reading, judge(reading, reading), NOW))
    return text.getvalue()


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Reading]:
    """The readings that the command will get, the last one again and again."""
    readings: list[Reading] = []

    async def read() -> Reading:
        return readings.pop(0) if len(readings) > 1 else readings[0]

    @asynccontextmanager
    async def open_books(_: System) -> AsyncIterator[Read]:
        yield read

    monkeypatch.setattr(module, "open_books", open_books)
    monkeypatch.setattr("standpipe.books.read_books.PAUSE_S", 0)
    (tmp_path / "endpoints.json").write_text("{}")
    return readings


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    paper = Paper()
    monkeypatch.setattr(module, "Stdout", lambda: paper)
    return paper


def test_books_that_balance_are_a_success(shelf: list[Reading], paper: Paper, tmp_path: Path) -> None:
    shelf.append(Reading(books=(_book(),)))
    ledger(data_dir=tmp_path)
    assert paper.lines[-1] == b"The books balance."


def test_books_that_do_not_balance_are_a_failure(shelf: list[Reading], paper: Paper, tmp_path: Path) -> None:
    shelf.append(Reading(books=(_book(missing=3),)))
    with pytest.raises(typer.Exit) as ended:
        ledger(data_dir=tmp_path)
    assert ended.value.exit_code == 1
    assert paper.lines[-2:] == [
        b"metron, account 'agent': 3 envelopes unaccounted for",
        b"The books do not balance.",
    ]


def test_a_missing_book_is_a_failure_too(shelf: list[Reading], paper: Paper, tmp_path: Path) -> None:
    shelf.append(Reading(books=(_book(),), unreachable={"doppler-0": "Connection refused"}))
    with pytest.raises(typer.Exit):
        ledger(data_dir=tmp_path)
    assert paper.lines[-2:] == [b"doppler-0 does not answer (Connection refused)", b"Not all books are here."]


def test_programs_get_one_object_on_a_line(shelf: list[Reading], paper: Paper, tmp_path: Path) -> None:
    shelf.append(Reading(books=(_book(),)))
    ledger(as_json=True, data_dir=tmp_path)
    assert [orjson.loads(line)["balanced"] for line in paper.lines] == [True]


def test_watching_goes_on_until_nobody_looks(
    shelf: list[Reading], paper: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_EVERY_S", 0)
    shelf.append(Reading(books=(_book(missing=1),)))
    paper.until = 3
    ledger(as_json=True, watch=True, data_dir=tmp_path)
    assert len(paper.writes) == 3


def test_where_nothing_runs_there_are_no_books(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        ledger(data_dir=tmp_path)


def test_each_process_says_how_old_it_is_or_that_it_is_gone() -> None:
    shown = _shown(Reading(books=(_book(), _book(component="doppler-0", held=4, gone=True))))
    assert "metron  pid 7, up 1.5 min" in shown
    assert "doppler-0  gone, as last seen (life 1st)" in shown
    assert "doppler-0 held 4 envelopes when it was last seen before it died" in shown
    assert shown.endswith("The books balance, but for what dead processes took with them.\n")


def test_what_went_from_hop_to_hop_is_a_table() -> None:
    link = Account(account="link 127.0.0.1:8082", kind="link", received=7, delivered=5, in_flight=2)
    door = Account(account="ingress", kind="ingress", received=6, delivered=6)
    books = [
        Book(component=name, incarnation=name, pid=1, started_at=NOW, accounts=(account,))
        for name, account in (("metron", link), ("doppler-0", door))
    ]
    shown = _shown(Reading(books=tuple(books), addresses={"doppler-0": "127.0.0.1:8082"}))
    assert ["agents", "→", "doppler-0", "5", "2", "6", "0", "0"] in [line.split() for line in shown.splitlines()]


def test_a_narrow_terminal_shows_every_digit() -> None:
    account = Account(
        account="subscription-of-somebody", kind="subscription", received=123_456_789, delivered=123_456_789
    )
    book = Book(component="doppler-0", incarnation="1st", pid=1, started_at=NOW, accounts=(account,))
    text = io.StringIO()
    reading = Reading(books=(book,))
    Console(file=text, width=80).print(picture(reading, judge(reading, reading), NOW))
    assert text.getvalue().count("123,456,789") == 2


def test_whoever_watches_sees_the_verdict_first() -> None:
    text = io.StringIO()
    reading = Reading(books=(_book(),))
    Console(file=text, width=160).print(picture(reading, judge(reading, reading), NOW, verdict_first=True))
    assert text.getvalue().startswith("The books balance.")
