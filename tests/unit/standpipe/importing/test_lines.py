"""Lines of a file as envelopes: their times, joining, skipping, and any bytes."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from standpipe.importing import lines as module
from standpipe.importing.line_times import LineTimes
from standpipe.importing.lines import LineReader
from syslog_adapter.multiline import Bounds

HEAD = Envelope(source_id="app").SerializeToString()
START_NS = 1_000


def reader(*, join: bool = False, skip: int = 0, err: bool = False) -> LineReader:
    return LineReader(HEAD, LineTimes(2_000_000_000 * 10**9, UTC), START_NS, err=err, join=join, skip=skip)


def read(content: bytes, made: LineReader | None = None, chunk: int = 1 << 20) -> list[tuple[int, bytes]]:
    chunks = [content[at : at + chunk] for at in range(0, len(content), chunk)]
    parcels = list((made or reader()).parcels(chunks))
    envelopes = [one for parcel in parcels for one in EnvelopeBatch.FromString(parcel.batch).batch]
    assert sum(parcel.envelopes for parcel in parcels) == len(envelopes)
    return [(one.timestamp, one.log.payload) for one in envelopes]


def dated(second: int, text: bytes = b"x") -> bytes:
    return b"ts=%d.0 " % (1_700_000_000 + second) + text


def at(second: int) -> int:
    return (1_700_000_000 + second) * 10**9


def test_a_line_without_a_time_has_that_of_the_line_before_or_of_the_file() -> None:
    made = reader()
    content = b"\n".join([b"first", dated(1), b"\tat x", dated(2)])

    assert [time for time, _ in read(content, made)] == [START_NS, at(1), at(1), at(2)]
    assert (made.counts.lines, made.counts.undated, made.counts.cut) == (4, 2, 0)


def test_lines_say_whose_they_are() -> None:
    (parcel,) = reader(err=True).parcels([b"hello\n"])
    (envelope,) = EnvelopeBatch.FromString(parcel.batch).batch
    assert (envelope.source_id, envelope.log.type) == ("app", Log.ERR)


@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b"")), max_size=20), st.integers(1, 50))
def test_every_byte_is_kept_but_the_ends_of_lines(texts: list[bytes], chunk: int) -> None:
    found = [text for _, text in read(b"".join(text + b"\n" for text in texts), chunk=chunk)]
    assert found == [text.removesuffix(b"\r") for text in texts]


def test_lines_that_say_no_time_are_joined_to_the_one_that_does() -> None:
    content = b"\n".join([b"loose", b"too", dated(1, b"a"), b"\tat x", b"", b"\tat y", dated(2, b"b"), dated(3, b"c")])
    found = read(content, reader(join=True), chunk=7)

    joined = b"\n".join([dated(1, b"a"), b"\tat x", b"", b"\tat y"])
    assert found == [
        (START_NS, b"loose"), (START_NS, b"too"), (at(1), joined), (at(2), dated(2, b"b")), (at(3), dated(3, b"c"))
    ]  # fmt: skip


def test_what_is_joined_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BOUNDS", Bounds(lines=3))
    assert [text.count(b"\n") for _, text in read(dated(1) + b"\na\nb\nc\nd", reader(join=True))] == [2, 0, 0]
    monkeypatch.setattr(module, "_BOUNDS", Bounds(bytes=len(dated(1)) + 4))
    assert [text.count(b"\n") for _, text in read(dated(1) + b"\naaaa\nb", reader(join=True))] == [1, 0]


def test_a_line_that_is_too_long_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)
    made = reader()
    assert [text for _, text in read(b"a" * 25 + b"\nb", made, chunk=4)] == [b"a" * 10, b"a" * 10, b"a" * 5, b"b"]
    assert made.counts.cut == 2


@given(st.lists(st.sampled_from([b"", b"a", b"\tat x", dated(1), dated(2)]), max_size=30), st.data())
def test_whoever_goes_on_where_it_was_interrupted_doubles_and_loses_nothing(
    lines: list[bytes], data: st.DataObject
) -> None:
    join, chunk = data.draw(st.booleans()), data.draw(st.integers(1, 40))
    content = b"".join(line + b"\n" for line in lines)
    chunks = [content[place : place + chunk] for place in range(0, len(content), chunk)]
    parcels = list(reader(join=join).parcels(chunks))
    stored = parcels[: data.draw(st.integers(0, len(parcels)))]
    before = [(one.timestamp, one.log.payload) for each in stored for one in EnvelopeBatch.FromString(each.batch).batch]
    after = read(content, reader(join=join, skip=stored[-1].upto if stored else 0), chunk=chunk)

    assert before + after == read(content, reader(join=join))


def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_LINES", 3)
    parcels = list(reader().parcels([b"\n" * 8]))
    assert [(parcel.envelopes, parcel.upto) for parcel in parcels] == [(3, 3), (3, 6), (2, 8)]
