"""From a query to one SELECT, for DuckDB or ClickHouse: answers are the same. No SQL is made of a user's text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from sqlglot import exp

from event_store.model import FIXED, RAW_MESSAGE, ColumnType
from event_store.query import series
from event_store.query.conditions import condition
from event_store.query.dialects import Dialect, double
from event_store.query.names import Catalog, Column, fields_known, hint, resolve
from event_store.query.row import ALIAS, Row, column, named, present
from event_store.query.shapes import EVENTS, completed
from event_store.query.syntax import (
    EVERYTHING,
    Aggregate,
    Fields,
    Head,
    Histogram,
    Limit,
    Query,
    Series,
    Sort,
    Span,
    Stage,
    Tail,
    Top,
)
from event_store.query.times import SECOND_NS
from event_store.query.widths import histogram

TABLE = "events"


@dataclass(frozen=True, slots=True)
class Compiled:
    """What to ask an engine."""

    select: exp.Select
    columns: tuple[str, ...]
    """What the answer's columns are called, in order."""
    dialect: str
    catalog: Catalog
    unknown: tuple[str, ...]
    """Fields that the store does not have."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Say which fields the store does not have, with those that may have been meant: it takes a moment to find."""
        known = fields_known(self.catalog) if self.unknown else ()
        return tuple(f'no event has a field "{field}"' + _in_parentheses(hint(field, known)) for field in self.unknown)

    @property
    def sql(self) -> str:
        """The text of it."""
        return self.select.sql(dialect=self.dialect)


