import random
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from event_store.storage import parquet
from event_store.storage.parquet import Layout
from event_store.storage.schema import numbered
from event_store.storage.segments import table_of
from tests.unit.event_store.storage.events import batch_of, events

SECRET = b"s" * 32
TABLE = table_of([numbered(events(range(30), t_id=[f"{number:09}" for number in range(30)]), 0)])


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_table_is_read_as_it_was_written(tmp_path: Path, level: int, secret: bytes | None) -> None:
    path = tmp_path / "file"
    written = parquet.write_table(path, TABLE, Layout(level=level, row_group_rows=7), secret)

    assert parquet.read_table(path, secret, None, use_threads=True).equals(TABLE)
    assert parquet.read_table(path, secret, ["seq"], use_threads=False).column_names == ["seq"]
    opened = parquet.dataset(path, secret)
    assert opened.to_table(columns=["message"], filter=pc.field("seq") == 8)["message"].to_pylist() == ["8"]
    assert written.bytes == path.stat().st_size
    assert path.read_bytes()[-4:] == parquet.MAGICS[secret is not None]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("level", [0, 1])
def test_row_groups_are_by_source_and_fresh_ones_follow_each_other_in_time(tmp_path: Path, level: int) -> None:
    table = table_of([numbered(batch_of(time=range(30), source_id=[*"cab"] * 10, message=["x"] * 30), 0)])
    seen: list[pa.Table] = []

    parquet.write_table(tmp_path / "file", table, Layout(level=level, row_group_rows=12), None, seen.append)

    groups = list(parquet.row_groups(tmp_path / "file", None))
    assert [group.num_rows for group in groups] == [12, 12, 6]
    assert pa.concat_tables(groups)["seq"].to_pylist() == pa.concat_tables(seen)["seq"].to_pylist()
    for group in groups:
        rows = list(zip(group["source_id"].to_pylist(), group["seq"].to_pylist(), strict=True))
        assert rows == sorted(rows)
    ends = [pc.min_max(group["seq"]).as_py() for group in groups]
    in_time = [first["max"] < second["min"] for first, second in pairwise(ends)]
    assert in_time == [level == 0] * 2


def test_rows_are_taken_of_parts_however_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, of_parts = random.Random(1), (range(9), range(7, 20), range(3))
    sources = [[f"{number}" for number in part] for part in of_parts]
    parts = [batch_of(time=part, source_id=ids, message=ids) for part, ids in zip(of_parts, sources, strict=True)]
    table = pa.concat_tables([pa.Table.from_batches([numbered(part, 0)]) for part in parts])

    for most in (1, 4, 1000):
        monkeypatch.setattr(parquet, "_MOST_STRETCHES", most)
        for size in range(1, table.num_rows + 1):
            places = np.array(chance.sample(range(table.num_rows), size))
            taken, expected = parquet._rows(table, places), table.take(pa.array(places))
            assert taken.schema == expected.schema
            assert [column.to_pylist() for column in taken.columns[1:]] == [
                column.to_pylist() for column in expected.columns[1:]
            ]


@pytest.mark.parametrize("failing", ["making", "watching", "writing"])
def test_what_fails_beside_the_writing_is_raised_and_leaves_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def groups(table: pa.Table, _: Layout) -> Iterator[pa.Table]:
        for number in range(4):
            if failing == "making" and number == 2:
                raise pa.ArrowInvalid(failing)
            yield table.slice(7 * number, 7)

    def watch(group: pa.Table) -> None:
        if failing == "watching" and group["seq"][0].as_py() == 14:
            raise pa.ArrowInvalid(failing)

    def write(*_: object) -> int:
        raise pa.ArrowInvalid(failing)

    monkeypatch.setattr(parquet, "_groups", groups)
    if failing == "writing":
        monkeypatch.setattr(parquet._Sink, "write", write)
    before = threading.active_count()

    with pytest.raises(pa.ArrowInvalid, match=failing):
        parquet.write_table(tmp_path / "file", TABLE, Layout(), None, watch)

    assert threading.active_count() == before


@pytest.mark.parametrize("wrong", [None, b"t" * 32])
def test_what_is_sealed_is_not_read_without_its_secret(tmp_path: Path, wrong: bytes | None) -> None:
    parquet.write_table(tmp_path / "file", TABLE, Layout(), SECRET)

    assert b"000000007" not in (tmp_path / "file").read_bytes()
    with pytest.raises((OSError, pa.ArrowException)):
        parquet.read_table(tmp_path / "file", wrong, None, use_threads=False)


def test_a_bit_of_a_sealed_file_that_was_changed_is_seen(tmp_path: Path) -> None:
    parquet.write_table(tmp_path / "file", TABLE, Layout(), SECRET)
    whole = (tmp_path / "file").read_bytes()

    for place in range(4, len(whole), 301):
        (tmp_path / "file").write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises((OSError, pa.ArrowException)):
            parquet.read_table(tmp_path / "file", SECRET, None, use_threads=False)
