"""From the text of a query to its plan: parse it, walk the tree without recursion, refuse what is not supported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import promql_parser as ast

from log_cache.promql.functions import FUNCTIONS
from log_cache.promql.guard import MARKS, guarded
from log_cache.promql.matchers import MAX_PATTERNS, Matcher, Operator, Selector
from log_cache.promql.matching import Cardinality
from log_cache.promql.over_time import OVER_TIME
from log_cache.promql.plan import (
    Absent,
    Aggregate,
    Binary,
    Function,
    Instants,
    Negate,
    Number,
    OverTime,
    Part,
    Plan,
    Scope,
    Spans,
    String,
    Subquery,
    When,
)
from log_cache.promql.values import NAME, Labels, QueryError, labels_of

DEFAULT_SUBQUERY_STEP = timedelta(minutes=1)
"""Of a subquery that does not say: `[1h:]`."""

_OPERATORS: dict[str, Operator] = {mark: operator for operator, mark in MARKS.items()}
_AGGREGATIONS = frozenset(
    {"avg", "bottomk", "count", "count_values", "group", "max", "min", "quantile", "stddev", "stdvar", "sum", "topk"}
)
_CARDINALITIES: dict[str, Cardinality] = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "many-to-many",
}
_LONGEST = timedelta(days=365 * 100_000)
"""So that no sum of the durations of a query overflows."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Children: TypeAlias = Sequence[tuple[ast.Expr, int]]
"""The inner expressions, in order, with the scope of each."""


def plan_of(text: str) -> Plan:
    """Parse a query; raises `QueryError` "bad_data" for one that is wrong, too deep or not supported."""
    tree = _parsed(guarded(text))
    try:
        return _Planning().plan(tree)
    except (ValueError, OverflowError) as error:  # times that Python's own types cannot hold
        raise QueryError("bad_data", f"a time of the query is out of range: {error}") from None


def _parsed(text: str) -> ast.Expr:
    try:
        return ast.parse(text)
    except Exception as error:  # whatever a foreign parser raises, it speaks of the query
        raise _parse_error(error) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of native code, and no `Exception`
            raise
        raise _parse_error(error) from None


def _parse_error(error: BaseException) -> QueryError:
    message = str(error)
    for mark in MARKS.values():
        message = message.replace(mark, "")
    return QueryError("bad_data", f"parse error: {message}")


class _Planning:
    """Collects the parts of one plan."""

    def __init__(self) -> None:
        self._parts: list[tuple[Part, int]] = []
        self._scopes: list[Scope] = []
        self._selectors: list[Selector] = []
        self._patterns = 0

    def plan(self, tree: ast.Expr) -> Plan:
        """Lay the parts out so that each comes behind those whose values it takes."""
        waiting: list[tuple[ast.Expr | Part, int]] = [(tree, 0)]
        while waiting:
            item, scope = waiting.pop()
            if isinstance(item, ast.Expr):
                parts, children = self._visit(item, scope)
                waiting += [(part, scope) for part in reversed(parts)]
                waiting += reversed(children)
            else:
                self._parts.append((item, scope))
        return Plan(tuple(self._parts), tuple(self._scopes), tuple(self._selectors))

    def _visit(self, node: ast.Expr, scope: int) -> tuple[list[Part], Children]:
        """Return what to do, once what the children leave is there, and the children."""
        match node:
            case ast.ParenExpr():
                return [], [(node.expr, scope)]
            case ast.NumberLiteral():
                return [Number(node.val)], []
            case ast.StringLiteral():
                return [String(node.val)], []
            case ast.UnaryExpr():
                return [Negate()], [(node.expr, scope)]
            case ast.VectorSelector():
                return [Instants(self._selector(node), _when(node))], []
            case ast.MatrixSelector():
                selector = node.vector_selector
                return [Spans(self._selector(selector), _when(selector), _range_ms(node))], []
            case ast.SubqueryExpr():
                return self._subquery(node, scope)
            case ast.BinaryExpr():
                return [_binary(node)], [(node.lhs, scope), (node.rhs, scope)]
            case ast.AggregateExpr():
                parameter = [] if node.param is None else [(node.param, scope)]
                return [_aggregate(node)], [*parameter, (node.expr, scope)]
            case ast.Call():
                return self._call(node, scope)
        raise _unsupported("this kind of expression")

    def _subquery(self, node: ast.SubqueryExpr, scope: int) -> tuple[list[Part], Children]:
        when, range_ms, step_ms = _when(node), _range_ms(node), _ms(node.step or DEFAULT_SUBQUERY_STEP)
        self._scopes.append(Scope(scope, when, range_ms, step_ms))
        inner = len(self._scopes)
        return [Subquery(inner, when, range_ms)], [(node.expr, inner)]

    def _call(self, node: ast.Call, scope: int) -> tuple[list[Part], Children]:
        name, arguments = node.func.name, list(node.args)
        children = [(argument, scope) for argument in arguments]
        bare = [_bare(argument) for argument in arguments]
        match name, bare:
            case "timestamp", [ast.VectorSelector() as selector]:
                return [Instants(self._selector(selector), _when(selector), stamps=True)], []
            case "absent", [operand]:
                return [Absent(self._equalities(operand))], children
            case "absent_over_time", [operand]:  # whatever keeps names, so that no two series get the same labels
                return [OverTime("last_over_time", 1), Absent(self._equalities(operand))], children
        if name in OVER_TIME:
            return [OverTime(name, len(arguments))], children
        if name in FUNCTIONS:
            return [Function(name, len(arguments))], children
        raise _unsupported(f"the function '{name}'")

    def _selector(self, node: ast.VectorSelector) -> int:
        matchers = _matchers(node)
        self._patterns += sum(matcher.operator in ("=~", "!~") for matcher in matchers)
        if self._patterns > MAX_PATTERNS:
            raise QueryError("bad_data", f"too many regular expressions, at most {MAX_PATTERNS} are allowed")
        if all(matcher.accepts("") for matcher in matchers):
            raise QueryError("bad_data", "vector selector must contain at least one non-empty matcher")
        self._selectors.append(Selector(matchers))
        return len(self._selectors) - 1

    @staticmethod
    def _equalities(node: ast.Expr) -> Labels:
        """The labels that a selector fixes by one "=" and nothing else."""
        if isinstance(node, ast.MatrixSelector):
            node = node.vector_selector
        if not isinstance(node, ast.VectorSelector):
            return ()
        fixed: dict[str, str] = {}
        spoiled: set[str] = {NAME}
        for label, operator, value in _conditions(node):
            if operator == "=" and label not in fixed:
                fixed[label] = value
            else:
                spoiled.add(label)
        return labels_of({label: value for label, value in fixed.items() if label not in spoiled})


