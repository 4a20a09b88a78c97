"""Which of some events a filter of the query language means: the plainest way to say it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from event_store.model import SEVERITIES
from event_store.query.syntax import And, Compare, Contains, Exists, Expr, In, Not, Or, Regex, Word

Event: TypeAlias = Mapping[str, Any]


def value_of(event: Event, field: str) -> Any:
    """Return what an event has in a field, None for nothing."""
    return event[field] if event.get(field) is not None else event["fields"].get(field)


def holds(expr: Expr, event: Event) -> bool:
    """Whether an event is one of those meant."""
    match expr:
        case And(terms):
            return all(holds(term, event) for term in terms)
        case Or(terms):
            return any(holds(term, event) for term in terms)
        case Not(term):
            return not holds(term, event)
        case Word(text):
            return text.lower() in (event["message"] or "").lower()
        case _:
            value = value_of(event, expr.field)
            return value is not None and _value_holds(expr, value)


def _value_holds(expr: Regex | Contains | Compare | In | Exists, value: Any) -> bool:
    match expr:
        case Exists():
            return True
        case Contains(_, text):
            return text.lower() in str(value).lower()
        case Regex(_, pattern):
            return re.search(pattern, str(value)) is not None
        case In(_, values):
            return str(value) in values
        case Compare(field, operator, wanted):
            return _compares(field, operator, value, wanted)


def _compares(field: str, operator: str, value: Any, wanted: str) -> bool:
    if operator == ":":
        return fnmatch.fnmatchcase(str(value).lower(), wanted.lower())
    if isinstance(value, int | float):
        left, right = float(value), float(wanted)
    elif field == "severity" and operator not in ("==", "!="):
        left, right = SEVERITIES.index(value), SEVERITIES.index(wanted.lower())
    else:
        left, right = value, wanted
    compared = {"==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right}
    return compared.get(operator, left >= right)
