import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.model import FIXED
from event_store.storage import segments
from event_store.storage.manifest import Segment
from event_store.storage.parquet import Layout
from event_store.storage.schema import numbered
from tests.unit.event_store.storage.events import START, batch_of, events, no_room, plain, written

HOUR = 3_600_000_000_000


def read(folder: Path, segment: Segment) -> pa.Table:
    return pq.read_table(folder / segment.file, partitioning=None)


def test_a_segment_says_what_is_in_it(tmp_path: Path) -> None:
    segment = written(tmp_path, events([3, 1, 2], t_a=["x", None, "y"]))

    path = tmp_path / segment.file
    assert segment.file == f"segments/day=2026-09-21/hour=14/L0-{START + 1}-{START + 3}-{5:020d}.parquet"
    assert (segment.rows, segment.bytes, segment.level) == (3, path.stat().st_size, 0)
    assert (segment.min_time, segment.max_time, segment.min_seq, segment.max_seq) == (START + 1, START + 3, 5, 7)
    assert segment.sources == {"web"}
    assert segment.columns == {*FIXED, "message_raw", "t_a"}
    assert path.stat().st_mode & 0o777 == 0o600
    beside = tmp_path / segment.index_file
    assert sorted(path.parent.iterdir()) == [beside, path]
    assert (beside.stat().st_mode & 0o777, beside.stat().st_size) == (0o600, segment.index_bytes)


def test_events_are_read_as_they_were_written(tmp_path: Path) -> None:
    batches = [events([1, 2], t_a=["x", None]), batch_of(time=[-5], value=[2.5], message_raw=[b"\xff"])]
    tables = list(segments.by_hour(segments.table_of([numbered(batch, 5) for batch in batches])))

    read_back = [read(tmp_path, segments.write(tmp_path, table, Layout())) for table in tables]

    assert [plain(table) for table in read_back] == [plain(table) for table in tables]
    assert read_back[0].schema.equals(tables[0].schema)


def test_each_column_is_written_as_it_is_read_best(tmp_path: Path) -> None:
    count = 3000
    many = [f"{number:032x}" for number in range(count)]
    batch = events(range(count), t_app=["a"] * count, f_trace_id=many, f_status_num=[200.0] * count)

    segment = written(tmp_path, batch, layout=Layout(row_group_rows=1000))

    metadata = pq.read_metadata(tmp_path / segment.file)
    assert metadata.num_row_groups == 3
    group = metadata.row_group(1)
    columns = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in columns["time"].encodings
    assert "DELTA_BINARY_PACKED" in columns["seq"].encodings
    assert columns["t_app"].has_dictionary_page
    assert columns["f_status$num"].has_dictionary_page
    assert columns["t_app"].bloom_filter_length is None
    assert columns["f_trace_id"].bloom_filter_length
    assert not columns["f_trace_id"].has_dictionary_page
    assert columns["message"].statistics is None
    assert columns["time"].statistics.min_raw == START + 1000
    assert {column.compression for column in columns.values()} == {"ZSTD"}


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(0, 5 * HOUR), min_size=1, max_size=30))
def test_hours_are_kept_apart_unless_they_are_too_many(times: list[int]) -> None:
    table = segments.table_of([numbered(batch_of(time=times), 0)])

    parts = [part["time"].cast(pa.int64()).to_pylist() for part in segments.by_hour(table)]

    assert sorted(time for part in parts for time in part) == sorted(times)
    assert len(parts) <= segments.MOST_HOURS
    mixed = [part for part in parts if len({time // HOUR for time in part}) > 1]
    assert len(mixed) <= (len({time // HOUR for time in times}) > segments.MOST_HOURS)


def test_clocks_that_jump_far_make_segments_all_the_same(tmp_path: Path) -> None:
    batch = batch_of(time=[-(2**63) + 1, 0, START, 2**63 - 1])

    found = segments.write_all(tmp_path, [numbered(batch, 0)], Layout())

    assert [segment.file.split("/")[1] for segment in found] == [
        *("day=1677-09-21", "day=1970-01-01", "day=2026-09-21", "day=2262-04-11"),
    ]


def test_sources_are_listed_unless_they_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(time=[1, 2, 3], source_id=["a", None, "b"])

    assert written(tmp_path, batch).sources == {"a", "b"}
    monkeypatch.setattr(segments, "MOST_SOURCES", 1)
    assert written(tmp_path, batch).sources is None


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_the_disk_did_not_take_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    batch = numbered(batch_of(time=[1, START]), 0)
    segments.write_all(tmp_path, [batch], Layout())
    before = set(tmp_path.rglob("*.parquet"))
    again = numbered(batch_of(time=[2, START + 1]), 9)
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), no_room)

    with pytest.raises(OSError, match="No space left"):
        segments.write_all(tmp_path, [again], Layout())

    assert set(tmp_path.rglob("*.parquet")) == before


def test_the_first_of_two_segments_goes_with_the_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fsync, []

    def second_is_too_much(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 1:
            no_room()
        real(handle)

    for hour in (0, START):
        segments._directory(tmp_path, hour)
    monkeypatch.setattr(segments, "sync_directory", lambda _: None)
    monkeypatch.setattr(os, "fsync", second_is_too_much)

    with pytest.raises(OSError, match="No space left"):
        segments.write_all(tmp_path, [numbered(batch_of(time=[1, START]), 0)], Layout())

    assert list(tmp_path.rglob("*.parquet")) == []


def test_strays_are_files_that_nobody_names(tmp_path: Path) -> None:
    segment, other = written(tmp_path), written(tmp_path, batch_of(time=[5]))
    draft = tmp_path / "segments/day=2026-09-21/hour=14/.L0-1-2-3.parquet"
    draft.touch()

    assert set(segments.strays(tmp_path, [segment])) == {tmp_path / other.file, tmp_path / other.index_file, draft}


def test_no_segment_gets_the_name_of_an_index_that_is_there(tmp_path: Path) -> None:
    first = written(tmp_path)
    (tmp_path / first.file).unlink()

    assert written(tmp_path).file == first.file.replace(".parquet", "-1.parquet")
