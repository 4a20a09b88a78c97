"""From the parser's tree to the query it means, with what the grammar alone cannot say about values and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lark import Token, Transformer_NonRecursive

from event_store.model import SEVERITIES
from event_store.query import times, tokens
from event_store.query.names import hint
from event_store.query.shapes import DEFAULT_ROWS, DEFAULT_TOP, EVENTS, shape_after
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
    Operator,
    Or,
    Query,
    QuerySyntaxError,
    Regex,
    Sort,
    SortKey,
    Span,
    Stage,
    Tail,
    Top,
    Word,
)

_OPERATORS: dict[str, Operator] = {
    ":": ":",
    "=": "==",
    "==": "==",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A stage, and the tokens that name its fields."""

    stage: Stage
    names: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class _Per:
    """The width of a bucket, and a token that names what has to be there for buckets: the time."""

    width_ns: int
    time: Token


class Reader(Transformer_NonRecursive[Token, Query]):
    """Reads the tree of one text: a method for each rule of the grammar. Raises QuerySyntaxError (in a VisitError)."""

    def __init__(self, now_ns: int, default_ns: int) -> None:
        super().__init__()
        self._now_ns = now_ns
        self._default_ns = default_ns

    def start(self, children: Sequence[object]) -> Query:
        """The whole text."""
        span = next((child for child in children if isinstance(child, Span)), None)
        filter_ = next((child for child in children if isinstance(child, Expr)), EVERYTHING)
        stages = [child for child in children if isinstance(child, _Placed)]
        _check_names(stages)
        pipeline = tuple(placed.stage for placed in stages)
        return Query(filter_, span or Span(self._now_ns - self._default_ns, self._now_ns), pipeline)

    # --- time ---------------------------------------------------------------------------------------------------------

    def span(self, parts: Sequence[Token]) -> Span:
        """One bound or both: the end is now, and the start as long before it as nothing else says."""
        start_ns, end_ns = None, self._now_ns
        for token in parts:
            written = token.split(maxsplit=1)[1]
            if token.type == "LAST":
                start_ns = end_ns - tokens.parsed(times.parse_duration, written, token, times.DURATION_FORMS)
            elif token.type == "SINCE":
                start_ns = tokens.parsed(self._parse_time, written, token, times.TIME_FORMS)
            else:
                end_ns = tokens.parsed(self._parse_time, written, token, times.TIME_FORMS)
        if start_ns is None:
            start_ns = end_ns - self._default_ns
        if start_ns > end_ns:
            raise QuerySyntaxError("the time range ends before it begins", tokens.column(parts[0]))
        return Span(start_ns, end_ns)

    def _parse_time(self, written: str) -> int:
        return times.parse_time(written, self._now_ns)

    # --- the filter ---------------------------------------------------------------------------------------------------

    def filter(self, terms: Sequence[Expr]) -> Expr:
        """A filter is the one term that it is."""
        return terms[0]

    def any_of(self, terms: Sequence[Expr]) -> Or:
        """Terms with `or` between them; those in parentheses that are the same are theirs."""
        return Or(tuple(inner for term in terms for inner in (term.terms if isinstance(term, Or) else (term,))))

    def all_of(self, terms: Sequence[Expr]) -> And:
        """Terms with `and` or nothing between them."""
        return And(tuple(inner for term in terms for inner in (term.terms if isinstance(term, And) else (term,))))

    def negation(self, terms: Sequence[Expr]) -> Expr:
        """Not, and not not."""
        term = terms[0]
        return term.term if isinstance(term, Not) else Not(term)

    def word(self, parts: Sequence[Token]) -> Word:
        """A word or a phrase."""
        return Word(tokens.text(parts[0]))

    def regex(self, parts: Sequence[Token]) -> Regex:
        """A regular expression that stands alone."""
        return Regex("message", tokens.pattern(parts[0]))

    def matches(self, parts: Sequence[Token]) -> Regex:
        """A regular expression for a field."""
        return Regex(tokens.searched(parts[0]), tokens.pattern(parts[1]))

    def contains(self, parts: Sequence[Token]) -> Expr:
        """A text within a field."""
        field, text = tokens.searched(parts[0]), tokens.text(parts[1])
        return Word(text) if field == "message" else Contains(field, text)

    def has(self, parts: Sequence[Token]) -> Has:
        """A text of whole words within a field, or within the message."""
        *field, text = parts
        if text.type == "REGEX":
            suggestion = f'has "{text}" for the text, or {field[0] if field else "message"} matches {text}'
            raise QuerySyntaxError("has takes a text, and no pattern", tokens.column(text), suggestion)
        return Has(tokens.searched(field[0]) if field else "message", tokens.text(text))

    def one_of(self, parts: Sequence[Token]) -> In:
        """A list of values."""
        return In(tokens.searched(parts[0]), tuple(tokens.text(token) for token in parts[1:]))

    def compare(self, parts: Sequence[Token]) -> Expr:
        """An operator; times and durations become numbers of nanoseconds here."""
        field, operator, value = tokens.name(parts[0]), _OPERATORS[parts[1]], tokens.text(parts[2])
        if operator == ":" and parts[2] == "*":
            return Exists(field)
        if field == "time":
            value = str(tokens.parsed(self._parse_time, value, parts[2], times.TIME_FORMS))
        elif field == "duration" and value[-1:].isalpha():
            value = str(tokens.parsed(times.parse_duration, value, parts[2], times.DURATION_FORMS))
        elif field == "severity" and operator in ("<", "<=", ">", ">=") and value.lower() not in SEVERITIES:
            suggestion = hint(value.lower(), SEVERITIES) or "the levels are " + " ".join(SEVERITIES)
            raise QuerySyntaxError(f'"{value[:50]}" is no severity', tokens.column(parts[2]), suggestion)
        return Compare(field, operator, value)

    # --- stages -------------------------------------------------------------------------------------------------------

    def tail(self, parts: Sequence[Token]) -> _Placed:
        """Tail, of as many rows as are shown anyway if it does not say."""
        return _Placed(Tail(_number(parts, DEFAULT_ROWS)))

    def head(self, parts: Sequence[Token]) -> _Placed:
        """Head, likewise."""
        return _Placed(Head(_number(parts, DEFAULT_ROWS)))

    def limit(self, parts: Sequence[Token]) -> _Placed:
        """Limit."""
        return _Placed(Limit(_number(parts, DEFAULT_ROWS)))

    def key(self, parts: Sequence[Token]) -> tuple[Token, SortKey]:
        """A field to sort by, with its sign."""
        return parts[-1], SortKey(tokens.name(parts[-1]), descending=parts[0] == "-" and len(parts) > 1)

    def sort(self, keys: Sequence[tuple[Token, SortKey]]) -> _Placed:
        """Sort."""
        return _Placed(Sort(tuple(key for _, key in keys)), tuple(token for token, _ in keys))

    def fields(self, parts: Sequence[Token]) -> _Placed:
        """Fields."""
        return _Placed(Fields(tuple(map(tokens.name, parts))), tuple(parts))

    def by(self, parts: Sequence[Token]) -> tuple[Token, ...]:
        """The fields to group by."""
        return tuple(parts)

    def per(self, parts: Sequence[Token]) -> _Per:
        """The width of a bucket: `1m`, or `minute`."""
        written = str(parts[0]) if parts[0][0].isdigit() else f"1{parts[0]}"
        width_ns = tokens.parsed(times.parse_duration, written, parts[0], times.DURATION_FORMS)
        return _Per(width_ns, parts[0].update("NAME", "time"))

    def count(self, children: Sequence[object]) -> _Placed:
        """Count."""
        return _aggregate(("count",), None, children)

    def aggregate(self, children: Sequence[object]) -> _Placed:
        """Figures of a field; only a rate may be one of events."""
        parts = [child for child in children if isinstance(child, Token)]
        measures = tuple(tokens.measure(token) for token in parts if token.type == "MEASURE")
        field = parts[-1] if parts[-1].type != "MEASURE" else None
        if field is None and measures != ("rate",):
            raise QuerySyntaxError(f"{measures[-1]} needs a field", tokens.column(parts[-1]), f"{measures[-1]} FIELD")
        return _aggregate(measures, field, children)

    def top(self, children: Sequence[object]) -> _Placed:
        """Top."""
        parts = [child for child in children if isinstance(child, Token)]
        where = next((child for child in children if isinstance(child, Expr)), EVERYTHING)
        return _Placed(Top(_number(parts[:-1], DEFAULT_TOP), tokens.name(parts[-1]), where), (parts[-1],))

    def histogram(self, parts: Sequence[Token]) -> _Placed:
        """Histogram."""
        return _Placed(Histogram(_measured(parts[0])), tuple(parts))


