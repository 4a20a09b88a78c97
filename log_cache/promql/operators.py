"""Binary operators and the minus sign: arithmetic, comparisons and set operators of scalars and of vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from log_cache.promql.matching import Cardinality, Matching, match_sets, match_vectors
from log_cache.promql.rows import joined, nameless
from log_cache.promql.values import Columns, Flags, Numbers, Numeric, QueryError, Text, Value

Arithmetic: TypeAlias = Callable[[Numbers, Numbers], Numbers]
Comparison: TypeAlias = Callable[[Numbers, Numbers], Flags]

ARITHMETIC: dict[str, Arithmetic] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}

COMPARISONS: dict[str, Comparison] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}

SET_OPERATORS = frozenset({"and", "or", "unless"})


def binary(
    op: str,
    lhs: Value,
    rhs: Value,
    *,
    card: Cardinality,
    on: Sequence[str] | None,
    ignoring: Sequence[str] | None,
    group: Sequence[str],
    return_bool: bool,
) -> Value:
    """Apply an operator at every step.

    `card`, `on`, `ignoring` and `group` (the labels to take from the "one" side) say how two vectors are matched; set
    operators always match many to many. A comparison keeps the samples of which it is true, or says 1 or 0 of all.
    """
    with np.errstate(all="ignore"):
        match lhs, rhs:
            case Numeric(left), Numeric(right):
                return Numeric(_of_scalars(op, left, right))
            case Columns(), Numeric(right):
                return _with_scalar(op, lhs, lhs.values, right, return_bool)
            case Numeric(left), Columns():
                return _with_scalar(op, rhs, left, rhs.values, return_bool)
            case Columns(), Columns():
                matching = Matching(
                    card, None if on is None else frozenset(on), frozenset(ignoring or ()), tuple(group)
                )
                if op in SET_OPERATORS:
                    return match_sets(op, lhs, rhs, matching)
                renamed = op in ARITHMETIC or return_bool
                return match_vectors(_of_samples(op, return_bool), lhs, rhs, matching, renamed=renamed)
    raise QueryError("bad_data", f"binary operator {op} takes scalars and instant vectors")


def negate(value: Value) -> Value:
    """Change the sign of every number."""
    match value:
        case Numeric(values):
            return Numeric(-values)
        case Columns(labels, values, present):
            return joined([nameless(each) for each in labels], -values, present)
        case Text():
            raise QueryError("bad_data", "unary minus takes a scalar or an instant vector")


def _of_scalars(op: str, left: Numbers, right: Numbers) -> Numbers:
    if op in ARITHMETIC:
        return ARITHMETIC[op](left, right)
    return COMPARISONS[op](left, right).astype(np.float64)


def _with_scalar(op: str, vector: Columns, left: Numbers, right: Numbers, return_bool: bool) -> Columns:
    """One of `left` and `right` is the vector's values; it is them that a comparison keeps."""
    if op in COMPARISONS and not return_bool:
        return joined(vector.labels, vector.values, vector.present & COMPARISONS[op](left, right))
    return joined([nameless(each) for each in vector.labels], _of_scalars(op, left, right), vector.present)


def _of_samples(op: str, return_bool: bool) -> Callable[[Numbers, Numbers], tuple[Numbers, Flags | None]]:
    """Return what makes of two sides the results and, for a filter, which of them stay."""
    if op in COMPARISONS and not return_bool:
        return lambda left, right: (left, COMPARISONS[op](left, right))
    return lambda left, right: (_of_scalars(op, left, right), None)
