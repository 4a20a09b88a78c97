"""Messages are found in a segment, wherever it is looked."""

from typing import Any

import polars as pl
import pytest

from event_store.engine.errors import SegmentUnreadable
from event_store.engine.reading import matching
from event_store.query.syntax import Span
from event_store.storage import Snapshot
from event_store.storage.crypto import Keyring
from event_store.storage.parquet import Layout
from event_store.storage.segments import table_of, write
from tests.unit.event_store.engine.stores import SECOND, batch
from tests.unit.event_store.storage.events import START

ROWS = 9000
KEYS = Keyring([b"k" * 32])
EVENTS = batch(
    50,
    {
        "message": [None if row % 7 == 0 else f"line {row}" for row in range(ROWS)],
        "source_id": ["ab"[row % 2] for row in range(ROWS)],
    },
)


@pytest.fixture(scope="module", params=["as it came", "by source", "sealed"])
def snapshot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("store")
    layout = Layout(level=int(request.param == "by source"), row_group_rows=2500)
    keys = KEYS if request.param == "sealed" else None
    return Snapshot(folder, 1, (write(folder, table_of([EVENTS]), layout, keys),), (), keys)


def test_finds_all_or_looks_where_it_is_told(snapshot: Snapshot) -> None:
    (segment,) = snapshot.segments
    ends_in_77 = pl.col("message").str.contains("77$")
    every = [50 + row for row in range(ROWS) if row % 100 == 77 and row % 7]

    def seqs(**where: Any) -> list[int]:
        return list(matching(snapshot, segment, ends_in_77, **where).seqs.tolist())

    assert seqs() == every
    part = Span(START + 1050 * SECOND, START + 2050 * SECOND)
    assert seqs(span=part) == [seq for seq in every if 1050 <= seq < 2050]
    assert seqs(ranges=[(0, 4000), (4000, ROWS)]) == every
    halves = [seqs(ranges=[(first, first + ROWS // 2)]) for first in (0, ROWS // 2)]
    assert sorted(halves[0] + halves[1]) == every


def test_what_was_found_is_held_unless_it_is_much(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    some = matching(snapshot, snapshot.segments[0], pl.col("message").str.contains("77$"))
    assert some.held.column_names == ["time", "message"]
    assert some.held["message"].to_pylist() == [f"line {seq - 50}" for seq in some.seqs.tolist()]

    monkeypatch.setattr("event_store.engine.reading._MOST_HELD", 10)

    some = matching(snapshot, snapshot.segments[0], pl.col("message").str.contains("77$"))

    assert some.held.column_names == ["time"]


def test_what_makes_polars_panic_cannot_be_read(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: Any, **__: Any) -> Any:
        raise pl.exceptions.PanicException("index out of bounds")

    monkeypatch.setattr(pl.LazyFrame, "collect", panic)
    with pytest.raises(SegmentUnreadable):
        matching(snapshot, snapshot.segments[0], pl.col("message").str.contains("77$"))
