"""Ranges of a round width for a histogram, found by the engine from the least and the greatest value."""

from __future__ import annotations

from sqlglot import exp

from event_store.query.dialects import double
from event_store.query.row import ALIAS, Row, column, named, present

MOST_RANGES = 20
"""How many widths lie at most between the least and the greatest value: there may be one more range than that."""
WIDTHS = tuple(float(f"{mantissa}e{power}") for power in range(-9, 19) for mantissa in (1, 2, 5))
"""The round ones: 1, 2 and 5 times a power of ten. Beyond them a width is not round."""

_VALUES = "measured"


def histogram(source: exp.Select, row: Row, field: str) -> exp.Select:
    """Return a SELECT of `from`, `to` and `count`, for each range in which a value lies: from <= value < to."""
    number = row.number(field)
    values = source.select(named(number, "x"), copy=False).where(present(number.copy()), copy=False)
    low, high = exp.Min(this=column("x")), exp.Max(this=column("x"))
    bounds = exp.select(named(low, "low"), named(high, "high")).from_(_measured(), copy=False)
    width = _select_from(bounds, named(_width(), "width"))
    place = named(_place(column("x"), column("width", "w")), "k")
    placed = exp.select(place, named(column("width", "w"), "width"), copy=False).from_(_measured(), copy=False)
    placed = placed.join(width.subquery("w", copy=False), join_type="CROSS", copy=False)
    after = exp.paren(exp.Add(this=column("k"), expression=double(1)), copy=False)
    count = named(exp.Count(this=exp.Star()), "count")
    ranges = _select_from(placed, named(_edge(column("k")), "from"), named(_edge(after), "to"), count)
    return ranges.with_(_VALUES, as_=values, copy=False).group_by(column("k"), column("width"), copy=False)


def _width() -> exp.Expr:
    """The least round width that is wide enough; 1 if all values are one."""
    cases = [exp.If(this=exp.EQ(this=column("high"), expression=column("low")), true=double(1))]
    for width in WIDTHS:
        spread = exp.Sub(this=column("high"), expression=column("low"))
        is_enough = exp.LTE(this=spread, expression=double(width * MOST_RANGES))
        cases.append(exp.If(this=is_enough, true=double(width)))
    high, low = (exp.Div(this=column(bound), expression=double(MOST_RANGES)) for bound in ("high", "low"))
    return exp.Case(ifs=cases, default=exp.Sub(this=high, expression=low))


def _place(x: exp.Expr, width: exp.Expr) -> exp.Expr:
    """Number the range of a value: by 1 / width where that is a whole number, for 0.1 is none in binary."""
    scaled = exp.Mul(this=x, expression=_per_unit(width))
    divided = exp.Div(this=x.copy(), expression=width.copy())
    return _by_width(width, exp.Floor(this=scaled), exp.Floor(this=divided))


def _edge(k: exp.Expr) -> exp.Expr:
    width = column("width")
    divided = exp.Div(this=k, expression=_per_unit(width))
    return _by_width(width, divided, exp.Mul(this=k.copy(), expression=width.copy()))


def _per_unit(width: exp.Expr) -> exp.Expr:
    return exp.Round(this=exp.paren(exp.Div(this=double(1), expression=width.copy()), copy=False))


def _by_width(width: exp.Expr, small: exp.Expr, great: exp.Expr) -> exp.Expr:
    is_small = exp.LT(this=width.copy(), expression=double(1))
    return exp.Case(ifs=[exp.If(this=is_small, true=small)], default=great)


def _measured() -> exp.Expr:
    return exp.to_table(_VALUES, alias=ALIAS)


def _select_from(rows: exp.Select, *values: exp.Expr) -> exp.Select:
    return exp.select(*values, copy=False).from_(rows.subquery(ALIAS, copy=False), copy=False)
