"""Evaluates a query over events in plain Python, from what docs/query-language.md says: no SQL, no Arrow.

An event is a dict: column -> value, the columns of tags and fields included, and `attrs`, a dict of those without one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import re2

from event_store.model import FIXED, SEVERITIES, ColumnType
from event_store.query.syntax import (
    Aggregate,
    And,
    Compare,
    Contains,
    Exists,
    Expr,
    Fields,
    Has,
    Head,
    Histogram,
    In,
    Limit,
    Not,
    Or,
    Query,
    Regex,
    Sort,
    Tail,
    Top,
    Word,
)

Event = dict[str, Any]
Row = tuple[Any, ...]
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?([eE][-+]?\d{1,2})?", re.ASCII)


def evaluate(query: Query, events: Sequence[Event], catalog: Collection[str]) -> tuple[tuple[str, ...], list[Row]]:
    """Return the columns and the rows of the answer."""
    table = _Table(catalog)
    rows = [event for event in events if query.span.start_ns <= event["time"] < query.span.end_ns]
    table.rows = sorted(filter(lambda e: table.holds(query.filter, e), rows), key=lambda e: (e["time"], e["seq"]))
    span_s = max(query.span.end_ns - query.span.start_ns, 1) / 1e9
    is_cut = is_sorted = False
    for stage in query.pipeline:
        is_cut |= isinstance(stage, Head | Limit | Tail | Aggregate | Top | Histogram)
        is_sorted |= isinstance(stage, Sort)
        table = table.after(stage, span_s)
    if not is_cut:
        table = table.after(Limit(100) if is_sorted else Tail(100), span_s)
    names = table.shown or (*FIXED, *sorted(set(catalog) - FIXED.keys()))
    show = table.value if table.shown else lambda name, event: event.get(name)
    return tuple(names), [tuple(show(name, event) for name in names) for event in table.rows]


class _Table:
    """Rows in their order; `types` are the columns of a table, and None for events."""

    def __init__(self, catalog: Collection[str], types: dict[str, ColumnType] | None = None) -> None:
        self.catalog, self.types = catalog, types
        self.rows: list[Event] = []
        self.shown: tuple[str, ...] | None = tuple(types) if types is not None else None

    # --- fields -------------------------------------------------------------------------------------------------------

    def columns(self, field: str) -> list[tuple[str, ColumnType, bool]]:
        """Name, type, and whether in the map."""
        known = self.types if self.types is not None else FIXED
        if field in known:
            return [(field, known[field], False)]
        if self.types is not None:
            return []
        names = [f"t_{field}", f"f_{field}", f"f_{field}$num"]
        if field.startswith(("t_", "f_")):
            names = [field] if field.startswith("t_") else [field, f"{field}$num"]
        typed = [(name, ColumnType.NUMBER if name.endswith("$num") else ColumnType.TEXT) for name in names]
        columns = [(name, kind, False) for name, kind in typed if name in self.catalog]
        return columns + [(name, kind, True) for name, kind in typed if "attrs" in self.catalog]

    def values(self, field: str, event: Event) -> list[tuple[Any, ColumnType]]:
        """Of all columns that may hold the field, those of the event that are not null."""
        found = []
        for name, kind, in_map in self.columns(field):
            value = ((event["attrs"] or {}) if in_map else event).get(name)
            if value is not None:
                found.append((float(value) if kind is ColumnType.NUMBER else value, kind))
        return found

    def texts(self, field: str, event: Event) -> list[str]:
        texts = [as_text(value, kind) for value, kind in self.values(field, event)]
        return [text for text in texts if text is not None]

    def number(self, field: str, event: Event) -> float | None:
        numbers = [as_number(value, kind) for value, kind in self.values(field, event)]
        return next((number for number in numbers if number is not None), None)

    def value(self, field: str, event: Event) -> Any:
        columns = self.columns(field)
        if len(columns) != 1:
            return next(iter(self.texts(field, event)), None)
        value = next((value for value, _ in self.values(field, event)), None)
        return None if isinstance(value, float) and not math.isfinite(value) else value

    # --- filters ------------------------------------------------------------------------------------------------------

    def holds(self, expr: Expr, event: Event) -> bool:
        match expr:
            case And(terms):
                return all(self.holds(term, event) for term in terms)
            case Or(terms):
                return any(self.holds(term, event) for term in terms)
            case Not(term):
                return not self.holds(term, event)
            case Word(text):
                return event["message"] is not None and fold(text) in fold(event["message"])
            case Contains(field, text):
                return any(fold(text) in fold(value) for value in self.texts(field, event))
            case Has(field, text):
                return any(has(value, text) for value in self.texts(field, event))
            case Regex(field, pattern):
                return any(re2.search(pattern, value) for value in self.texts(field, event))
            case Exists(field):
                return bool(self.values(field, event))
            case In(field, values):
                return any(equal(*held, value) for held in self.values(field, event) for value in values)
            case Compare(field, "!=", value):
                return not any(equal(*held, value) for held in self.values(field, event))
            case Compare(field, operator, value):
                return any(compares(*held, operator, value, field) for held in self.values(field, event))
        raise AssertionError(expr)

    # --- stages -------------------------------------------------------------------------------------------------------

    def after(self, stage: object, span_s: float) -> _Table:
        match stage:
            case Head(count) | Limit(count):
                self.rows = self.rows[:count]
            case Tail(count):
                self.rows = self.rows[-count:]
            case Sort(keys):
                for key in reversed(keys):
                    mixed = len({kind for _, kind, _ in self.columns(key.field)}) > 1
                    for by in [self.value, *([self.number] if mixed else [])]:
                        self.rows = in_order(self.rows, lambda e, by=by, f=key.field: by(f, e), key.descending)
            case Fields(names):
                self.shown = names
            case Aggregate():
                return self.aggregated(stage, span_s)
            case Top(count, field, where):
                counts = Counter(self.value(field, e) for e in self.rows if self.holds(where, e))
                counts.pop(None, None)
                made = _Table((), {field: self.type_of(field), "count": ColumnType.INTEGER})
                pairs = sorted(counts.items(), key=lambda pair: pair[0])
                pairs.sort(key=lambda pair: -pair[1])
                made.rows = [{field: value, "count": number} for value, number in pairs[:count]]
                return made
            case Histogram(field):
                made = _Table((), dict.fromkeys(("from", "to"), ColumnType.NUMBER) | {"count": ColumnType.INTEGER})
                numbers = [self.number(field, event) for event in self.rows]
                made.rows = histogram([number for number in numbers if number is not None])
                return made
        return self

    def type_of(self, field: str) -> ColumnType:
        kinds = {kind for _, kind, _ in self.columns(field)}
        return kinds.pop() if len(kinds) == 1 else ColumnType.TEXT

    def aggregated(self, stage: Aggregate, span_s: float) -> _Table:
        groups: dict[Row, list[Event]] = {} if stage.by or stage.per_ns else {(): []}
        for event in self.rows:
            start = (event["time"] // stage.per_ns * stage.per_ns,) if stage.per_ns else ()
            groups.setdefault((*start, *(self.value(field, event) for field in stage.by)), []).append(event)
        names = (*(("time",) if stage.per_ns else ()), *stage.by)
        types = {name: self.type_of(name) for name in names}
        made = _Table((), types | dict.fromkeys(stage.measures, ColumnType.NUMBER))
        seconds = stage.per_ns / 1e9 if stage.per_ns else span_s
        for group, members in groups.items():
            figures = {measure: self.figure(measure, stage.field, members, seconds) for measure in stage.measures}
            made.rows.append(dict(zip(names, group, strict=True)) | figures)
        for name in reversed(names):
            made.rows = in_order(made.rows, lambda row, name=name: row[name], False)
        if not stage.per_ns:
            made.rows = in_order(made.rows, lambda row: row[stage.measures[0]], True)
        return made

    def figure(self, measure: str, field: str | None, members: list[Event], seconds: float) -> float | None:
        if measure == "count":
            return len(members)
        if field is None:
            return len(members) / seconds
        if measure == "distinct":
            return len({self.value(field, member) for member in members} - {None})
        numbers = sorted(n for n in (self.number(field, member) for member in members) if n is not None)
        if not numbers:
            return None
        if measure.startswith("p"):
            return percentile(numbers, float(measure[1:]) / 100)
        sums = {"sum": sum(numbers), "avg": sum(numbers) / len(numbers), "min": numbers[0], "max": numbers[-1]}
        return (sums | {"rate": sum(numbers) / seconds})[measure]


def fold(text: str) -> str:
    """Fold the case letter by letter."""
    return "".join("i" if letter == "İ" else letter.lower() for letter in text)


def has(held: str, text: str) -> bool:
    """Try every place: the same but for the case of ASCII, and no word goes on over an edge of it."""

    def plain(text: str) -> str:
        return "".join(letter.lower() if letter.isascii() else letter for letter in text)

    def goes_on(before: str, after: str) -> bool:
        return all(letter == "_" or (letter.isascii() and letter.isalnum()) for letter in (before, after))

    for start in range(len(held) - len(text) + 1):
        end = start + len(text)
        cut_before = bool(text) and start > 0 and goes_on(held[start - 1], held[start])
        cut_behind = bool(text) and end < len(held) and goes_on(held[end - 1], held[end])
        if plain(held[start:end]) == plain(text) and not cut_before and not cut_behind:
            return True
    return False


def as_text(value: Any, kind: ColumnType) -> str | None:
    if kind is ColumnType.NUMBER:
        if not math.isfinite(value):
            return None
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return None if kind is ColumnType.TIME else str(value)


def as_number(value: Any, kind: ColumnType) -> float | None:
    if kind is ColumnType.TEXT:
        return float(value) if _NUMBER.fullmatch(value) else None
    return float(value) if kind is not ColumnType.TIME and math.isfinite(value) else None


def equal(held: Any, kind: ColumnType, value: str) -> bool:
    if kind is ColumnType.TEXT:
        return bool(held == value)
    if kind is ColumnType.NUMBER and value in ("true", "false"):
        return bool(held == (value == "true"))
    if kind is ColumnType.NUMBER:
        return bool(_NUMBER.fullmatch(value)) and bool(held == float(value))
    return bool(re.fullmatch(r"-?\d{1,18}", value, re.ASCII)) and bool(held == int(value))


def compares(held: Any, kind: ColumnType, operator: str, value: str, field: str) -> bool:
    text = as_text(held, kind)
    if operator == "==" or (operator == ":" and kind is ColumnType.TIME):
        return equal(held, kind, value)
    if operator == ":" and "*" in value:
        wildcards = ".*".join(re.escape(part) for part in fold(value).split("*"))
        return text is not None and re.fullmatch(wildcards, fold(text), re.DOTALL) is not None
    if operator == ":":
        return fold(held) == fold(value) if kind is ColumnType.TEXT else equal(held, kind, value.lower())
    if field == "severity":
        return ordered(SEVERITIES.index(held), operator, SEVERITIES.index(value.lower()))
    if kind is ColumnType.TIME:
        return ordered(held, operator, int(value))
    if not _NUMBER.fullmatch(value):
        return kind is ColumnType.TEXT and ordered(held, operator, value)
    number = as_number(held, kind)
    return number is not None and ordered(number, operator, float(value))


def ordered(left: Any, operator: str, right: Any) -> bool:
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def in_order(rows: list[Event], key: Callable[[Event], Any], descending: bool) -> list[Event]:
    """Sort, nulls last either way; rows that are equal stay as they were."""
    present = [row for row in rows if key(row) is not None]
    absent = [row for row in rows if key(row) is None]
    return sorted(present, key=key, reverse=descending) + absent


def percentile(numbers: list[float], fraction: float) -> float:
    place = (len(numbers) - 1) * fraction
    low = int(place)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (place - low)


def histogram(numbers: list[float]) -> list[Event]:
    """At most 21 ranges whose width is 1, 2 or 5 times a power of ten."""
    if not numbers:
        return []
    low, high = min(numbers), max(numbers)
    widths = (float(f"{mantissa}e{power}") for power in range(-9, 19) for mantissa in (1, 2, 5))
    width = 1.0 if low == high else next((w for w in widths if high - low <= w * 20), high / 20 - low / 20)
    counts = Counter(math.floor(n * round(1 / width)) if width < 1 else math.floor(n / width) for n in numbers)
    edge = (lambda k: k / round(1 / width)) if width < 1 else (lambda k: k * width)
    return [{"from": edge(k), "to": edge(k + 1), "count": counts[k]} for k in sorted(counts)]
