"""Walk an expression at one instant, and then at the next."""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import promql_parser as ast
import re2

from tests.promql_oracle import functions
from tests.promql_oracle.aggregates import aggregated
from tests.promql_oracle.operators import SETS, of_scalars, of_sets, of_vectors, with_scalar
from tests.promql_oracle.over_time import KEEPING_NAMES, OVER_TIME
from tests.promql_oracle.vectors import (
    NAME,
    NAN,
    Failure,
    Labels,
    Point,
    Raw,
    Vector,
    Window,
    gathered,
    labels_from,
    mapped,
    nameless,
)

LOOK_BACK_MS = 300_000
SUBQUERY_STEP_MS = 60_000
"""How far apart the moments of a subquery are that does not say it itself."""

Value: TypeAlias = Vector | float | str
Answer: TypeAlias = dict[Labels, list[Point]]
"""What a query says: a scalar is the one series that has no labels."""

ADDING = {"+", "-", "*", "sum", "sum_over_time", "idelta", "ceil"}
"""What does not round where numbers have few digits, though the sign of a zero is anybody's guess."""

DIVIDING = {
    *("/", "%", "^", "atan2", "exp", "ln", "log2", "log10", "sqrt", "round", "histogram_quantile"),
    *(*functions.TRIGONOMETRY, "deg", "rad", "rate", "increase", "delta", "irate", "deriv", "predict_linear"),
    *(f"{name}{over_time}" for name in ("avg", "stddev", "stdvar", "quantile") for over_time in ("", "_over_time")),
}
"""What rounds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def ask_over(text: str, series: Sequence[Raw], times_ms: Sequence[int], noise: random.Random | None = None) -> Answer:
    """Answer a range query: at every moment what an instant query would say.

    With `noise`, whatever comes in an arbitrary order comes in another, and whatever is rounded is rounded otherwise:
    an answer that this changes hangs on what PromQL leaves open.
    """
    root = _parsed(text)
    oracle = _Oracle(series, times_ms[0], times_ms[-1], noise)
    answer: Answer = {}
    for now_ms in times_ms:
        value = oracle.at(root, now_ms)
        assert not isinstance(value, str)
        for labels, number in value.items() if isinstance(value, dict) else [((), value)]:
            answer.setdefault(labels, []).append((now_ms, number))
    return answer


def ask_at(text: str, series: Sequence[Raw], now_ms: int, noise: random.Random | None = None) -> Answer:
    """Answer an instant query; of a range vector, the points as they were recorded."""
    root = _parsed(text)
    if isinstance(root, ast.MatrixSelector | ast.SubqueryExpr):
        return {labels: w.points for labels, w in _Oracle(series, now_ms, now_ms, noise).windows(root, now_ms).items()}
    return ask_over(text, series, [now_ms], noise)


def _parsed(text: str) -> Any:
    try:
        return ast.parse(text)
    except ValueError as error:
        raise Failure(str(error)) from error


def _wants(selector: ast.VectorSelector, labels: Any) -> bool:
    """Tell whether a selector takes a series."""
    named = selector.name is None or labels.get(NAME) == selector.name
    return named and all(_matches(matcher, labels.get(matcher.name, "")) for matcher in selector.matchers.matchers)


def _matches(matcher: ast.Matcher, value: str) -> bool:
    """A label that is not there is an empty one; a pattern must match all of a value."""
    if matcher.op in (ast.MatchOp.Equal, ast.MatchOp.NotEqual):
        return bool((value == matcher.value) == (matcher.op == ast.MatchOp.Equal))
    return (re2.fullmatch(matcher.value, value) is not None) == (matcher.op == ast.MatchOp.Re)


def _ms(duration: timedelta | None) -> int:
    return 0 if duration is None else duration // _MS


def _bare(node: Any) -> Any:
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    return node


class _Oracle:
    """One query over some series."""

    def __init__(self, series: Sequence[Raw], start_ms: int, end_ms: int, noise: random.Random | None) -> None:
        self._series = sorted(series, key=lambda raw: labels_from(raw.labels))
        self._start_ms, self._end_ms = start_ms, end_ms
        self._noise = noise
        if noise:
            noise.shuffle(self._series)

    def at(self, node: Any, now_ms: int) -> Value:
        """Evaluate any expression but a range vector."""
        match node:
            case ast.NumberLiteral() | ast.StringLiteral():
                return node.val
            case ast.ParenExpr():
                return self.at(node.expr, now_ms)
            case ast.VectorSelector():
                return {labels: points[-1][1] for labels, points in self._last(node, now_ms).items()}
            case ast.UnaryExpr():
                return self._shaken(self._negated(node, now_ms), "-")
            case ast.BinaryExpr():
                return self._binary(node, now_ms)
            case ast.AggregateExpr():
                parameter = None if node.param is None else self.at(node.param, now_ms)
                assert not isinstance(parameter, dict)
                result = aggregated(str(node.op), self._vector(node.expr, now_ms), parameter, node.modifier)
                return self._shaken(result, str(node.op))
            case ast.Call():
                return self._shaken(self._call(node, now_ms), node.func.name)
        raise Failure(f"not an instant vector, a scalar or a string: {node}")

    # --- selectors ----------------------------------------------------------------------------------------------------

    def windows(self, node: Any, now_ms: int) -> dict[Labels, Window]:
        """Evaluate a range vector; a series without a point in its window is not there."""
        node = _bare(node)
        if isinstance(node, ast.MatrixSelector):
            end_ms = self._reference(node.vector_selector, now_ms)
            start_ms = end_ms - _ms(node.range)
            found = self._recorded(node.vector_selector, start_ms, end_ms)
        else:
            assert isinstance(node, ast.SubqueryExpr)
            end_ms = self._reference(node, now_ms)
            start_ms = end_ms - _ms(node.range)
            found = self._replayed(node, start_ms, end_ms)
        return {labels: Window(start_ms, end_ms, now_ms, points) for labels, points in found.items()}

    def _reference(self, node: Any, now_ms: int) -> int:
        """The moment a selector or subquery looks back from."""
        if node.at is not None and node.at.type == ast.AtModifierType.Start:
            now_ms = self._start_ms
        elif node.at is not None and node.at.type == ast.AtModifierType.End:
            now_ms = self._end_ms
        elif node.at is not None:
            now_ms = (node.at.at - _EPOCH) // _MS
        return now_ms - _ms(node.offset)

    def _last(self, node: Any, now_ms: int) -> dict[Labels, list[Point]]:
        end_ms = self._reference(node, now_ms)
        return self._recorded(node, end_ms - LOOK_BACK_MS, end_ms)

    def _recorded(self, selector: Any, start_ms: int, end_ms: int) -> dict[Labels, list[Point]]:
        found: dict[Labels, list[Point]] = {}
        for raw in self._series:
            points = [point for point in raw.points if start_ms <= point[0] <= end_ms]
            if points and _wants(selector, raw.labels):
                found[labels_from(raw.labels)] = points
        return found

    def _replayed(self, node: Any, start_ms: int, end_ms: int) -> dict[Labels, list[Point]]:
        """Evaluate what a subquery is about at every multiple of its step."""
        step_ms = _ms(node.step) or SUBQUERY_STEP_MS
        found: dict[Labels, list[Point]] = {}
        for moment_ms in range(-(-start_ms // step_ms) * step_ms, end_ms + 1, step_ms):
            for labels, value in self._vector(node.expr, moment_ms).items():
                found.setdefault(labels, []).append((moment_ms, value))
        return found

    # --- operators ----------------------------------------------------------------------------------------------------

    def _vector(self, node: Any, now_ms: int) -> Vector:
        value = self.at(node, now_ms)
        assert isinstance(value, dict)
        return value

    def _negated(self, node: Any, now_ms: int) -> Value:
        value = self.at(node.expr, now_ms)
        assert not isinstance(value, str)
        if isinstance(value, float):
            return -value
        return mapped(value, operator.neg)

    def _binary(self, node: Any, now_ms: int) -> Value:
        op, modifier = str(node.op), node.modifier
        left, right = self.at(node.lhs, now_ms), self.at(node.rhs, now_ms)
        as_bool = bool(modifier and modifier.return_bool)
        result: Vector | float
        match left, right:
            case float(), float():
                result = of_scalars(op, left, right)
            case dict(), float():
                result = with_scalar(op, left, right, scalar_first=False, as_bool=as_bool)
            case float(), dict():
                result = with_scalar(op, right, left, scalar_first=True, as_bool=as_bool)
            case dict(), dict():
                result = (of_sets if op in SETS else of_vectors)(op, left, right, modifier)
            case _:
                raise AssertionError("the parser lets no such operands through")
        return self._shaken(result, op)

    # --- functions ----------------------------------------------------------------------------------------------------

    def _call(self, node: Any, now_ms: int) -> Value:
        name, arguments = node.func.name, list(node.args)
        if name in OVER_TIME:
            return self._over_time(node, now_ms)
        if name == "absent_over_time":
            return {} if self.windows(arguments[0], now_ms) else {_asked_for(arguments[0]): 1.0}
        if name == "absent":
            return {} if self._vector(arguments[0], now_ms) else {_asked_for(arguments[0]): 1.0}
        if name == "timestamp" and isinstance(_bare(arguments[0]), ast.VectorSelector):
            last = self._last(_bare(arguments[0]), now_ms)
            return gathered((nameless(labels), points[-1][0] / 1000) for labels, points in last.items())
        return _called(name, [self.at(argument, now_ms) for argument in arguments], now_ms)

    def _over_time(self, node: Any, now_ms: int) -> Vector:
        ranges = [a for a in node.args if isinstance(_bare(a), ast.MatrixSelector | ast.SubqueryExpr)]
        scalars = [self.at(argument, now_ms) for argument in node.args if argument not in ranges]
        name = node.func.name
        said: list[tuple[Labels, float]] = []
        for labels, window in self.windows(ranges[0], now_ms).items():
            value = OVER_TIME[name](window, *scalars)
            if value is not None:
                said.append((labels if name in KEEPING_NAMES else nameless(labels), value))
        return gathered(said)

    # --- noise --------------------------------------------------------------------------------------------------------

    def _shaken(self, value: Value, by: str) -> Value:
        """With noise, what a machine that rounds otherwise could have said in place of this value."""
        if self._noise is None or isinstance(value, str) or by not in ADDING | DIVIDING:
            return value
        if isinstance(value, dict):
            return {labels: self._shaken_number(number, by) for labels, number in value.items()}
        return self._shaken_number(value, by)

    def _shaken_number(self, number: float, by: str) -> float:
        assert self._noise is not None
        if number == 0:
            return math.copysign(0.0, self._noise.choice((-1, 1)))
        if by in ADDING and abs(number) < 2**32 and (number * 2**20).is_integer():
            return number
        return number * (1 + self._noise.choice((-1, 0, 1)) * 1e-14)


def _asked_for(node: Any) -> Labels:
    """The labels that a selector says there must be, each by one `=`."""
    selector = node.vector_selector if isinstance(node, ast.MatrixSelector) else node
    if not isinstance(selector, ast.VectorSelector):
        return ()
    matchers = [matcher for matcher in selector.matchers.matchers if matcher.name != NAME]
    names = [matcher.name for matcher in matchers]
    return labels_from(
        {m.name: m.value for m in matchers if m.op == ast.MatchOp.Equal and names.count(m.name) == 1},
    )


def _called(name: str, values: list[Any], now_ms: int) -> Value:
    """The functions that need no more than the values of their arguments."""
    match name:
        case "time":
            return now_ms / 1000
        case "pi":
            return math.pi
        case "vector":
            return {(): values[0]}
        case "scalar":
            return next(iter(values[0].values())) if len(values[0]) == 1 else NAN
        case "timestamp":
            return mapped(values[0], lambda _value: now_ms / 1000)
        case "sort" | "sort_desc":
            return functions.in_order(values[0], descending=name == "sort_desc")
        case "clamp":
            return functions.clamped(*values)
        case "label_replace":
            return functions.label_replaced(*values)
        case "label_join":
            return functions.label_joined(*values)
        case "histogram_quantile":
            return functions.histogram_quantile(*values)
    if name in functions.DATES:
        return mapped(values[0] if values else {(): now_ms / 1000}, lambda value: functions.dated(name, value))
    return mapped(values[0], lambda value: functions.NUMBERS[name](value, *values[1:]))
