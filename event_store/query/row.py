"""The fields of a row as SQL: what each is as text, as a number, and as a value to show and to group by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from event_store.model import OVERFLOW, ColumnType
from event_store.query.dialects import Dialect
from event_store.query.names import Column

ALIAS = "e"
"""What the rows are called that a SELECT reads; columns are named with it, lest the name of a result hide one."""

Resolve = Callable[[str], tuple[Column, ...]]


@dataclass(frozen=True, slots=True)
class Row:
    """A row that a SELECT reads, in one dialect: its fields as expressions."""

    resolve: Resolve
    dialect: Dialect

    def raw(self, place: Column) -> exp.Expr:
        """Return what the column holds."""
        if not place.in_overflow:
            return column(place.name)
        text = self.dialect.in_map(column(OVERFLOW), place.name)
        return self.dialect.read_number(text) if place.type is ColumnType.NUMBER else text

    def column_text(self, column: Column) -> exp.Expr:
        """Return what a column holds as text; a time is none."""
        match column.type:
            case ColumnType.TEXT:
                return self.raw(column)
            case ColumnType.NUMBER:
                return self.dialect.number_text(self.raw(column))
            case ColumnType.INTEGER:
                return exp.cast(self.raw(column), "TEXT")
            case ColumnType.TIME:
                return exp.null()

    def column_number(self, column: Column) -> exp.Expr:
        """Return what a column holds as a double: finite, or null."""
        match column.type:
            case ColumnType.TEXT:
                return self.dialect.number_in(self.raw(column))
            case ColumnType.NUMBER:
                return self.dialect.finite(self.raw(column))
            case ColumnType.INTEGER:
                return exp.cast(self.raw(column), "DOUBLE")
            case ColumnType.TIME:
                return exp.null()

    def number(self, field: str) -> exp.Expr:
        """Return the first value of a field that is a number."""
        return _coalesce([self.column_number(column) for column in self.resolve(field)], "DOUBLE")

    def value(self, field: str) -> exp.Expr:
        """Return a field's value as it is shown: of its type, or as text if its columns differ in type."""
        columns = self.resolve(field)
        if len(columns) == 1:
            return self._as_it_is(columns[0])
        return _coalesce([self.column_text(column) for column in columns], "TEXT")

    def sort_keys(self, field: str) -> list[exp.Expr]:
        """Return what a field is sorted by: a field of numbers and text first by the number."""
        types = {column.type for column in self.resolve(field)}
        return [*([self.number(field)] if len(types) > 1 else []), *([self.value(field)] if types else [])]

    def _as_it_is(self, column: Column) -> exp.Expr:
        is_double = column.type is ColumnType.NUMBER
        return self.column_number(column) if is_double else self.raw(column)


def column(name: str, table: str = ALIAS) -> exp.Expr:
    """Name a column of the rows that a SELECT reads."""
    return exp.column(name, table=table, quoted=True, copy=False)


def named(value: exp.Expr, name: str) -> exp.Expr:
    """Give a value the name it has in the answer."""
    return exp.alias_(value, name, quoted=True, copy=False)


def present(value: exp.Expr) -> exp.Expr:
    """See that a value is not null."""
    return exp.Not(this=exp.Is(this=value, expression=exp.null()))


def _coalesce(values: list[exp.Expr], type_: str) -> exp.Expr:
    if len(values) < 2:
        return values[0] if values else exp.cast(exp.null(), type_)
    return exp.Coalesce(this=values[0], expressions=values[1:])
