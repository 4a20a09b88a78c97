"""Which segments a query can pass over: by what the manifest says of their times, columns and sources. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from event_store.query.names import canonical, resolve
from event_store.query.syntax import And, Compare, Contains, Exists, Expr, In, Not, Or, Regex, Span, Word
from event_store.storage import Segment

_MOST_NAMED = 100


def kept(segments: Iterable[Segment], span: Span, filter_: Expr) -> list[Segment]:
    """Return those segments, in their order, that may hold an event within the span that the filter lets through."""
    return [one for one in segments if _overlaps(one, span) and may_match(filter_, one)]


def may_match(expr: Expr, segment: Segment) -> bool:
    """See whether an event of the segment may meet the filter: False only if surely none does."""
    match expr:
        case And(terms):
            return all(may_match(term, segment) for term in terms)
        case Or(terms):
            return any(may_match(term, segment) for term in terms)
        case Not() | Word() | Compare(_, "!=", _):
            return True
        case Compare(field) | In(field) | Contains(field) | Regex(field) | Exists(field):
            if not resolve(field, segment.columns):
                return False
            if canonical(field) == "source_id" and segment.sources is not None:
                return any(_source_may_match(expr, source) for source in segment.sources)
            return True


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
            found = tuple(sorted(one for one in known or () if _source_may_match(expr, one)))
            is_exact = 0 < len(found) <= _MOST_NAMED and all(one.isascii() for one in found)
            return In(field, found) if is_exact else expr
        case _:
            return expr


def _source_may_match(expr: Expr, source: str) -> bool:
    """See whether a source meets a term about it; where letters beyond ASCII change case, only SQL knows."""
    match expr:
        case Compare(_, "==", value):
            return source == value
        case Compare(_, ":", value) if source.isascii() and value.isascii():
            return _is_like(source.lower(), value.lower())
        case In(_, values):
            return source in values
        case Contains(_, text) if source.isascii() and text.isascii():
            return text.lower() in source.lower()
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
