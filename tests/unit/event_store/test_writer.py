"""A batch is written as a whole, with its marks, however long the disk is full; only what never fits is left out."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pyarrow as pa
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from event_store import writer as writing
from event_store.events import to_events
from event_store.storage import StoreFull
from event_store.writer import Writer
from plumbing.gathering.recognise import Memory
from tests.unit.plumbing.gathering.arrivals import FakeStream, logs


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
    batch, count, marks = Memory(()).new_part(logs(*lines), len(lines), FakeStream())
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

    each = [Memory(()).new_part(logs(text), 1, FakeStream())[2] for text in ("1", "2", "3", "4", "5")]
    assert (store.kept, store.marks) == ([["1"], ["2"], ["3"], ["4"], ["5"]], each)


async def test_what_nobody_foresaw_costs_the_envelope_and_not_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(batch: bytes, *, parse: bool) -> pa.RecordBatch:
        if b"odd" in batch:
            raise TypeError("nobody foresaw it")
        return to_events(batch, parse=parse)

    monkeypatch.setattr(writing, "to_events", odd)
    writer, _ = await write(store := FakeStore(), "1", "odd", "3")

    assert [line for kept in store.kept for line in kept] == ["1", "3"]
    assert (writer.counts.stored, writer.counts.unfit) == (2, 1)


class SlowStore(FakeStore):
    """Appends only once it is let, and says when it begins; it raises what it is given, in turn."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__()
        self.errors = list(errors)
        self.let = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)

    def append(self, batches: Sequence[pa.RecordBatch], marks: bytes = b"") -> int:
        self.begun.release()
        assert self.let.acquire(timeout=60)
        if self.errors:
            raise self.errors.pop(0)
        return super().append(batches, marks)


async def begun(store: SlowStore) -> None:
    assert await trio.to_thread.run_sync(lambda: store.begun.acquire(timeout=60))


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The batches that were made into events, each time; every batch is worth to be made ahead."""
    seen: list[bytes] = []

    def watched(batch: bytes, *, parse: bool) -> pa.RecordBatch:
        seen.append(batch)
        return to_events(batch, parse=parse)

    monkeypatch.setattr(writing, "_WORTH_AHEAD", 1)
    monkeypatch.setattr(writing, "to_events", watched)
    return seen


def feed_of(writer: Writer, safe: list[int], *batches: Sequence[str]) -> Callable[[], Awaitable[None]]:
    """Put batches of lines, one behind the other; each is noted by its number when it is safe."""

    async def feed() -> None:
        for number, lines in enumerate(batches):
            await writer.put(logs(*lines), len(lines), safe=partial(safe.append, number))

    return feed


async def test_the_next_is_made_into_events_while_one_is_appended_and_no_more(prepared: list[bytes]) -> None:
    store, safe = SlowStore(), []
    writer = Writer(store, parse_fields=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.run, feed_of(writer, safe, *"1234"))
        for number in range(1, 5):
            await begun(store)
            while len(prepared) < min(number + 1, 4):
                await trio.sleep(0.001)
            await trio.testing.wait_all_tasks_blocked()
            assert (len(prepared), safe) == (min(number + 1, 4), [*range(number - 1)])
            store.let.release()

    assert (store.kept, safe) == ([["1"], ["2"], ["3"], ["4"]], [0, 1, 2, 3])
    assert len(prepared) == 4  # what was made ahead is not made again


async def test_what_is_unfit_or_has_no_room_keeps_its_place_before_the_next(
    prepared: list[bytes], autojump_clock: trio.testing.MockClock
) -> None:
    store, safe = FakeStore(full=3), []
    writer = Writer(store, parse_fields=True)
    await writer.run(feed_of(writer, safe, ("a", "unfit", "b"), ("c",), ("unfit",), ("d", "e")))

    assert [line for kept in store.kept for line in kept] == [*"abcde"]
    assert (safe, writer.counts.unfit, writer.counts.stored, writer.counts.full) == ([0, 1, 2, 3], 2, 5, 3)


async def test_when_it_is_cancelled_only_what_is_kept_was_said_to_be_safe(prepared: list[bytes]) -> None:
    store, safe = SlowStore(), []
    writer = Writer(store, parse_fields=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.run, feed_of(writer, safe, *"123"))
        await begun(store)
        nursery.cancel_scope.cancel()
        store.let.release(100)

    assert (store.kept, safe) == ([["1"]], [0])  # what was under way came to its end, and the next did not begin


@pytest.mark.parametrize("kind", [MemoryError, pa.ArrowMemoryError])
async def test_want_of_memory_is_waited_for_and_no_envelope_is_to_blame(
    kind: type[BaseException], autojump_clock: trio.testing.MockClock
) -> None:
    store, troubles = SlowStore(kind("no memory"), kind("no memory"), kind("no memory")), []
    store.let.release(100)
    writer = Writer(store, parse_fields=True)
    with capture_logs() as said:
        await writer.put(logs("1", "2", "3"), 3, safe=lambda: troubles.append(writer.trouble))

    assert [line for kept in store.kept for line in kept] == ["1", "2", "3"]
    assert len(store.kept) > 1  # in smaller parts
    assert (writer.counts.unfit, writer.counts.stored, writer.counts.full, troubles) == (0, 3, 3, [""])
    assert [line["event"] for line in said] == ["store_full", "store_has_room"]
    assert "out of memory" in said[0]["error"]


async def test_events_that_cannot_be_made_for_want_of_memory_are_made_later(
    prepared: list[bytes], monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    watched, lacks = writing.to_events, [True] * 5

    def seldom(batch: bytes, *, parse: bool) -> pa.RecordBatch:
        if lacks:
            lacks.pop()
            raise MemoryError
        return watched(batch, parse=parse)

    monkeypatch.setattr(writing, "to_events", seldom)
    store, safe = FakeStore(), []
    writer = Writer(store, parse_fields=True)
    await writer.run(feed_of(writer, safe, "12"))

    assert ([line for kept in store.kept for line in kept], safe, writer.counts.unfit) == (["1", "2"], [0], 0)
