"""Batches of envelopes as events: Arrow, a row for each. Pure.

Every column of `event_store.model` is there, but `seq`, which the store gives; a tag or a field has one if any row has
it, up to `MOST_COLUMNS` of them. What finds none is in the map `attrs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from envelope import kernel
from envelope.columns import NO_STREAM, Coded, Columns
from envelope.kinds import Kind
from envelope.severities import WORDS, Severity
from event_store.fields import Value, fields_of
from event_store.model import FIELD, NUMBER, OVERFLOW, RAW_MESSAGE, SEVERITIES, TAG
from event_store.storage.overflow import ATTRS, text_of

MOST_COLUMNS = 500
"""Tags, and fields, that have a column of their own: so many of each."""

_TYPES = {Kind.LOG: "log", Kind.COUNTER: "counter", Kind.GAUGE: "gauge", Kind.TIMER: "timer", Kind.EVENT: "event"}
_LEVEL_FIELDS = ("level", "severity", "lvl", "loglevel", "log_level", "log.level")
_LEVEL_NUMBERS = (
    (60, Severity.FATAL),
    (50, Severity.ERROR),
    (40, Severity.WARN),
    (30, Severity.INFO),
    (20, Severity.DEBUG),
)
_MOST_DELTA = np.uint64(2**63 - 1)


def to_events(batch: bytes, *, parse: bool = True) -> pa.RecordBatch:
    """Turn an admitted batch into events; `parse` says whether lines are parsed into fields.

    Raises `DecodeError` where the batch holds what is no envelope, `OverflowError` if its texts take 2 GiB.
    """
    columns = kernel.columns(batch, MOST_COLUMNS)
    kinds = np.frombuffer(columns.kinds, np.uint8)
    parsed = _parsed(columns, kinds) if parse else _Parsed(columns.rows)
    over = [(row, TAG + _text(name), _text(text)) for row, name, text in columns.more] + parsed.over
    made = {
        "time": _plain(columns.times, pa.timestamp("ns"), columns.rows),
        "source_id": _coded(columns.source_id, columns.rows),
        "instance_id": _coded(columns.instance_id, columns.rows),
        "type": _few(_TYPE_CODES[kinds], list(_TYPES.values())),
        "severity": _few(_severity_codes(columns, kinds, parsed), list(SEVERITIES)),
        "stream": _streams(columns.streams),
        **_messages(columns, kinds),
        "name": _coded(columns.name, columns.rows),
        "value": _masked(np.frombuffer(columns.values, np.float64), _has_value(columns, kinds)),
        "delta": _masked(_deltas(columns), kinds == Kind.COUNTER),
        "unit": _coded(columns.unit, columns.rows),
        "duration": _masked(np.frombuffer(columns.durations, np.int64), kinds == Kind.TIMER),
        **{TAG + _text(name): _coded(coded, columns.rows) for name, coded in columns.tags.items()},
        **parsed.columns(),
    }
    if over:
        made[OVERFLOW] = _attrs(over, columns.rows)
    return pa.RecordBatch.from_pydict(made)


@dataclass(slots=True)
class _Parsed:
    """The fields of all lines, column by column as they are found."""

    rows: int
    texts: dict[str, tuple[list[int], list[str]]] = field(default_factory=dict)
    numbers: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    severities: list[tuple[int, Severity]] = field(default_factory=list)
    over: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, row: int, fields: Mapping[str, Value]) -> None:
        for name, value in fields.items():
            numeric = type(value) is float
            if not numeric and name.endswith(NUMBER):
                continue  # its column would be taken for the numbers of another field: the line has it still
            held: dict[str, Any] = self.numbers if numeric else self.texts
            if name not in held:
                if len(self.texts) + len(self.numbers) >= MOST_COLUMNS:
                    self.over.append((row, FIELD + name, text_of(value)))
                    continue
                held[name] = ([], [])
            rows, values = held[name]
            rows.append(row)
            values.append(value)
        for name in _LEVEL_FIELDS:
            if name in fields:
                self.severities.append((row, _level(fields[name])))
                break

    def columns(self) -> dict[str, pa.Array]:
        made = {FIELD + name: _sparse_texts(rows, texts, self.rows) for name, (rows, texts) in self.texts.items()}
        for name, (rows, numbers) in self.numbers.items():
            made[FIELD + name + NUMBER] = _sparse_numbers(rows, numbers, self.rows)
        return made


def _parsed(columns: Columns, kinds: np.ndarray[Any, Any]) -> _Parsed:
    ends = memoryview(columns.ends).cast("i")
    texts, parsed = columns.texts, _Parsed(columns.rows)
    for row in np.flatnonzero(kinds == Kind.LOG).tolist():
        if fields := fields_of(texts[ends[row] : ends[row + 1]]):
            parsed.add(row, fields)
    return parsed


def _level(value: Value) -> Severity:
    """Read what a line calls its level: a word, or a number as pino and bunyan have it."""
    if isinstance(value, str):
        return WORDS.get(value.strip().lower().encode(), Severity.UNKNOWN)
    return next((severity for least, severity in _LEVEL_NUMBERS if value >= least), Severity.UNKNOWN)


def _severity_codes(columns: Columns, kinds: np.ndarray[Any, Any], parsed: _Parsed) -> np.ndarray[Any, Any]:
    guessed = np.frombuffer(kernel.severities(columns.texts, columns.ends), np.uint8).astype(np.int32) - 1
    guessed[kinds != Kind.LOG] = -1
    for row, severity in parsed.severities:
        if severity:
            guessed[row] = severity - 1
    return guessed


def _type_codes() -> np.ndarray[Any, Any]:
    codes = np.full(256, -1, np.int32)
    codes[list(_TYPES)] = range(len(_TYPES))
    return codes


_TYPE_CODES = _type_codes()


def _streams(streams: bytes) -> pa.Array:
    codes = np.frombuffer(streams, np.uint8).astype(np.int32)
    codes[codes == NO_STREAM] = -1
    return _few(codes, ["OUT", "ERR"])


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
    validity = pa.py_buffer(np.packbits(has_text, bitorder="little").tobytes())
    buffers = [validity, pa.py_buffer(columns.ends), pa.py_buffer(columns.texts)]
    if not broken.any():
        return {"message": pa.Array.from_buffers(pa.string(), columns.rows, buffers)}
    raw = pa.Array.from_buffers(pa.binary(), columns.rows, buffers).to_pylist()
    readable = [None if text is None else text.decode("utf-8", "replace") for text in raw]
    kept = [text if odd else None for text, odd in zip(raw, broken.tolist(), strict=True)]
    return {"message": pa.array(readable, pa.string()), RAW_MESSAGE: pa.array(kept, pa.binary())}


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _plain(column: bytes, kind: pa.DataType, rows: int) -> pa.Array:
    return pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(column)])


def _masked(column: np.ndarray[Any, Any], present: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(column, mask=~present)


def _coded(coded: Coded, rows: int) -> pa.Array:
    codes = np.frombuffer(coded.codes, np.int32)
    if len(codes) < rows:
        codes = np.concatenate([codes, np.full(rows - len(codes), -1, np.int32)])
    return _few(codes, coded.values)


def _few(codes: np.ndarray[Any, Any], values: Iterable[str] | Iterable[bytes]) -> pa.Array:
    """Make a coded column; a code below 0 is null."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(values, pa.string()))


def _sparse_texts(rows: list[int], texts: list[str], count: int) -> pa.Array:
    numbers: dict[str, int] = {}
    codes = np.full(count, -1, np.int32)
    codes[rows] = [numbers.setdefault(text, len(numbers)) for text in texts]
    return _few(codes, list(numbers))


def _sparse_numbers(rows: list[int], numbers: list[float], count: int) -> pa.Array:
    column, present = np.zeros(count), np.zeros(count, bool)
    column[rows] = numbers
    present[rows] = True
    return _masked(column, present)


def _attrs(over: list[tuple[int, str, str]], rows: int) -> pa.Array:
    """Make the map of what found no column; a row's last value of a key counts."""
    held: list[dict[str, str] | None] = [None] * rows
    for row, key, text in over:
        of_row = held[row]
        if of_row is None:
            of_row = held[row] = {}
        of_row[key] = text
    return pa.array([None if of_row is None else list(of_row.items()) for of_row in held], ATTRS)
