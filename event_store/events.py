"""Batches of envelopes as events: Arrow, a row for each. Pure.

Every column of `event_store.model` is there, but `seq`, which the store gives; a tag or a field has one if any row has
it, up to `MOST_COLUMNS` of them. What finds none is in the map `attrs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from envelope import kernel
from envelope.columns import NO_STREAM, Coded, Columns
from envelope.kinds import Kind
from envelope.line_fields import LineFields, Numbers, Value
from envelope.severities import WORDS, Severity
from event_store.fields import fields_of
from event_store.model import FIELD, NUMBER, OVERFLOW, RAW_MESSAGE, SEVERITIES, TAG
from event_store.storage.overflow import ATTRS

MOST_COLUMNS = 500
"""Tags, and fields, that have a column of their own: so many of each."""

_TYPES = {Kind.LOG: "log", Kind.COUNTER: "counter", Kind.GAUGE: "gauge", Kind.TIMER: "timer", Kind.EVENT: "event"}
_TYPE_NAMES = pa.array(_TYPES.values(), pa.string())
_SEVERITY_NAMES = pa.array(SEVERITIES, pa.string())
_STREAM_NAMES = pa.array(["OUT", "ERR"], pa.string())
_LEVEL_FIELDS = (b"level", b"severity", b"lvl", b"loglevel", b"log_level", b"log.level")
_LEVEL_NUMBERS = (
    (60, Severity.FATAL),
    (50, Severity.ERROR),
    (40, Severity.WARN),
    (30, Severity.INFO),
    (20, Severity.DEBUG),
)
_MOST_DELTA = np.uint64(2**63 - 1)
_NO_FIELDS = LineFields({}, {}, [])


def to_events(batch: bytes, *, parse: bool = True) -> pa.RecordBatch:
    """Turn an admitted batch into events; `parse` says whether lines are parsed into fields.

    A hot path: `benchmarks/kernel.py`. Columns are made of buffers, which costs a third of what `pa.array` does.
    Raises `DecodeError` where the batch holds what is no envelope, `OverflowError` if its texts take 2 GiB or it has
    too many rows with too many tags or fields.
    """
    columns = kernel.columns(batch, MOST_COLUMNS)
    rows, kinds = columns.rows, np.frombuffer(columns.kinds, np.uint8)
    lines = _NO_FIELDS
    if parse:
        lines = kernel.line_fields(columns.texts, columns.ends, columns.kinds, MOST_COLUMNS, fields_of)
    made = {
        "time": _plain(columns.times, pa.timestamp("ns"), rows),
        "source_id": _coded(columns.source_id, rows),
        "instance_id": _coded(columns.instance_id, rows),
        "type": _few(_TYPE_CODES[kinds], _TYPE_NAMES),
        "severity": _few(_severity_codes(columns, kinds, lines), _SEVERITY_NAMES),
        "stream": _few(_STREAM_CODES[np.frombuffer(columns.streams, np.uint8)], _STREAM_NAMES),
        **_messages(columns, kinds),
        "name": _coded(columns.name, rows),
        "value": _masked(np.frombuffer(columns.values, np.float64), pa.float64(), _has_value(columns, kinds)),
        "delta": _masked(_deltas(columns), pa.int64(), kinds == Kind.COUNTER),
        "unit": _coded(columns.unit, rows),
        "duration": _masked(np.frombuffer(columns.durations, np.int64), pa.int64(), kinds == Kind.TIMER),
        **{TAG + _text(name): _coded(coded, rows) for name, coded in columns.tags.items()},
        **{FIELD + _text(name): _coded(coded, rows) for name, coded in lines.texts.items()},
        **{FIELD + _text(name) + NUMBER: _numbers(column, rows) for name, column in lines.numbers.items()},
    }
    if columns.more or lines.more:
        made[OVERFLOW] = _attrs(columns, lines)
    return pa.RecordBatch.from_arrays([*made.values()], names=[*made])


def _level(value: Value) -> Severity:
    """Read what a line calls its level: a word, or a number as pino and bunyan have it."""
    if isinstance(value, str):
        return WORDS.get(value.strip().lower().encode(), Severity.UNKNOWN)
    return next((severity for least, severity in _LEVEL_NUMBERS if value >= least), Severity.UNKNOWN)


def _severity_codes(columns: Columns, kinds: np.ndarray[Any, Any], lines: LineFields) -> np.ndarray[Any, Any]:
    """Say how severe each event is: what its line calls its level counts more than the words in it."""
    guessed = np.frombuffer(kernel.severities(columns.texts, columns.ends), np.uint8).astype(np.int32) - 1
    guessed[kinds != Kind.LOG] = -1
    undecided = np.ones(columns.rows, bool)
    for name in _LEVEL_FIELDS:
        for rows, levels in _levels(lines, name):
            told = undecided[rows] & (levels != Severity.UNKNOWN)
            guessed[rows[told]] = levels[told] - 1
            undecided[rows] = False
    return guessed


def _levels(lines: LineFields, name: bytes) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Give the rows that have a field of this name, and the level that each one says."""
    if name in lines.texts:
        codes = np.frombuffer(lines.texts[name].codes, np.int32)
        levels = np.array([_level(text.decode()) for text in lines.texts[name].values], np.int32)
        rows = np.flatnonzero(codes >= 0)
        yield rows, levels[codes[rows]]
    if name in lines.numbers:
        places, values = lines.numbers[name]
        numbers = np.frombuffer(values, np.float64).tolist()
        yield np.frombuffer(places, np.int32), np.array([_level(number) for number in numbers], np.int32)
    if more := [(row, _level(value)) for row, key, value in lines.more if key == name]:
        yield np.array([row for row, _ in more]), np.array([level for _, level in more], np.int32)


