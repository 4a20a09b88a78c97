"""The aggregations: many samples of a vector become one, or few, a group."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from promql_parser import AggModifier, AggModifierType

from tests.promql_oracle.functions import LABEL_NAME
from tests.promql_oracle.vectors import (
    NAME,
    Failure,
    Labels,
    Vector,
    gathered,
    greatest,
    labels_from,
    least,
    mean,
    only,
    quantile,
    total,
    variance,
    without,
)

SIMPLE: dict[str, Callable[[list[float]], float]] = {
    "sum": total,
    "avg": mean,
    "min": least,
    "max": greatest,
    "count": lambda values: float(len(values)),
    "group": lambda _values: 1.0,
    "stddev": lambda values: math.sqrt(variance(values)),
    "stdvar": variance,
}
"""Those that need no parameter."""


def aggregated(op: str, vector: Vector, parameter: float | str | None, modifier: AggModifier | None) -> Vector:
    """Group the samples by the labels of the modifier and sum each group up."""
    if op == "count_values":
        assert isinstance(parameter, str)
        return _counted_values(vector, parameter, modifier)
    groups: dict[Labels, Vector] = {}
    for labels, value in vector.items():
        groups.setdefault(_group(labels, modifier), {})[labels] = value
    if op in ("topk", "bottomk"):
        assert isinstance(parameter, float)
        if not abs(parameter) < 2**63:
            raise Failure(f"Scalar value {parameter} overflows int64")
        return gathered(pair for group in groups.values() for pair in _extremes(op, group, parameter).items())
    if op == "quantile":
        assert isinstance(parameter, float)
        return {labels: quantile(parameter, list(group.values())) for labels, group in groups.items()}
    return {labels: SIMPLE[op](list(group.values())) for labels, group in groups.items()}


def _group(labels: Labels, modifier: AggModifier | None) -> Labels:
    if modifier is None:
        return ()
    if modifier.type == AggModifierType.By:
        return only(labels, modifier.labels)
    return without(labels, [NAME, *modifier.labels])


def _extremes(op: str, group: Vector, count: float) -> Vector:
    """The greatest or smallest samples with the labels they have; NaN only where too few numbers are there."""
    direction = -1 if op == "topk" else 1
    numbers = [pair for pair in group.items() if not math.isnan(pair[1])]
    nans = [pair for pair in group.items() if math.isnan(pair[1])]
    ranked = [*sorted(numbers, key=lambda pair: direction * pair[1]), *nans]
    return dict(ranked[: max(0, int(count))])


def _counted_values(vector: Vector, label: str, modifier: AggModifier | None) -> Vector:
    """How often each value is there, by a label that says the value: it is one of the group's, unless left out."""
    if not LABEL_NAME.fullmatch(label):
        raise Failure(f"invalid label name {label}")
    if modifier is None or modifier.type == AggModifierType.By:
        modifier = AggModifier(AggModifierType.By, [label, *(modifier.labels if modifier else ())])
    counts: dict[Labels, float] = {}
    for labels, value in vector.items():
        group = _group(labels_from({**dict(labels), label: value_text(value)}), modifier)
        counts[group] = counts.get(group, 0.0) + 1
    return counts


def value_text(value: float) -> str:
    """The shortest decimal that is this number, never with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return format(Decimal(repr(value)), "f").removesuffix(".0")
