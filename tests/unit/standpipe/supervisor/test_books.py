import json
import stat
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from plumbing.admin import Health, serve_admin
from plumbing.metrics import Metrics
from plumbing.tls import TlsFiles
from standpipe.supervisor.books import KEPT, keep_books, save_book
from standpipe.supervisor.child import Child, Surroundings
from tests.unit.standpipe.supervisor.fakes import fake


def _book(number: int) -> dict[str, Any]:
    return {"component": "doppler-0", "incarnation": f"{number:04}", "accounts": []}


def test_a_book_is_kept_as_it_was_for_its_owner(tmp_path: Path) -> None:
    path = save_book(tmp_path / "ledger", _book(1))
    assert path == tmp_path / "ledger" / "doppler-0-0001.json"
    assert json.loads(path.read_bytes()) == _book(1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_the_youngest_books_are_kept(tmp_path: Path) -> None:
    paths = [save_book(tmp_path, _book(number)) for number in range(KEPT + 2)]
    assert sorted(tmp_path.glob("*.json")) == paths[2:]


async def _answer(book: dict[str, Any]) -> Mapping[str, Any]:
    return book


def _child(endpoints: Mapping[str, str]) -> Child:
    async def bury(_: Child) -> None: ...

    return Child(fake(""), Surroundings(pass_on=lambda *_: None, bury=bury, lifeline=0), endpoints)


@pytest.fixture
async def admin_address(certs_dir: Path) -> AsyncIterator[str]:
    """Where a component answers with the book number 7."""
    serve = partial(
        serve_admin,
        "127.0.0.1:0",
        TlsFiles.named(certs_dir, "doppler"),
        registry=Metrics("none").registry,
        ledger=partial(_answer, _book(7)),
        health=Health,
    )
    async with trio.open_nursery() as nursery:
        yield await nursery.start(serve)
        nursery.cancel_scope.cancel()


async def test_every_component_is_asked_and_its_answer_kept(certs_dir: Path, admin_address: str) -> None:
    children = [_child({"admin": admin_address}), _child({"admin": admin_address})]
    heard = await _ask(children, certs_dir, answers=2)
    assert [child.book for child in heard] == [_book(7), _book(7)]


async def test_one_that_does_not_answer_is_passed_over(certs_dir: Path, admin_address: str) -> None:
    silent, starting, well = _child({"admin": "127.0.0.1:1"}), _child({}), _child({"admin": admin_address})
    assert await _ask([silent, starting, well], certs_dir, answers=1) == [well]
    assert silent.book is None


async def _ask(children: list[Child], certs_dir: Path, *, answers: int) -> list[Child]:
    heard: list[Child] = []
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:

            def hear(child: Child) -> None:
                heard.append(child)
                if len(heard) == answers:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(keep_books, lambda: children, TlsFiles.named(certs_dir, "client"), hear)
    return heard
