"""What a query means once it is read: a filter, a span of time, and stages. Values only; `writing.py` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Operator = Literal[":", "==", "!=", "<", "<=", ">", ">="]


class QuerySyntaxError(Exception):
    """The text is no query: says what is wrong, in which column (from 1), and what may have been meant."""

    def __init__(self, message: str, column: int, suggestion: str = "") -> None:
        super().__init__(f"column {column}: {message}" + (f" ({suggestion})" if suggestion else ""))
        self.message = message
        self.column = column
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Word:
    """The message contains this text, whatever the case."""

    text: str


@dataclass(frozen=True, slots=True)
class Regex:
    """RE2 finds the pattern somewhere in the field."""

    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Contains:
    """The field contains this text, whatever the case."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Has:
    """The text occurs in the field, whatever the case of ASCII, and words begin and end where it does (`words.py`)."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Compare:
    """The field compares so to the value; `:` is equality whatever the case, where `*` stands for any text."""

    field: str
    operator: Operator
    value: str


@dataclass(frozen=True, slots=True)
class In:
    """The field is equal to one of the values."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The event has the field."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold, be it that the event lacks the field."""

    term: Expr


@dataclass(frozen=True, slots=True)
class And:
    """All terms hold: two or more, or none at all, which is every event."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of two or more terms holds."""

    terms: tuple[Expr, ...]


Expr: TypeAlias = Word | Regex | Contains | Has | Compare | In | Exists | Not | And | Or
EVERYTHING = And(())


@dataclass(frozen=True, slots=True)
class Span:
    """From `start_ns` on, and before `end_ns`: nanoseconds since 1970, UTC."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Tail:
    """The last rows, in their order."""

    count: int


@dataclass(frozen=True, slots=True)
class Head:
    """The first rows; for events, the oldest."""

    count: int


@dataclass(frozen=True, slots=True)
class Limit:
    """No more rows than this: the first ones, as the rows are sorted."""

    count: int


@dataclass(frozen=True, slots=True)
class SortKey:
    """One of the fields to sort by."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """Sort, the first key being the most important; rows that are equal stay as they were."""

    keys: tuple[SortKey, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """Show these fields only."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Figures of a field, for each group and bucket of time.

    `measures` are `count` alone, or `rate`, `sum`, `avg`, `min`, `max`, `distinct` and percentiles such as `p99.9`.
    `field` is None for `count`, and for a `rate` of events.
    """

    measures: tuple[str, ...]
    field: str | None = None
    by: tuple[str, ...] = ()
    per_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Top:
    """The most frequent values of a field."""

    count: int
    field: str
    where: Expr = EVERYTHING


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values of a field lie in each of up to about twenty ranges of a round width."""

    field: str


@dataclass(frozen=True, slots=True)
class Series:
    """Counts over time of the most frequent values of a field, and of all others together: a chart's, in no text."""

    by: str
    per_ns: int
    most: int


Stage: TypeAlias = Tail | Head | Limit | Sort | Fields | Aggregate | Top | Histogram | Series


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for, when, and what to make of it."""

    filter: Expr
    span: Span
    pipeline: tuple[Stage, ...] = ()
