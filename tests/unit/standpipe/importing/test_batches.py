"""Files of envelopes: what is one, each framing, what is malformed, and any bytes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.framing import varint
from standpipe.importing import batches as module
from standpipe.importing.batches import Form, LengthBroken, MessageReader, form_of
from tests.unit.plumbing.gathering.arrivals import logs, texts


def delimited(*batches: bytes) -> bytes:
    return b"".join(varint(len(batch)) + batch for batch in batches)


def read(
    form: Form, content: bytes, *, chunk: int = 1 << 20, skip: int = 0
) -> tuple[list[str], list[str], MessageReader]:
    told: list[str] = []
    reader = MessageReader(form, told.append, skip)
    found: list[str] = []
    try:
        for parcel in reader.parcels(content[at : at + chunk] for at in range(0, len(content), chunk)):
            found += texts(parcel.batch)
            assert parcel.envelopes == kernel.count(parcel.batch)
    except LengthBroken as error:
        told.append(str(error))
    return found, told, reader


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_batches_behind_their_lengths_are_read(chunk: int) -> None:
    found, told, reader = read(Form.BATCHES, delimited(logs("a", "b"), b"", logs("c" * 300)), chunk=chunk)
    assert (found, told, reader.counts.messages) == (["a", "b", "c" * 300], [], 3)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_the_bytes_of_one_batch_are_read_envelope_by_envelope(chunk: int) -> None:
    found, told, reader = read(Form.BATCH, logs("a", "b") + logs("c" * 300), chunk=chunk)
    assert (found, told, reader.counts.messages) == (["a", "b", "c" * 300], [], 3)


def test_what_is_malformed_is_named_by_its_place_and_skipped() -> None:
    bad_envelope = b"\x0a\x02\x12\xff"
    first = logs("a")
    content = delimited(first, b"\xff\xff", bad_envelope + logs("b"), logs("c"))
    found, told, reader = read(Form.BATCHES, content)

    assert found == ["a", "b", "c"]
    assert told[0].startswith(f"byte {len(first) + 1}: no batch")
    assert told[1] == f"byte {len(first) + 4}: 1 malformed envelopes in a batch of 2"
    assert (reader.counts.messages, reader.counts.malformed) == (4, 2)


def test_behind_a_length_that_cannot_be_the_file_ends() -> None:
    first = delimited(logs("a"))
    for rest, what in ((b"\xff" * 9, "no length"), (varint(1 << 30), "more than"), (b"\x05abc", "ends within")):
        found, told, _ = read(Form.BATCHES, first + rest)
        assert found == ["a"]
        assert told[0].startswith(f"byte {len(first)}: ")
        assert what in told[0]
    found, told, _ = read(Form.BATCH, logs("a") + b"\x12\x00")
    assert (found, told) == (["a"], [f"byte {len(logs('a'))}: no envelope of a batch begins here"])


def test_messages_can_be_skipped() -> None:
    assert read(Form.BATCHES, delimited(logs("a"), logs("b"), logs("c")), skip=2)[0] == ["c"]
    assert read(Form.BATCH, logs("a", "b", "c"), skip=1)[0] == ["b", "c"]


def test_parcels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PARCEL_BYTES", 30)
    reader = MessageReader(Form.BATCH, pytest.fail)
    parcels = list(reader.parcels([logs(*"abcdefgh")]))
    assert [parcel.upto for parcel in parcels][-1] == 8
    assert len(parcels) > 2


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"", Form.LINES),
        (b"\n", Form.LINES),
        (b"\n\n", Form.LINES),
        (b"\nHello, this file begins with an empty line", Form.LINES),
        (b"2026-11-20 hello\nyou\n", Form.LINES),
        (b"\xff\xfe\x00", Form.LINES),
        (logs("a"), Form.BATCH),
        (logs(*"abcdef"), Form.BATCH),
        (delimited(logs("a")), Form.BATCHES),
        (delimited(logs("a" * 1000)), Form.BATCHES),
        (logs("a" * (2 << 20))[: 1 << 20], Form.BATCH),
        (delimited(logs("a" * (2 << 20)))[: 1 << 20], Form.BATCHES),
    ],
)
def test_a_file_is_known_by_how_it_begins(head: bytes, form: Form) -> None:
    assert form_of(head) is form


@given(st.lists(st.text(), min_size=1, max_size=5), st.integers(1, 64))
def test_what_was_written_is_read(lines: Sequence[str], chunk: int) -> None:
    batches = [logs(line) for line in lines]
    assert form_of(delimited(*batches)) is Form.BATCHES
    assert read(Form.BATCHES, delimited(*batches), chunk=chunk)[:2] == (list(lines), [])
    assert read(Form.BATCH, b"".join(batches), chunk=chunk)[:2] == (list(lines), [])


@given(st.binary(max_size=200), st.integers(1, 64))
def test_any_bytes_are_read_or_refused(content: bytes, chunk: int) -> None:
    form_of(content)
    for form in (Form.BATCHES, Form.BATCH):
        read(form, content, chunk=chunk)
        read(form, delimited(logs("a")) + content, chunk=chunk)


@pytest.mark.parametrize(
    "text", [b"\n\tat java.lang.Thread.run(x)\n", b"\r\n\tat a.b.C.run(x)\n", b"\n\tINFO a b c d\n"]
)
def test_text_behind_a_blank_line_is_none(text: bytes) -> None:
    assert form_of(text) is Form.LINES
