"""Which samples of two vectors belong together: by the labels they share, at every step anew."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from log_cache.promql.rows import Indices, bounded, grouped, joined, nameless, only, without, written
from log_cache.promql.values import NAME, Columns, Flags, Labels, Numbers, QueryError

Cardinality: TypeAlias = Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]
Operation: TypeAlias = Callable[[Numbers, Numbers], tuple[Numbers, Flags | None]]
"""Of the left and the right hand side: results and, for a filter, which of them stay."""

_PAIR_COST = 10
"""Cells that a pair of series is worth before it is known whether the two are ever present together."""

MUST_BE_EXPLICIT = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
MUST_BE_UNIQUE = "multiple matches for labels: grouping labels must ensure unique matches"


@dataclass(frozen=True)
class Matching:
    """What a query says about it: `on` these labels alone, or on all but the `ignored` ones and the metric's name."""

    card: Cardinality
    on: frozenset[str] | None
    ignored: frozenset[str]
    group: Sequence[str]
    """Labels that the result takes from the "one" side."""

    @cached_property
    def _unmatched(self) -> frozenset[str]:
        return self.ignored | {NAME}

    def key(self, labels: Labels) -> Labels:
        """Return what two series must have in common."""
        return without(labels, self._unmatched) if self.on is None else only(labels, self.on)

    def result(self, many: Labels, one: Labels, *, renamed: bool) -> Labels:
        """Return the labels of what two samples make; `renamed` if it is no longer the metric it was."""
        labels = nameless(many) if renamed else many
        if self.card == "one-to-one":
            labels = without(labels, self.ignored) if self.on is None else only(labels, self.on)
        if not self.group:
            return labels
        taken = only(one, self.group)
        return tuple(sorted((*without(labels, self.group), *taken)))


def match_sets(op: str, lhs: Columns, rhs: Columns, matching: Matching) -> Columns:
    """Apply `and`, `or` or `unless`: the samples of the left that have a match, of both sides, that have none."""
    keys = [matching.key(labels) for labels in (*lhs.labels, *rhs.labels)]
    numbers = {key: number for number, key in enumerate(grouped(keys))}
    groups = np.array([numbers[key] for key in keys], np.intp)
    of_left, of_right = groups[: len(lhs.labels)], groups[len(lhs.labels) :]
    if op == "or":
        taken = rhs.present & ~_anyone(lhs.present, of_left, len(numbers))[of_right]
        values, present = np.concatenate((lhs.values, rhs.values)), np.concatenate((lhs.present, taken))
        return joined([*lhs.labels, *rhs.labels], values, present)
    matched = _anyone(rhs.present, of_right, len(numbers))[of_left]
    return joined(lhs.labels, lhs.values, lhs.present & (matched if op == "and" else ~matched))


def _anyone(present: Flags, groups: Indices, count: int) -> Flags:
    """Say of each group at each step whether any of its rows is present."""
    found = np.zeros((count, present.shape[1]), np.bool_)
    for row, group in zip(present, groups, strict=True):
        found[group] |= row
    return found


def match_vectors(operation: Operation, lhs: Columns, rhs: Columns, matching: Matching, *, renamed: bool) -> Columns:
    """Apply an operation to the samples that belong together, one of them from the "one" side.

    It is an error if at any step there are two on that side, or if two results would bear the same labels.
    """
    swapped = matching.card == "one-to-many"
    many, one = (rhs, lhs) if swapped else (lhs, rhs)
    keys = [matching.key(labels) for labels in many.labels]
    ones = grouped(map(matching.key, one.labels))
    _check_one_side(ones, one, many, matching)
    rows, partners = _pairs(grouped(keys), ones, many, one)
    values, others = many.values[rows], one.values[partners]
    results, kept = operation(others, values) if swapped else operation(values, others)
    present = many.present[rows] & one.present[partners]
    if kept is not None:
        present &= kept
    pairs = list(zip(rows.tolist(), partners.tolist(), strict=True))
    labels = [matching.result(many.labels[row], one.labels[partner], renamed=renamed) for row, partner in pairs]
    _check_results([keys[row] for row, _ in pairs], labels, present, matching)
    return joined(labels, results, present)


def _check_results(keys: Sequence[Labels], labels: Sequence[Labels], present: Flags, matching: Matching) -> None:
    """Fail if a group has two results at a step, or with labels to tell them apart, two that have the same."""
    alone = matching.card == "one-to-one"
    identities: Iterable[Hashable] = keys if alone else zip(keys, labels, strict=True)
    for rows in grouped(identities).values():
        if len(rows) > 1 and _first_clash(present, rows) is not None:
            raise QueryError("execution", MUST_BE_EXPLICIT if alone else MUST_BE_UNIQUE)


def _pairs(
    groups: dict[Labels, list[int]], ones: dict[Labels, list[int]], many: Columns, one: Columns
) -> tuple[Indices, Indices]:
    """Pair the rows of groups that both sides have, as far as they may be present at the same time."""
    both = [(rows, ones[key]) for key, rows in groups.items() if key in ones]
    bounded(sum(len(rows) * len(partners) for rows, partners in both) * _PAIR_COST)
    rows = np.array([row for rows, partners in both for row in rows for _ in partners], np.intp)
    partners = np.array([partner for rows, partners in both for _ in rows for partner in partners], np.intp)
    (first, last), (opening, closing) = _spans(many.present), _spans(one.present)
    meet = (first[rows] <= closing[partners]) & (opening[partners] <= last[rows])
    order = np.flatnonzero(meet)[np.argsort(rows[meet], kind="stable")]
    if len(order) > len(many.labels):
        bounded(len(order) * many.values.shape[1])
    return rows[order], partners[order]


def _spans(present: Flags) -> tuple[Indices, Indices]:
    """Return of each row the first and the last step at which it is present."""
    return present.argmax(axis=1), present.shape[1] - 1 - present[:, ::-1].argmax(axis=1)


def _check_one_side(ones: dict[Labels, list[int]], one: Columns, many: Columns, matching: Matching) -> None:
    """Fail if two samples of a group are on the "one" side at a step, and anything is on the other side."""
    doubtful = [rows for rows in ones.values() if len(rows) > 1]
    if not doubtful:
        return
    answered = one.present & many.present.any(axis=0)
    for rows in doubtful:
        if (clash := _first_clash(answered, rows)) is not None:
            former, latter = (one.labels[row] for row in clash)
            side = "left" if matching.card == "one-to-many" else "right"
            raise QueryError(
                "execution",
                f"found duplicate series for the match group {written(matching.key(latter))} on the {side} hand-side"
                f" of the operation: [{written(latter)}, {written(former)}];many-to-many matching not allowed:"
                " matching labels must be unique on one side",
            )


def _first_clash(present: Flags, rows: Sequence[int]) -> tuple[int, int] | None:
    """Return two rows that are present at the same step, if there are any."""
    crowded = present[rows].sum(axis=0) > 1
    if not crowded.any():
        return None
    first, second, *_ = np.flatnonzero(present[rows, crowded.argmax()]).tolist()
    return rows[first], rows[second]
