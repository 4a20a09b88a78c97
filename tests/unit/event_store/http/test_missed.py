"""What a tail has missed: everything behind its place, in the order of the store, once; what is too much is told."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.engine import Engine, Limits, QueryTimeout, QueryTooLarge, Result
from event_store.http.missed import Missed, Run, missed, place_in, place_of
from event_store.query.syntax import Expr, Query
from event_store.storage import Snapshot
from plumbing.http.refusal import Refusal
from tests.unit.event_store.engine.stores import asked, snapshot_of

SOME = {"message": ["error 0", "fine 1", "error 2"]}
MORE = {"message": ["error 3", "fine 4", "error 5", "error 6"]}
ERRORS = asked("error").filter


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    engine = Engine(tmp_path, threads=1)
    yield lambda snapshot, query, rows: engine.run(snapshot, query, Limits(rows=rows))
    engine.close()


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return snapshot_of(tmp_path, SOME, hot=[MORE])


def said(found: Missed) -> list[str]:
    return [orjson.loads(line.split(b"data: ")[1])["message"] for line in found.events]


@pytest.mark.parametrize(
    ("place", "end", "expected"),
    [
        (0, 7, ["error 0", "error 2", "error 3", "error 5", "error 6"]),
        (3, 7, ["error 3", "error 5", "error 6"]),
        (1, 6, ["error 2", "error 3", "error 5"]),
        (7, 7, []),
        (900, 7, ["error 0", "error 2", "error 3", "error 5", "error 6"]),  # a place in another store
    ],
)
def test_what_stands_behind_a_place(run: Run, snapshot: Snapshot, place: int, end: int, expected: list[str]) -> None:
    found = missed(run, snapshot, ERRORS, place, end, 10)
    assert (said(found), found.dropped, found.end) == (expected, 0, end)


def test_each_has_the_place_behind_it_for_its_id(run: Run, snapshot: Snapshot) -> None:
    last = missed(run, snapshot, ERRORS, 0, 7, 10).events[-1]
    assert last.startswith(b"id: 7\nevent: event\n")
    assert place_in(last) == 7


def test_how_many_more_there_are_is_told(run: Run, snapshot: Snapshot) -> None:
    found = missed(run, snapshot, ERRORS, 0, 7, 2)
    assert (said(found), found.dropped) == (["error 5", "error 6"], 3)


def test_events_that_are_too_large_together_are_fewer(run: Run, snapshot: Snapshot) -> None:
    def small(snapshot: Snapshot, query: Query, rows: int) -> Result:
        if rows > 2:
            raise QueryTooLarge("too much")
        return run(snapshot, query, rows)

    found = missed(small, snapshot, ERRORS, 0, 7, 20)
    assert (said(found), found.dropped) == (["error 5", "error 6"], 3)

    def never(*_: Any) -> Result:
        raise QueryTooLarge("too much")

    with pytest.raises(QueryTooLarge):
        missed(never, snapshot, ERRORS, 0, 7, 20)


def test_old_segments_are_not_looked_at(snapshot: Snapshot) -> None:
    given: list[tuple[int, Expr]] = []

    def noting(snapshot: Snapshot, query: Query, rows: int) -> Result:
        given.append((len(snapshot.segments), query.filter))
        raise ZeroDivisionError

    for place in (2, 3):
        with pytest.raises(ZeroDivisionError):
            missed(noting, snapshot, ERRORS, place, 7, 10)
    assert [segments for segments, _ in given] == [1, 0]


@given(st.integers(0, 10**18 - 1))
def test_a_place_is_read_as_it_was_written(place: int) -> None:
    assert place_of(str(place)) == place


@given(st.text())
def test_what_is_no_place_is_refused(text: str) -> None:
    with suppress(Refusal):
        found = place_of(text)
        assert (found is None) == (text == "")


def test_a_tail_that_was_away_too_long_goes_on_all_the_same(snapshot: Snapshot) -> None:
    def slow(*_: Any) -> Result:
        raise QueryTimeout("too long")

    assert missed(slow, snapshot, ERRORS, 2, 7, 10) == Missed(7, (), 5)