def _number(parts: Sequence[Token], default: int) -> int:
    return tokens.count(parts[0]) if parts else default


def _measured(token: Token) -> str:
    if tokens.name(token) == "time":
        raise QuerySyntaxError("time is no number", tokens.column(token), "count per 1m counts by time")
    return tokens.name(token)


def _aggregate(measures: tuple[str, ...], field: Token | None, children: Sequence[object]) -> _Placed:
    by = next((child for child in children if isinstance(child, tuple)), ())
    per = next((child for child in children if isinstance(child, _Per)), None)
    measured = _measured(field) if field is not None else None
    stage = Aggregate(measures, measured, tuple(map(tokens.name, by)), per.width_ns if per else None)
    return _Placed(stage, (*((field,) if field is not None else ()), *by, *((per.time,) if per else ())))


def _check_names(stages: Sequence[_Placed]) -> None:
    """See that a stage uses only what the one before it gives, and that no two columns of a table have one name.

    DuckDB takes names that differ by capitals for one, but for those that are shown at the end.
    """
    shape = EVENTS
    for placed in stages:
        for token in placed.names:
            if shape is not EVENTS and tokens.name(token) not in shape:
                suggestion = hint(tokens.name(token), shape) or "there are: " + ", ".join(shape)
                raise QuerySyntaxError(f'no column "{tokens.name(token)}" here', tokens.column(token), suggestion)
        shape = shape_after(placed.stage, shape)
        taken = [*(shape or ())] if isinstance(placed.stage, Fields) else [name.casefold() for name in shape or ()]
        twice = next((name for name in taken if taken.count(name) > 1), None)
        if twice is not None:
            place = next((token for token in placed.names if twice in _spelled(tokens.name(token))), None)
            raise QuerySyntaxError(f'two columns would be called "{twice}"', tokens.column(place) if place else 1)


def _spelled(name: str) -> tuple[str, str]:
    return name, name.casefold()
