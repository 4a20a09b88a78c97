"""The books of the living, asked for over mTLS, and those of the dead, from files."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
from prometheus_client import CollectorRegistry
from trio.testing import MockClock

from plumbing.admin import Health, serve_admin
from plumbing.ledger import Account, Incarnation
from plumbing.tls import TlsFiles
from standpipe.books.balance import Reading, parse_book
from standpipe.books.read_books import READINGS, audit, dead_books, open_books
from standpipe.errors import NotRunning
from standpipe.system import System

LEAVES = {"metron": "metron", "doppler-0": "doppler"}


@pytest.fixture
def data_dir(tmp_path: Path, certs_dir: Path) -> Path:
    (tmp_path / "certs").symlink_to(certs_dir)
    return tmp_path


def _book(component: str = "metron", received: int = 0, delivered: int = 0) -> dict[str, Any]:
    account = Account(account="agent", kind="hop", received=received, delivered=delivered)
    return Incarnation(component).book([account])


@asynccontextmanager
async def _system(data_dir: Path, books: Mapping[str, Any], **dead: str) -> AsyncIterator[System]:
    """Run the admin ports of some components; `dead` ones have an address where nobody is."""
    endpoints = {f"{name}.admin": address for name, address in dead.items()}
    async with trio.open_nursery() as nursery:
        for name, book in books.items():

            async def ledger(book: Any = book) -> Any:
                return book

            tls = TlsFiles.named(data_dir / "certs", LEAVES[name])
            serve = partial(serve_admin, "127.0.0.1:0", tls, registry=CollectorRegistry(), ledger=ledger, health=Health)
            endpoints |= {name: "127.0.0.1:9", f"{name}.admin": await nursery.start(serve)}
        yield System(data_dir=data_dir, endpoints=endpoints)
        nursery.cancel_scope.cancel()


async def test_every_component_shows_its_book(data_dir: Path) -> None:
    books = {"doppler-0": _book("doppler-0", 7, 7), "metron": _book("metron", 5, 5)}
    async with _system(data_dir, books) as system, open_books(system) as read:
        reading = await read()
    assert [(book.component, book.accounts[0].received) for book in reading.books] == [("doppler-0", 7), ("metron", 5)]
    assert reading.addresses == {"doppler-0": "127.0.0.1:9", "metron": "127.0.0.1:9"}


async def test_who_does_not_answer_is_named(data_dir: Path) -> None:
    async with _system(data_dir, {"metron": _book()}, gone="127.0.0.1:1") as system, open_books(system) as read:
        reading = await read()
    assert [book.component for book in reading.books] == ["metron"]
    assert list(reading.unreachable) == ["gone"]


async def test_an_answer_that_is_no_book_is_none(data_dir: Path) -> None:
    async with _system(data_dir, {"metron": _book(), "doppler-0": {"odd": 1}}) as system, open_books(system) as read:
        reading = await read()
    assert "not a book" in reading.unreachable["doppler-0"]


async def test_a_server_of_another_authority_shows_nothing(data_dir: Path, other_certs_dir: Path) -> None:
    async with _system(data_dir, {"metron": _book()}) as system:
        (data_dir / "certs").unlink()
        (data_dir / "certs").symlink_to(other_certs_dir)
        async with open_books(system) as read:
            with pytest.raises(NotRunning, match="metron: its certificate: "):
                await read()


async def test_nobody_to_be_asked_is_nothing_running(data_dir: Path) -> None:
    async with open_books(System(data_dir=data_dir, endpoints={"metron": "127.0.0.1:9"})) as read:
        with pytest.raises(NotRunning, match="none has an admin port"):
            await read()


# --- the dead -------------------------------------------------------------------------------------------------------


def _bury(data_dir: Path, book: dict[str, Any]) -> None:
    (data_dir / "ledger").mkdir(exist_ok=True)
    (data_dir / "ledger" / f"{book['component']}-{book['incarnation']}.json").write_bytes(orjson.dumps(book))


def test_the_last_books_of_the_dead_are_there_the_oldest_first(tmp_path: Path) -> None:
    for age in (3, 1, 2):
        _bury(tmp_path, _book("doppler-0", received=age) | {"started_at": 1_000.0 - age})
    assert [book.accounts[0].received for book in dead_books(tmp_path, [])] == [3, 2, 1]
    assert all(book.gone for book in dead_books(tmp_path, []))


def test_without_any_dead_there_are_no_books(tmp_path: Path) -> None:
    assert dead_books(tmp_path, []) == []


def test_who_lives_is_not_counted_among_the_dead(tmp_path: Path) -> None:
    book = _book()
    _bury(tmp_path, book)
    assert dead_books(tmp_path, [parse_book(book)]) == []


def test_the_dead_of_an_earlier_run_are_of_no_concern(tmp_path: Path) -> None:
    (tmp_path / "up.lock").touch()
    os.utime(tmp_path / "up.lock", (1_000, 1_000))
    for started_at in (900.0, 1_100.0):
        _bury(tmp_path, _book("doppler-0") | {"started_at": started_at})
    assert [book.started_at for book in dead_books(tmp_path, [])] == [1_100.0]


def test_a_file_that_is_no_book_is_passed_over(tmp_path: Path) -> None:
    _bury(tmp_path, _book())
    (tmp_path / "ledger" / "half.json").write_bytes(b'{"component":')
    assert len(dead_books(tmp_path, [])) == 1


# --- reading until it balances --------------------------------------------------------------------------------------


class Shelf:
    """Books that are different each time they are read."""

    def __init__(self, *missing: int) -> None:
        self.reads = 0
        self._missing = missing

    async def read(self) -> Reading:
        missing = self._missing[min(self.reads, len(self._missing) - 1)]
        self.reads += 1
        return Reading(books=(parse_book(_book(received=10, delivered=10 - missing)),))


async def test_books_that_balance_are_read_twice() -> None:
    shelf = Shelf(0)
    _, verdict = await audit(shelf.read)
    assert (verdict.balanced, shelf.reads) == (True, 2)


async def test_a_difference_that_passes_is_none(autojump_clock: MockClock) -> None:
    shelf = Shelf(0, 3, 1, 0)
    _, verdict = await audit(shelf.read)
    assert (verdict.balanced, shelf.reads) == (True, 4)


async def test_a_difference_that_stays_is_believed(autojump_clock: MockClock) -> None:
    shelf = Shelf(1)
    reading, verdict = await audit(shelf.read)
    assert (verdict.balanced, shelf.reads) == (False, READINGS)
    assert reading.books[0].accounts[0].balance == 1
