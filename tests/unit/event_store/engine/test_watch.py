"""A query ends when it is to end, for the reason that is said."""

import threading
import time
from dataclasses import replace

import duckdb
import pytest

from event_store.engine.errors import (
    QueryCancelled,
    QueryFailed,
    QueryRefused,
    QueryTimeout,
    QueryTooLarge,
    SegmentUnreadable,
)
from event_store.engine.watch import Limits, Progress, watched

ENDLESS = "SELECT count(*) FROM range(1000000000000000)"


def test_what_runs_is_interrupted() -> None:
    with duckdb.connect() as connection, pytest.raises(QueryTimeout, match=r"0\.05 s"):
        with watched(Limits(seconds=0.05), None, None) as watch, watch.interrupting(connection):
            connection.execute(ENDLESS)


def test_whoever_cancels_is_heard() -> None:
    cancel = threading.Event()
    with duckdb.connect() as connection, pytest.raises(QueryCancelled):
        with watched(Limits(), lambda _: cancel.set(), cancel) as watch, watch.interrupting(connection):
            connection.execute(ENDLESS)


def test_what_waits_between_statements_ends_too() -> None:
    cancel = threading.Event()
    with pytest.raises(QueryCancelled), watched(Limits(), None, cancel) as watch:
        watch.check()
        cancel.set()
        watch.check()
    with pytest.raises(QueryTimeout), watched(Limits(seconds=1e-9), None, None):
        pass


def test_progress_says_how_far_it_is() -> None:
    told: list[Progress] = []
    heard = threading.Event()

    def tell(progress: Progress) -> None:
        told.append(progress)
        heard.set()

    with watched(Limits(), tell, None) as watch:
        watch.advance(25, 100)
        watch.advance(5, 0)
        assert heard.wait(30)

    assert told[0] == Progress(0.25, 30)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (duckdb.OutOfMemoryException("full"), QueryTooLarge),
        (duckdb.BinderException("no column x"), QueryRefused),
        (duckdb.ConversionException("no number"), QueryRefused),
        (duckdb.ConversionException("could not convert 'wrote x.parquet' to INT32"), QueryRefused),
        (duckdb.BinderException("no column x.parquet"), QueryRefused),
        (duckdb.IOException("no such file"), QueryFailed),
        (duckdb.InvalidInputException("no magic bytes at the end of x.parquet"), QueryFailed),
    ],
)
def test_errors_become_ours(raised: Exception, expected: type[Exception]) -> None:
    with duckdb.connect() as connection, pytest.raises(expected), watched(Limits(), None, None) as watch:
        with watch.interrupting(connection):
            raise raised


@pytest.mark.parametrize(
    ("raised", "suspected"),
    [
        (duckdb.InvalidInputException('Failed to read file "/data/b.parquet": no magic bytes'), {"b.parquet"}),
        (duckdb.IOException("no such file"), {"a.parquet", "b.parquet"}),
        (duckdb.Error("Out of buffer"), {"a.parquet", "b.parquet"}),
        (duckdb.NotImplementedException("no such cast"), set()),
    ],
)
def test_an_error_says_which_segments_may_be_damaged(raised: Exception, suspected: set[str]) -> None:
    with duckdb.connect() as connection, pytest.raises(SegmentUnreadable) as failed:
        with watched(Limits(), None, None) as watch, watch.interrupting(connection):
            watch.files |= {"a.parquet", "b.parquet"}
            raise raised
    assert failed.value.files == suspected


def test_whoever_names_a_segment_makes_nobody_suspect_it() -> None:
    with duckdb.connect() as connection, pytest.raises(QueryRefused):
        with watched(Limits(), None, None) as watch, watch.interrupting(connection):
            watch.files.add("a.parquet")
            raise duckdb.BinderException('no table "a.parquet"')


def test_no_thread_stays_behind() -> None:
    with watched(Limits(), None, None):
        assert any(thread.name == "query watch" for thread in threading.enumerate())
    assert not any(thread.name == "query watch" for thread in threading.enumerate())


def test_queries_that_share_their_time_end_together() -> None:
    limits = Limits(seconds=20.0).shared()
    assert limits.shared() == limits
    over = replace(limits, ends=time.monotonic())
    with pytest.raises(QueryTimeout, match="longer than 20 s"), watched(over, None, None):
        pass
