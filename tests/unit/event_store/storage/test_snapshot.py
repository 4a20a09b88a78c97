from pathlib import Path

from event_store.storage import Segment, Snapshot
from event_store.storage.schema import numbered
from tests.unit.event_store.storage.events import events


def test_a_snapshot_knows_its_columns_and_how_much_it_is(tmp_path: Path) -> None:
    segment = Segment("a.parquet", 0, 3, 100, 5, 9, 0, 2, "00", frozenset({"time", "f_x"}), None)
    snapshot = Snapshot(tmp_path, 1, (segment,), (numbered(events([1], t_a=["x"]), 3),))

    assert snapshot.columns == {"time", "f_x", "t_a", "source_id", "type", "message", "seq"}
    assert snapshot.rows == 4
    assert snapshot.path(segment) == tmp_path / "a.parquet"
    assert Snapshot(tmp_path, 0, (), ()).columns == set()
