"""Parse what log lines say of themselves: JSON objects, and `key=value` pairs. Pure.

A line that is a JSON object has its members as fields, those of objects within it joined by `.`; a list is the text of
its JSON, true and false are text, and null is no field. Any other line has the pairs in it, quoted values included. A
field is a number if the line says one, else text; a text named as the column of another field's numbers is none, nor
is what has a NUL in its name: no query could open the segment. The line itself is kept whatever becomes of it: what is
beyond the bounds (`envelope.line_fields`) is only found by its text. The kernel reads by itself what is plain
(`kernel.line_fields`): this says what it must find, and reads the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

import orjson

from envelope import kernel
from envelope.line_fields import MOST_FIELDS, MOST_JSON, MOST_NAME, MOST_PAIRS, MOST_TEXT, Value
from envelope.pairs import PairKind
from event_store.model import NUMBER

MOST_DEPTH = 8
"""Objects within objects."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def fields_of(line: bytes) -> Mapping[str, Value]:
    """Parse one line; a line that says nothing of the kind has none."""
    if line[:1] == b"{" and len(line) <= MOST_JSON:
        try:
            parsed = orjson.loads(line)
        except orjson.JSONDecodeError:
            pass
        else:
            return _of_object(parsed)
    return _of_pairs(line[:MOST_PAIRS]) if b"=" in line else {}


def _of_object(parsed: Mapping[str, object]) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for name, value in _members(parsed, "", MOST_DEPTH):
        if len(fields) == MOST_FIELDS:
            break
        if (
            name
            and "\0" not in name
            and len(name) <= MOST_NAME
            and name not in fields
            and not (type(value) is str and (len(value) > MOST_TEXT or name.endswith(NUMBER)))
        ):
            fields[name] = value
    return fields


def _members(parsed: Mapping[str, object], before: str, depth: int) -> Iterator[tuple[str, Value]]:
    for key, value in parsed.items():
        name = before + key
        kind = type(value)
        if kind is str:
            yield name, value  # type: ignore[misc]
        elif kind is int or kind is float:
            yield name, float(value)  # type: ignore[arg-type]
        elif kind is bool:
            yield name, "true" if value else "false"
        elif kind is list:
            yield from _of_list(name, value)
        elif value is not None and depth > 1 and len(name) < MOST_NAME:  # or else no name within it is short enough
            yield from _members(value, name + ".", depth - 1)  # type: ignore[arg-type]


def _of_list(name: str, value: object) -> Iterator[tuple[str, Value]]:
    """Give its text, but for one that is so deep that it can be read and not written."""
    with suppress(orjson.JSONEncodeError):
        yield name, orjson.dumps(value).decode()


def _of_pairs(line: bytes) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for key, value, kind in kernel.pairs(line, MOST_FIELDS):
        name = key.decode()
        if name in fields:
            continue
        if kind == PairKind.NUMBER:
            fields[name] = float(value)
        elif len(text := value.decode("utf-8", "replace")) <= MOST_TEXT:
            fields[name] = _ESCAPED.sub(r"\1", text) if kind == PairKind.QUOTED and "\\" in text else text
    return fields