def _codes_of_bytes(places: Mapping[int, int]) -> np.ndarray[Any, Any]:
    codes = np.full(256, -1, np.int32)
    codes[list(places)] = list(places.values())
    return codes


_TYPE_CODES = _codes_of_bytes({int(kind): place for place, kind in enumerate(_TYPES)})
_STREAM_CODES = _codes_of_bytes({0: 0, 1: 1})
assert _STREAM_CODES[NO_STREAM] < 0


def _has_value(columns: Columns, kinds: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Say which rows have a value: counters, and gauges that have a metric."""
    named = np.frombuffer(columns.name.codes, np.int32) >= 0
    valued: np.ndarray[Any, Any] = (kinds == Kind.COUNTER) | ((kinds == Kind.GAUGE) & named)
    return valued


def _deltas(columns: Columns) -> np.ndarray[Any, Any]:
    return np.minimum(np.frombuffer(columns.deltas, np.uint64), _MOST_DELTA).astype(np.int64)


def _messages(columns: Columns, kinds: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
    """Return the messages, and the bytes of those that are not UTF-8 if there are any."""
    has_text = (kinds == Kind.LOG) | (kinds == Kind.EVENT)
    broken = np.frombuffer(columns.broken, np.uint8).astype(bool)
    buffers = [_validity(has_text), pa.py_buffer(columns.ends), pa.py_buffer(columns.texts)]
    if not broken.any():
        return {"message": pa.Array.from_buffers(pa.string(), columns.rows, buffers)}
    raw = pa.Array.from_buffers(pa.binary(), columns.rows, buffers).to_pylist()
    readable = [None if text is None else text.decode("utf-8", "replace") for text in raw]
    kept = [text if odd else None for text, odd in zip(raw, broken.tolist(), strict=True)]
    return {"message": pa.array(readable, pa.string()), RAW_MESSAGE: pa.array(kept, pa.binary())}


def _text(name: bytes) -> str:
    """Read the name of a tag or a field; one with a NUL in it would be a column that no query can open."""
    return name.decode("utf-8", "replace").replace("\0", "\ufffd")


def _plain(column: bytes, kind: pa.DataType, rows: int) -> pa.Array:
    return pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(column)])


def _masked(column: np.ndarray[Any, Any], kind: pa.DataType, present: np.ndarray[Any, Any]) -> pa.Array:
    return pa.Array.from_buffers(kind, len(column), [_validity(present), pa.py_buffer(column)])


def _validity(present: np.ndarray[Any, Any]) -> pa.Buffer | None:
    return None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))


def _coded(coded: Coded, rows: int) -> pa.Array:
    codes = coded.codes + b"\xff" * (4 * rows - len(coded.codes))
    return _few(np.frombuffer(codes, np.int32), pa.array(coded.values, pa.string()))


def _few(codes: np.ndarray[Any, Any], values: pa.Array) -> pa.Array:
    """Make a coded column; a code below 0 is null."""
    return pa.DictionaryArray.from_arrays(_masked(codes, pa.int32(), codes >= 0), values, safe=False)


def _numbers(numbers: Numbers, rows: int) -> pa.Array:
    column, present = np.zeros(rows), np.zeros(rows, bool)
    places = np.frombuffer(numbers.rows, np.int32)
    column[places] = np.frombuffer(numbers.values, np.float64)
    present[places] = True
    return _masked(column, pa.float64(), present)


def _attrs(columns: Columns, lines: LineFields) -> pa.Array:
    """Make the map of what found no column; a row's last value of a key counts."""
    texts = _texts_of([value for *_, value in lines.more])
    over: Iterable[tuple[int, str, str]] = (
        *((row, TAG + _text(name), text.decode("utf-8", "replace")) for row, name, text in columns.more),
        *((row, FIELD + _text(name), text) for (row, name, _), text in zip(lines.more, texts, strict=True)),
    )
    held: list[dict[str, str] | None] = [None] * columns.rows
    for row, key, text in over:
        of_row = held[row]
        if of_row is None:
            of_row = held[row] = {}
        of_row[key] = text
    return pa.array([None if of_row is None else list(of_row.items()) for of_row in held], ATTRS)


def _texts_of(values: Sequence[Value]) -> list[str]:
    """Return what the map holds of each: all numbers at once, as one alone costs more than its whole line."""
    numbers = pa.array([value for value in values if not isinstance(value, str)], pa.float64())
    texts = iter(numbers.cast(pa.string()).to_pylist())
    return [value if isinstance(value, str) else next(texts) for value in values]
