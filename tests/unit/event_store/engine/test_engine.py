"""Queries keep to their limits, end when they are to, and do not meet each other."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from event_store.engine import Engine, Limits, Progress, QueryCancelled, QueryTimeout, QueryTooLarge
from event_store.storage import Snapshot
from tests.unit.event_store.engine.stores import asked, many_lines, rows, snapshot_of

YEARS = (
    "SELECT count(*) FROM events a, events b, events c, events d, events e WHERE a.seq * b.seq % 7 = c.seq * d.seq % 5"
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot_of(tmp_path_factory.mktemp("lines"), many_lines(3000))


@pytest.fixture
def small(lines: Snapshot) -> Iterator[Engine]:
    with closing(Engine(lines.folder, memory_bytes=100 << 20, temp_bytes=1 << 20, threads=1)) as engine:
        yield engine


def test_a_query_that_would_take_a_year_is_cut_off(small: Engine, lines: Snapshot) -> None:
    with pytest.raises(QueryTimeout, match=r"longer than 0\.2 s: shorten"):
        small.sql(lines, YEARS, Limits(seconds=0.2))


def test_a_query_ends_when_it_is_cancelled(small: Engine, lines: Snapshot) -> None:
    cancel = threading.Event()

    with pytest.raises(QueryCancelled):
        small.sql(lines, YEARS, progress=lambda _: cancel.set(), cancel=cancel)


def test_what_was_cancelled_before_does_not_begin(engine: Engine, snapshot: Snapshot) -> None:
    cancel = threading.Event()
    cancel.set()

    with pytest.raises(QueryCancelled):
        engine.run(snapshot, asked("error"), cancel=cancel)


def test_no_more_rows_than_asked_for(engine: Engine, snapshot: Snapshot) -> None:
    result = engine.run(snapshot, asked("| fields seq"), Limits(rows=2))
    exact = engine.run(snapshot, asked("| tail 2"), Limits(rows=2))

    assert rows(result) == [(0,), (1,)]
    assert result.warnings == ("the answer has more than 2 rows, of which these are the first",)
    assert exact.warnings == ()


def test_an_answer_that_is_too_big_is_refused(engine: Engine, snapshot: Snapshot) -> None:
    with pytest.raises(QueryTooLarge, match="ask for less"):
        engine.run(snapshot, asked(""), Limits(bytes=10))


def test_a_query_that_needs_too_much_memory_says_so(small: Engine, lines: Snapshot) -> None:
    with pytest.raises(QueryTooLarge, match="memory"):
        small.sql(lines, "SELECT list(a.seq * b.seq) FROM events a, events b, events c")


def test_progress_is_told_and_its_error_ends_the_query(small: Engine, lines: Snapshot) -> None:
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        raise OSError("the reader has gone")

    with pytest.raises(OSError, match="gone"):
        small.sql(lines, YEARS, progress=tell)

    assert told[0].rows_scanned == 3000
    assert 0 <= told[0].done <= 1


def test_many_ask_at_once(engine: Engine, snapshot: Snapshot) -> None:
    texts = ["error | count", "| count by app", "| tail 3 | fields seq", "status:200 | count"] * 5
    alone = [rows(engine.run(snapshot, asked(text))) for text in texts[:4]]

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda text: rows(engine.run(snapshot, asked(text))), texts))

    assert together == alone * 5


# --- SQL --------------------------------------------------------------------------------------------------------------


def test_sql_sees_all_events(engine: Engine, snapshot: Snapshot) -> None:
    result = engine.sql(
        snapshot, "WITH e AS (FROM events) SELECT t_app, count(*) n FROM e GROUP BY ALL ORDER BY n, t_app"
    )

    assert rows(result) == [("api", 1), ("web", 2), (None, 3)]
    assert result.stats.rows_scanned == 6


def test_sql_knows_the_columns_that_no_event_has(engine: Engine, folder: Path) -> None:
    nothing = Snapshot(folder, 1, (), ())

    assert rows(engine.sql(nothing, "SELECT count(duration), count(attrs['x']), count(message_raw) FROM events")) == [
        (0, 0, 0)
    ]
