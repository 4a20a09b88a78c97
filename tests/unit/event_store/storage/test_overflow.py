from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.events import _texts_of
from event_store.model import NUMBER
from event_store.storage import overflow
from event_store.storage.overflow import demote, kept_columns
from event_store.storage.schema import joined
from tests.unit.event_store.storage.events import batch_of, events

names = st.sampled_from(["t_a", "t_b", "t_c", "f_a", "f_b", "f_c_num"])


def test_those_that_most_events_have_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [events([1, 2], t_a=["x", None], t_b=["x", "y"]), events([3], f_c=["z"], t_b=["x"])]

    assert kept_columns(batches) is None
    monkeypatch.setattr(overflow, "MAX_COLUMNS", 2)
    assert kept_columns(batches) == {"t_b", "f_c"}


def said(row: dict[str, Any]) -> dict[str, str]:
    """All tags and fields of an event as texts, wherever they are."""
    numbers = {
        k: pa.array([v]).cast(pa.string())[0].as_py() for k, v in row.items() if k.endswith(NUMBER) and v is not None
    }
    columns = {k: v for k, v in row.items() if k[:2] in {"t_", "f_"} and v is not None} | numbers
    return {key.removesuffix(NUMBER): text for key, text in (*columns.items(), *(row.get("attrs") or []))}


@given(st.lists(st.lists(st.dictionaries(names, st.integers(0, 3)), min_size=1, max_size=4), min_size=1, max_size=4))
def test_nothing_is_lost_when_columns_are_few(tables: list[list[dict[str, int]]]) -> None:
    batches = []
    for table in tables:
        columns: dict[str, list[Any]] = {
            name: [
                float(row[name]) if name.endswith("num") and name in row else str(row[name]) if name in row else None
                for row in table
            ]
            for name in sorted({name for row in table for name in row})
        }
        batches.append(batch_of(time=[0] * len(table), attrs=[[("t_q", "z")]] + [None] * (len(table) - 1), **columns))
    plain = [said(row) for row in joined(batches).to_pylist()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overflow, "MAX_COLUMNS", 2)
        few = joined(batches)
        again = joined([few.combine_chunks().to_batches()[0], *batches])

    assert [said(row) for row in few.to_pylist()] == plain
    assert [said(row) for row in again.to_pylist()] == plain + plain
    assert sum(name.startswith(("t_", "f_")) for name in few.column_names) <= 2


def test_a_part_of_a_batch_keeps_its_own_entries() -> None:
    batch = batch_of(time=[0, 1, 2], attrs=[[("t_x", "0")], [("t_x", "1")], None], t_a=["a", "b", "c"]).slice(1)

    assert demote(batch, ()).column("attrs").to_pylist() == [[("t_x", "1"), ("t_a", "b")], [("t_a", "c")]]


def test_what_has_room_is_left_as_it_is() -> None:
    batch = events([1], t_a=["x"])

    assert demote(batch, {"t_a"}) is batch


@given(st.floats() | st.text(max_size=9))
def test_a_value_is_the_same_text_whoever_puts_it_into_the_map(value: str | float) -> None:
    name, kind = ("f_x", pa.string()) if isinstance(value, str) else ("f_x_num", pa.float64())
    (moved,) = demote(batch_of(time=[0], **{name: pa.array([value], kind).to_pylist()}), ()).column("attrs").to_pylist()

    assert [moved] == [[("f_x", text)] for text in _texts_of([value])]
