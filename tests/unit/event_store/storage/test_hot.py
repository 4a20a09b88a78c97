import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.storage.hot import HotBuffer
from event_store.storage.schema import numbered
from tests.unit.event_store.storage.events import events


def seqs(hot: HotBuffer) -> list[int]:
    return [seq for batch in hot.batches for seq in batch.column("seq").to_pylist()]


def filled(sizes: list[int], cuts: set[int] = frozenset()) -> HotBuffer:  # type: ignore[assignment]  # never changed
    hot, seq = HotBuffer(), 0
    for number, size in enumerate(sizes):
        if number in cuts:
            hot.fix()
        hot.add(numbered(events(range(seq, seq + size), **{f"t_{number % 3}": ["x"] * size}), seq))
        seq += size
    return hot


@given(st.lists(st.integers(1, 5), max_size=60), st.sets(st.integers(0, 59), max_size=3))
def test_whatever_is_joined_no_event_is_lost_or_out_of_order(sizes: list[int], cuts: set[int]) -> None:
    hot = filled(sizes, cuts)

    assert seqs(hot) == list(range(sum(sizes)))
    assert hot.rows == sum(sizes)
    assert hot.bytes == sum(batch.get_total_buffer_size() for batch in hot.batches)
    assert len(hot.batches) <= 16 * (len(cuts) + 1)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40), st.data())
def test_what_was_fixed_can_be_dropped_alone(sizes: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(sizes) - 1))
    hot = filled(sizes, {cut})

    hot.drop(sum(sizes[:cut]))

    assert seqs(hot) == list(range(sum(sizes[:cut]), sum(sizes)))
    assert (hot.rows, hot.bytes) == (sum(sizes[cut:]), sum(batch.get_total_buffer_size() for batch in hot.batches))


def test_what_cannot_be_joined_for_want_of_memory_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> pa.RecordBatch:
        raise MemoryError

    hot = filled([1] * 15)
    with monkeypatch.context() as patch:
        patch.setattr("event_store.storage.hot.merged", refuse)
        hot.add(numbered(events([15]), 15))
        assert (seqs(hot), hot.rows) == (list(range(16)), 16)
        assert hot.bytes == sum(batch.get_total_buffer_size() for batch in hot.batches)

    hot.add(numbered(events([16]), 16))
    assert [batch.num_rows for batch in hot.batches] == [17]
    assert hot.bytes == hot.batches[0].get_total_buffer_size()


def test_what_was_taken_does_not_change() -> None:
    hot = filled([1] * 15)
    taken = hot.batches
    hot.add(numbered(events([15]), 15))

    assert [batch.num_rows for batch in taken] == [1] * 15
    assert [batch.num_rows for batch in hot.batches] == [16]
