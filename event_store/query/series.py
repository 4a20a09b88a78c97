"""Counts over time of a field's most frequent values, the others together: however many there are, few rows come of it.

Values are ranked from 1 by how many events have them over the whole time; none is one of them. The rank of others is 0.
"""

from __future__ import annotations

from sqlglot import exp

from event_store.query.row import ALIAS, Row, column, named
from event_store.query.syntax import Series

COLUMNS = ("time", "held", "rank", "count")
"""What is found: the beginning of a bucket, a value (null for others), its rank, and how many events."""

_COUNTED, _TOP = "counted", "t"


def series(source: exp.Select, row: Row, stage: Series) -> exp.Select:
    """Return a SELECT of these columns, in any order of rows."""
    bucket, value = row.dialect.bucket(column("time"), stage.per_ns), row.value(stage.by)
    count = named(exp.Count(this=exp.Star()), "n")
    counted = source.select(named(bucket, "bucket"), named(value, "held"), count, copy=False)
    counted = counted.group_by(bucket.copy(), value.copy(), copy=False)
    is_same = exp.NullSafeEQ(this=column("held"), expression=column("held", _TOP))
    rank = exp.Coalesce(this=column("rank", _TOP), expressions=[exp.Literal.number(0)])  # some engines say 0 themselves
    found = (column("bucket"), column("held", _TOP), rank)
    named_ = (named(each, name) for each, name in zip((*found, _total()), COLUMNS, strict=True))
    select = exp.select(*named_, copy=False).from_(_counts(), copy=False)
    top = _top(stage.most).subquery(_TOP, copy=False)
    select = select.join(top, on=is_same, join_type="LEFT", copy=False)
    return select.with_(_COUNTED, as_=counted, copy=False).group_by(*(each.copy() for each in found), copy=False)


def _top(most: int) -> exp.Select:
    """Number the most frequent values; of equal ones the lesser is first."""
    totals = exp.select(named(column("held"), "held"), named(_total(), "total"), copy=False).from_(
        _counts(), copy=False
    )
    totals = totals.group_by(column("held"), copy=False)
    best = exp.select(exp.Star()).from_(totals.subquery(ALIAS, copy=False), copy=False)
    best = best.order_by(*_order(), copy=False).limit(most, copy=False)
    place = exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=_order()))
    numbered = exp.select(named(column("held"), "held"), named(place, "rank"), copy=False)
    return numbered.from_(best.subquery(ALIAS, copy=False), copy=False)


def _order() -> list[exp.Expr]:
    by_total = exp.Ordered(this=column("total"), desc=True, nulls_first=False)
    return [by_total, exp.Ordered(this=column("held"), nulls_first=False)]


def _total() -> exp.Expr:
    return exp.cast(exp.Sum(this=column("n")), "BIGINT")


def _counts() -> exp.Expr:
    return exp.to_table(_COUNTED, alias=ALIAS)
