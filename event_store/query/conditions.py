"""From a filter to an SQL condition.

A term holds or does not: of an event that lacks the field it does not hold, and its negation does. A field that has
several values in an event (a tag and a parsed field of one name) meets a term if one of them does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from event_store.model import SEVERITIES, ColumnType
from event_store.query.dialects import NUMBER_PATTERN, double, literal
from event_store.query.names import Column
from event_store.query.row import Row, present
from event_store.query.syntax import And, Compare, Contains, Exists, Expr, Has, In, Not, Operator, Or, Regex, Word

_NUMBER = re.compile(NUMBER_PATTERN.replace("$", r"\Z"), re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
_ORDERS: dict[Operator, type[exp.Binary]] = {"<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}
_BOOLEANS = {"true": 1.0, "false": 0.0}


def condition(expr: Expr, row: Row) -> exp.Expr:
    """Return a condition that is true for the rows that the filter lets through, and false or null for others."""
    match expr:
        case And(terms):
            return exp.and_(*(condition(term, row) for term in terms), copy=False) if terms else exp.true()
        case Or(terms):
            return exp.or_(*(condition(term, row) for term in terms), copy=False)
        case Not(term):
            return _negated(condition(term, row))
        case Compare(field, "!=", value):
            return _negated(condition(Compare(field, "==", value), row))
        case Compare(field, operator, value) if field == "severity" and operator in _ORDERS:
            return condition(In(field, levels(operator, value.lower())), row)
        case Compare(field, operator, value):
            return _any(_compared(column, operator, value, row) for column in row.resolve(field))
        case In(field, values):
            return _any(_in(column, values, row) for column in row.resolve(field))
        case Word(text):
            return row.dialect.contains(row.raw(Column("message", ColumnType.TEXT)), text)
        case Contains(field, text):
            return _any(row.dialect.contains(text_, text) for text_ in _texts(field, row))
        case Has("message", text):
            message = row.raw(Column("message", ColumnType.TEXT))
            return exp.and_(*row.dialect.indexed(message, text), row.dialect.has(message.copy(), text), copy=False)
        case Has(field, text):
            return _any(row.dialect.has(text_, text) for text_ in _texts(field, row))
        case Regex(field, pattern):
            return _any(row.dialect.matches(text, pattern) for text in _texts(field, row))
        case Exists(field):
            return _any(present(row.raw(column)) for column in row.resolve(field))


def number(value: str) -> float | None:
    """Read a value that is a number."""
    return float(value) if _NUMBER.match(value) else None


def levels(operator: Operator, level: str) -> tuple[str, ...]:
    """Return the severities that compare so to one of them."""
    at = SEVERITIES.index(level)
    return {"<": SEVERITIES[:at], "<=": SEVERITIES[: at + 1], ">": SEVERITIES[at + 1 :]}.get(operator, SEVERITIES[at:])


def _texts(field: str, row: Row) -> list[exp.Expr]:
    return [row.column_text(column) for column in row.resolve(field)]


def _compared(column: Column, operator: Operator, value: str, row: Row) -> exp.Expr:
    if operator == "==" or (column.type is ColumnType.TIME and operator == ":"):
        return _in(column, (value,), row)
    if operator == ":":
        return _alike(column, value, row)
    order = _ORDERS[operator]
    if column.type is ColumnType.TIME:
        return order(this=row.raw(column), expression=row.dialect.moment(exp.Literal.number(value)))
    compared = number(value)
    if compared is None:
        return order(this=row.raw(column), expression=literal(value)) if _is_text(column) else exp.false()
    if column.type is ColumnType.INTEGER and _INTEGER.match(value):
        return order(this=row.raw(column), expression=_integer(value))
    if column.type is ColumnType.NUMBER:  # as it is, so that statistics of the column can be used
        held = order(this=row.raw(column), expression=double(compared))
        return exp.and_(held, row.dialect.is_finite(row.raw(column)), copy=False)
    return order(this=row.column_number(column), expression=double(compared))


def _alike(column: Column, value: str, row: Row) -> exp.Expr:
    if "*" in value:
        return row.dialect.alike(row.column_text(column), value)
    if _is_text(column):
        lower = row.dialect.lower
        return exp.EQ(this=lower(row.raw(column)), expression=lower(literal(value)))
    return _in(column, (value.lower(),), row)


def _in(column: Column, values: tuple[str, ...], row: Row) -> exp.Expr:
    held = row.raw(column)
    match column.type:
        case ColumnType.TEXT:
            wanted = [literal(value) for value in values]
        case ColumnType.TIME:
            wanted = [row.dialect.moment(exp.Literal.number(value)) for value in values]
        case ColumnType.INTEGER:
            wanted = [_integer(value) for value in values if _INTEGER.match(value)]
        case ColumnType.NUMBER:
            numbers = (_BOOLEANS.get(value, number(value)) for value in values)
            wanted = [double(value) for value in numbers if value is not None]
    if len(wanted) == 1:
        return exp.EQ(this=held, expression=wanted[0])
    return exp.In(this=held, expressions=wanted) if wanted else exp.false()


def _integer(value: str) -> exp.Expr:
    return exp.Literal.number(int(value)) if int(value) >= 0 else exp.Neg(this=exp.Literal.number(-int(value)))


def _is_text(column: Column) -> bool:
    return column.type is ColumnType.TEXT


def _negated(term: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.Coalesce(this=term, expressions=[exp.false()]))


def _any(terms: Iterable[exp.Expr]) -> exp.Expr:
    each = list(terms)
    return exp.or_(*each, copy=False) if each else exp.false()
