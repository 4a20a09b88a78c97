"""Which segments are joined when; that what is joined is sorted and whole."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_store.storage import Segment, StorageSettings, Store
from event_store.storage.compaction import jobs
from tests.unit.event_store.storage.events import START, batch_of, events, opened, plain, rows_of

HOUR = 3_600_000_000_000
FIRST = START // HOUR * HOUR
SETTINGS = StorageSettings(compact_rows=100, compact_after_s=600)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path / "store", row_group_rows=10)) as store:
        yield store


def segment(number: int, rows: int = 10, *, level: int = 0, hour: int = 0) -> Segment:
    return Segment(
        file=f"{hour}.{number}",
        level=level,
        rows=rows,
        bytes=rows,
        min_time=FIRST + hour * HOUR + number,
        max_time=FIRST + hour * HOUR + number,
        min_seq=number,
        max_seq=number,
        checksum="",
        columns=frozenset(),
        sources=frozenset(),
    )


def due(*segments: Segment, minutes: float = 1, everything: bool = False) -> list[list[str]]:
    found = jobs(segments, FIRST + int(minutes * 60e9), SETTINGS, everything=everything)
    return [[one.file for one in job] for job in found]


def test_an_hour_that_is_over_is_joined_and_no_other() -> None:
    hours = [segment(1), segment(2), segment(1, hour=1)]

    assert due(*hours, minutes=69) == []
    assert due(*hours, minutes=71) == [["0.1", "0.2"]]
    assert due(*hours, everything=True) == [["0.1", "0.2"], ["1.1"]]


def test_of_the_hour_that_runs_enough_are_joined() -> None:
    assert due(*(segment(number, 30) for number in range(3))) == []
    assert due(*(segment(number, 30) for number in range(5))) == [["0.0", "0.1", "0.2", "0.3"]]
    assert due(*(segment(number, 1) for number in range(15))) == []
    assert len(due(*(segment(number, 1) for number in range(16)))[0]) == 16


def test_what_is_joined_and_large_stays_as_it_is() -> None:
    assert due(segment(1, 60, level=1), minutes=99) == []
    assert due(segment(1, 40, level=1), minutes=99) == []
    assert due(segment(1, 60, level=1), segment(2, 1), minutes=99) == [["0.2"]]
    assert due(segment(1, 40, level=1), segment(2, 1), minutes=99) == [["0.2"]]
    assert due(segment(1, 40, level=1), segment(2, 10), minutes=99) == [["0.2", "0.1"]]


def test_an_event_that_comes_late_does_not_have_all_written_again() -> None:
    held: list[Segment] = []
    written = 0
    for number in range(500):
        held.append(segment(number, 1))
        for job in jobs(held, FIRST + 99 * HOUR, StorageSettings(compact_rows=2000), everything=False):
            rows = sum(one.rows for one in job)
            written += rows
            held = [one for one in held if one not in job] + [segment(1000 + number, rows, level=1)]
    assert sum(one.rows for one in held) == 500
    assert written < 500 * 20
    assert len(held) < 20


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 150), st.booleans(), st.integers(0, 2))), st.booleans())
def test_no_segment_is_in_two_jobs_and_each_job_is_of_one_hour(
    made: list[tuple[int, bool, int]], everything: bool
) -> None:
    segments = [segment(place, rows, level=int(level), hour=hour) for place, (rows, level, hour) in enumerate(made)]
    taken = [file for job in due(*segments, everything=everything) for file in job]

    assert len(taken) == len(set(taken))
    assert all(len({file.split(".")[0] for file in job}) == 1 for job in due(*segments, everything=everything))
    if everything:
        assert {one.file for one in segments if not one.level} <= set(taken)


def test_what_is_joined_is_sorted_by_source_and_time_and_nothing_is_lost(store: Store) -> None:
    for part in range(6):
        times = [START + (7 * part + 5 * row) % 40 for row in range(12)]
        sources = [None if row == 3 else f"app-{(row + part) % 5}" for row in range(12)]
        ids = [f"id-{part}-{row}" for row in range(12)]
        store.append([batch_of(time=times, source_id=sources, message=ids, t_a=ids if part % 2 else [None] * 12)])
        store.flush()
    before = rows_of(store.snapshot())

    assert store.compact(everything=True) == 6

    (segment,) = store.snapshot().segments
    rows = plain(store.snapshot().read(segment).select(["source_id", "time", "seq"]))
    assert rows == sorted(rows, key=lambda row: (row["source_id"] or "", row["time"], row["seq"]))
    assert rows_of(store.snapshot()) == before
    assert (segment.level, segment.rows, segment.min_seq, segment.max_seq) == (1, 72, 0, 71)
    assert store.compact(everything=True) == 0


def test_a_row_group_has_the_texts_of_its_events_alone_and_ids_can_be_passed_over(tmp_path: Path) -> None:
    with closing(opened(tmp_path, row_group_rows=2000)) as store:
        for part in range(2):
            numbers = range(part * 5000, part * 5000 + 5000)
            ids, names = [f"{number:08x}" for number in numbers], [f"name {number // 8}" for number in numbers]
            store.append([events(numbers, t_id=ids, t_name=names)])
            store.flush()
        store.compact(everything=True)
        (segment,) = store.snapshot().segments
        path = store.snapshot().path(segment)
        assert store.snapshot().read(segment)["t_name"].to_pylist() == [
            f"name {number // 8}" for number in range(10000)
        ]

    group = pq.read_metadata(path).row_group(0)
    columns = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    assert (group.num_rows, columns["t_name"].dictionary_page_offset is not None) == (2000, True)
    assert columns["t_name"].total_uncompressed_size < 10_000
    assert columns["t_id"].bloom_filter_offset is not None


def test_events_of_many_columns_are_joined_with_the_rarest_in_the_map(store: Store) -> None:
    for part in range(2):
        store.append([events([part], t_often=["x"], **{f"t_tag{part}.{n}": ["y"] for n in range(400)})])
        store.flush()
    store.compact(everything=True)

    (segment,) = store.snapshot().segments
    rows = rows_of(store.snapshot())
    assert sum(name.startswith("t_") for name in segment.columns) == 500
    assert [row["t_often"] for row in rows] == ["x", "x"]
    tags = [sum(key[:5] == "t_tag" for key in [*row, *dict(row.get("attrs", ()))]) for row in rows]
    assert tags == [400, 400]
