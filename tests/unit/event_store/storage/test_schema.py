import pyarrow as pa
import pytest

from event_store.model import FIXED
from event_store.storage import overflow
from event_store.storage.schema import TEXT, arrow_type, check, in_order, joined, merged, numbered
from tests.unit.event_store.storage.events import batch_of, events


def test_a_type_follows_from_the_name() -> None:
    assert [arrow_type(name) for name in ("time", "source_id", "message", "delta", "f_x", "f_x$num", "t_x$num")] == [
        *(pa.timestamp("ns"), TEXT, pa.string(), pa.int64(), TEXT, pa.float64(), TEXT),
    ]
    with pytest.raises(ValueError, match="no column of an event is called 'x'"):
        arrow_type("x")


def test_fixed_columns_stand_first_and_the_map_last() -> None:
    names = ["attrs", "f_a", "t_b", "t_a", "message_raw", *reversed(FIXED)]

    assert in_order(names) == [
        *("time", "source_id", "instance_id", "type", "severity", "stream", "message", "message_raw", "name", "value"),
        *("delta", "unit", "duration", "seq", "t_a", "t_b", "f_a", "attrs"),
    ]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"time": pa.array([1])}, "column 'time' is of int64"),
        ({"time": pa.array([None], pa.timestamp("ns"))}, "no time"),
        ({"message": pa.array(["a"])}, "no time"),
        ({"time": pa.array([1], pa.timestamp("ns")), "seq": pa.array([1])}, "store's own"),
        ({"time": pa.array([1], pa.timestamp("ns")), "t_a": pa.array(["x"])}, "'t_a' is of string"),
        ({"time": pa.array([1], pa.timestamp("ns")), "host": pa.array(["x"])}, "called 'host'"),
    ],
)
def test_what_is_no_batch_of_events_is_refused(columns: dict[str, pa.Array], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check(pa.RecordBatch.from_pydict(columns))


def test_a_column_that_comes_twice_is_refused() -> None:
    twice = pa.RecordBatch.from_arrays([events([1]).column("time")] * 2, names=["time", "time"])

    with pytest.raises(ValueError, match="comes twice"):
        check(twice)


def test_batches_are_joined_by_name() -> None:
    first = numbered(events([1, 2], t_b=["x", None]), 0)
    second = numbered(events([3], t_a=["y"], f_n_num=[2.5], attrs=[[("t_q", "z")]]), 2)

    rows = joined([first, second]).select(["message", "seq", "t_a", "t_b", "f_n$num", "attrs"]).to_pylist()

    nothing = {"t_a": None, "t_b": None, "f_n$num": None, "attrs": None}
    assert rows == [
        {**nothing, "message": "1", "seq": 0, "t_b": "x"},
        {**nothing, "message": "2", "seq": 1},
        {**nothing, "message": "3", "seq": 2, "t_a": "y", "f_n$num": 2.5, "attrs": [("t_q", "z")]},
    ]


def test_several_batches_become_one_and_one_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    one = batch_of(time=[1], t_a=["x"], t_b=["y"])

    assert merged([one]) is one
    assert merged([one, events([5, 6])]).num_rows == 3
    monkeypatch.setattr(overflow, "MAX_COLUMNS", 1)
    assert merged([one]).schema.names == ["time", "t_a", "attrs"]
