"""Label matchers: which series a selector asks for, and which sources it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import re2  # type: ignore[import-untyped]  # ships no types

from log_cache.promql.values import NAME, Labels, QueryError

Operator: TypeAlias = Literal["=", "!=", "=~", "!~"]

MAX_PATTERN = 8192
"""Characters of one regular expression."""
MAX_PATTERNS = 64
"""Regular expressions of one query."""
_MAX_PATTERN_BYTES = 1 << 20
"""Memory of one compiled regular expression; to refuse one that is too large takes 5 ms."""

SOURCE = "source_id"
_SPECIAL = frozenset("\\.+*?()|[]{}^$")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a label that is not there has the value ""."""

    label: str
    operator: Operator
    value: str
    _pattern: Any = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pattern", _compiled(self.value) if self.operator in ("=~", "!~") else None)

    def accepts(self, value: str) -> bool:
        """Whether a label with this value is wanted; regular expressions match the whole value."""
        match self.operator:
            case "=":
                return value == self.value
            case "!=":
                return value != self.value
            case "=~":
                return self._pattern.fullmatch(value) is not None
            case "!~":
                return self._pattern.fullmatch(value) is None

    def names(self) -> tuple[str, ...] | None:
        """The values that are listed: by "=", or by "=~" of plain alternatives; None if the matcher lists none.

        A single dot stands for itself here, since names of sources hold dots and the original splits the pattern
        literally: `source_id=~"p.mysql|other"` lists `p.mysql` and `other`.
        """
        if self.operator == "=" and self.value:
            return (self.value,)
        return _alternatives(self.value) if self.operator == "=~" else None


@dataclass(frozen=True)
class Selector:
    """What a query asks for in one place: the name of a metric, if it gives one, and conditions on labels."""

    matchers: tuple[Matcher, ...]
    only: frozenset[str] | None = None
    """The sources it is confined to, beside its matchers; None: not confined."""

    @cached_property
    def name(self) -> str:
        """The metric's name as it was asked for, or a pattern of it; empty if there is none."""
        return next((matcher.value for matcher in self.matchers if matcher.label == NAME), "")

    def wants(self, name: str) -> bool:
        """Whether metrics of this name are asked for."""
        return all(matcher.accepts(name) for matcher in self.matchers if matcher.label == NAME)

    def accepts(self, labels: Labels) -> bool:
        """Whether the series with these labels, its name among them, is asked for."""
        values: Mapping[str, str] = dict(labels)
        if self.only is not None and values.get(SOURCE, "") not in self.only:
            return False
        return all(matcher.accepts(values.get(matcher.label, "")) for matcher in self.matchers)

    def sources(self) -> tuple[str, ...] | None:
        """The source ids that are listed; None if the selector does not say of which sources it speaks."""
        if self.only is not None:
            return tuple(sorted(self.only))
        listed = [names for matcher in self.matchers if matcher.label == SOURCE and (names := matcher.names())]
        if not listed:
            return None
        return tuple(name for name in dict.fromkeys(listed[0]) if all(name in names for names in listed))

    def renamed(self, ids: Mapping[str, Sequence[str]]) -> Selector:
        """A copy that asks for `ids[name]` in place of each source that is listed; a name without ids vanishes."""
        sources = self.sources()
        if sources is None:
            return self
        kept = tuple(matcher for matcher in self.matchers if not (matcher.label == SOURCE and matcher.names()))
        return replace(self, matchers=kept, only=frozenset(new for name in sources for new in ids.get(name, ())))


def _compiled(pattern: str) -> Any:
    if len(pattern) > MAX_PATTERN:
        raise QueryError("bad_data", f"a regular expression is too long, at most {MAX_PATTERN} characters are allowed")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PATTERN_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise QueryError("bad_data", f"error parsing regexp {pattern[:100]!r}: {reason}") from None


def _alternatives(pattern: str) -> tuple[str, ...] | None:
    """The alternatives of a pattern that is nothing but alternatives; None for any other."""
    if pattern.startswith("(") and pattern.endswith(")"):
        pattern = pattern.removeprefix("(").removeprefix("?:").removesuffix(")")
    plain = [_plain(alternative) for alternative in pattern.split("|")]
    return None if None in plain else tuple(name for name in plain if name) or None


def _plain(pattern: str) -> str | None:
    """The text which a pattern without operators matches; None if it has operators."""
    text = ""
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and pattern[at + 1 : at + 2] in _SPECIAL | {"-"}:
            at += 1
            character = pattern[at]
        elif character in _SPECIAL and character != ".":
            return None
        text += character
        at += 1
    return text