@dataclass(frozen=True, slots=True)
class _Key:
    """One of the keys by which rows are sorted."""

    value: exp.Expr
    descending: bool = False
    nulls_first: bool = False

    def reversed(self) -> _Key:
        return _Key(self.value, not self.descending, not self.nulls_first)

    def sql(self) -> exp.Expr:
        return exp.Ordered(this=self.value.copy(), desc=self.descending, nulls_first=self.nulls_first)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows on their way through the stages: where they come from, their fields, their order, and what is shown."""

    source: exp.Select
    """Without ORDER BY and LIMIT; reads something that is called ALIAS."""
    row: Row
    order: tuple[_Key, ...]
    shown: tuple[str, ...] | None
    types: dict[str, ColumnType] | None = None
    """The columns of a table; None for events."""


def compile_query(
    query: Query, catalog: Catalog, dialect: Dialect, *, table: str = TABLE, max_rows: int | None = None
) -> Compiled:
    """Compile a query on a table of events that has these columns; `max_rows` bounds its answer."""
    unknown: dict[str, None] = {}
    row = Row(partial(_noting, catalog, unknown), dialect)
    source = _from(exp.to_table(table, alias=ALIAS)).where(_within(query.span, row), copy=False)
    if query.filter != EVERYTHING:
        source = source.where(condition(query.filter, row), copy=False)
    rows = _Rows(source, row, (_Key(column("time")), _Key(column("seq"))), EVENTS)
    for stage in completed(query.pipeline):
        rows = _after(stage, rows, query.span)
    select, columns = _shown(rows, catalog)
    if max_rows is not None:
        select = select.limit(max_rows, copy=False)
    return Compiled(select, columns, dialect.name, catalog, tuple(unknown))


def _noting(catalog: Catalog, unknown: dict[str, None], field: str) -> tuple[Column, ...]:
    columns = resolve(field, catalog)
    if not columns:
        unknown[field] = None
    return columns


def _within(span: Span, row: Row) -> exp.Expr:
    start, end = (row.dialect.moment(exp.Literal.number(bound)) for bound in (span.start_ns, span.end_ns))
    return exp.and_(
        exp.GTE(this=column("time"), expression=start), exp.LT(this=column("time"), expression=end), copy=False
    )


# --- stages -----------------------------------------------------------------------------------------------------------


def _after(stage: Stage, rows: _Rows, span: Span) -> _Rows:
    match stage:
        case Head(count) | Limit(count):
            return _cut(rows, count, rows.order)
        case Tail(count):
            return _cut(rows, count, tuple(key.reversed() for key in rows.order))
        case Sort(keys):
            first = [_Key(value, key.descending) for key in keys for value in rows.row.sort_keys(key.field)]
            return replace(rows, order=(*first, *rows.order))
        case Fields(names):
            return replace(rows, shown=names)
        case Aggregate():
            return _aggregated(stage, rows, span)
        case Top():
            return _top(stage, rows)
        case Series():
            return _series(stage, rows)
        case Histogram(field):
            select = histogram(rows.source, rows.row, field)
            types = {"from": ColumnType.NUMBER, "to": ColumnType.NUMBER, "count": ColumnType.INTEGER}
            return _table(select, rows.row.dialect, types, (_Key(column("from")),))


def _cut(rows: _Rows, count: int, order: tuple[_Key, ...]) -> _Rows:
    """Keep the first rows in an order."""
    cut = rows.source.select(exp.Star(), copy=False)
    cut = cut.order_by(*(key.sql() for key in order), copy=False).limit(count, copy=False)
    return replace(rows, source=_from(cut.subquery(ALIAS, copy=False)))


def _aggregated(stage: Aggregate, rows: _Rows, span: Span) -> _Rows:
    row, groups = rows.row, {}
    if stage.per_ns:
        groups["time"] = row.dialect.bucket(column("time"), stage.per_ns)
    groups |= {field: row.value(field) for field in stage.by}
    seconds = (stage.per_ns or max(span.end_ns - span.start_ns, 1)) / SECOND_NS
    measures = {measure: _measure(measure, stage.field, row, seconds) for measure in stage.measures}
    select = rows.source.select(*(named(value, name) for name, value in (groups | measures).items()), copy=False)
    if groups:
        select = select.group_by(*(value.copy() for value in groups.values()), copy=False)
    types = {name: _type_of_group(name, row) for name in groups} | dict.fromkeys(measures, ColumnType.NUMBER)
    keys = [_Key(column(name)) for name in groups]
    if not stage.per_ns:
        keys.insert(0, _Key(column(stage.measures[0]), descending=True))
    return _table(select, row.dialect, types, tuple(keys))


def _measure(measure: str, field: str | None, row: Row, seconds: float) -> exp.Expr:
    if measure == "count":
        return exp.Count(this=exp.Star())
    if measure == "rate":
        amount = exp.Count(this=exp.Star()) if field is None else exp.Sum(this=row.number(field))
        return exp.Div(this=exp.cast(amount, "DOUBLE"), expression=double(seconds))
    assert field is not None, "the parser asks for a field"
    if measure == "distinct":
        return exp.Count(this=exp.Distinct(expressions=[row.value(field)]))
    if measure.startswith("p"):
        return row.dialect.percentile(row.number(field), float(measure[1:]) / 100)
    functions: dict[str, type[exp.AggFunc]] = {"sum": exp.Sum, "avg": exp.Avg, "min": exp.Min, "max": exp.Max}
    return functions[measure](this=row.number(field))


def _top(stage: Top, rows: _Rows) -> _Rows:
    row, value = rows.row, rows.row.value(stage.field)
    counted = named(exp.Count(this=exp.Star()), "count")
    select = rows.source.select(named(value, stage.field), counted, copy=False).where(present(value.copy()), copy=False)
    if stage.where != EVERYTHING:
        select = select.where(condition(stage.where, row), copy=False)
    types = {stage.field: _type_of_group(stage.field, row), "count": ColumnType.INTEGER}
    order = (_Key(column("count"), descending=True), _Key(column(stage.field)))
    return _cut(_table(select.group_by(value.copy(), copy=False), row.dialect, types, order), stage.count, order)


def _series(stage: Series, rows: _Rows) -> _Rows:
    kinds = (ColumnType.TIME, _type_of_group(stage.by, rows.row), ColumnType.INTEGER, ColumnType.INTEGER)
    types = dict(zip(series.COLUMNS, kinds, strict=True))
    select = series.series(rows.source, rows.row, stage)
    return _table(select, rows.row.dialect, types, (_Key(column("rank")), _Key(column("time"))))


# --- tables -----------------------------------------------------------------------------------------------------------


def _table(select: exp.Select, dialect: Dialect, types: dict[str, ColumnType], order: tuple[_Key, ...]) -> _Rows:
    """Make rows of what a SELECT gives."""

    def find(field: str) -> tuple[Column, ...]:
        return (Column(field, types[field]),) if field in types else ()

    return _Rows(_from(select.subquery(ALIAS, copy=False)), Row(find, dialect), order, tuple(types), types)


def _type_of_group(field: str, row: Row) -> ColumnType:
    types = {column.type for column in row.resolve(field)}
    return types.pop() if len(types) == 1 else ColumnType.TEXT


def _shown(rows: _Rows, catalog: Catalog) -> tuple[exp.Select, tuple[str, ...]]:
    """Return the last SELECT: what is shown, in order."""
    if rows.shown is None:
        names = (*FIXED, *sorted(set(catalog) - FIXED.keys() - {RAW_MESSAGE}))
        values = {name: column(name) for name in names}
    else:
        names = rows.shown
        values = {name: rows.row.value(name) for name in names}
    select = rows.source.select(*(named(value, name) for name, value in values.items()), copy=False)
    return select.order_by(*(key.sql() for key in rows.order), copy=False), names


def _from(rows: exp.Expr) -> exp.Select:
    return exp.select().from_(rows, copy=False)


def _in_parentheses(text: str) -> str:
    return f" ({text})" if text else ""
