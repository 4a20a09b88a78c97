"""A batch is written as a whole, with its marks, however long the disk is full; only what never fits is left out."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import trio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from event_store.storage import StoreFull
from event_store.writer import Writer
from plumbing.gathering.recognise import Memory
from tests.unit.plumbing.gathering.arrivals import logs


class FakeStore:
    """Keeps events in memory; is full so often, and takes nothing that says it is unfit."""

    def __init__(self, *, full: int = 0, most_rows: int = 1000) -> None:
        self.full = full
        self.most_rows = most_rows
        self.kept: list[list[str]] = []
        self.marks: list[bytes] = []

    def append(self, batches: Sequence[pa.RecordBatch], marks: bytes = b"") -> int:
        if self.full:
            self.full -= 1
            raise StoreFull("no room")
        texts = [text for batch in batches for text in batch.column("message").to_pylist()]
        if "unfit" in texts or len(texts) > self.most_rows:
            raise ValueError("too large")
        self.kept.append(texts)
        self.marks.append(marks)
        return 0


async def write(store: FakeStore, *lines: str) -> tuple[Writer, int]:
    """Write one batch; returns how often it was said to be safe, too."""
    safe: list[int] = []
    batch, count, marks = Memory((), lambda: 0).new_part(logs(*lines), len(lines))
    writer = Writer(store, parse_fields=True)
    await writer.put(batch, count, marks=[marks], safe=lambda: safe.append(sum(map(len, store.kept))))
    assert safe == [sum(map(len, store.kept))]  # once, and after everything
    return writer, len(safe)


async def test_a_batch_is_kept_as_one_with_its_marks_and_then_safe() -> None:
    writer, _ = await write(store := FakeStore(), "1", "2", "3")

    assert (store.kept, [len(marks) for marks in store.marks]) == ([["1", "2", "3"]], [24])
    counts = writer.counts
    assert (counts.stored, counts.events, counts.appends, counts.unfit) == (3, 3, 1, 0)


async def test_a_gauge_of_several_metrics_is_one_envelope_and_several_events() -> None:
    gauge = Envelope(timestamp=1, gauge={"metrics": {"a": {"value": 1}, "b": {"value": 2}}})
    writer = Writer(FakeStore(), parse_fields=True)
    await writer.put(EnvelopeBatch(batch=[gauge]).SerializeToString(), 1, safe=lambda: None)

    assert (writer.counts.stored, writer.counts.events) == (1, 2)


async def test_lines_are_parsed_only_if_that_is_wanted() -> None:
    seen: list[set[str]] = []

    class Columns(FakeStore):
        def append(self, batches: Sequence[pa.RecordBatch], marks: bytes = b"") -> int:
            seen.extend(set(batch.schema.names) for batch in batches)
            return super().append(batches, marks)

    for parse in (True, False):
        await Writer(Columns(), parse_fields=parse).put(logs("path=/x"), 1, safe=lambda: None)

    assert ["f_path" in names for names in seen] == [True, False]


async def test_a_full_disk_is_waited_for_and_told_once(autojump_clock: trio.testing.MockClock) -> None:
    store, troubles, safe = FakeStore(full=50), [], []

    class Watched:
        def append(self, batches: Sequence[pa.RecordBatch], marks: bytes = b"") -> int:
            troubles.append(writer.trouble)
            return store.append(batches, marks)

    writer = Writer(Watched(), parse_fields=True)
    with capture_logs() as said:
        await writer.put(logs("1"), 1, safe=lambda: safe.append(len(troubles)))

    assert (troubles, safe) == (["", *["no room"] * 50], [51])
    assert (store.kept, writer.trouble, writer.counts.full) == ([["1"]], "", 50)
    assert [line["event"] for line in said] == ["store_full", "store_has_room"]


async def test_what_is_not_safe_when_it_is_cancelled_is_never_said_to_be(
    autojump_clock: trio.testing.MockClock,
) -> None:
    writer, safe = Writer(FakeStore(full=1_000_000), parse_fields=True), []
    with trio.move_on_after(60):
        await writer.put(logs("1"), 1, safe=lambda: safe.append(1))

    assert (safe, writer.counts.stored) == ([], 0)


@given(st.lists(st.sampled_from(["unfit", "a", "b"]), min_size=1, max_size=12), st.integers(1, 4))
def test_only_what_can_never_be_kept_is_left_out(lines: list[str], most_rows: int) -> None:
    store = FakeStore(most_rows=most_rows)
    writer, _ = trio.run(write, store, *lines)

    fit = [line for line in lines if line != "unfit"]
    assert [line for kept in store.kept for line in kept] == fit
    assert (writer.counts.stored, writer.counts.unfit) == (len(fit), len(lines) - len(fit))
    assert [len(marks) for marks in store.marks] == [8 * len(kept) for kept in store.kept]


async def test_halves_keep_the_marks_of_their_own_envelopes() -> None:
    store = FakeStore(most_rows=1)
    await write(store, "1", "2", "3", "4", "5")

    each = [Memory((), lambda: 0).new_part(logs(text), 1)[2] for text in ("1", "2", "3", "4", "5")]
    assert (store.kept, store.marks) == ([["1"], ["2"], ["3"], ["4"], ["5"]], each)
