"""Which segments a query can pass over: by what the manifest says of their times, columns and sources. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from event_store.query.conditions import levels, number
from event_store.query.names import canonical, columns_of
from event_store.query.syntax import And, Compare, Contains, Exists, Expr, Has, In, Not, Or, Regex, Span, Word
from event_store.query.words import has
from event_store.storage import Segment

_MOST_NAMED = 100


def kept(segments: Iterable[Segment], span: Span, filter_: Expr) -> list[Segment]:
    """Return those segments, in their order, that may hold an event within the span that the filter lets through."""
    return [one for one in segments if _overlaps(one, span) and may_match(filter_, one)]


def may_match(expr: Expr, segment: Segment) -> bool:
    """See whether an event of the segment may meet the filter: False only if surely none does."""

    def values_of(column: str) -> Collection[str] | None:
        if column not in segment.columns:
            return frozenset()
        return segment.sources if column == "source_id" else None

    return may_have_value(expr, values_of)


def may_have_value(expr: Expr, values_of: Callable[[str], Collection[str] | None]) -> bool:
    """See whether events may meet the filter whose columns have these values, and no others: False only if none does.

    `values_of` a column is None where that is not known, and empty where no event has a value.
    """
    match expr:
        case And(terms):
            return all(may_have_value(term, values_of) for term in terms)
        case Or(terms):
            return any(may_have_value(term, values_of) for term in terms)
        case Not() | Word() | Compare(_, "!=", _):
            return True
        case Compare(field) | In(field) | Contains(field) | Has(field) | Regex(field) | Exists(field):
            return any(_one_may_match(expr, values_of(column)) for column in columns_of(field))


def _one_may_match(term: Expr, values: Collection[str] | None) -> bool:
    return values is None or any(_value_may_match(term, value) for value in values)


def with_sources_named(expr: Expr, sources: Callable[[], Collection[str] | None]) -> Expr:
    """Name the sources, of all there are, that a term means by `:`: statistics of row groups say where those are.

    None, or too many, or letters beyond ASCII: then it stays as it is.
    """
    match expr:
        case And(terms):
            return And(tuple(with_sources_named(term, sources) for term in terms))
        case Or(terms):
            return Or(tuple(with_sources_named(term, sources) for term in terms))
        case Not(term):
            return Not(with_sources_named(term, sources))
        case Compare(field, ":", value) if canonical(field) == "source_id" and value.isascii():
            known = sources()
            found = tuple(sorted(one for one in known or () if _value_may_match(expr, one)))
            is_exact = 0 < len(found) <= _MOST_NAMED and all(one.isascii() for one in found)
            return In(field, found) if is_exact else expr
        case _:
            return expr


def _value_may_match(term: Expr, held: str) -> bool:
    """See whether a text meets a term about it; where letters beyond ASCII change case, only SQL knows."""
    match term:
        case Compare(_, "==", value):
            return held == value
        case Compare(_, ":", value) if held.isascii() and value.isascii():
            return _is_like(held.lower(), value.lower())
        case Compare("severity", "<" | "<=" | ">" | ">=" as operator, value):
            return held in levels(operator, value.lower())
        case Compare(_, "<" | "<=" | ">" | ">=", value) if number(value) is not None:
            return number(held) is not None
        case In(_, values):
            return held in values
        case Contains(_, text) if held.isascii() and text.isascii():
            return text.lower() in held.lower()
        case Has(_, text):
            return has(held, text)
        case _:
            return True


def _is_like(text: str, wildcards: str) -> bool:
    """Match a text with one in which `*` is any text, in a time that no number of `*` makes long."""
    first, *others = wildcards.split("*")
    if not others:
        return text == first
    *middle, last = others
    at = len(first)
    if not text.startswith(first):
        return False
    for part in middle:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - at >= len(last) and text.endswith(last)


def _overlaps(segment: Segment, span: Span) -> bool:
    return segment.min_time < span.end_ns and segment.max_time >= span.start_ns
