import msgpack  # type: ignore[import-untyped]  # it ships no types
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.storage import StoreLocked, frames
from event_store.storage.crypto import Keyring
from event_store.storage.frames import FrameDamaged, pack, unpack
from plumbing.spool import Frame, Kept
from tests.unit.event_store.storage.events import batch_of, events

texts = st.none() | st.text(max_size=20)
rows = st.lists(
    st.fixed_dictionaries(
        {"time": st.integers(-(2**63) + 1, 2**63 - 1), "source_id": texts, "message": texts, "t_a": texts},
    )
    | st.fixed_dictionaries({"time": st.just(0), "value": st.floats(allow_nan=False), "f_x_num": st.floats(-1, 1)}),
    min_size=1,
    max_size=8,
)


KEYS = Keyring([b"k" * 32])
LZ4 = pa.Codec("lz4_raw")


def written_once(batch: pa.RecordBatch, marks: tuple[bytes, ...] = (), keys: Keyring | None = None) -> Frame:
    """Make a frame as it was done before the whole stream was compressed."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_batch(batch)
    body = sink.getvalue().to_pybytes()
    if keys is None:
        return Frame(b"\0" + body, batch.num_rows, marks)
    return Frame(b"\1" + keys.seal(msgpack.packb((body, marks))), batch.num_rows)


def kept(frame: Frame) -> Kept:
    return Kept(7, frame.batch, frame.count, frame.marks)


@given(rows, st.lists(st.binary(max_size=20), max_size=3).map(tuple), st.sampled_from([None, KEYS]))
def test_events_and_marks_are_read_as_they_were_written(
    rows: list[dict[str, object]], marks: tuple[bytes, ...], keys: Keyring | None
) -> None:
    names = {name for row in rows for name in row}
    batch = batch_of(**{name: [row.get(name) for row in rows] for name in sorted(names)})

    for write in (pack, written_once):
        read, read_marks = unpack(kept(write(batch, marks, keys)), keys)

        assert read is not None
        assert read.equals(batch)
        assert read_marks == marks


def test_a_frame_can_be_of_marks_alone() -> None:
    frame = pack(None, (b"a", b"b"))

    assert frame.count == 0
    assert unpack(kept(frame)) == (None, (b"a", b"b"))


@given(st.binary(max_size=300), st.integers(0, 3))
def test_bytes_of_anybody_else_are_refused(data: bytes, count: int) -> None:
    compressed = b"\2" + len(data).to_bytes(4, "little") + LZ4.compress(data, asbytes=True)
    for body in (data, b"\0" + data, b"\2" + data, compressed):
        try:
            batch, _ = unpack(Kept(1, body, count, ()))
        except (FrameDamaged, StoreLocked):
            continue
        assert batch is None or batch.num_rows == count


@given(st.data())
def test_changed_bytes_give_events_or_are_refused(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from([pack, written_once]))(events(range(3))).batch)
    for place in data.draw(st.lists(st.integers(1, len(body) - 1), min_size=1, max_size=4)):
        body[place] = data.draw(st.integers(0, 255))

    try:
        batch, _ = unpack(Kept(1, bytes(body), 3, ()))
    except FrameDamaged:
        return
    assert batch is not None
    assert batch.num_rows == 3


@given(st.data())
def test_a_changed_stream_gives_events_or_is_refused(data: st.DataObject) -> None:
    """As above, where what was changed is what comes of the compressed bytes."""
    packed = pack(events(range(3))).batch
    size = int.from_bytes(packed[1:5], "little")
    stream = bytearray(LZ4.decompress(packed[5:], size, asbytes=True))
    for place in data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4)):
        stream[place] = data.draw(st.integers(0, 255))

    try:
        batch, _ = unpack(Kept(1, packed[:5] + LZ4.compress(bytes(stream), asbytes=True), 3, ()))
    except FrameDamaged:
        return
    assert batch is not None
    assert batch.num_rows == 3


def test_a_stream_without_a_batch_is_refused() -> None:
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, events(range(3)).schema).close()
    stream = sink.getvalue().to_pybytes()
    packed = b"\2" + len(stream).to_bytes(4, "little") + LZ4.compress(stream, asbytes=True)
    for body in (b"\0" + stream, packed):
        with pytest.raises(FrameDamaged, match="no batch"):
            unpack(Kept(1, body, 3, ()))


@pytest.mark.parametrize("size", [0, 1 << 20, frames.MAX_BATCH_BYTES + 1, (1 << 32) - 1])
def test_no_memory_is_taken_for_a_size_that_cannot_be(size: int) -> None:
    body = pack(events(range(3))).batch
    for packed in (body[5:], b""):
        with pytest.raises(FrameDamaged, match=f"says that its events take {size if packed else 0} bytes"):
            unpack(Kept(1, b"\2" + size.to_bytes(4, "little") + packed, 3, ()))


def test_another_number_of_events_is_refused() -> None:
    with pytest.raises(FrameDamaged, match="says 4 events, and has 3"):
        unpack(kept(pack(events(range(3))))._replace(count=4))


def test_what_is_sealed_needs_its_key() -> None:
    sealed = kept(pack(events(range(3)), (b"mark",), KEYS))

    assert sealed.marks == ()
    with pytest.raises(StoreLocked, match="there is no key"):
        unpack(sealed)
    with pytest.raises(StoreLocked, match="another key"):
        unpack(sealed, Keyring([b"o" * 32]))


def test_what_is_too_large_for_a_frame_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", (1 << 16) + 500)

    with pytest.raises(ValueError, match="an append of 3 events takes"):
        pack(events(range(3)))
    monkeypatch.undo()
    monkeypatch.setattr(frames, "MAX_BATCH_BYTES", 500)
    with pytest.raises(ValueError, match="more than 500"):
        pack(events(range(3)))
