"""The binary operators: on numbers, on a vector and a number, and on two vectors matched by their labels."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from promql_parser import BinModifier, LabelModifierType, VectorMatchCardinality

from tests.promql_oracle.vectors import (
    NAME,
    NAN,
    Failure,
    Labels,
    Vector,
    gathered,
    labels_from,
    nameless,
    only,
    without,
)


def _divided(a: float, b: float) -> float:
    if b:
        return a / b
    return NAN if not a or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def _remainder(a: float, b: float) -> float:
    return math.fmod(a, b) if b and not math.isinf(a) else NAN


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:  # a root of a negative number, or zero to a negative power
        return NAN if a else math.copysign(math.inf, a if b % 2 == 1 else 1)


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": _remainder,
    "^": _power,
    "atan2": math.atan2,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
SETS = {"and", "or", "unless"}


def _counted(op: str, a: float, b: float, *, as_bool: bool) -> float | None:
    """The result for one pair of numbers; None if a comparison lets the left one not through."""
    if op in ARITHMETIC:
        return ARITHMETIC[op](a, b)
    holds = COMPARISONS[op](a, b)
    if as_bool:
        return float(holds)
    return a if holds else None


def of_scalars(op: str, a: float, b: float) -> float:
    counted = _counted(op, a, b, as_bool=True)
    assert counted is not None
    return counted


def with_scalar(op: str, vector: Vector, scalar: float, *, scalar_first: bool, as_bool: bool) -> Vector:
    """Every sample with the number; a comparison keeps the vector's values, on whichever side it stands."""
    kept: list[tuple[Labels, float]] = []
    for labels, value in vector.items():
        a, b = (scalar, value) if scalar_first else (value, scalar)
        counted = _counted(op, a, b, as_bool=as_bool)
        if counted is None:
            continue
        filters = op in COMPARISONS and not as_bool
        kept.append((labels, value) if filters else (nameless(labels), counted))
    return gathered(kept)


def signature(modifier: BinModifier | None) -> Callable[[Labels], Labels]:
    """What must be equal for two samples to match."""
    matching = modifier.matching if modifier else None
    if matching is None:
        return nameless
    if matching.type == LabelModifierType.Include:
        return lambda labels: only(labels, matching.labels)
    return lambda labels: without(labels, [NAME, *matching.labels])


def of_sets(op: str, left: Vector, right: Vector, modifier: BinModifier | None) -> Vector:
    sign = signature(modifier)
    if op == "or":
        there = {sign(labels) for labels in left}
        return gathered([*left.items(), *((k, v) for k, v in right.items() if sign(k) not in there)])
    there = {sign(labels) for labels in right}
    return {labels: value for labels, value in left.items() if (sign(labels) in there) == (op == "and")}


def of_vectors(op: str, left: Vector, right: Vector, modifier: BinModifier | None) -> Vector:
    """Sample by sample, as they match; group_left and group_right say on which side there may be many."""
    if not left or not right:
        return {}
    card: Any = modifier.card if modifier else VectorMatchCardinality.OneToOne
    swapped = card == VectorMatchCardinality.OneToMany
    many, one = (right, left) if swapped else (left, right)
    sign, as_bool = signature(modifier), bool(modifier and modifier.return_bool)
    partners = _by_signature(one, sign)
    answered: list[tuple[Labels, float]] = []
    matched: set[Labels] = set()
    for labels, value in many.items():
        if sign(labels) not in partners:
            continue
        partner, other = partners[sign(labels)]
        counted = _counted(op, *((other, value) if swapped else (value, other)), as_bool=as_bool)
        if counted is None:
            continue
        if card == VectorMatchCardinality.OneToOne and sign(labels) in matched:
            raise Failure("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
        matched.add(sign(labels))
        answered.append((_joined(labels, partner, op, modifier), counted))
    return gathered(answered)


def _by_signature(one: Vector, sign: Callable[[Labels], Labels]) -> dict[Labels, tuple[Labels, float]]:
    partners: dict[Labels, tuple[Labels, float]] = {}
    for labels, value in one.items():
        if sign(labels) in partners:
            raise Failure("found duplicate series for the match group: many-to-many matching not allowed")
        partners[sign(labels)] = labels, value
    return partners


def _joined(labels: Labels, partner: Labels, op: str, modifier: BinModifier | None) -> Labels:
    """The labels of a result: of the side with many; of two equals, those they were matched by."""
    if op in ARITHMETIC or (modifier and modifier.return_bool):
        labels = nameless(labels)
    if modifier is None or modifier.card == VectorMatchCardinality.OneToOne:
        if modifier is None or modifier.matching is None:
            return labels
        listed = modifier.matching.labels
        return only(labels, listed) if modifier.matching.type == LabelModifierType.Include else without(labels, listed)
    theirs = dict(partner)
    return labels_from({**dict(labels), **{name: theirs.get(name, "") for name in modifier.group_labels or []}})