def _bare(node: ast.Expr) -> ast.Expr:
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    return node


def _conditions(node: ast.VectorSelector) -> list[tuple[str, Operator, str]]:
    """The matchers as they were written; a name between quotes has no mark."""
    if node.matchers.or_matchers:
        raise _unsupported("'or' between matchers")
    found: list[tuple[str, Operator, str]] = [] if node.name is None else [(NAME, "=", node.name)]
    for matcher in node.matchers.matchers:
        mark, value = matcher.value[:1], matcher.value[1:]
        operator = _OPERATORS.get(mark)
        found.append((matcher.name, operator, value) if operator else (matcher.name, "=", matcher.value))
    return found


def _matchers(node: ast.VectorSelector) -> tuple[Matcher, ...]:
    return tuple(Matcher(*condition) for condition in _conditions(node))


def _when(node: ast.VectorSelector | ast.SubqueryExpr) -> When:
    offset_ms = _ms(node.offset) if node.offset else 0
    if node.at is None:
        return When(None, offset_ms)
    if node.at.type == ast.AtModifierType.Start:
        return When("start", offset_ms)
    if node.at.type == ast.AtModifierType.End:
        return When("end", offset_ms)
    assert node.at.at is not None
    return When(_ms(node.at.at - _EPOCH), offset_ms)


def _binary(node: ast.BinaryExpr) -> Binary:
    modifier = node.modifier
    if modifier is None:
        return Binary(str(node.op), "one-to-one", None, None, (), return_bool=False)
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        raise _unsupported("'fill' in a binary operation")
    matching = modifier.matching
    labels = tuple(matching.labels) if matching else None
    on = labels if matching and matching.type == ast.LabelModifierType.Include else None
    ignoring = labels if on is None else None
    card = _CARDINALITIES[str(modifier.card).rpartition(".")[2]]
    return Binary(str(node.op), card, on, ignoring, tuple(modifier.group_labels or ()), modifier.return_bool)


def _aggregate(node: ast.AggregateExpr) -> Aggregate:
    op = str(node.op)
    if op not in _AGGREGATIONS:
        raise _unsupported(f"the aggregation '{op}'")
    if node.modifier is None:
        return Aggregate(op, None, None, parameter=node.param is not None)
    labels = tuple(node.modifier.labels)
    by, without = (labels, None) if node.modifier.type == ast.AggModifierType.By else (None, labels)
    return Aggregate(op, by, without, parameter=node.param is not None)


def _range_ms(node: ast.MatrixSelector | ast.SubqueryExpr) -> int:
    if not node.range:
        raise QueryError("bad_data", "parse error: duration must be greater than 0")
    return _ms(node.range)


def _ms(duration: timedelta) -> int:
    if abs(duration) > _LONGEST:
        raise QueryError("bad_data", "a duration of the query is out of range")
    return duration // timedelta(milliseconds=1)


def _unsupported(what: str) -> QueryError:
    return QueryError("bad_data", f"{what} is not supported")
