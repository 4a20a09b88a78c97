"""What DuckDB and ClickHouse say differently, so that both give the same answers. Text goes in as literals only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from event_store.query.words import pattern_of

NUMBER_PATTERN = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?$"
"""Text that counts as a number."""
_EXACT = 1e15
"""Below it, a double without a fraction is written as an integer."""

_Function = Callable[[exp.Expr], exp.Expr]
_WithText = Callable[[exp.Expr, str], exp.Expr]
_TOKEN = re.compile(r"(?<=[^0-9A-Za-z\x80-\U0010ffff])[0-9A-Za-z]+(?=[^0-9A-Za-z\x80-\U0010ffff])")
"""A word of ClickHouse's index within a text: it has no `_`, and letters beyond ASCII belong to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Makes expressions for one engine."""

    name: str
    """What sqlglot calls it."""
    lower: _Function
    """Fold the case."""
    contains: _WithText
    """See whether a text contains another, whatever the case."""
    like: _WithText
    """See whether all of a text is as a pattern of LIKE says, with backslashes before what is meant as it is."""
    has: _WithText
    """See whether a text contains another as whole words, whatever the case of ASCII."""
    indexed: Callable[[exp.Expr, str], list[exp.Expr]]
    """Say what an index of messages knows of those that have such a text: conditions that all of them meet."""
    matches: _WithText
    """Search with RE2; a dot is no newline."""
    read_number: _Function
    """Read a double; null if the text is none."""
    moment: _Function
    """Make a time from nanoseconds since 1970."""
    nanoseconds: _Function
    """Count nanoseconds since 1970."""
    percentile: Callable[[exp.Expr, float], exp.Expr]
    """Aggregate: the exact percentile, between two values where it falls between them."""
    in_map: _WithText
    """Look a key up; null if the map lacks it."""

    def alike(self, text: exp.Expr, wildcards: str) -> exp.Expr:
        """See whether all of a text is as written, where `*` is any text, whatever the case."""
        escaped = wildcards.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return self.like(self.lower(text), escaped.replace("*", "%"))

    def number_in(self, text: exp.Expr) -> exp.Expr:
        """Read the number that a text is; null if it is none."""
        return _case(self.matches(text, NUMBER_PATTERN), self.read_number(text.copy()))

    def is_finite(self, number: exp.Expr) -> exp.Expr:
        """See that a double is neither NaN nor infinite."""
        return _call("isFinite", number)

    def finite(self, number: exp.Expr) -> exp.Expr:
        """Make a double that is NaN or infinite null."""
        return _case(self.is_finite(number), number.copy())

    def number_text(self, number: exp.Expr) -> exp.Expr:
        """Write a finite double: without a fraction, if it has none and is not huge."""
        whole = exp.and_(
            exp.EQ(this=_call("floor", number), expression=number.copy()),
            exp.LT(this=_call("abs", number.copy()), expression=double(_EXACT)),
        )
        integer = exp.cast(exp.cast(number.copy(), "BIGINT"), "TEXT")
        return _case(self.is_finite(number.copy()), _case(whole, integer, exp.cast(number.copy(), "TEXT")))

    def bucket(self, moment: exp.Expr, width_ns: int) -> exp.Expr:
        """Return the time at which the bucket of a time begins; buckets are counted from 1970."""
        width = exp.Literal.number(width_ns)
        since = self.nanoseconds(moment)
        rest = exp.paren(exp.Mod(this=since, expression=width))
        positive = exp.Mod(this=exp.paren(exp.Add(this=rest, expression=width.copy())), expression=width.copy())
        return self.moment(exp.Sub(this=since.copy(), expression=exp.paren(positive)))


def literal(text: str) -> exp.Expr:
    """Make a literal of text; the generator quotes it."""
    return exp.Literal.string(text)


def double(number: float) -> exp.Expr:
    """Make a literal of a finite double, exactly: with an exponent it is no decimal."""
    written = exp.Literal.number(f"{abs(number):.17e}")
    return exp.Neg(this=written) if number < 0 else written


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _case(condition: exp.Expr, value: exp.Expr, default: exp.Expr | None = None) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=condition, true=value)], default=default)


def _positive(number: exp.Expr) -> exp.Expr:
    return exp.GT(this=number, expression=exp.Literal.number(0))


def _has_quickly(text: exp.Expr, part: str) -> exp.Expr:
    """Look for the text first: measured, that makes it twice as quick as the expression alone where it is rare."""
    return exp.and_(DUCKDB.contains(text, part), DUCKDB.matches(text.copy(), pattern_of(part)), copy=False)


def _tokens(message: exp.Expr, part: str) -> list[exp.Expr]:
    """Ask the index by the expression that it is made of. The text's edges may be parts of longer words to it."""
    tokens = dict.fromkeys(token.lower() for token in _TOKEN.findall(part))
    known = _call("lowerUTF8", _call("ifNull", message, literal("")))
    return [_call("hasToken", known.copy(), literal(token)) for token in tokens]


def _like(text: exp.Expr, pattern: exp.Expr) -> exp.Expr:
    return exp.Like(this=text, expression=pattern)


DUCKDB = Dialect(
    name="duckdb",
    lower=lambda text: _call("lower", text),
    contains=lambda text, part: _call("contains", _call("lower", text), _call("lower", literal(part))),
    like=lambda text, pattern: exp.Escape(this=_like(text, _call("lower", literal(pattern))), expression=literal("\\")),
    has=_has_quickly,
    indexed=lambda _message, _part: [],
    matches=lambda text, pattern: _call("regexp_matches", text, literal(pattern)),
    read_number=lambda text: exp.TryCast(this=text, to=exp.DataType.build("DOUBLE")),
    moment=lambda nanoseconds: _call("make_timestamp_ns", nanoseconds),
    nanoseconds=lambda moment: _call("epoch_ns", moment),
    percentile=lambda number, fraction: _call("quantile_cont", number, double(fraction)),
    in_map=lambda map_, key: _call("map_extract_value", map_, literal(key)),
)
"""The engine that is embedded."""

CLICKHOUSE = Dialect(
    name="clickhouse",
    lower=lambda text: _call("lowerUTF8", text),
    contains=lambda text, part: _positive(_call("positionCaseInsensitiveUTF8", text, literal(part))),
    like=lambda text, pattern: _like(text, _call("lowerUTF8", literal(pattern))),
    has=lambda text, part: _call("match", text, literal(pattern_of(part))),
    indexed=_tokens,
    matches=lambda text, pattern: _call("match", text, literal(f"(?-s){pattern}")),
    read_number=lambda text: _call("toFloat64OrNull", text),
    moment=lambda nanoseconds: _call("fromUnixTimestamp64Nano", _call("toInt64", nanoseconds), literal("UTC")),
    nanoseconds=lambda moment: _call("toUnixTimestamp64Nano", moment),
    percentile=lambda number, fraction: exp.ParameterizedAgg(
        this="quantileExactInclusive", expressions=[double(fraction)], params=[number]
    ),
    in_map=lambda map_, key: _case(
        _call("mapContains", map_, literal(key)), exp.Bracket(this=map_.copy(), expressions=[literal(key)])
    ),
)
"""The engine of more than one machine. Beyond ASCII it folds the case of a few letters otherwise than DuckDB."""

DIALECTS = {dialect.name: dialect for dialect in (DUCKDB, CLICKHOUSE)}
