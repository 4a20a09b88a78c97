"""Random queries, and random events for them to find: each from one seed, which is much faster than by pieces."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from event_store.model import FIXED, SEVERITIES, ColumnType, type_of
from event_store.query.shapes import shape_after
from event_store.query.syntax import (
    EVERYTHING,
    Aggregate,
    And,
    Compare,
    Contains,
    Exists,
    Expr,
    Fields,
    Has,
    Head,
    Histogram,
    In,
    Limit,
    Not,
    Or,
    Query,
    Regex,
    Sort,
    SortKey,
    Span,
    Stage,
    Tail,
    Top,
    Word,
)
from event_store.query.times import SECOND_NS

NOW_NS = 1_800_000_000 * SECOND_NS
EPOCH_NS = NOW_NS - 600 * SECOND_NS
CATALOG = ("t_app", "t_status", "t_zone", "f_status", "f_status$num", "f_lat$num", "f_user")
"""A field that is a tag, text and number; one that is only numbers; and so on."""
FIELDS = ("app", "status", "zone", "lat", "user", "nowhere", "source_id", "severity", "value", "duration", "message")
FIELDS = (*FIELDS, "t_status", "f_status", "t_nowhere", "name", "seq")
"""`nowhere` is in the overflow, if there is one."""
_TEXTS = (
    "web",
    "Web",
    "api",
    "",
    "200",
    "404",
    "5e2",
    "true",
    "a b",
    "50%",
    "x_y",
    "it's",
    'q"u',
    "back\\slash",
    "é",
    "É",
)
_NUMBERS = (0.0, 1.0, -1.0, 2.0, 200.0, 404.0, 500.0, 0.25, -2.75, 1e6, float("nan"), float("inf"))
_MESSAGES = (
    *("GET /a 200", "error: it's DOWN", "Error\nat line 2", 'say "hi" \\o/', "Übel É%_", "", "x" * 50),
    *("error_ 2error Éerror", "errorÉ a_b c.d-e", "down2 200\u212a \u017fay ERROR at GET /a/b"),
)
_TERMS = ("word", "has", "has", "regex", "contains", *["compare"] * 3, "in", "exists", "time", "severity")
_HAD = (
    *("error", "ERROR", "it's down", "down", "É", "é", "200", "k", "/a", "GET /A", "_", 'hi"', "error\nat", "rror"),
    *("", " ", "web", "x_y", "a_b", "b", "s", "ay", "\\o/", "Übel", "bel", "%", "1", "5e2", "A B", "\u212a", "a.d"),
)
"""What is looked for as whole words."""
_FOUND = ("error", "ERROR", "down", "200", "it's down", "at line 2", "hi", "a_b", "/a", "get")
_PATTERNS = ("a", "^E", r"\d+$", "r.*n", "(?i)DOWN|hi", r"\\o/", "a.l", "É")
_VALUES = (*_TEXTS[1:], "1", "0", "0.25", "-1", "1e6", "false", "W*", "*e*", "5*", "*", "warn")
_ODD = ("`", "and", "contains", "last", "\n", "/a/", "a:b", "*", "x|y", "(", "now", "p50", "\\", '"', "'", "ünï", "a=b")


class Maker:
    """Makes queries and events up."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    # --- queries ------------------------------------------------------------------------------------------------------

    def query(self) -> Query:
        """A query that may have been parsed from text, and that finds something in many cases."""
        start_ns = EPOCH_NS + self._random.choice((-SECOND_NS, 0, 60 * SECOND_NS, 123_456_789_012))
        span = Span(start_ns, self._random.choice((NOW_NS, start_ns + 200 * SECOND_NS)))
        return Query(self.filter() if self._chance(0.7) else EVERYTHING, span, self._pipeline())

    def filter(self, depth: int = 2) -> Expr:
        """A filter, of not so many terms."""
        kind = self._random.choice(("and", "or", "not", "term")) if depth else "term"
        if kind == "not":
            inner = self.filter(depth - 1)
            return inner.term if isinstance(inner, Not) else Not(inner)
        if kind == "term":
            return self._term()
        flat = And if kind == "and" else Or
        terms = [self.filter(depth - 1) for _ in range(self._random.randint(2, 3))]
        return flat(tuple(one for term in terms for one in (term.terms if isinstance(term, flat) else (term,))))

    def related(self, count: int) -> list[Query]:
        """Queries about the message, whose filters are of the same few terms; one is in all, and the last's alone."""
        first, *others = (self._about_message() for _ in range(4))
        filters = [*(self._with(first, others) for _ in range(count - 1)), first]
        return [self._simply(replace(self.query(), filter=one)) for one in filters]

    def _simply(self, query: Query) -> Query:
        stages = (query.pipeline, (Aggregate(("count",)),), (Tail(3),), (Head(100),))
        return replace(query, pipeline=self._random.choice(stages))

    def _with(self, first: Expr, others: Sequence[Expr]) -> Expr:
        second, third = self._random.sample(others, 2)
        both, either = And((first, second)), Or((second, third))
        kinds = (Or((first, second)), Or((both, third)), And((first, either)), And((first, Not(second))))
        return self._random.choice((both, both, And((first, self._term())), *kinds))

    def _about_message(self) -> Expr:
        pick = self._random.choice
        listed = tuple(self._pick(_MESSAGES) for _ in range(2))
        words = (Has("message", pick(_HAD)), Has("message", pick(_FOUND)), Word(pick(_FOUND)), In("message", listed))
        others = (Contains("message", pick(_FOUND)), Regex("message", pick(_PATTERNS)))
        return pick((*words, *words[1:], Compare("message", "==", listed[0]), *others))

    def _term(self) -> Expr:
        field, pick = self._pick(FIELDS), self._random.choice
        value = self._pick(_VALUES)
        made = pick(_TERMS)
        if made == "contains" and field != "message":
            return Contains(field, value)
        if made == "compare":
            operator = pick((":", "==", "!=", "<", "<=", ">", ">="))
            if field == "severity" and operator[0] in "<>":
                value = pick(SEVERITIES)
            elif field == "duration":
                value = str(pick((0, 1, 5 * SECOND_NS)))
            return Compare(field, operator, value)
        if made == "time":
            return Compare("time", pick((":", "<", ">=")), str(EPOCH_NS + 60 * SECOND_NS))
        others: dict[str, Expr] = {
            "has": Has(pick((field, "message")), pick(_HAD)),
            "regex": Regex(field, pick(_PATTERNS)),
            "in": In(field, tuple(self._pick(_VALUES) for _ in range(self._random.randint(1, 3)))),
            "exists": Exists(field),
            "severity": Compare("severity", pick((">=", "<")), pick(SEVERITIES)),
        }
        return others.get(
            made, Word(pick(("error", "É", "it's", "\\o/", "200", 'say "hi', *(_ODD if field == "app" else ()))))
        )

    def _pipeline(self) -> tuple[Stage, ...]:
        stages: list[Stage] = []
        shape: tuple[str, ...] | None = None
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 3, 4))):
            stage = self._stage(FIELDS if shape is None else shape)
            after = shape_after(stage, shape)
            if after is None or len(set(after)) == len(after):
                stages.append(stage)
                shape = after
        return tuple(stages)

    def _stage(self, fields: Sequence[str]) -> Stage:
        pick = self._random.choice
        number, field = self._random.randint(1, 12), pick(fields)
        some = tuple(self._random.sample(fields, self._random.randint(1, min(2, len(fields)))))
        measured = field if field != "time" else next((name for name in fields if name != "time"), None)
        per_ns = pick((None, None, 60 * SECOND_NS, 7 * SECOND_NS)) if fields is FIELDS or "time" in fields else None
        measures = tuple(self._random.sample(("sum", "avg", "min", "max", "rate", "distinct", "p50", "p25"), 2))
        keys = tuple(SortKey(name, self._chance(0.5)) for name in some)
        by = some if self._chance(0.6) else ()
        stages: list[Stage] = [
            Tail(number),
            Head(number),
            Limit(number),
            Sort(keys),
            Fields(some),
            Aggregate(("count",), None, by, per_ns),
            Aggregate(("rate",), None, by, per_ns),
            Top(number, field, self._term() if fields is FIELDS and self._chance(0.5) else EVERYTHING),
        ]
        if measured is not None:
            stages += [Aggregate(measures, measured, by, per_ns), Histogram(measured)]
        return pick(stages)

    # --- events -------------------------------------------------------------------------------------------------------

    def events(self, *, overflow: bool) -> list[dict[str, Any]]:
        """Some events, of which some are of one moment."""
        events = [self._event(seq, overflow) for seq in range(self._random.choice((0, 1, 5, 30, 130)))]
        if self._chance(0.3):  # most are of no interest
            events = [event if self._chance(0.2) else {**event, "message": "x" * 50} for event in events]
        return events

    def _event(self, seq: int, overflow: bool) -> dict[str, Any]:
        event: dict[str, Any] = dict.fromkeys((*FIXED, *CATALOG))
        event["time"] = EPOCH_NS + self._random.choice((0, 59_999_999_999, self._random.randrange(300 * SECOND_NS)))
        event["seq"] = seq
        texts_of = {"source_id": ("a", "b"), "severity": SEVERITIES, "message": _MESSAGES, "name": _TEXTS}
        for name, texts in texts_of.items():
            event[name] = self._pick(texts) if self._chance(0.8) else None
        event["value"] = self._pick(_NUMBERS) if self._chance(0.3) else None
        event["duration"] = self._random.choice((0, 1, 5 * SECOND_NS)) if self._chance(0.3) else None
        for name in CATALOG:
            if name != "f_status$num" or event["f_status"] is None:  # a line has one of both
                event[name] = self._any(name) if self._chance(0.5) else None
        if overflow:
            names = ("t_nowhere", "f_nowhere$num", "f_zone", "t_app")
            event["attrs"] = {name: str(self._any(name)) for name in names if self._chance(0.3)} or None
        return event

    def _any(self, column: str) -> Any:
        return self._pick(_NUMBERS if column.endswith("$num") else _TEXTS)

    def _pick(self, values: Sequence[Any]) -> Any:
        return self._random.choice(values)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability


def makers() -> st.SearchStrategy[Maker]:
    """A maker for each seed."""
    return st.integers(0, 2**63).map(Maker)


def table_of(events: Sequence[dict[str, Any]], *, overflow: bool) -> pa.Table:
    """Events as the store holds them in memory."""
    types = {
        ColumnType.TEXT: pa.dictionary(pa.int32(), pa.string()),
        ColumnType.NUMBER: pa.float64(),
        ColumnType.INTEGER: pa.int64(),
        ColumnType.TIME: pa.timestamp("ns"),
    }
    arrays = {}
    for name in (*FIXED, *CATALOG):
        type_ = pa.string() if name == "message" else types[type_of(name)]
        arrays[name] = pa.array([event[name] for event in events], type_)
    if overflow:
        maps = [list(event["attrs"].items()) if event["attrs"] else None for event in events]
        arrays["attrs"] = pa.array(maps, pa.map_(pa.string(), pa.string()))
    return pa.table(arrays)
