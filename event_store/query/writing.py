"""Write a query as text that reads as the same query."""

from __future__ import annotations

import re

from event_store.query.syntax import (
    EVERYTHING,
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
    Series,
    Sort,
    Span,
    Stage,
    Tail,
    Top,
    Word,
)
from event_store.query.times import format_duration, format_time

_NAME = re.compile(r"[^\W\d][\w.\-@/$]*")
_PLAIN = re.compile(r"\w[\w.\-]*")
_KEYWORDS = {"and", "or", "not", "in", "contains", "has", "matches", "last", "from", "since", "to", "until"}
_KEYWORDS |= {"by", "per", "where"}
_MEASURE = re.compile(r"p\d\d?(\.\d{1,3})?|sum|avg|min|max|rate|distinct")


def format_query(query: Query) -> str:
    """Write a whole query; its span is written as two times."""
    head = [format_filter(query.filter), format_span(query.span)]
    stages = [f"| {format_stage(stage)}" for stage in query.pipeline]
    return " ".join(part for part in [*head, *stages] if part)


def format_span(span: Span) -> str:
    """Write a span as two times, UTC."""
    return f"from {format_time(span.start_ns)} to {format_time(span.end_ns)}"


def format_filter(expr: Expr) -> str:
    """Write a filter, with parentheses only where they are needed; every event is the empty text."""
    match expr:
        case Or(terms):
            return " or ".join(_within(term, Or) for term in terms)
        case And(terms):
            return " ".join(_within(term, And, Or) for term in terms)
        case Not(term):
            return f"not {_within(term, And, Or)}"
        case Word(text):
            return _text(text)
        case Regex(field, pattern):
            return f"{_name(field)} matches {_quoted(pattern)}"
        case Contains(field, text):
            return f"{_name(field)} contains {_quoted(text)}"
        case Has(field, text):
            return f"{_name(field)} has {_text(text)}"
        case Exists(field):
            return f"{_name(field)}:*"
        case In(field, values):
            return f"{_name(field)} in ({', '.join(_text(value) for value in values)})"
        case Compare(field, operator, value):
            written = _quoted(format_time(int(value))) if field == "time" else _text(value)
            return f"{_name(field)}{operator}{written}"


def format_stage(stage: Stage) -> str:
    """Write a stage, without the bar before it."""
    match stage:
        case Tail(count) | Head(count) | Limit(count):
            return f"{type(stage).__name__.lower()} {count}"
        case Sort(keys):
            return "sort " + ", ".join(("-" if key.descending else "") + _name(key.field) for key in keys)
        case Fields(names):
            return "fields " + ", ".join(map(_name, names))
        case Aggregate(measures, field, by, per_ns):
            parts = [*measures, *([_name(field)] if field is not None else [])]
            parts += ["by " + ", ".join(map(_name, by))] if by else []
            return " ".join([*parts, *([f"per {format_duration(per_ns)}"] if per_ns else [])])
        case Series(by, per_ns):
            return format_stage(Aggregate(("count",), by=(by,), per_ns=per_ns))
        case Top(count, field, where):
            condition = f" where {format_filter(where)}" if where != EVERYTHING else ""
            return f"top {count} {_name(field)}{condition}"
        case Histogram(field):
            return f"histogram {_name(field)}"


def _within(term: Expr, *lower: type[Expr]) -> str:
    written = format_filter(term)
    return f"({written})" if isinstance(term, lower) else written


def _name(field: str) -> str:
    is_plain = _NAME.fullmatch(field) and field.lower() not in _KEYWORDS and not _MEASURE.fullmatch(field.lower())
    return field if is_plain else f"`{field}`"


def _text(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _KEYWORDS else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
