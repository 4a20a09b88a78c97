"""The columns of an answer as JSON and CSV have them: text, numbers, integers, times. Pure.

An engine gives more types than the answers have; whatever is none of the four is written as text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from event_store.query.times import SECOND_NS, format_time

Kind = Literal["time", "text", "number", "integer"]

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}
_MOST_EXACT = 1 << 53


def kind_of(type_: pa.DataType) -> Kind:
    """Return what a column of this type is called in an answer."""
    if pa.types.is_timestamp(type_):
        return "time"
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    return "text"


def values(column: pa.ChunkedArray) -> list[Any]:
    """Return what a column holds as JSON has it: NaN and infinities by their names, whatever has no name as text."""
    type_ = column.type
    found: list[Any] = (times(column) if pa.types.is_timestamp(type_) else column).to_pylist()
    if pa.types.is_timestamp(type_) or is_simple(type_):
        return found
    if pa.types.is_decimal(type_):
        return [None if value is None else _number(value) for value in found]
    if pa.types.is_floating(type_):
        return _floats(column, found)
    return [None if value is None else as_text(value) for value in found]


def times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write times in ISO 8601, UTC, to the nanosecond; a time without a zone is UTC."""
    return pc.strftime(pc.cast(column, pa.timestamp("ns", column.type.tz), safe=False), _TIME)


def long_time(time_ns: int) -> str:
    """Write one time so."""
    whole, nanoseconds = divmod(time_ns, SECOND_NS)
    return f"{format_time(whole * SECOND_NS)[:-1]}.{nanoseconds:09d}Z"


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write a column as text, as CSV has it."""
    if pa.types.is_timestamp(column.type):
        return times(column)
    if pa.types.is_dictionary(column.type) or pa.types.is_integer(column.type) or pa.types.is_large_string(column.type):
        return pc.cast(column, pa.string())
    if pa.types.is_string(column.type):
        return column
    said: Callable[[Any], str] = _number_text if kind_of(column.type) == "number" else as_text
    return pa.chunked_array([[None if value is None else said(value) for value in column.to_pylist()]], pa.string())


def as_text(value: Any) -> str:
    """Write a value that is no number, text or time."""
    match value:
        case str():
            return value
        case bytes():
            return value.decode("utf-8", "replace")
        case dict() | list() | tuple() | bool():
            return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        case _:
            return str(value)


def shown(value: Any) -> Any:
    """Return one value as JSON has it."""
    if isinstance(value, datetime):
        return long_time(int(pa.scalar(value, pa.timestamp("ns")).value))
    return value if value is None or isinstance(value, int | str) else as_text(value)


def shortest(value: float) -> float | int | str:
    """Write a double without a fraction as an integer, and one that is none by its name."""
    if not math.isfinite(value):
        return _NAMES.get(value, "NaN")
    return int(value) if value.is_integer() and abs(value) < _MOST_EXACT else value


def is_simple(type_: pa.DataType) -> bool:
    """Whether values of a type are text or integers as they are."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_integer(type_))


def _floats(column: pa.ChunkedArray, found: list[Any]) -> list[Any]:
    if pc.all(pc.is_finite(column)).as_py() is not False:
        return found
    return [value if value is None or math.isfinite(value) else _NAMES.get(value, "NaN") for value in found]


def _number(value: Decimal) -> float | int:
    return int(value) if value == value.to_integral_value() and abs(value) < 1 << 63 else float(value)


def _number_text(value: float | Decimal) -> str:
    return str(_number(value) if isinstance(value, Decimal) else shortest(value))
