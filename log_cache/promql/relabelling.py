"""Functions that write one label from others: `label_replace` and `label_join`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

import re2  # type: ignore[import-untyped]  # ships no types

from log_cache.promql.arguments import text, vector
from log_cache.promql.rows import LABEL_NAME, joined, quoted
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns, Labels, QueryError, Value, labels_of

MAX_PATTERN = 10_000
"""Characters of a regular expression."""

MAX_WRITTEN = 65_536
"""Characters of a label that is written: an expression could else double them again and again."""

_MAX_COMPILED_BYTES = 1 << 20

_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,7}")

Groups: TypeAlias = Callable[[str], str]
"""The text of a group of a match, by name or number; empty if there is none."""


def label_replace(arguments: Sequence[Value], _: StepTimes) -> Value:
    """Write the replacement, filled in with what the pattern found, where that matches all of the source label."""
    columns = vector(arguments[0])
    target, replacement, source, pattern = map(text, arguments[1:])
    expression = _compiled(pattern)
    _check_name("destination", target, "label_replace")

    @cache
    def written(value: str) -> str | None:
        match = expression.fullmatch(value)
        return None if match is None else expand(replacement, _groups(match))

    def relabelled(labels: Labels) -> Labels:
        known = dict(labels)
        value = written(known.get(source, ""))
        return labels if value is None else labels_of({**known, target: value})

    return _relabelled(columns, relabelled)


def label_join(arguments: Sequence[Value], _: StepTimes) -> Value:
    """Write the values of labels, a separator between them, into a label."""
    columns = vector(arguments[0])
    target, separator, *sources = map(text, arguments[1:])
    for source in sources:
        _check_name("source", source, "label_join")
    _check_name("destination", target, "label_join")

    def relabelled(labels: Labels) -> Labels:
        known = dict(labels)
        values = [known.get(source, "") for source in sources]
        _check_length(sum(map(len, values)) + len(separator) * len(values))
        return labels_of({**known, target: separator.join(values)})

    return _relabelled(columns, relabelled)


def expand(template: str, group: Groups) -> str:
    """Fill in `$1`, `${1}`, `$name` and `${name}` as Go does; `$$` is a dollar, and so is one that nothing follows."""
    length = len(template)

    def filled(reference: re.Match[str]) -> str:
        nonlocal length
        text = "$" if reference[0] == "$$" else group(reference[1] or reference[2])
        length += len(text)
        _check_length(length)
        return text

    return _REFERENCE.sub(filled, template)


def _check_length(length: int) -> None:
    if length > MAX_WRITTEN:
        raise QueryError("execution", f"label value is longer than {MAX_WRITTEN} characters")


def _groups(match: re2._Match[str]) -> Groups:
    names: dict[str, int] = match.re.groupindex

    def group(name: str) -> str:
        number = int(name) if _NUMBER.fullmatch(name) else names.get(name, -1)
        return (match.group(number) or "") if 0 <= number <= match.re.groups else ""

    return group


def _relabelled(columns: Columns, relabelled: Callable[[Labels], Labels]) -> Columns:
    return joined([relabelled(labels) for labels in columns.labels], columns.values, columns.present)


def _check_name(role: str, name: str, function: str) -> None:
    if not LABEL_NAME.fullmatch(name):
        raise QueryError("execution", f"invalid {role} label name in {function}(): {name}")


def _compiled(pattern: str) -> re2._Regexp[str]:
    options = re2.Options()
    options.max_mem = _MAX_COMPILED_BYTES
    options.log_errors = False  # RE2 would write to the process's stderr
    if len(pattern) > MAX_PATTERN:
        raise QueryError("execution", "invalid regular expression in label_replace(): expression too large")
    try:
        return re2.compile(f"(?s:{pattern})", options)
    except re2.error:
        raise QueryError("execution", f"invalid regular expression in label_replace(): {quoted(pattern)}") from None
